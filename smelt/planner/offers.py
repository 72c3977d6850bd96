"""What implementations offer for an op, unbuilt, and why they offer nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.kernels.implementation import Implementation, Schedule
from smelt.model.graph import Op
from smelt.targets.types import Core

Offer = tuple[Implementation, Schedule]


def offers(op: Op, core: Core, implementations: Sequence[Implementation]) -> Iterator[Offer]:
    """The schedules of all implementations that can compute `op` on `core`; `implementations` come best first, and so do the
    schedules of each."""
    for implementation in implementations:
        if implementation.takes(op, core):
            for schedule in implementation.schedules(op, core):
                yield implementation, schedule


def refusals(op: Op, core: Core, implementations: Sequence[Implementation]) -> tuple[str, ...]:
    """Why no implementation takes `op`: what each of them asks for and `op` or `core` does not offer."""
    mine = [i for i in implementations if isinstance(op, i.op)]
    if not mine:
        names = sorted({i.op.__name__ for i in implementations})
        return (f"there is no implementation of {type(op).__name__} (there are: {', '.join(names) or 'none'})",)
    return tuple(f"{i.name} asks for: {' '.join(wish.split())}" for i in mine for wish in _wishes(i, op, core))


def _wishes(implementation: Implementation, op: Op, core: Core) -> list[str]:
    """The unmet conditions of an implementation, in the words of their docstrings."""
    if not implementation.takes_type(op):
        return [f"an x of {implementation.dtype}"]
    unmet = [accept for accept in implementation.accepts if not accept(op, core)]
    return [accept.__doc__ or accept.__name__.replace("_", " ") for accept in unmet] or ["a schedule for this shape"]
