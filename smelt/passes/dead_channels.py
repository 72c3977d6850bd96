"""Channels that cannot matter are not computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers
from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Slice, TransposeConv2D
from smelt.passes.channel_bounds import (
    Bounds,
    Linear,
    bounds_of_graph,
    bounds_of_tensor,
    channels,
    sees_padding,
    weights_by_channel,
    write_constant_operands,
)
from smelt.passes.channel_ties import Fates, Indices, Mixer, fixed_tensors
from smelt.passes.rewrite import fresh_name, readers

Kept = dict[Tensor, Indices]


def drop_dead_channels(graph: Graph) -> Graph:
    """Remove channels (indices of the last axis) that no output depends on, from every tensor and its weights.

    A channel goes where all its readers, through whatever carries it along, do without it: convolutions and dense
    layers whose weights for it are zero, or whose results go too, or to which it is a constant that moves into the bias.
    Graph inputs and outputs keep all their channels, every other tensor at least one.

    Exact: the terms that leave a sum were zero or the same at every position, the latter stay in the bias; a constant
    stays where padding would make its share differ at the borders, and where a bias could leave int32.
    """
    graph = write_constant_operands(graph)
    mixers = {op: _mixing(op, bounds) for bounds in (bounds_of_graph(graph),) for op in graph.ops if _is_mixer(op)}
    kept = _kept_channels(graph, mixers)
    return _without(graph, kept, mixers) if kept else graph


@dataclass(frozen=True, eq=False)
class Mixing:
    """How y = f(sum over channels of x) depends on x: `reads[y, x]` where it does, `share[y, x]` what x adds as a
    constant where it does not."""

    reads: Array
    share: Integers


def _mixing(op: Mixer, found: dict[Tensor, Bounds]) -> Mixing:
    taps = weights_by_channel(op)
    assert taps is not None
    bounds = bounds_of_tensor(op.x, found)
    value = bounds.low - op.x.q.zero_point
    known = bounds.constant & ((value == 0) | (not sees_padding(op)))
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
