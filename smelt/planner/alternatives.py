"""Every way to do each step that the choice under budgets looks at, with its cycles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from smelt.kernels.implementation import Implementation, Schedule
from smelt.planner.choose import accepting
from smelt.planner.estimate import Cycles, Estimator, counted
from smelt.planner.log import IN_FLASH, IN_RAM, Place
from smelt.planner.step import Step
from smelt.planner.tables import tables_of
from smelt.planner.ways import op_key, ranked

MOST_SCHEDULES = 3
"""Of an implementation that are built: building takes milliseconds each, and the later guesses are seldom the better ones."""

MOST_MEASURED = 4
"""Of the measured ways to do a step that are built besides."""

LEAST_RESIDENT = 256
"""Bytes of tables below which a copy in RAM is not worth a choice."""


NOISE = 0.01
"""Of a kernel's cycles: what moves with the code around it. Measured gains below that do not replace a first guess."""


@dataclass(frozen=True, eq=False)
class Option:
    """One way to do a step, and what it takes."""

    step: Step
    cycles: Cycles


Options = tuple[Option, ...]
"""Ways to do one step: the first guess first, unless another one was measured to be faster."""


def alternatives(
    default: Sequence[Step], estimator: Estimator, implementations: Sequence[Implementation], resident: bool
) -> tuple[Options, ...]:
    """The ways to do each step; with `resident` those with tables in RAM as well."""
    return tuple(_alternatives(step, estimator, implementations, resident) for step in default)


def _alternatives(
    default: Step, estimator: Estimator, implementations: Sequence[Implementation], resident: bool
) -> Options:
    key = op_key(default.op)
    found: dict[str, Option] = {}
    copies: list[Option] = []
    for step in _ways(default, estimator, implementations):
        if step.call.kernel.name in found:
            continue
        way, cost = step.way, counted(step.call)
        flash = _ranked(estimator, key, step, estimator.cycles(key, way, step.call, cost), [*found.values()])
        flash = _believed(flash, [*found.values()], len(found))
        if resident and sum(tables_of(step.call).values()) >= LEAST_RESIDENT:
            copy = estimator.resident(key, way, step.call, cost, flash)
            copy = _believed(copy, copies or [*found.values()], len(found))
            copies.append(Option(replace(step, resident=True), copy))
        found[step.call.kernel.name] = Option(step, flash)
    return (*found.values(), *(copy for copy in copies if copy.cycles.value < found[_kernel(copy)].cycles.value))


def _ranked(estimator: Estimator, key: str, step: Step, cycles: Cycles, before: Sequence[Option]) -> Cycles:
    """An estimate in the ratio to the first guess that was measured with code and tables in RAM; without one, as it is."""
    if not before or cycles.source != "estimated":
        return cycles
    first = before[0]
    mine, other = (estimator.in_ram(key, s.way, s.call.kernel.name) for s in (step, first.step))
    return Cycles(round(first.cycles.value * mine / other), "ranked") if mine and other else cycles


def _kernel(option: Option) -> str:
    return option.step.call.kernel.name


def _believed(cycles: Cycles, before: Sequence[Option], rank: int) -> Cycles:
    """Neither an estimate nor a gain within the noise is believed where it says that a later guess is faster than the first."""
    if rank == 0 or (cycles.source != "estimated" and cycles.value < (1 - NOISE) * before[0].cycles.value):
        return cycles
    return Cycles(max(cycles.value, before[0].cycles.value + rank), cycles.source)


def _ways(default: Step, estimator: Estimator, implementations: Sequence[Implementation]) -> Iterator[Step]:
    """The first guess, the first schedules of each implementation, and the best of what was measured."""
    yield default
    op, board = default.op, estimator.board
    offered = list(accepting(op, board.core, implementations))
    for implementation in offered:
        for schedule in islice(implementation.schedules(op, board.core), MOST_SCHEDULES):
            yield _step(default, implementation, schedule)
    for implementation, schedule in _measured(default, estimator, offered):
        yield _step(default, implementation, schedule)


def _measured(
    default: Step, estimator: Estimator, offered: Iterable[Implementation]
) -> Iterator[tuple[Implementation, Schedule]]:
    key, board = op_key(default.op), estimator.board
    by_name = {i.name: i for i in offered}
    places: tuple[Place, ...] = (
        IN_FLASH,
        (True, "flash"),
        *(() if estimator.log.covers(key, board.name) else (IN_RAM,)),
    )
    for place in places:
        for name, text, _ in islice(estimator.log.ranked(key, board.name, *place), MOST_MEASURED):
            schedules = by_name[name].schedules(default.op, board.core) if name in by_name else ()
            yield from ((by_name[name], s) for s in schedules if str(s) == text)


def _step(default: Step, implementation: Implementation, schedule: Schedule) -> Step:
    call = implementation.build(default.op, schedule)
    return replace(default, implementation=implementation, schedule=schedule, call=call)


def quickest(
    default: Sequence[Step], estimator: Estimator, implementations: Sequence[Implementation]
) -> tuple[Step, ...]:
    """Each step as it was measured to be fastest with its tables in flash, where that was never measured with code and tables in
    RAM, else as it is."""
    if not estimator.log.measurements:
        return tuple(default)
    return tuple(_quickest(step, estimator, implementations) for step in default)


def _quickest(default: Step, estimator: Estimator, implementations: Sequence[Implementation]) -> Step:
    known = estimator.log.cycles(default.call.kernel.name, estimator.board.name)
    best = next(ranked(estimator.log, default.op, estimator.board, implementations), None)
    if best is None:
        return _quickest_in_ram(default, estimator, implementations)
    implementation, schedule, call = best
    cycles = estimator.log.cycles(call.kernel.name, estimator.board.name)
    if known is not None and cycles is not None and cycles >= (1 - NOISE) * known:
        return default
    return replace(default, implementation=implementation, schedule=schedule, call=call)


def _quickest_in_ram(default: Step, estimator: Estimator, implementations: Sequence[Implementation]) -> Step:
    """The same where there are only figures with code and tables in RAM, those of the step as it is among them."""
    key = op_key(default.op)
    known = estimator.in_ram(key, default.way, default.call.kernel.name)
    if known is None:
        return default
    best = next(ranked(estimator.log, default.op, estimator.board, implementations, IN_RAM), None)
    if best is None:
        return default
    implementation, schedule, call = best
    step = replace(default, implementation=implementation, schedule=schedule, call=call)
    cycles = estimator.in_ram(key, step.way, call.kernel.name)
    return default if cycles is None or cycles >= (1 - NOISE) * known else step
