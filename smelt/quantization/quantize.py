"""The sentence: a float `Graph` and what flows through it -> scales -> layers -> an .onnx file -> an integer `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from smelt.errors import OptionError
from smelt.importers.onnx_load import load_onnx
from smelt.model.graph import Array, Graph
from smelt.model.ops import Linear
from smelt.nouns import Noun
from smelt.passes import prepare
from smelt.quantization.batches import batch_size, forward
from smelt.quantization.equalization import equalised
from smelt.quantization.layers import Choice, Layer, Rounding, quantised_layers, simulated
from smelt.quantization.onnx_writer import onnx_bytes
from smelt.quantization.products import Floats
from smelt.quantization.ranges import PERCENTILE, Histogram, Method, Ranges, sqnr
from smelt.quantization.scheme import Scheme, check_quantizable, scheme
from smelt.quantization.sensitivity import (
    Sensitivity,
    layers_for_fewer_bits,
    layers_for_more_bits,
    logits,
    noises,
    sensitivities,
)

Report = Callable[[str, int, int], None]
"""Hears what is done, how much of it is, and of how much."""

WeightBits = Literal["8", "4", "auto"]
LEAST_SQNR = 25.0
KEPT_WIDE = 1 / 16
"""Of all weights, the share that may stay 8 bits in a network of 4 bits: the first and the last layer of one, about."""

MOST_IMAGES = 256
"""Inputs on which layers are rounded and biases corrected: all of them lie in memory at once."""

MOST_BYTES = 256 << 20
"""What the values of a layer may take for all of these inputs."""

FEW_IMAGES = 32
"""Inputs on which sensitivities are measured."""


@dataclass(frozen=True)
class Settings:
    """How to quantise. Without `rounding`, weights of 8 bits are rounded to the nearest, others adaptively. With `weight_bits`
    "auto", layers get 4 bits as long as the outputs stay `least_sqnr` dB above the noise; with "4" all do but those that lose
    most by it for what it saves, which have at most the share `kept_wide` of all weights. Layers named in `int16` read and make
    int16."""

    method: Method = "minmax"
    percentile: float = PERCENTILE
    weight_bits: WeightBits = "8"
    rounding: Rounding | None = None
    least_sqnr: float = LEAST_SQNR
    kept_wide: float = KEPT_WIDE
    equalise: bool = False
    correct: bool = True
    int16: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Quantised(Noun):
    """A network of integers: the `file`, and the `graph` that is loaded from it; the float graph it came from, and what each op of
    that costs. `sqnr` is that of the outputs on the calibration data, in dB, before a last softmax."""

    float_graph: Graph
    graph: Graph
    file: bytes
    layers: tuple[Layer, ...]
    table: tuple[Sensitivity, ...]
    sqnr: float
    inputs: int

    @property
    def weight_bytes(self) -> int:
        return sum((layer.stored.size * layer.bits + 7) // 8 for layer in self.layers)

    def in_full(self) -> str:
        return (
            f"{self.graph.name}: {len(self.layers)} layers, {self.weight_bytes:,} bytes of weights, {self.sqnr:.1f} dB"
        )


def quantise(
    model: Graph, inputs: Sequence[Array], settings: Settings | None = None, report: Report | None = None
) -> Quantised:
    """Quantise a graph of reals, given for each of its inputs an array of values, stacked along the first axis.

    Raises OptionError where there are none, or they are not finite, Unsupported where the graph has what cannot be quantised.
    """
    settings, report = settings or Settings(), report or (lambda what, done, of: None)
    graph = prepare(model)
    check_quantizable(graph)
    _check(graph, inputs)
    if settings.equalise:
        graph = equalised(graph)
    seen = calibrated(graph, inputs, report)
    given = scheme(graph, seen, settings.method, settings.percentile, settings.int16)
    few, some = _chosen(graph, inputs, FEW_IMAGES), _chosen(graph, inputs, MOST_IMAGES)
    linear = [op for op in graph.ops if isinstance(op, Linear)]
    layers = _rounded(graph, some, few, given, settings, linear, report)
    report("comparing", 0, 1)
    table = sensitivities(graph, few, given, layers)
    file = onnx_bytes(graph, given, layers, settings.metadata)
    last = logits(graph)
    quality = sqnr(forward(last, some)[0], simulated(last, some, given, layers)[0])
    report("comparing", 1, 1)
    return Quantised(model, load_onnx(file, model.name), file, tuple(layers.values()), table, quality, len(inputs[0]))


def calibrated(graph: Graph, inputs: Sequence[Array], report: Report) -> Ranges:
    """Histograms of every value of a graph."""
    seen: Ranges = {t: Histogram() for t in (*graph.inputs, *(op.y for op in graph.ops))}
    count, size = len(inputs[0]), batch_size(graph)
    for start in range(0, count, size):
        report("calibrating", start, count)
        batch = [a[start : start + size] for a in inputs]
        for tensor, values in zip(graph.inputs, batch, strict=True):
            seen[tensor].add(values, tensor.name)

        def add(op: object, y: object, values: Array, seen: Ranges = seen) -> Array:
            seen[y].add(values, y.name)  # type: ignore[index, attr-defined]
            return values

        forward(graph, batch, add)
    report("calibrating", count, count)
    return seen


def _rounded(
    graph: Graph,
    some: Sequence[Array],
    few: Sequence[Array],
    given: Scheme,
    settings: Settings,
    linear: Sequence[Linear],
    report: Report,
) -> dict[Linear, Layer]:
    """The layers with the bits that they get."""

    def layers(
        narrow: frozenset[Linear], what: str, rounding: Rounding | None = settings.rounding
    ) -> dict[Linear, Layer]:
        choices = {op: _choice(4 if op in narrow else 8, rounding) for op in linear}
        done = iter(range(len(linear)))
        return quantised_layers(
            graph, some, given, choices, settings.correct, lambda name: report(what, next(done), len(linear))
        )

    everything = frozenset(linear)
    if settings.weight_bits == "8":
        return layers(frozenset(), "rounding")
    narrow = layers(everything, "rounding to 4 bits")
    found = noises(graph, few, {op: layer.weights for op, layer in narrow.items()})
    if settings.weight_bits == "4":
        kept = layers_for_more_bits(found, settings.kept_wide)
        return layers(everything - kept, "rounding") if kept else narrow
    wide = layers(frozenset(), "rounding to 8 bits", "nearest")
    last = logits(graph)
    base = 10 ** (-sqnr(forward(last, few)[0], simulated(last, few, given, wide)[0]) / 10)
    return layers(layers_for_fewer_bits(found, base, settings.least_sqnr), "rounding")


def _choice(bits: int, rounding: Rounding | None) -> Choice:
    return Choice(bits, rounding or ("adaptive" if bits < 8 else "nearest"))


def _check(graph: Graph, inputs: Sequence[Array]) -> None:
    if len(inputs) != len(graph.inputs):
        raise OptionError(f"the model has {len(graph.inputs)} inputs, but data for {len(inputs)} was given")
    for tensor, array in zip(graph.inputs, inputs, strict=True):
        if array.ndim != len(tensor.shape) or array.shape[1:] != tensor.shape[1:]:
            raise OptionError(f"data of shape {array.shape} was given, but the model's input is {tensor}")
    if not len(inputs[0]):
        raise OptionError("there is no data to calibrate with")


def _chosen(graph: Graph, inputs: Sequence[Array], most: int) -> list[Floats]:
    """Evenly chosen inputs, as many as may lie in memory at once."""
    largest = max(4 * t.elements for t in graph.tensors if not t.is_constant)
    count = max(1, min(len(inputs[0]), most, MOST_BYTES // (6 * largest)))
    places = np.linspace(0, len(inputs[0]) - 1, count).astype(np.int64)
    return [a[places] for a in inputs]
