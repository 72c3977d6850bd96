"""Cross-layer equalisation (Nagel et al. 2019): the channels between two layers are scaled so that the weights on both sides have
the same range. The network computes the same reals; a scale fits each of its channels better."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from smelt.model.graph import Array, Graph, Tensor
from smelt.model.ops import Dense, DepthwiseConv2D, Linear
from smelt.quantization.products import groups_of, is_product

ROUNDS = 20
LIMITS = (1e-2, 1e2)
"""Of the factor of a channel, over all rounds."""

LINEAR_CLAMPS = ((0.0, inf), (-inf, inf))
"""Activations that commute with positive factors."""


def equalised(graph: Graph) -> Graph:
    """The graph with other weights and biases."""
    pairs = _pairs(graph)
    data = {
        t: t.constant.astype(np.float64)
        for op in graph.ops
        for t in op.inputs
        if t.is_constant and isinstance(op, Linear)
    }
    factors = {first: np.ones(first.y.shape[-1]) for first, _ in pairs}
    for _ in range(ROUNDS):
        for first, second in pairs:
            _balance(first, second, data, factors[first])
    used = {t for pair in pairs for op in pair for t in op.inputs if t.is_constant}
    return graph.substitute({t: replace(t, data=data[t].astype(np.float32)) for t in used})


def _pairs(graph: Graph) -> list[tuple[Linear, Linear]]:
    """Layers of which the second is the only reader of the first, and whose weights nobody shares."""
    readers: dict[Tensor, list[Linear | None]] = {}
    for op in graph.ops:
        for tensor in op.inputs:
            readers.setdefault(tensor, []).append(op if isinstance(op, Linear) else None)
    found = []
    for op in graph.ops:
        after = readers.get(op.y, [])
        second = after[0] if len(after) == 1 else None
        if second is None or not isinstance(op, Linear) or op.y in graph.outputs or op.clamp not in LINEAR_CLAMPS:
            continue
        own = [t for layer in (op, second) for t in layer.inputs if t.is_constant]
        if (
            is_product(op)
            and is_product(second)
            and second.x is op.y
            and _reads_channels(second)
            and all(len(readers[t]) == 1 for t in own)
        ):
            found.append((op, second))
    return found


def _reads_channels(op: Linear) -> bool:
    """Whether it is known which weights meet which channel of x."""
    if isinstance(op, Dense):
        return op.weights.shape[1] % op.x.shape[-1] == 0
    return isinstance(op, DepthwiseConv2D) or groups_of(op) == 1


def _balance(first: Linear, second: Linear, data: dict[Tensor, Array], total: Array) -> None:
    before = np.abs(np.moveaxis(data[first.weights], first.channel_axis, 0)).reshape(len(total), -1).max(1)
    seen = _by_input(second, data[second.weights], len(total))
    after = np.abs(seen).max((0, 2))
    usable = (before > 0) & (after > 0)
    factor = np.sqrt(np.where(usable, before, 1) / np.where(usable, after, 1))
    factor = np.clip(total * factor, *LIMITS) / total
    total *= factor
    shape = [1] * data[first.weights].ndim
    shape[first.channel_axis] = -1
    data[first.weights] /= factor.reshape(shape)
    if first.bias is not None:
        data[first.bias] /= factor
    seen *= factor[:, np.newaxis]  # a view of the weights


def _by_input(op: Linear, weights: Array, channels: int) -> Array:
    """A view of weights as (..., channels of x, filters of one channel)."""
    if isinstance(op, DepthwiseConv2D):
        return weights.reshape(-1, channels, op.multiplier)
    return weights.reshape(-1, channels, 1)
