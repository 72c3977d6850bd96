"""A dense layer is a convolution of one row of pixels, the rows of x, with kernels of 1 x 1: the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from smelt.kernels.implementation import Implementation, KernelCall, Predicate, Schedule
from smelt.model.graph import Tensor
from smelt.model.ops import Conv2D, Dense
from smelt.targets.types import Core


def as_conv2d(op: Dense) -> Conv2D:
    """The same computation."""
    units, depth = op.weights.shape
    shape, data = (units, 1, 1, depth), op.weights.data
    weights = replace(op.weights, shape=shape, data=None if data is None else data.reshape(shape))
    rows = op.x.elements // depth
    x, y = replace(op.x, shape=(1, 1, rows, depth)), replace(op.y, shape=(1, 1, rows, units))
    return Conv2D(x=x, weights=weights, bias=op.bias, y=y, rescale=op.rescale)


def through_conv2d(conv2d: Implementation, name: str, accepts: tuple[Predicate, ...]) -> Implementation:
    """`conv2d` for dense layers; `accepts` is what it asks of them."""

    def schedules(op: Dense, core: Core) -> Iterable[Schedule]:
        return conv2d.schedules(as_conv2d(op), core)

    def build(op: Dense, schedule: Schedule) -> KernelCall:
        other = as_conv2d(op)
        call = conv2d.build(other, schedule)
        own = {other.x: op.x, other.y: op.y, other.weights: op.weights}
        return replace(call, arguments=tuple(own.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments))

    return Implementation(name, Dense, schedules, build, accepts)
