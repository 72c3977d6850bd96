"""Channels that cannot matter are not computed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers
from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import DepthwiseConv2D, Linear, Slice
from smelt.passes.channel_bounds import (
    Bounds,
    bounds_of_graph,
    bounds_of_tensor,
    channels,
    has_few_channels,
    weights_by_channel,
    write_constant_operands,
)
from smelt.passes.channel_ties import Fates, Indices, fixed_tensors
from smelt.passes.rewrite import fresh_name, readers

Kept = dict[Tensor, Indices]
# Convolutions and dense layers make an even number of channels where they can, which suits kernels that multiply pairs:
# odd numbers cost 0.2 % (Cortex-M4), 0.1 % (M33), 0.9 % (M7) more cycles and 14 % more code for VWW; multiples of 4 cost
# 0.3 to 0.6 % more cycles than even numbers, multiples of 8 about 2 %.
MULTIPLE = 2


def drop_dead_channels(graph: Graph) -> Graph:
    """Remove channels (indices of the last axis) that no output depends on, from every tensor and its weights.

    A channel goes where all its readers, through whatever carries it along, do without it: convolutions and dense
    layers whose weights for it are zero, or whose results go too, or to which it is a constant that moves into the bias.
    Graph inputs and outputs keep all their channels, every other tensor at least one.

    Exact: the terms that leave a sum were zero or the same at every position, the latter stay in the bias; a constant
    stays where padding would make its share differ at the borders, and where a bias could leave int32.
    """
    if not has_few_channels(graph) or not all(t.elements for t in graph.tensors):
        return graph
    graph = write_constant_operands(graph)
    bounds = bounds_of_graph(graph)
    mixings: dict[Op, Mixing] = {
        op: _mixing(op, bounds)
        for op in graph.ops
        if isinstance(op, Linear) and op.mixes_channels and weights_by_channel(op) is not None
    }
    kept = _kept_channels(graph, mixings)
    return _without(graph, kept, mixings) if kept else graph


@dataclass(frozen=True, eq=False)
class Mixing:
    """How y = f(sum over channels of x) depends on x: `reads[y, x]` where it does, `share[y, x]` what x adds as a
    constant where it does not."""

    reads: Array
    share: Integers


def _mixing(op: Linear, found: dict[Tensor, Bounds]) -> Mixing:
    taps = weights_by_channel(op)
    assert taps is not None
    bounds = bounds_of_tensor(op.x, found)
    value = bounds.low - op.rescale.x_zero
    known = bounds.constant & ((value == 0) | (not op.sees_padding))
    share = taps.sum(axis=1) * np.where(known, value, 0)
    if not _fits(_bias(op), share):
        known, share = known & (value == 0), np.zeros_like(share)
    return Mixing(taps.any(axis=1) & ~known, share)


def _fits(bias: Integers, share: Integers) -> bool:
    """Whether the bias stays an int32 whichever of the shares it takes in."""
    least, most = bias + np.minimum(share, 0).sum(axis=1), bias + np.maximum(share, 0).sum(axis=1)
    return bool(np.all(least >= INT32_MIN) and np.all(most <= INT32_MAX))


def _bias(op: Linear) -> Integers:
    return np.zeros(channels(op.y), np.int64) if op.bias is None else op.bias.constant.astype(np.int64)


def _kept_channels(graph: Graph, mixings: dict[Op, Mixing]) -> Kept:
    """The channels that stay, of the tensors that lose some: the fewest from which the outputs can be computed."""
    fates = Fates(graph)
    needed = np.zeros(fates.count, bool)
    for tensor in fixed_tensors(graph):
        needed[fates.of(tensor)] = True
    _need_what_is_read(needed, fates, mixings)
    made = {op.y for op in mixings}
    for tensor in graph.tensors:
        lacking = _lacking(needed[fates.of(tensor)], MULTIPLE if tensor in made else 1)
        needed[fates.of(tensor)[lacking]] = True
        _need_what_is_read(needed, fates, mixings)
    kept = {t: np.flatnonzero(needed[fates.of(t)]) for t in graph.tensors}
    return {t: channels_kept for t, channels_kept in kept.items() if len(channels_kept) < channels(t)}


def _need_what_is_read(needed: Array, fates: Fates, mixings: dict[Op, Mixing]) -> None:
    """Add what `needed` channels are computed from, and what that is computed from, and so on."""
    count = -1
    while count != (count := int(needed.sum())):
        for op, mixing in reversed(mixings.items()):
            read = mixing.reads[needed[fates.of(op.y)]].any(axis=0)
            needed[fates.of(op.inputs[0])[read]] = True


def _lacking(needed: Array, multiple: int) -> Indices:
    """Channels that stay although nobody needs them: up to the next multiple, and one where there would be none."""
    count = int(needed.sum())
    return np.flatnonzero(~needed)[: max(-count % multiple, count == 0)]


def _without(graph: Graph, kept: Kept, mixings: dict[Op, Mixing]) -> Graph:
    """The graph with only the `kept` channels."""
    uses = readers(graph)
    smaller = {t: _only(t, t.name, channels_kept, -1) for t, channels_kept in kept.items()}
    ops: list[Op] = []
    for op in graph.ops:
        if isinstance(op, Linear):
            op = _smaller_linear(graph, op, kept, mixings.get(op), uses)
        elif isinstance(op, Slice) and op.x in kept:
            op = replace(op, begin=(*op.begin[:-1], int(np.searchsorted(kept[op.x], op.begin[-1]))))
        ops.append(op.substitute(smaller))
    return replace(graph, ops=tuple(ops))


def _smaller_linear(graph: Graph, op: Linear, kept: Kept, mixing: Mixing | None, uses: Counter[Tensor]) -> Linear:
    """`op` with the filters of the kept channels of y, their weights for those of x, and the rest in the bias."""
    if op.x not in kept and op.y not in kept:
        return op
    of_x, of_y = (kept.get(t, np.arange(channels(t))) for t in (op.x, op.y))

    def named(constant: Tensor) -> str:
        return constant.name if uses[constant] == 1 else fresh_name(graph, f"{constant.name}.{op.y.name}")

    if isinstance(op, DepthwiseConv2D):
        weights = _only(op.weights, named(op.weights), of_y, -1)
    else:
        pixels = op.weights.shape[-1] // channels(op.x)
        columns = (np.arange(pixels)[:, np.newaxis] * channels(op.x) + of_x).reshape(-1)
        weights = _only(_only(op.weights, named(op.weights), of_y, 0), named(op.weights), columns, -1)
    rescale = op.rescale.of(of_y)
    gone = np.setdiff1d(np.arange(channels(op.x)), of_x)
    share = np.zeros_like(_bias(op)) if mixing is None else mixing.share[:, gone].sum(axis=1)
    if op.bias is not None:
        whole = replace(op.bias, data=(_bias(op) + share).astype(np.int32))
        return replace(op, rescale=rescale, weights=weights, bias=_only(whole, named(op.bias), of_y, -1))
    if not share.any():
        return replace(op, rescale=rescale, weights=weights)
    bias = Tensor(fresh_name(graph, f"{op.y.name}.bias"), op.y.shape[-1:], "int32", None, share.astype(np.int32))
    return replace(op, rescale=rescale, weights=weights, bias=_only(bias, bias.name, of_y, -1))


def _only(tensor: Tensor, name: str, indices: Indices, axis: int) -> Tensor:
    """`tensor` reduced to `indices` along `axis`, its quantisation too where that goes along the axis."""
    axis %= len(tensor.shape)
    shape = tuple(len(indices) if a == axis else n for a, n in enumerate(tensor.shape))
    q = tensor.quantization
    if q is not None and len(q.scales) > 1 and q.axis == axis:
        scales = tuple(q.scales[i] for i in indices)
        zeros = tuple(q.zero_points[i] for i in indices) if len(q.zero_points) > 1 else q.zero_points
        q = Quantization(scales, zeros, q.axis)
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data.take(indices, axis))
    return replace(tensor, name=name, shape=shape, quantization=q, data=data)
