"""Small float networks and data for the tests of quantisation."""

from __future__ import annotations

from math import inf

import numpy as np

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Padding,
    Reshape,
    Softmax,
    Unary,
)
from smelt.model.rescale import linear_rescale
from tests.float_ops import real

SAME = Padding(1, 1, 1, 1)


class Network:
    """A graph of reals under construction, with random weights that are the same for a seed."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.x = real("x", shape)
        self.ops: list[Op] = []

    def add(self, kind: type[Op], shape: tuple[int, ...], **fields) -> Tensor:
        """An op whose operands are given, and its result."""
        y = real(f"{kind.__name__.lower()}{len(self.ops)}", shape)
        self.ops.append(kind(y=y, **fields))
        return y

    def linear(
        self, kind: type[Op], x: Tensor, taps: tuple[int, ...], shape: tuple[int, ...], clamp=(0.0, inf), **fields
    ) -> Tensor:
        """A layer with weights of the shape `taps`."""
        name, depth = f"{kind.__name__.lower()}{len(self.ops)}", max(1, int(np.prod(taps)) // shape[-1])
        spread = self.random.uniform(0.4, 1.6, shape[-1]).astype(np.float32)
        drawn = self.random.normal(0, 1.5 / np.sqrt(depth), taps).astype(np.float32)
        axis = taps.index(shape[-1]) if kind is not DepthwiseConv2D else len(taps) - 1
        weights = real(
            f"{name}.weights", taps, drawn * spread.reshape([-1 if a == axis else 1 for a in range(len(taps))])
        )
        bias = real(f"{name}.bias", (shape[-1],), self.random.normal(0, 0.3, shape[-1]).astype(np.float32))
        y = real(name, shape)
        self.ops.append(
            kind(x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y, clamp), **fields)
        )
        return y

    def graph(self, y: Tensor) -> Graph:
        return Graph("small", (self.x,), (y,), tuple(self.ops)).check()

    def data(self, count: int) -> np.ndarray:
        """Inputs, smooth in the first axes as pictures are."""
        drawn = self.random.normal(0, 1, (count, *self.x.shape[1:])).cumsum(1) / 2
        return drawn.astype(np.float32)


def residual(seed: int = 0, softmax: bool = False) -> tuple[Graph, np.ndarray]:
    """Convolutions of every kind around a sum, and a classifier of 5 classes; 96 inputs."""
    n = Network((1, 8, 8, 3), seed)
    first = n.linear(Conv2D, n.x, (8, 3, 3, 3), (1, 8, 8, 8), pad=SAME)
    mixed = n.linear(DepthwiseConv2D, first, (1, 3, 3, 8), (1, 8, 8, 8), pad=SAME)
    other = n.linear(Conv2D, mixed, (8, 1, 1, 8), (1, 8, 8, 8), (-inf, inf))
    total = n.add(Add, (1, 8, 8, 8), x=first, x2=other, clamp=(0.0, inf))
    less = n.linear(Conv2D, total, (12, 3, 3, 8), (1, 4, 4, 12), stride=(2, 2), pad=Padding(0, 1, 0, 1))
    return _classified(n, less, softmax)


def _classified(n: Network, x: Tensor, softmax: bool) -> tuple[Graph, np.ndarray]:
    flat = n.add(Reshape, (1, x.elements), x=x)
    y = n.linear(Dense, flat, (5, x.elements), (1, 5), (-inf, inf))
    if softmax:
        y = n.add(Softmax, (1, 5), x=y)
    data = n.data(96)
    return n.graph(y), data


def varied(seed: int = 1) -> tuple[Graph, np.ndarray]:
    """Pools, a concatenation, a product, functions, padding, limits that scales do not imply."""
    n = Network((1, 8, 8, 4), seed)
    first = n.linear(Conv2D, n.x, (8, 3, 3, 4), (1, 8, 8, 8), (0.0, 6.0), pad=SAME)
    pooled = n.add(MaxPool2D, (1, 4, 4, 8), x=first, size=(2, 2), stride=(2, 2), clamp=(-inf, inf))
    mean = n.add(AveragePool2D, (1, 4, 4, 8), x=first, size=(2, 2), stride=(2, 2), clamp=(-inf, inf))
    joined = n.add(Concat, (1, 4, 4, 16), xs=(pooled, mean), axis=3)
    gate = n.add(Unary, (1, 4, 4, 16), x=joined, function="logistic")
    gated = n.add(Mul, (1, 4, 4, 16), x=joined, x2=gate, clamp=(-inf, inf))
    wide = n.add(Pad, (1, 6, 6, 16), x=gated, before=(0, 1, 1, 0), after=(0, 1, 1, 0), value=0.0)
    grouped = n.linear(Conv2D, wide, (16, 3, 3, 4), (1, 4, 4, 16), (-1.0, 1.0))
    twice = n.linear(DepthwiseConv2D, grouped, (1, 3, 3, 32), (1, 4, 4, 32), (-inf, inf), pad=SAME)
    swish = n.add(Unary, (1, 4, 4, 32), x=twice, function="hard_swish")
    mean = n.add(Mean, (1, 32), x=swish, axes=(1, 2))
    return n.graph(n.linear(Dense, mean, (4, 32), (1, 4), (-inf, inf))), n.data(96)
