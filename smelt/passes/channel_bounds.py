"""Between which two values every channel of every tensor lies, whatever the input of the graph.

A *channel* is an index of the last axis; a tensor without axes has one. A channel whose two bounds agree is constant:
filters of nothing but zeros, and filters whose sum always ends in the same clamp, make such channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Binary, DepthwiseConv2D, Linear, Pool
from smelt.model.reference import evaluate
from smelt.passes.dead import drop_dead
from smelt.passes.lookups import table_of
from smelt.passes.rewrite import fresh_name

# No microcontroller holds a tensor of so many elements: nothing is computed about it, whatever a file declares.
MOST_ELEMENTS = 1 << 22
# Far more than real models have, of all tensors together; whatever a file declares, bounds take no time.
MOST_CHANNELS = 1 << 18


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


def has_few_channels(graph: Graph) -> bool:
    """Whether bounds of every channel are worth their memory."""
    return sum(channels(tensor) for tensor in graph.tensors) <= MOST_CHANNELS


def bounds_of_graph(graph: Graph) -> dict[Tensor, Bounds]:
    """The bounds of every tensor that an op computes. They mean nothing, and never agree, for tensors that are not int8."""
    found: dict[Tensor, Bounds] = {}
    for op in graph.ops:
        found.update({y: _anything(y) for y in op.ys[1:]})
        found[op.y] = _bounds_of(op, found)
    return found


def _bounds_of(op: Op, found: dict[Tensor, Bounds]) -> Bounds:
    tensors = (*op.activations, op.y)
    if any(t.dtype != "int8" or not 0 < t.elements <= MOST_ELEMENTS for t in tensors):
        return _anything(op.y)
    match op:
        case Linear():
            return _of_linear(op, bounds_of_tensor(op.x, found))
        case Pool():
            return _of_pool(op, bounds_of_tensor(op.x, found))
    if op.of_one_value:
        return _of_table(table_of(op), bounds_of_tensor(op.inputs[0], found))
    directions = op.directions
    if directions is None:
        return _anything(op.y)
    images = [_images(t, found) for t in op.inputs]
    return _around(op, *(evaluate(op, *corner) for corner in _corners(images, directions)))


def _corners(images: Sequence[tuple[Array, Array]], directions: Sequence[int]) -> Iterator[tuple[Array, ...]]:
    """Between which values of the operands those of the result lie, each operand being as low and as high as it gets."""
    free = [i for i, direction in enumerate(directions) if direction == 0]
    for chosen in product((0, 1), repeat=len(free)):
        ends = dict(zip(free, chosen, strict=True))
        fixed = [i for i in range(len(images)) if i not in ends]
        for up in (0, 1) if fixed else (0,):
            ends |= {i: up if directions[i] > 0 else 1 - up for i in fixed}
            yield tuple(image[ends[i]] for i, image in enumerate(images))


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


def _of_pool(op: Pool, x: Bounds) -> Bounds:
    """Averages and maxima lie where their operands lie, as long as there is one in every window."""
    for axis, before in ((0, op.pad.top), (1, op.pad.left)):
        last = (op.y.shape[axis + 1] - 1) * op.stride[axis] - before
        if before >= op.size[axis] or last >= op.x.shape[axis + 1]:
            return _anything(op.y)
    return Bounds(np.clip(x.low, *op.clamp), np.clip(x.high, *op.clamp))


def _of_linear(op: Linear, x: Bounds) -> Bounds:
    """From the sums that a filter cannot leave."""
    if weights_by_channel(op) is None:
        return _anything(op.y)
    return _requantized(op, *sums_of(op, x))


def sums_of(op: Linear, x: Bounds) -> tuple[Integers, Integers]:
    """The least and the greatest sum (bias included) of each channel: every weight takes the end of its operand that suits
    its sign. Where channels of x are not told apart, every operand may be what any is; without constant weights, anything."""
    bias = np.zeros(channels(op.y), np.int64)
    if op.bias is not None and op.bias.is_constant:
        bias = op.bias.constant.astype(np.int64)
    low, high = x.low - op.rescale.x_zero, x.high - op.rescale.x_zero
    if op.sees_padding:  # which adds nothing to a sum: 0 is one more value that an operand may have
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    taps = weights_by_channel(op)
    if taps is None or len(low) == 1:
        taps, low, high = _undivided(op), low.min(keepdims=True), high.max(keepdims=True)
    elif isinstance(op, DepthwiseConv2D):
        low, high = (np.repeat(end, op.multiplier)[:, np.newaxis] for end in (low, high))
    positive, negative = np.maximum(taps, 0).sum(axis=1), np.minimum(taps, 0).sum(axis=1)
    least = bias + (positive * low + negative * high).sum(axis=-1)
    most = bias + (positive * high + negative * low).sum(axis=-1)
    return least, most


def _undivided(op: Linear) -> Integers:
    """The weights as (channels of y, all their taps, 1); the least and the greatest that there are where they are no constants."""
    of_y = channels(op.y)
    if not op.weights.is_constant:
        count = op.weights.elements // of_y
        low, high = (limit - op.rescale.weights_zero for limit in op.weights.element.range)
        return np.tile(np.array([[low], [high]]), (of_y, count, 1))
    weights = op.weights.constant
    rows = weights.reshape(-1, of_y).T if op.channel_axis else weights.reshape(of_y, -1)
    return rows.astype(np.int64)[:, :, np.newaxis]


def weights_by_channel(op: Linear) -> Integers | None:
    """The weights as (channels of y, taps, channels of x that it reads): all of them, or the one of a depthwise filter.

    None where channels are not told apart: grouped convolutions, a dense layer that does not read whole pixels,
    weights or bias that are no constants, weights without end, reals.
    """
    if op.x.dtype != "int8" or not op.has_constants or not 0 < op.weights.elements <= MOST_ELEMENTS:
        return None
    of_x, of_y = channels(op.x), channels(op.y)
    weights = op.weights.constant.astype(np.int64)
    if not op.mixes_channels:
        return weights.reshape(-1, of_y).T[:, :, np.newaxis]
    return weights.reshape(of_y, -1, of_x) if op.reads_whole_pixels and len(weights) == of_y else None


def _requantized(op: Linear, least: Integers, most: Integers) -> Bounds:
    """Requantisation is monotone as long as nothing wraps at 32 bits; where something could, a channel may be anything."""
    p = op.rescale
    scale = np.left_shift(1, p.left)
    safe = (p.multipliers >= 0) & (least * scale >= INT32_MIN) & (most * scale <= INT32_MAX)
    low, high = (p.apply(np.where(safe, t, 0)) for t in (least, most))
    return Bounds(np.where(safe, low, -128), np.where(safe, high, 127))


def write_constant_operands(graph: Graph) -> Graph:
    """Write down operands of binary ops of which every channel is constant, as one row.

    Exact: the row broadcasts to what was computed. Where both operands are constant, the op stays as it is.
    """
    found = bounds_of_graph(graph)
    rows = {t: _row(graph, t, b) for t, b in found.items() if t.dtype == "int8" and t.shape and b.constant.all()}

    def changed(op: Op) -> Op:
        if isinstance(op, Binary) and len(op.activations) == 2:
            known = [(t, other) for t, other in ((op.x, op.x2), (op.x2, op.x)) if t in rows]
            if len(known) == 1 and known[0][1].shape == op.y.shape:
                return op.substitute({known[0][0]: rows[known[0][0]]})
        return op

    return drop_dead(replace(graph, ops=tuple(changed(op) for op in graph.ops))) if rows else graph


def _row(graph: Graph, tensor: Tensor, bounds: Bounds) -> Tensor:
    shape = (*(1 for _ in tensor.shape[:-1]), channels(tensor))
    data = bounds.low.astype(np.int8).reshape(shape)
    return replace(tensor, name=fresh_name(graph, f"{tensor.name}.constant"), shape=shape, data=data)
