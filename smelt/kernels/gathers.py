"""Gather, Broadcast, UpdateSlice: moves whose places are computed."""

from __future__ import annotations

from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.nests import broadcast, merged, move, row_major
from smelt.loops.ir import AnyBuffer, Expr, cast, expression, maximum, minimum
from smelt.model.ops_moves import Broadcast, Gather, UpdateSlice
from smelt.targets.types import Core

INDICES = ("int32", "int64")


def broadcastable(op: Broadcast, core: Core) -> bool:
    """x and y have the same element type, of whole bytes"""
    return op.x.dtype == op.y.dtype and not op.y.element.is_packed


def gatherable(op: Gather, core: Core) -> bool:
    """x and y have the same element type, of whole bytes; the indices are int32 or int64"""
    return op.x.dtype == op.y.dtype and not op.y.element.is_packed and op.indices.dtype in INDICES


def updatable(op: UpdateSlice, core: Core) -> bool:
    """x, y and the update have the same element type, of whole bytes; the start is int32 or int64"""
    alike = op.x.dtype == op.update.dtype == op.y.dtype
    return alike and not op.y.element.is_packed and op.start.dtype in INDICES


def build_broadcast(op: Broadcast, schedule: Plain) -> KernelCall:
    k = CallBuilder("broadcast")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    move(k, y, x, merged(op.y.shape, row_major(op.y.shape), broadcast(op.x.shape, op.y.shape)), (0, 0))
    return k.finish_call()


def build_gather(op: Gather, schedule: Plain) -> KernelCall:
    k = CallBuilder("gather")
    x, indices, y = k.operand("x", op.x), k.operand("indices", op.indices), k.result("y", op.y)
    batches, before = prod(op.x.shape[: op.batch]), prod(op.x.shape[op.batch : op.axis])
    each = op.indices.elements // (batches * max(op.coordinates, 1))
    size, run = prod(op.sizes), prod(op.behind)
    with k.loop("batch", 0, batches) as batch, k.loop("before", 0, before) as b, k.loop("i", 0, each) as i:
        place = k.let("place", _place(op, indices, batch * each + i))
        row = batch * before + b
        whole = merged((run,), (1,), (1,))
        move(k, y, x, whole, ((row * each + i) * run, k.let("from", (row * size + place) * run)))
    return k.finish_call()


def _place(op: Gather, indices: AnyBuffer, which: Expr) -> Expr:
    """The position among the indexed axes, taken as one, that index number `which` says."""
    place = expression(0)
    for n, (size, stride) in enumerate(zip(op.sizes, row_major(op.sizes), strict=True)):
        place = place + _inside(indices[which * len(op.sizes) + n], size - 1) * stride
    return place


def _inside(index: Expr, last: int) -> Expr:
    return cast("int32_t", maximum(minimum(index, last), 0))


def build_update_slice(op: UpdateSlice, schedule: Plain) -> KernelCall:
    k = CallBuilder("update_slice")
    x, update, start = k.operand("x", op.x), k.operand("update", op.update), k.operand("start", op.start)
    y = k.result("y", op.y)
    k.copy(y, 0, x, 0, op.y.elements)
    strides, first = row_major(op.y.shape), expression(0)
    for axis, (whole, part) in enumerate(zip(op.y.shape, op.update.shape, strict=True)):
        first = first + _inside(start[axis], whole - part) * strides[axis]
    move(k, y, update, merged(op.update.shape, strides, row_major(op.update.shape)), (k.let("first", first), 0))
    return k.finish_call()


BROADCAST = Implementation("broadcast", Broadcast, plain, build_broadcast, (broadcastable,))
GATHER = Implementation("gather", Gather, plain, build_gather, (gatherable,))
UPDATE_SLICE = Implementation("update_slice", UpdateSlice, plain, build_update_slice, (updatable,))
