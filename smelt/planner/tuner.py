"""What there is to measure for a graph, and what the measurements say: distinct works, their candidates, the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.cost import Counts, count
from smelt.model.graph import Graph, Op, Tensor
from smelt.planner.choose import Choice, accepting
from smelt.planner.flow import steps_of
from smelt.planner.log import IN_FLASH, Place, TuningLog
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


def op_key(op: Op) -> str:
    """An operator with its shapes and attributes as text; ops of the same text may still have different kernels."""
    names = [field.name for field in fields(op) if field.name not in ("y", "origin")]
    operands = " ".join(f"{name}={_text(getattr(op, name))}" for name in names)
    return f"{type(op).__name__} {operands} -> {_text(op.y)}"


def _text(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype}[{'x'.join(map(str, value.shape))}]" + ("!" if value.is_constant else "")
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    return str(value).replace(" ", "")


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
        first = next(_choices(op, board.core, implementations), None)
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
    for implementation, schedule in _choices(op, core, implementations):
        call = implementation.build(op, schedule)
        if call.kernel.name not in found:
            counts = count(call.kernel)
            cost = counts.instructions(available)
            found[call.kernel.name] = Candidate(op, implementation, schedule, call, cost, counts)
    default, *others = found.values()
    return (default, *sorted(others, key=lambda c: c.cost))


def _choices(
    op: Op, core: Core, implementations: Sequence[Implementation]
) -> Iterator[tuple[Implementation, Schedule]]:
    for implementation in accepting(op, core, implementations):
        for schedule in implementation.schedules(op, core):
            yield implementation, schedule


def ranked(
    log: TuningLog, op: Op, board: Board, implementations: Sequence[Implementation], place: Place = IN_FLASH
) -> Iterator[Choice]:
    """The ways to compute `op` on `board` that were measured with tables and code in `place`, best first.

    Only those whose kernel is, to the letter, one that was measured; where there is none, `hinted` ones. Few are built:
    where ops of the same key have different kernels, a way is put off until no other can be better.
    """
    offered = {(i.name, str(s)): (i, s) for i, s in _choices(op, board.core, implementations)}
    waiting: list[tuple[int, Choice]] = []
    found = False
    for name, schedule_text, least in log.ranked(op_key(op), board.name, *place):
        if (name, schedule_text) not in offered:
            continue
        yield from _up_to(waiting, least)
        implementation, schedule = offered[name, schedule_text]
        call = implementation.build(op, schedule)
        cycles = log.cycles(call.kernel.name, board.name, *place)
        if cycles is not None:
            found = True
            waiting.append((cycles, (implementation, schedule, call)))
    yield from _up_to(waiting, None) if found else hinted(log, op, board, implementations, place)


def hinted(
    log: TuningLog, op: Op, board: Board, implementations: Sequence[Implementation], place: Place
) -> Iterator[Choice]:
    """The ways to compute `op` that were measured for another op of the same shapes and attributes, best first.

    Such kernels differ in constants only (multipliers, zero points): what was best for one is a good guess for the other.
    """
    offered = {(i.name, str(s)): (i, s) for i, s in _choices(op, board.core, implementations)}
    for name, schedule_text, _ in log.ranked(op_key(op), board.name, *place):
        if (name, schedule_text) in offered:
            implementation, schedule = offered[name, schedule_text]
            yield implementation, schedule, implementation.build(op, schedule)


def _up_to(waiting: list[tuple[int, Choice]], least: int | None) -> Iterator[Choice]:
    """Take out, best first, what is at least as good as `least`; None takes all."""
    waiting.sort(key=lambda item: item[0])
    while waiting and (least is None or waiting[0][0] <= least):
        yield waiting.pop(0)[1]


def best(
    log: TuningLog, op: Op, board: Board, implementations: Sequence[Implementation]
) -> tuple[Implementation, Schedule] | None:
    """The implementation and schedule with the fewest measured cycles; None where nothing that fits was measured."""
    choice = next(ranked(log, op, board, implementations), None)
    return None if choice is None else choice[:2]
