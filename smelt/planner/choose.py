"""Which implementation computes an op, with which schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.errors import Unsupported
from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.model.graph import Op
from smelt.targets.types import Core

Choice = tuple[Implementation, Schedule, KernelCall]


def choose(op: Op, core: Core, implementations: Sequence[Implementation]) -> Choice:
    """The first implementation that accepts `op` on `core`, and its first schedule. `implementations` come best first.

    Raises Unsupported, with what every implementation of the operator asks for, where none accepts.
    """
    first = first_choice(op, core, implementations)
    if first is None:
        raise Unsupported(op.origin or f"'{op}'", refusals(op, core, implementations))
    implementation, schedule = first
    return implementation, schedule, implementation.build(op, schedule)


def first_choice(
    op: Op, core: Core, implementations: Sequence[Implementation]
) -> tuple[Implementation, Schedule] | None:
    """What `choose` chooses, without building it; None where nothing accepts `op`."""
    for implementation in accepting(op, core, implementations):
        schedule = next(iter(implementation.schedules(op, core)), None)
        if schedule is not None:
            return implementation, schedule
    return None


def accepting(op: Op, core: Core, implementations: Sequence[Implementation]) -> Iterator[Implementation]:
    """Those of the implementations that can compute `op` on `core`."""
    for implementation in implementations:
        if isinstance(op, implementation.op) and all(accept(op, core) for accept in implementation.accepts):
            yield implementation


def refusals(op: Op, core: Core, implementations: Sequence[Implementation]) -> tuple[str, ...]:
    """Why no implementation takes `op`: what each of them asks for and `op` or `core` does not offer."""
    mine = [i for i in implementations if isinstance(op, i.op)]
    if not mine:
        names = sorted({i.op.__name__ for i in implementations})
        return (f"there is no implementation of {type(op).__name__} (there are: {', '.join(names) or 'none'})",)
    return tuple(f"{i.name} asks for: {' '.join(wish.split())}" for i in mine for wish in _wishes(i, op, core))


def _wishes(implementation: Implementation, op: Op, core: Core) -> list[str]:
    """The unmet conditions of an implementation, in the words of their docstrings."""
    unmet = [accept for accept in implementation.accepts if not accept(op, core)]
    return [accept.__doc__ or accept.__name__.replace("_", " ") for accept in unmet] or ["a schedule for this shape"]
