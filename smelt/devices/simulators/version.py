"""Which model of time counts the cycles of a simulated board: logs of another one are stale.

What the digest covers is what the time of *this* board depends on: its core's figures, its memories and their paths, and the code
that models its pipeline. What another core brings along is not in it, and neither is a field that this one leaves at its default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from smelt.devices.simulators.pipelines import model_of
from smelt.targets.types import Board

SHARED = ("clock.py", "pipeline.py", "native/clock.h", "native/counter.c")


def cycle_model(board: Board) -> str:
    """ "simulator 1a2b3c4d": a digest of the figures of this board's core and memories, and of the code that reads them.

    Raises KeyError for boards whose core has no model.
    """
    timing, chip = board.core.timed, board.chip
    if chip.cluster:
        text = told((timing, chip.memories, chip.cluster, chip.outside)) + _code(_of_clusters())
    else:
        text = told((timing, chip.memories, chip.setup)) + _code((*SHARED, *model_of(timing).sources))
    return f"simulator {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _of_clusters() -> tuple[str, ...]:
    folder = files("smelt.devices.simulators") / "native"
    return tuple(sorted(f"native/{f.name}" for f in folder.iterdir() if f.name.startswith("cluster")))


def model_of_time(board: Board) -> str:
    """What counts the cycles of simulated copies of the board; empty where nothing does."""
    return cycle_model(board) if board.core.timing else ""


def told(value: Any) -> str:
    """A value as text, without fields that have their defaults: adding a field changes nothing for those who do not use it."""
    if isinstance(value, tuple):
        return f"({', '.join(told(v) for v in value)})"
    if not is_dataclass(value):
        return repr(value)
    given = (
        (f.name, getattr(value, f.name))
        for f in fields(value)
        if f.default is MISSING or getattr(value, f.name) != f.default
    )
    return f"{type(value).__name__}({', '.join(f'{name}={told(v)}' for name, v in given)})"


@cache
def _code(names: tuple[str, ...]) -> str:
    folder = files("smelt.devices.simulators")
    texts = [folder.joinpath(*name.split("/")).read_text("utf-8") for name in names]
    return "\n".join(line for text in texts for line in _meaningful(text))


def _meaningful(text: str) -> Iterator[str]:
    """The lines that are neither empty nor comments: mending a comment makes no measurement stale."""
    for line in map(str.strip, text.splitlines()):
        if (line and not line.startswith(("#", "//", "/*"))) or line.startswith(("#include", "#define", "#if", "#e")):
            yield line
