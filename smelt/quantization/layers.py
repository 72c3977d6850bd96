"""The layers of a network become integers, one after the other, each one knowing what those before it made of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from smelt.errors import ModelError
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Linear
from smelt.quantization.batches import computed, limited
from smelt.quantization.products import Floats, by_channel, filters_of, patches_of, sums_of, weights_of
from smelt.quantization.ranges import faked
from smelt.quantization.rounding import adaptive, moments, nearest, scales_of
from smelt.quantization.scheme import Scheme

Rounding = Literal["nearest", "adaptive"]
MOST_PATCHES = 1 << 25
"""Elements of the patches of a layer that moments are taken of at once."""

MOST_ELEMENTS = 2048
"""Filters with more elements are rounded to the nearest: the moments would take as many numbers squared."""

INT32 = 2**31 - 1
LARGEST_BIAS = 2**30
"""What a bias may be: scales of weights that are next to nothing are raised until it is."""


@dataclass(frozen=True)
class Choice:
    """How the weights of a layer become integers."""

    bits: int = 8
    rounding: Rounding = "nearest"


@dataclass(frozen=True, eq=False)
class Layer:
    """Weights and bias of an op as integers: weights in the op's layout, a scale for each channel of y, the bias at x.scale *
    weights.scale."""

    op: Linear
    bits: int
    stored: Array
    scales: Floats
    bias: Array

    @property
    def weights(self) -> Floats:
        """The reals that the integers stand for."""
        return self.stored.astype(np.float32) * along(self.op, self.scales)


def along(op: Linear, numbers: Floats) -> Floats:
    """One number for each channel of y, so that they can be multiplied by weights."""
    shape = [1] * len(op.weights.shape)
    shape[op.channel_axis] = -1
    return numbers.reshape(shape)


def quantised_layers(
    graph: Graph,
    inputs: Sequence[Array],
    given: Scheme,
    choices: Mapping[Linear, Choice],
    correct: bool = True,
    report: Callable[[str], None] | None = None,
) -> dict[Linear, Layer]:
    """Every layer of a graph of reals as integers, from stacked inputs.

    With `correct`, each bias makes up for the mean by which the sums of its layer are off. Raises ModelError where a bias leaves
    int32.
    """
    reals: dict[Tensor, Array] = dict(zip(graph.inputs, inputs, strict=True))
    stored = {t: faked(a, given[t], t in given.wide) for t, a in reals.items()}
    last = {tensor: number for number, op in enumerate(graph.ops) for tensor in op.inputs}
    layers: dict[Linear, Layer] = {}
    for number, op in enumerate(graph.ops):
        if isinstance(op, Linear):
            if report is not None:
                report(op.y.name)
            layers[op] = layer = _layer(op, reals[op.x], stored[op.x], given, choices[op], correct)
            y = _of_layer(layer, stored[op.x], given)
        else:
            y = computed(op, [operand(t, stored, given) for t in op.inputs])
        reals[op.y] = computed(op, [t.constant if t.is_constant else reals[t] for t in op.inputs])
        stored[op.y] = faked(y, given[op.y], op.y in given.wide)
        for tensor in op.inputs:
            if last[tensor] == number:
                reals.pop(tensor, None)
                stored.pop(tensor, None)
    return layers


def operand(tensor: Tensor, values: Mapping[Tensor, Array], given: Scheme) -> Array:
    """The value of a tensor in the quantised network."""
    return faked(tensor.constant, given[tensor]) if tensor.is_constant else values[tensor]


def simulated(
    graph: Graph,
    inputs: Sequence[Array],
    given: Scheme,
    layers: Mapping[Linear, Layer],
    seen: Callable[[Op, Array], None] | None = None,
) -> tuple[Array, ...]:
    """What the quantised network makes of stacked inputs: in reals, within the rounding of sums."""
    values = {t: faked(a, given[t], t in given.wide) for t, a in zip(graph.inputs, inputs, strict=True)}
    last = {tensor: number for number, op in enumerate(graph.ops) for tensor in op.inputs}
    for number, op in enumerate(graph.ops):
        layer = layers.get(op) if isinstance(op, Linear) else None
        if layer is not None:
            y = _of_layer(layer, values[layer.op.x], given)
        else:
            y = computed(op, [operand(t, values, given) for t in op.inputs])
        values[op.y] = faked(y, given[op.y], op.y in given.wide)
        if seen is not None:
            seen(op, values[op.y])
        for tensor in op.inputs:
            if last[tensor] == number and tensor not in graph.outputs:
                values.pop(tensor, None)
    return tuple(values[t] for t in graph.outputs)


def _of_layer(layer: Layer, x: Floats, given: Scheme) -> Floats:
    op = layer.op
    bias = layer.bias * (np.float32(given[op.x].scale) * layer.scales)
    return limited(op, sums_of(op, x, layer.weights) + bias.astype(np.float32))


def _layer(op: Linear, real: Floats, x: Floats, given: Scheme, choice: Choice, correct: bool) -> Layer:
    filters = filters_of(op, op.weights.constant).astype(np.float64)
    few, step = choice.bits < 8, np.float32(given[op.x].scale)
    bias = np.zeros(op.y.shape[-1]) if op.bias is None else op.bias.constant.astype(np.float64)
    least = (np.abs(bias) / (step * LARGEST_BIAS)).astype(np.float32).reshape(filters.shape[:2])
    if choice.rounding == "adaptive" and filters.shape[-1] <= MOST_ELEMENTS:
        seen = moments(*(patches_of(op, part) for part in _sampled(op, x, real)))
        scales = np.maximum(scales_of(filters, choice.bits, few, np.diagonal(seen.own, axis1=1, axis2=2)), least)
        chosen = adaptive(filters, scales, choice.bits, seen)
    else:
        scales = np.maximum(scales_of(filters, choice.bits, few), least)
        chosen = nearest(filters, scales, choice.bits)
    stored, flat = weights_of(op, chosen).astype(np.int8), scales.reshape(-1)
    if correct:
        exact = sums_of(op, real, op.weights.constant)
        found = sums_of(op, x, stored.astype(np.float32) * along(op, flat))
        bias = bias + (by_channel(exact).mean(0, dtype=np.float64) - by_channel(found).mean(0, dtype=np.float64))
    integers = np.rint(bias / (step * flat))
    if np.abs(integers).max(initial=0) > INT32:
        raise ModelError(f"the bias of '{op.y.name}' leaves int32 at the scales of its input and weights")
    return Layer(op, choice.bits, stored, flat, integers.astype(np.int32))


def _sampled(op: Linear, *arrays: Floats) -> tuple[Floats, ...]:
    """So many images of each that their patches stay within bounds."""
    each = op.y.elements // op.y.shape[-1] * filters_of(op, op.weights.constant)[:, 0].size
    count = max(1, min(len(arrays[0]), MOST_PATCHES // max(each, 1)))
    chosen = np.linspace(0, len(arrays[0]) - 1, count).astype(np.int64)
    return tuple(a[chosen] for a in arrays)
