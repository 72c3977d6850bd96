"""How much each layer costs: what the outputs lose where it alone is quantised, and which layers can do with fewer bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import Linear, Softmax
from smelt.quantization.batches import forward
from smelt.quantization.layers import Layer, simulated
from smelt.quantization.products import Floats
from smelt.quantization.ranges import decibels, sqnr
from smelt.quantization.scheme import Scheme


@dataclass(frozen=True)
class Sensitivity:
    """Of one layer, signal to noise in dB: `alone` of the network's outputs where its weights alone are integers, `here` of its own
    result in the network that is quantised as a whole. `bits` are those of its weights, 0 where it has none."""

    number: int
    name: str
    op: str
    bits: int
    activation: str
    weights: int
    alone: float | None
    here: float


def logits(graph: Graph) -> Graph:
    """The graph without a softmax behind which nothing comes: what it flattens is seen here."""
    last = graph.ops[-1] if graph.ops else None
    if isinstance(last, Softmax) and graph.outputs == (last.y,):
        return Graph(graph.name, graph.inputs, (last.x,), graph.ops[:-1])
    return graph


def noises(graph: Graph, inputs: Sequence[Array], weights: Mapping[Linear, Floats]) -> dict[Linear, float]:
    """What the outputs lose, as a share of their power, where the weights of one layer alone are replaced by others."""
    seen = logits(graph)
    wanted = forward(seen, inputs)[0].astype(np.float64)
    power = max(float(np.square(wanted).sum()), 1e-30)
    found = {}
    for op, other in weights.items():
        y = forward(seen, inputs, constants={op.weights: other})[0]
        found[op] = float(np.square(y - wanted).sum()) / power
    return found


def sensitivities(
    graph: Graph, inputs: Sequence[Array], given: Scheme, layers: Mapping[Linear, Layer]
) -> tuple[Sensitivity, ...]:
    """A row for each op of a graph, from stacked inputs."""
    alone = noises(graph, inputs, {op: layer.weights for op, layer in layers.items()})
    here: dict[Tensor, float] = {}
    reals: dict[Tensor, Array] = {}
    forward(graph, inputs, lambda op, y, values: reals.setdefault(y, values))

    def compare(op: Op, values: Array) -> None:
        here[op.y] = sqnr(reals.pop(op.y), values)

    simulated(graph, inputs, given, layers, compare)
    rows = []
    for number, op in enumerate(graph.ops):
        layer = layers.get(op) if isinstance(op, Linear) else None
        rows.append(
            Sensitivity(
                number,
                op.y.name,
                type(op).__name__,
                layer.bits if layer else 0,
                "int16" if op.y in given.wide else "int8",
                layer.stored.size if layer else 0,
                decibels(1.0, alone[layer.op]) if layer else None,
                here[op.y],
            )
        )
    return tuple(rows)


def layers_for_fewer_bits(noise: Mapping[Linear, float], base: float, least: float) -> frozenset[Linear]:
    """Which layers get fewer bits, given what the outputs lose where each alone does, and what they lose with 8 bits (`base`): so
    many weights that the sum of losses stays above `least` dB. Losses of single layers add up as those of independent noises do.
    """
    left, chosen = 10 ** (-least / 10) - base, set()
    for op in sorted(noise, key=lambda op: noise[op] / op.weights.elements):
        if noise[op] <= left:
            left -= noise[op]
            chosen.add(op)
    return frozenset(chosen)


def layers_for_more_bits(noise: Mapping[Linear, float], share: float) -> frozenset[Linear]:
    """Which layers keep more bits, given what the outputs lose where each alone does not: those that lose most for each weight, as
    long as they have together at most a share of all weights."""
    left, chosen = share * sum(op.weights.elements for op in noise), set()
    for op in sorted(noise, key=lambda op: noise[op] / op.weights.elements, reverse=True):
        if op.weights.elements <= left:
            left -= op.weights.elements
            chosen.add(op)
    return frozenset(chosen)
