"""The ways to compute an op that implementations offer, and what the measurements say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from smelt.kernels.implementation import Implementation, Schedule
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Linear
from smelt.planner.choose import Choice, accepting
from smelt.planner.log import IN_FLASH, Place, TuningLog
from smelt.targets.types import Board, Core


def op_key(op: Op) -> str:
    """An operator with its shapes and attributes as text; ops of the same text may still have different kernels."""
    names = [field.name for field in fields(op) if field.name not in (*op.results, "origin", "rescale")]
    if isinstance(op, Linear):
        names.append("clamp")
    operands = " ".join(f"{name}={_text(getattr(op, name))}" for name in names)
    return f"{type(op).__name__} {operands} -> {' '.join(map(_text, op.ys))}"


def _text(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype}[{'x'.join(map(str, value.shape))}]" + ("!" if value.is_constant else "")
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    return str(value).replace(" ", "")


def offers(op: Op, core: Core, implementations: Sequence[Implementation]) -> Iterator[tuple[Implementation, Schedule]]:
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
    offered = {(i.name, str(s)): (i, s) for i, s in offers(op, board.core, implementations)}
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
    offered = {(i.name, str(s)): (i, s) for i, s in offers(op, board.core, implementations)}
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
