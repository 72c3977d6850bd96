"""Small answers as data: what a compilation came to, what a model file holds, which boards there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smelt import plugins
from smelt.compile import Compilation
from smelt.nouns import Noun
from smelt.planner.evidence import NO_LINK, Linked
from smelt.report.profile import MemoryUse, estimated_use, memory_use
from smelt.targets.types import Board


@dataclass(frozen=True)
class CompileSummary(Noun):
    """Sizes of a compilation in bytes. `estimated`: nothing was built, so that there is no `firmware_digest` either."""

    model: str
    board: str
    steps: int
    macs: int
    tensor_bytes: int
    scratch_bytes: int
    resident_bytes: int
    resident_steps: tuple[str, ...]
    memory: tuple[MemoryUse, ...]
    estimated: bool
    sources_digest: str
    warnings: tuple[str, ...]
    firmware_digest: str | None


@dataclass(frozen=True)
class Basis:
    """What the choices rest on: of how many steps the kernel was measured, with which other versions of the compiler, and what
    through debug links."""

    measured_steps: int = 0
    similar_measurements: tuple[str, ...] = ()
    linked: Linked = NO_LINK


@dataclass(frozen=True)
class Told:
    """What is said of a model file besides: its multiply-accumulates where they are known, and what users should know."""

    macs: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class BoardRow:
    """What matters of a board: bytes of its flash and of each RAM, in the chip and `outside` of it."""

    name: str
    title: str
    core: str
    clock_hz: int
    flash_bytes: int
    ram: dict[str, int]
    outside: dict[str, int]


@dataclass(frozen=True)
class BoardRows:
    """The boards that smelt knows by name."""

    boards: tuple[BoardRow, ...]


@dataclass(frozen=True)
class BoardTable:
    """A board as a file of one's own says it: docs/boards.md."""

    board: dict[str, Any]


def compile_summary(compilation: Compilation) -> CompileSummary:
    """What a compilation came to."""
    plan, image = compilation.plan, compilation.image
    return CompileSummary(
        compilation.graph.name,
        plan.board.name,
        len(plan.steps),
        compilation.model.macs,
        plan.tensor_bytes,
        plan.scratch_bytes,
        plan.resident_bytes,
        tuple(step.name for step in plan.steps if step.resident),
        memory_use(image) if image else estimated_use(plan),
        image is None,
        compilation.sources.digest,
        tuple(compilation.warnings),
        image.digest if image else None,
    )


def basis(compilation: Compilation) -> Basis:
    """What the choices of a compilation rest on."""
    evidence = compilation.evidence
    return Basis(evidence.measured, tuple(evidence.similar), evidence.linked)


def board_rows() -> tuple[BoardRow, ...]:
    """The boards with what matters of them, smelt's and those of other packages."""
    from smelt.targets.boards import BOARDS

    return tuple(map(_row, (*BOARDS, *plugins.boards())))


def _row(board: Board) -> BoardRow:
    chip = board.chip
    return BoardRow(
        board.name,
        board.title,
        board.core.name,
        board.clock_hz,
        chip.flash.size,
        {m.name: m.size for m in chip.rams if not m.external},
        {m.name: m.size for m in chip.memories if m.external},
    )
