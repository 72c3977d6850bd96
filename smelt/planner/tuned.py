"""Steps as a tuning log would have them, and what gives way where they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from smelt.errors import DoesNotFit
from smelt.kernels.implementation import Implementation
from smelt.planner.log import TuningLog
from smelt.planner.plan import Plan, Step
from smelt.planner.tuner import ranked
from smelt.targets.types import Board

Options = tuple[Step, ...]
"""Ways to do one step, fastest first, each with less scratch than the one before; the default last."""


def tuned(
    default: Sequence[Step], board: Board, implementations: Sequence[Implementation], log: TuningLog
) -> tuple[Options, ...]:
    """The options of each step: what was measured fastest, then what would need less scratch, down to the default."""
    return tuple(_options(step, board, implementations, log) for step in default)


def _options(default: Step, board: Board, implementations: Sequence[Implementation], log: TuningLog) -> Options:
    found: list[Step] = []
    for implementation, schedule, call in ranked(log, default.op, board, implementations):
        step = replace(default, implementation=implementation, schedule=schedule, call=call)
        if call.kernel.name == default.call.kernel.name:
            break
        if not found or call.scratch_bytes < found[-1].call.scratch_bytes:
            found.append(step)
        if call.scratch_bytes <= default.call.scratch_bytes:
            break
    return (*found, default)


def fitting(options: Sequence[Options], plan: Callable[[tuple[Step, ...]], Plan]) -> Plan:
    """The first plan that fits: all the fastest, or with the greatest scratch buffers given up one by one.

    `plan` makes a plan of steps and raises DoesNotFit; so does this where not even the defaults fit.
    """
    taken = [0] * len(options)
    given_up: list[str] = []
    while True:
        steps = tuple(choices[i] for choices, i in zip(options, taken, strict=True))
        try:
            return replace(plan(steps), notes=tuple(given_up))
        except DoesNotFit:
            movable = [n for n, choices in enumerate(options) if taken[n] + 1 < len(choices)]
            if not movable:
                raise
        worst = max(movable, key=lambda n: (steps[n].call.scratch_bytes, -n))
        taken[worst] += 1
        given_up.append(_note(steps[worst], options[worst][taken[worst]]))


def _note(old: Step, new: Step) -> str:
    return (
        f"{old.name} is not computed by the first choice {old.implementation.name} [{old.schedule}] "
        f"({old.call.scratch_bytes:,} bytes of scratch), because that does not fit, but by {new.implementation.name} "
        f"[{new.schedule}] ({new.call.scratch_bytes:,})"
    )
