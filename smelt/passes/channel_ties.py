"""Channels that can only be removed together, because an op carries each channel of an operand to one of its result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Concat, DepthwiseConv2D, Linear, Reshape, Slice
from smelt.passes.channel_bounds import channels, weights_by_channel

Indices = NDArray[np.intp]
# An operand, and which of its channels goes with which channel of y.
Tie = tuple[Tensor, Indices, Indices]


class Fates:
    """One number for all channels that stay or go together: `of(tensor)` has the number of each of its channels."""

    def __init__(self, graph: Graph) -> None:
        sizes = [channels(t) for t in graph.tensors]
        starts = np.cumsum([0, *sizes])
        self.count = int(starts[-1])
        self._channels = {t: np.arange(a, b) for t, a, b in zip(graph.tensors, starts, starts[1:], strict=False)}
        self._parent = list(range(self.count))
        for op in graph.ops:
            for x, of_x, of_y in ties_of(op) or ():
                self._tie(self._channels[x][of_x], self._channels[op.y][of_y])
        self._root = np.array([self._find(c) for c in range(self.count)], np.intp)

    def of(self, tensor: Tensor) -> Indices:
        return np.asarray(self._root[self._channels[tensor]])

    def _tie(self, first: Indices, second: Indices) -> None:
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            self._parent[self._find(b)] = self._find(a)

    def _find(self, channel: int) -> int:
        parent = self._parent
        while parent[channel] != channel:
            parent[channel] = parent[parent[channel]]
            channel = parent[channel]
        return channel


def fixed_tensors(graph: Graph) -> set[Tensor]:
    """The tensors that keep every channel: inputs, outputs and states of the graph, and whatever an op reads or writes that
    does more than carry channels or mix all of them."""
    fixed = {*graph.sources, *graph.sinks}
    for op in graph.ops:
        ties = ties_of(op)
        if ties is None:
            fixed.update((*op.inputs, *op.ys))
        else:
            free = {x for x, _, _ in ties} | ({op.x} if isinstance(op, Linear) and op.mixes_channels else set())
            fixed.update(t for t in op.inputs if t not in free)
    return fixed


def ties_of(op: Op) -> tuple[Tie, ...] | None:
    """What ties channels of `op.y` to those of its operands: nothing where `op` mixes all channels of x, and None
    where no channel can be taken away from `op`."""
    match op:
        case Linear(mixes_channels=True):
            return () if weights_by_channel(op) is not None else None
        case DepthwiseConv2D() if weights_by_channel(op) is not None:
            return (_tie(op.x, _all(op.y) // op.multiplier, op),)
        case Reshape():
            return _ties_of_reshape(op)
        case Concat():
            return _ties_of_concat(op)
        case Slice() if op.y.shape and op.stride[-1] == 1:
            return (_tie(op.x, op.begin[-1] + _all(op.y), op),)
    return tuple(_same(t, op) for t in op.carried if channels(t) == channels(op.y)) or None


def _all(tensor: Tensor) -> Indices:
    return np.arange(channels(tensor))


def _tie(x: Tensor, of_x: Indices, op: Op) -> Tie:
    return x, of_x, _all(op.y)


def _same(x: Tensor, op: Op) -> Tie:
    return _tie(x, _all(x), op)


def _ties_of_reshape(op: Reshape) -> tuple[Tie, ...] | None:
    """The order of the bytes stays: rows of several whole pixels repeat the channels of a pixel."""
    of_x, of_y = channels(op.x), channels(op.y)
    if of_y % of_x == 0:
        return ((op.x, _all(op.y) % of_x, _all(op.y)),)
    return ((op.x, _all(op.x), _all(op.x) % of_y),) if of_x % of_y == 0 else None


def _ties_of_concat(op: Concat) -> tuple[Tie, ...]:
    if op.axis != len(op.y.shape) - 1:
        return tuple(_same(x, op) for x in op.xs)
    starts: list[int] = np.cumsum([0, *(channels(x) for x in op.xs)]).tolist()
    return tuple((x, _all(x), start + _all(x)) for x, start in zip(op.xs, starts, strict=False))
