"""Which model of time counts the cycles of a simulated board: logs of another one are stale."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from smelt.targets.timing import chip_timing, core_timing
from smelt.targets.types import Board

SOURCES = ("clock.py", "decode.py", "pipeline.py", "pipeline_m7.py", "pipeline_riscv.py", "memory_map.py")
NATIVE = ("clock.h", "counter.c")


def cycle_model(board: Board) -> str:
    """ "simulator 1a2b3c4d": a digest of the tables of this board's core and chip, and of the code that reads them.

    Raises KeyError for boards whose core has no model.
    """
    chip = board.chip
    tables = repr((core_timing(board.core.name), chip_timing(chip.name), chip.memories, chip.setup))
    return f"simulator {hashlib.sha256((tables + _code()).encode()).hexdigest()[:8]}"


@cache
def _code() -> str:
    folder = files("smelt.devices.simulators")
    texts = [folder.joinpath(name).read_text("utf-8") for name in SOURCES]
    texts += [folder.joinpath("native", name).read_text("utf-8") for name in NATIVE]
    return "\n".join(line for text in texts for line in _meaningful(text))


def _meaningful(text: str) -> Iterator[str]:
    """The lines that are neither empty nor comments: mending a comment makes no measurement stale."""
    for line in map(str.strip, text.splitlines()):
        if (line and not line.startswith(("#", "//", "/*"))) or line.startswith(("#include", "#define", "#if", "#e")):
            yield line
