"""What there is to measure for a graph: its distinct steps, and the candidates of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smelt.kernels.implementation import Implementation
from smelt.model.graph import Graph, Op
from smelt.planner import ways_for
from smelt.planner.flow import steps_of
from smelt.planner.ways import Way, Ways, op_key
from smelt.targets.types import Board

LEAST_TABLES = 256
"""Bytes of tables from which their place may matter."""


@dataclass(frozen=True, eq=False)
class Work:
    """A step that occurs `times` in a graph; its candidates: the default first, then by their static cost, those with
    tables in RAM after those with tables in flash."""

    op_key: str
    candidates: tuple[Way, ...]
    times: int


def works(
    graph: Graph, board: Board, implementations: Sequence[Implementation] | Ways, room: int = 0, in_ram: bool = False
) -> tuple[Work, ...]:
    """The distinct steps of a graph, in the order in which they first occur. Tables of up to `room` bytes are tried in
    RAM as well; with `in_ram`, all tables are in RAM, as where a debug link puts them.

    Ops of the same key and default kernel count as the same step: building every candidate of each of them to be sure
    would take longer than measuring the few that differ is worth.
    """
    ways = ways_for(board.core, implementations)
    same: dict[tuple[str, str], list[Op]] = {}
    for op in steps_of(graph):
        if next(ways.offers(op), None) is not None:
            same.setdefault((op_key(op), ways.first(op).kernel), []).append(op)
    result = []
    for (key, _), ops in same.items():
        found = candidates(ops[0], ways)
        tried = [way.copied() for way in found] if in_ram else [*found, *_residents(found, room)]
        result.append(Work(key, tuple(tried), len(ops)))
    return tuple(result)


def _residents(found: Sequence[Way], room: int) -> Iterator[Way]:
    return (way.copied() for way in found if LEAST_TABLES <= way.table_bytes <= room)


def candidates(op: Op, ways: Ways) -> tuple[Way, ...]:
    """Every way to compute `op`: the default first, then by static cost."""
    default, *others = ways.every(op)
    return (default, *sorted(others, key=lambda way: way.instructions(ways.core)))
