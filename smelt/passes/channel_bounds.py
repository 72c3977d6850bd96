"""Between which two values every channel of every tensor lies, whatever the input of the graph.

A *channel* is an index of the last axis; a tensor without axes has one. A channel whose two bounds agree is constant:
filters of nothing but zeros, and filters whose sum always ends in the same clamp, make such channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Lookup,
    Maximum,
    Mean,
    Minimum,
    Mul,
    Pad,
    Pool,
    Reshape,
    Resize,
    Slice,
    Transpose,
    TransposeConv2D,
    Unary,
)
from smelt.model.parameters import conv_parameters
from smelt.model.reference import evaluate
from smelt.model.reference_linear import requantize_clamped
from smelt.passes.lookups import table_of

Linear = Conv2D | DepthwiseConv2D | TransposeConv2D | Dense
# Their results grow, or stay, with each operand; `Add` only as long as it does not subtract.
MONOTONE = (Pool, Mean, Add, Minimum, Maximum, Pad, Reshape, Concat, Slice, Transpose, Resize)


@dataclass(frozen=True, eq=False)
class Bounds:
    """The least and the greatest stored integer of each channel."""

    low: Integers
    high: Integers

    @property
    def constant(self) -> Array:
        """Which channels hold the same value everywhere and always."""
        return np.asarray(self.low == self.high)


def channels(tensor: Tensor) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def bounds_of_graph(graph: Graph) -> dict[Tensor, Bounds]:
    """The bounds of every tensor that an op computes. They mean nothing, and never agree, for tensors that are not int8."""
    found: dict[Tensor, Bounds] = {}
    for op in graph.ops:
        found[op.y] = _bounds_of(op, found)
    return found


def _bounds_of(op: Op, found: dict[Tensor, Bounds]) -> Bounds:
    if any(t.dtype != "int8" for t in (*op.activations, op.y)) or not op.y.elements:
        return _anything(op.y)
    match op:
        case Conv2D() | DepthwiseConv2D() | TransposeConv2D() | Dense():
            return _of_linear(op, bounds_of_tensor(op.x, found))
        case Lookup() | Unary():
            return _of_table(table_of(op), bounds_of_tensor(op.x, found))
        case Add(subtract=True):
            (low, high), (low2, high2) = _images(op.x, found), _images(op.x2, found)
            return _around(op, evaluate(op, low, high2), evaluate(op, high, low2))
        case Mul():
            return _around(op, *(evaluate(op, *pair) for pair in product(_images(op.x, found), _images(op.x2, found))))
    if isinstance(op, MONOTONE):
        ends = zip(*(_images(t, found) for t in op.inputs), strict=True)
        return _around(op, *(evaluate(op, *images) for images in ends))
    return _anything(op.y)


def bounds_of_tensor(tensor: Tensor, found: dict[Tensor, Bounds]) -> Bounds:
    """Of any tensor: constants have those of their data, inputs of the graph may be anything."""
    if tensor.data is not None and tensor.elements:
        rows = tensor.data.reshape(-1, channels(tensor)).astype(np.int64)
        return Bounds(rows.min(axis=0), rows.max(axis=0))
    return found.get(tensor) or _anything(tensor)


def _anything(tensor: Tensor) -> Bounds:
    return Bounds(np.full(channels(tensor), -128), np.full(channels(tensor), 127))


def _images(tensor: Tensor, found: dict[Tensor, Bounds]) -> tuple[Array, Array]:
    """Two values of the tensor: everything as low, and everything as high as it gets."""
    if tensor.data is not None:
        return tensor.data, tensor.data
    bounds = bounds_of_tensor(tensor, found)
    low, high = (np.broadcast_to(b.astype(np.int8), tensor.shape or (1,)) for b in (bounds.low, bounds.high))
    return low.reshape(tensor.shape), high.reshape(tensor.shape)


def _around(op: Op, *images: Array) -> Bounds:
    """The bounds of channels that lie between `images`, position by position."""
    rows = np.concatenate([image.reshape(-1, channels(op.y)) for image in images]).astype(np.int64)
    return Bounds(rows.min(axis=0), rows.max(axis=0))


def _of_table(table: Array, x: Bounds) -> Bounds:
    reached = [table.reshape(-1)[low + 128 : high + 129] for low, high in zip(x.low, x.high, strict=True)]
    low, high = ([end(values) for values in reached] for end in (np.min, np.max))
    return Bounds(np.array(low, np.int64), np.array(high, np.int64))


def _of_linear(op: Linear, x: Bounds) -> Bounds:
    """From the sums that a filter cannot leave: every weight takes the end of its operand that suits its sign.

    Padding adds nothing to a sum, so 0 is one more value that an operand may have.
    """
    taps = weights_by_channel(op)
    if taps is None:
        return _anything(op.y)
    zero = op.x.q.zero_point
    padded = isinstance(op, TransposeConv2D) or (not isinstance(op, Dense) and bool(op.pad))
    low, high = x.low - zero, x.high - zero
    if padded:
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    positive, negative = np.maximum(taps, 0).sum(axis=1), np.minimum(taps, 0).sum(axis=1)
    bias = np.zeros(len(taps), np.int64) if op.bias is None else op.bias.constant.astype(np.int64)
    least = bias + (positive * low + negative * high).sum(axis=-1)
    most = bias + (positive * high + negative * low).sum(axis=-1)
    return _requantized(op, least, most)


def weights_by_channel(op: Linear) -> Integers | None:
    """The weights as (channels of y, taps, channels of x), zeros where y does not read x.

    None where channels are not told apart: grouped convolutions, a dense layer that does not read whole pixels,
    weights or bias that are no constants.
    """
    of_x, of_y = channels(op.x), channels(op.y)
    if not op.weights.is_constant or (op.bias is not None and not op.bias.is_constant):
        return None
    weights = op.weights.constant.astype(np.int64)
    if isinstance(op, DepthwiseConv2D):
        taps = weights.reshape(-1, of_y).T
        reads = np.arange(of_y)[:, np.newaxis] // op.multiplier == np.arange(of_x)
        return np.asarray(taps[:, :, np.newaxis] * reads[:, np.newaxis, :])
    if len(weights) != of_y or weights[0].size % of_x or (not isinstance(op, Dense) and weights.shape[-1] != of_x):
        return None
    return weights.reshape(of_y, -1, of_x)


def _requantized(op: Linear, least: Integers, most: Integers) -> Bounds:
    """Requantisation is monotone as long as nothing wraps at 32 bits; where something could, a channel may be anything."""
    p = conv_parameters(op)
    scale = np.left_shift(1, np.maximum(p.shifts, 0).astype(np.int64))
    safe = (p.multipliers >= 0) & (least * scale >= INT32_MIN) & (most * scale <= INT32_MAX)
    low, high = (requantize_clamped(np.where(safe, t, 0), p, op.clamp).astype(np.int64) for t in (least, most))
    return Bounds(np.where(safe, low, -128), np.where(safe, high, 127))


def with_constant_operands(graph: Graph) -> Graph:
    """Write down operands of `Add`, `Mul`, `Minimum` and `Maximum` of which every channel is constant, one row of them.

    Exact: the row broadcasts to what was computed. Where both operands are constant, the op stays as it is.
    """
    found = bounds_of_graph(graph)
    rows = {t: _row(t, b) for t, b in found.items() if t.dtype == "int8" and t.shape and b.constant.all()}
    taken = {t.name for t in graph.tensors}
    rows = {t: row for t, row in rows.items() if row.name not in taken}

    def changed(op: Op) -> Op:
        if not isinstance(op, Add | Mul | Minimum | Maximum) or op.x is op.x2:
            return op
        known = {t: rows[t] for t in op.activations if t in rows}
        keeps_shape = all(len(t.shape) == len(op.y.shape) for t in known)
        return op.substitute(known) if len(known) == 1 and len(op.activations) == 2 and keeps_shape else op

    return replace(graph, ops=tuple(changed(op) for op in graph.ops))


def _row(tensor: Tensor, bounds: Bounds) -> Tensor:
    shape = (*(1 for _ in tensor.shape[:-1]), channels(tensor))
    data = bounds.low.astype(np.int8).reshape(shape)
    return replace(tensor, name=f"{tensor.name}.constant", shape=shape, data=data)
