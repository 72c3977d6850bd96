"""Ways to do each step with less and less scratch, for plans that do not fit with the first choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from smelt.kernels.implementation import Implementation
from smelt.planner.plan import Step
from smelt.planner.tuned import Options
from smelt.targets.types import Board

MOST_SCHEDULES = 8
"""Of an implementation that are tried: building a kernel takes milliseconds, and the later guesses seldom need less."""


def leaner(steps: Sequence[Step], board: Board, implementations: Sequence[Implementation]) -> tuple[Options, ...]:
    """The options of each step: as it is, then each with less scratch than the one before."""
    return tuple(_options(step, board, implementations) for step in steps)


def _options(step: Step, board: Board, implementations: Sequence[Implementation]) -> Options:
    found = [step]
    for other in _others(step, board, implementations):
        if other.call.scratch_bytes < found[-1].call.scratch_bytes:
            found.append(other)
        if not found[-1].call.scratch_bytes:
            break
    return tuple(found)


def _others(step: Step, board: Board, implementations: Sequence[Implementation]) -> Iterator[Step]:
    if not step.call.scratch_bytes:
        return
    for implementation in implementations:
        if isinstance(step.op, implementation.op) and all(
            accept(step.op, board.core) for accept in implementation.accepts
        ):
            for schedule in islice(implementation.schedules(step.op, board.core), MOST_SCHEDULES):
                call = implementation.build(step.op, schedule)
                yield replace(step, implementation=implementation, schedule=schedule, call=call)
