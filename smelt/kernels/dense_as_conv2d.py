"""A dense layer is a convolution of one row of pixels, the rows of x, with kernels of 1 x 1: the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import wraps
from typing import Any

from smelt.kernels.accepts import has_byte_weights
from smelt.kernels.implementation import Blocks, Implementation, KernelCall, Numbers, Predicate, Schedule
from smelt.loops.ir import Table
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


LEAST_ROWS = 3  # for which weights that were read once are used


def several_rows(op: Dense, core: Core) -> bool:
    """at least three rows"""
    return op.x.elements // op.weights.shape[1] >= LEAST_ROWS


def by_rows(conv2d: Implementation, name: str) -> Implementation:
    """`conv2d` for dense layers of several rows of int8, of which it asks what it asks of images."""
    return through_conv2d(conv2d, name, (several_rows, has_byte_weights, *map(_of_image, conv2d.accepts)))


def _of_image(predicate: Predicate) -> Predicate:
    @wraps(predicate)
    def asked(op: Dense, core: Core) -> bool:
        return predicate(as_conv2d(op), core)

    return asked


def through_conv2d(conv2d: Implementation, name: str, accepts: tuple[Predicate, ...]) -> Implementation:
    """`conv2d` for dense layers; `accepts` is what it asks of them."""

    def schedules(op: Dense, core: Core) -> Iterable[Schedule]:
        return conv2d.schedules(as_conv2d(op), core)

    def build(op: Dense, schedule: Schedule) -> KernelCall:
        other = as_conv2d(op)
        return _renamed(op, other, conv2d.build(other, schedule))

    blocks = None if conv2d.blocks is None else _of_units(conv2d.blocks)
    return Implementation(name, Dense, schedules, build, accepts, blocks=blocks)


def _of_units(blocks: Blocks) -> Blocks:
    """Those of dense layers."""

    def numbers(op: Dense) -> Numbers | None:
        return blocks.numbers(as_conv2d(op))

    def build(op: Dense, schedule: Schedule, own: Any) -> KernelCall:
        other = as_conv2d(op)
        return _renamed(op, other, blocks.build(other, schedule, own))

    def tables(op: Dense, schedule: Schedule, own: Any) -> tuple[Table, ...]:
        return blocks.tables(as_conv2d(op), schedule, own)

    return Blocks(numbers, build, tables)


def _renamed(op: Dense, other: Conv2D, call: KernelCall) -> KernelCall:
    """The call with the tensors of the dense layer."""
    own = {other.x: op.x, other.y: op.y, other.weights: op.weights}
    return replace(call, arguments=tuple(own.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments))
