"""Small answers as data: what a compilation came to, which boards there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from smelt.compile import Compilation
from smelt.report.profile import estimated_use, memory_use


def compile_summary(compilation: Compilation) -> dict[str, Any]:
    """Sizes of a compilation, for `--json` and for the terminal."""
    plan, image = compilation.plan, compilation.image
    return {
        "model": compilation.graph.name,
        "board": plan.board.name,
        "steps": len(plan.steps),
        "macs": compilation.model.macs,
        "tensor_bytes": plan.tensor_bytes,
        "scratch_bytes": plan.scratch_bytes,
        "resident_bytes": plan.resident_bytes,
        "resident_steps": [step.name for step in plan.steps if step.resident],
        "memory": [asdict(use) for use in (memory_use(image) if image else estimated_use(plan))],
        "estimated": image is None,
        "sources_digest": compilation.sources.digest,
        "warnings": list(compilation.warnings),
        "firmware_digest": image.digest if image else None,
        **basis(compilation),
    }


def basis(compilation: Compilation) -> dict[str, Any]:
    """What the choices rest on: of how many steps the kernel was measured, and with which other versions of the compiler."""
    evidence = compilation.evidence
    return {
        "measured_steps": evidence.measured,
        "similar_measurements": list(evidence.similar),
        "linked": asdict(evidence.linked),
    }


def board_rows() -> list[dict[str, Any]]:
    """The boards with what matters of them."""
    from smelt.targets.boards import BOARDS

    return [
        {
            "name": board.name,
            "title": board.title,
            "core": board.core.name,
            "clock_hz": board.clock_hz,
            "flash_bytes": board.chip.flash.size,
            "ram": {m.name: m.size for m in board.chip.rams if not m.external},
            "outside": {m.name: m.size for m in board.chip.memories if m.external},
        }
        for board in BOARDS
    ]
