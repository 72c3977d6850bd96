"""What there is to measure for a graph: its distinct steps, and the candidates of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.cost import Counts, count
from smelt.model.graph import Graph, Op
from smelt.planner.flow import steps_of
from smelt.planner.ways import offers, op_key
from smelt.targets.types import Board, Core

LEAST_TABLES = 256
"""Bytes of tables from which their place may matter."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to compute an op. `cost` is the static estimate of its instructions; `resident`: with its tables in RAM."""

    op: Op
    implementation: Implementation
    schedule: Schedule
    call: KernelCall
    cost: float
    counted: Counts
    resident: bool = False

    @cached_property
    def table_bytes(self) -> int:
        """What its constants take up."""
        return sum(int(a.nbytes) for a in self.call.arguments if isinstance(a, np.ndarray))

    @property
    def key(self) -> tuple[str, bool]:
        """What its measurement is found by."""
        return self.call.kernel.name, self.resident

    @cached_property
    def counts(self) -> tuple[tuple[str, int], ...]:
        """What is known of the kernel without running it."""
        c, call = self.counted, self.call
        parts: dict[str, float] = {"cost": self.cost, "macs": self.op.macs, "tables": self.table_bytes}
        parts |= {"scratch": call.scratch_bytes, "x": sum(t.bytes for t in self.op.activations), "y": self.op.y.bytes}
        parts |= {"loads": c.loads, "stores": c.stores, "arithmetic": c.arithmetic, "branches": c.branches}
        parts |= {"spills": c.spills, "copied": c.copied}
        parts |= dict(sorted(c.intrinsics.items()))
        return tuple((name, round(value)) for name, value in parts.items() if round(value))


@dataclass(frozen=True, eq=False)
class Work:
    """A step that occurs `times` in a graph; its candidates: the default first, then by their static cost, those with
    tables in RAM after those with tables in flash."""

    op_key: str
    candidates: tuple[Candidate, ...]
    times: int


def works(
    graph: Graph, board: Board, implementations: Sequence[Implementation], room: int = 0, in_ram: bool = False
) -> tuple[Work, ...]:
    """The distinct steps of a graph, in the order in which they first occur. Tables of up to `room` bytes are tried in
    RAM as well; with `in_ram`, all tables are in RAM, as where a debug link puts them.

    Ops of the same key and default kernel count as the same step: building every candidate of each of them to be sure
    would take longer than measuring the few that differ is worth.
    """
    same: dict[tuple[str, str], list[Op]] = {}
    for op in steps_of(graph):
        first = next(offers(op, board.core, implementations), None)
        if first is not None:
            kernel = first[0].build(op, first[1]).kernel.name
            same.setdefault((op_key(op), kernel), []).append(op)
    result = []
    for (key, _), ops in same.items():
        found = candidates(ops[0], board.core, implementations)
        ways = [replace(c, resident=True) for c in found] if in_ram else [*found, *_residents(found, room)]
        result.append(Work(key, tuple(ways), len(ops)))
    return tuple(result)


def _residents(found: Sequence[Candidate], room: int) -> Iterator[Candidate]:
    for candidate in found:
        if LEAST_TABLES <= candidate.table_bytes <= room:
            yield replace(candidate, resident=True)


def candidates(op: Op, core: Core, implementations: Sequence[Implementation]) -> tuple[Candidate, ...]:
    """Every way to compute `op`, equal kernels once: the default first, then by static cost."""
    found: dict[str, Candidate] = {}
    available = frozenset(i.name for i in core.intrinsics)
    for implementation, schedule in offers(op, core, implementations):
        call = implementation.build(op, schedule)
        if call.kernel.name not in found:
            counts = count(call.kernel)
            cost = counts.instructions(available)
            found[call.kernel.name] = Candidate(op, implementation, schedule, call, cost, counts)
    default, *others = found.values()
    return (default, *sorted(others, key=lambda c: c.cost))
