"""What there is to measure for a graph, and what the measurements say: distinct works, their candidates, the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.cost import count
from smelt.model.graph import Graph, Op, Tensor
from smelt.planner.choose import Choice, accepting
from smelt.planner.flow import steps_of
from smelt.planner.log import TuningLog
from smelt.targets.types import Board, Core


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to compute an op. `cost` is the static estimate of its instructions."""

    op: Op
    implementation: Implementation
    schedule: Schedule
    call: KernelCall
    cost: float

    @property
    def table_bytes(self) -> int:
        """What its constants take up in flash."""
        return sum(int(a.nbytes) for a in self.call.arguments if not isinstance(a, Tensor) and hasattr(a, "nbytes"))


@dataclass(frozen=True, eq=False)
class Work:
    """A step that occurs `times` in a graph; its candidates: the default first, then by their static cost."""

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


def works(graph: Graph, board: Board, implementations: Sequence[Implementation]) -> tuple[Work, ...]:
    """The distinct steps of a graph, in the order in which they first occur.

    Ops of the same key and default kernel count as the same step: building every candidate of each of them to be sure
    would take longer than measuring the few that differ is worth.
    """
    same: dict[tuple[str, str], list[Op]] = {}
    for op in steps_of(graph):
        first = next(_choices(op, board.core, implementations), None)
        if first is not None:
            kernel = first[0].build(op, first[1]).kernel.name
            same.setdefault((op_key(op), kernel), []).append(op)
    return tuple(Work(key, candidates(ops[0], board.core, implementations), len(ops)) for (key, _), ops in same.items())


def candidates(op: Op, core: Core, implementations: Sequence[Implementation]) -> tuple[Candidate, ...]:
    """Every way to compute `op`, equal kernels once: the default first, then by static cost."""
    found: dict[str, Candidate] = {}
    available = frozenset(i.name for i in core.intrinsics)
    for implementation, schedule in _choices(op, core, implementations):
        call = implementation.build(op, schedule)
        if call.kernel.name not in found:
            cost = count(call.kernel).instructions(available)
            found[call.kernel.name] = Candidate(op, implementation, schedule, call, cost)
    default, *others = found.values()
    return (default, *sorted(others, key=lambda c: c.cost))


def _choices(
    op: Op, core: Core, implementations: Sequence[Implementation]
) -> Iterator[tuple[Implementation, Schedule]]:
    for implementation in accepting(op, core, implementations):
        for schedule in implementation.schedules(op, core):
            yield implementation, schedule


def ranked(log: TuningLog, op: Op, board: Board, implementations: Sequence[Implementation]) -> Iterator[Choice]:
    """The measured ways to compute `op` on `board`, best first.

    Only those whose kernel is, to the letter, one that was measured. Few are built: where ops of the same key have
    different kernels, a way is put off until no other can be better.
    """
    offered = {(i.name, str(s)): (i, s) for i, s in _choices(op, board.core, implementations)}
    waiting: list[tuple[int, Choice]] = []
    for name, schedule_text, least in log.ranked(op_key(op), board.name):
        if (name, schedule_text) not in offered:
            continue
        yield from _up_to(waiting, least)
        implementation, schedule = offered[name, schedule_text]
        call = implementation.build(op, schedule)
        cycles = log.cycles(call.kernel.name, board.name)
        if cycles is not None:
            waiting.append((cycles, (implementation, schedule, call)))
    yield from _up_to(waiting, None)


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
