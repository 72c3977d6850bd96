"""Sounds before a network: frames of samples become features by ops of the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.mel import MelScale, cosines, filter_bank, hann
from smelt.model.ops import Quantize, Reshape
from smelt.model.ops_features import LogMel, OrderedSums
from smelt.passes.rewrite import fresh_name

ORIGIN = "preparation"
FULL_SCALE = 1 << 15  # of samples


@dataclass(frozen=True)
class Features:
    """`frames` of `window` samples, `stride` apart, at `rate` Hz; their spectra of `length` samples in `bands` mel bands from `low`
    to `high` Hz; of the logarithms, `coefficients` of the cosine transform (0: the logarithms themselves)."""

    frames: int
    rate: int
    window: int
    stride: int
    length: int
    bands: int
    low: float
    high: float
    scale: MelScale
    power: Literal[1, 2]
    floor: float
    factor: float
    coefficients: int
    mean: float
    std: float

    @property
    def values(self) -> int:
        """Of each frame."""
        return self.coefficients or self.bands

    @property
    def rows(self) -> int:
        """So many strides have all samples that the frames need."""
        return self.frames - 1 + -(-self.window // self.stride)


def with_sound(graph: Graph, edge: Tensor, features: Features) -> Graph:
    """The graph that is given samples of int16, (1, rows, 1, stride), in the place of its input `edge`, and is called the same."""
    x = Tensor(edge.name, (1, features.rows, 1, features.stride), "int16")
    inner = replace(edge, name=fresh_name(graph, f"{edge.name}.features"))
    ops = feature_ops(x, inner, features)
    graph = graph.substitute({edge: inner})
    inputs = tuple(x if t is inner else t for t in graph.inputs)
    return replace(graph, inputs=inputs, ops=(*ops, *graph.ops)).check()


def feature_ops(x: Tensor, y: Tensor, f: Features) -> tuple[Op, ...]:
    """From samples to what a network reads, float32 or of one byte or int16 with a scale."""
    of_images = len(y.shape) == 4 and y.shape[:2] == (1, f.frames)
    tail = y.shape[2:] if of_images else (1, f.values)

    def made(name: str, values: tuple[int, ...]) -> Tensor:
        return Tensor(f"{y.name}.{name}", (1, f.frames, *values), "float32")

    def constant(name: str, data: Array) -> Tensor:
        return Tensor(f"{y.name}.{name}", data.shape, data.dtype.name, data=data)  # type: ignore[arg-type]

    bank = filter_bank(f.bands, f.length, f.rate, f.low, f.high, f.scale)
    last = made("mel", (1, f.bands) if f.coefficients else tail)
    scaled = {} if f.coefficients else {"offset": _real(-f.mean / f.std)}
    ops: list[Op] = [
        LogMel(
            x=x,
            window=constant("window", (hann(f.window) / FULL_SCALE).astype(np.float32)),
            weights=constant("weights", bank.weights),
            starts=constant("starts", bank.starts),
            weight_starts=constant("weight_starts", bank.weight_starts),
            widths=constant("widths", bank.widths),
            length=f.length,
            power=f.power,
            floor=_real(f.floor),
            factor=_real(f.factor if f.coefficients else f.factor / f.std),
            y=last,
            origin=ORIGIN,
            **scaled,
        )
    ]
    if f.coefficients:
        matrix = constant("cosines", (cosines(f.coefficients, f.bands) / f.std).astype(np.float32))
        sums = OrderedSums(x=last, weights=matrix, y=made("mfcc", tail), offset=_real(-f.mean / f.std), origin=ORIGIN)
        ops.append(sums)
        last = sums.y
    return (*ops, *_stored(last, y))


def _stored(x: Tensor, y: Tensor) -> tuple[Op, ...]:
    """From reals of a shape to y."""
    if y.dtype == "float32":
        return (Reshape(x=x, y=y, origin=ORIGIN),)
    if x.shape == y.shape:
        return (Quantize(x=x, y=y, origin=ORIGIN),)
    flat = replace(y, name=f"{y.name}.quantized", shape=x.shape)
    return Quantize(x=x, y=flat, origin=ORIGIN), Reshape(x=flat, y=y, origin=ORIGIN)


def _real(x: float) -> float:
    return float(np.float32(x))
