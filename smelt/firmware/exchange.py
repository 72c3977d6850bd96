"""Kernels that another training can use: numbers that come from scales stand in tables, not in code.

Which numbers these are is found out: the same kernel is built for the op as other trainings might have it, and what differs goes
into a table. Where more than numbers differ, the kernel stays as it is, and is for trainings with the same numbers only.
"""

from __future__ import annotations

from collections.abc import Iterator

from smelt.errors import SmeltError
from smelt.kernels.retrained import TRAININGS, retrained
from smelt.loops.bounds import OutOfBounds
from smelt.loops.kernel import Kernel
from smelt.loops.numbers import Numbered, numbered
from smelt.loops.routine import WrongCall
from smelt.planner.ways import Way, op_key
from smelt.targets.types import Core


class Exchange:
    """The kernels of one program, each looked at once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._found: dict[tuple[str, str], Numbered] = {}

    def kernel(self, way: Way) -> Numbered:
        """The kernel of a way with its numbers in tables."""
        key = way.kernel, op_key(way.op)
        if key not in self._found:
            self._found[key] = self._looked_at(way)
        return self._found[key]

    def _looked_at(self, way: Way) -> Numbered:
        kernel = way.call.kernel
        fitting, found = [kernel], Numbered(kernel, ())
        if _built(way, way.op) != kernel.name:  # a slab or a share: its op does not say all
            return found
        for other in self._others(way):
            if (more := numbered([*fitting, other])) is not None:
                fitting, found = [*fitting, other], more
        return found

    def _others(self, way: Way) -> Iterator[Kernel]:
        for training in TRAININGS:
            op = retrained(way.op, training)
            try:
                if way.implementation.takes(op, self._core):
                    yield way.implementation.build(op, way.schedule).kernel
            except (SmeltError, WrongCall, OutOfBounds, ValueError, ArithmeticError):
                continue  # no training that smelt has this way for


def _built(way: Way, op: object) -> str:
    return way.implementation.build(op, way.schedule).kernel.name
