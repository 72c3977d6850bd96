"""Cycles for an instruction of the static cost, by implementation: what measurements of some ops say about others.

They differ by what no count of instructions knows: how well instructions pair, what compilers make of loops. They are about cores,
so that boards with the same core tell them of each other; what was measured there with operands in a memory that makes the core
wait is left out, and what tables made it wait is taken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median

from smelt.planner.measurement import IN_FLASH, Measurement
from smelt.targets.boards import BOARDS
from smelt.targets.types import Board, Path


def ratios(board: Board, measurements: Iterable[Measurement]) -> dict[str, float]:
    """The median ratio of each implementation, from measurements on boards with the core of `board`."""
    alike = {other.name: other for other in (board, *BOARDS) if other.core == board.core}
    found: dict[str, list[float]] = {}
    for m in measurements:
        if m.board in alike:
            for ratio in _ratio(alike[m.board], m):
                found.setdefault(m.implementation, []).append(ratio)
    return {name: median(some) for name, some in found.items()}


def _ratio(board: Board, m: Measurement) -> Iterator[float]:
    known = dict(m.features)
    cost, paths = known.get("cost", 0), {memory.name: memory.path for memory in board.chip.memories}
    slow = any(paths.get(name, Path()).first for name in (m.places.x, m.places.y, m.places.scratch))
    if m.cycles and cost and m.place == IN_FLASH and not slow:
        yield max(m.cycles - table_wait(board.chip.flash.path, known), m.cycles / 2) / cost


def table_wait(path: Path, known: Mapping[str, int]) -> float:
    """Cycles in which all lines of the tables come in once."""
    return known.get("tables", 0) / (path.data.line if path.data else 4) * path.first
