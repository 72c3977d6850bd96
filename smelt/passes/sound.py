"""Sounds before a network: frames of samples become features by ops of the graph."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from smelt.model.graph import Array, Graph, Op, State, Tensor
from smelt.model.mel import MelScale, cosines, filter_bank, hann
from smelt.model.ops import Concat, Quantize, Reshape, Slice
from smelt.model.ops_features import FULL_SCALE, PREPARATION, LogMel, OrderedSums, PeakGain
from smelt.model.reference import run
from smelt.passes.rewrite import fresh_name


@dataclass(frozen=True)
class Features:
    """`frames` of `window` samples, `stride` apart, at `rate` Hz; their spectra of `length` samples in `bands` mel bands from `low`
    to `high` Hz; of the logarithms, `coefficients` of the cosine transform (0: the logarithms themselves). `slide` frames of them
    are new in each inference, the others known from those before; 0: all are, and nothing is known. With `peak` samples are
    first divided by the largest one."""

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
    slide: int = 0
    peak: bool = False

    @property
    def values(self) -> int:
        """Of each frame."""
        return self.coefficients or self.bands

    @property
    def rows(self) -> int:
        """So many strides have all samples that the frames need."""
        return self.frames - 1 + -(-self.window // self.stride)


@dataclass(frozen=True, eq=False)
class Front:
    """From samples `x` to what a network reads."""

    x: Tensor
    ops: tuple[Op, ...]
    states: tuple[State, ...] = ()


def with_sound(graph: Graph, edge: Tensor, features: Features) -> Graph:
    """The graph that is given samples of int16, (1, rows, 1, stride), in the place of its input `edge`, and is called the same: all
    that its frames need, or those of the newest frames, where the window slides."""
    inner = replace(edge, name=fresh_name(graph, f"{edge.name}.features"))
    front = (_sliding if features.slide else _whole)(edge.name, inner, features)
    graph = graph.substitute({edge: inner})
    inputs = tuple(front.x if t is inner else t for t in graph.inputs)
    return replace(graph, inputs=inputs, ops=(*front.ops, *graph.ops), states=(*front.states, *graph.states)).check()


def _whole(name: str, y: Tensor, features: Features) -> Front:
    x = Tensor(name, (1, features.rows, 1, features.stride), "int16")
    return Front(x, feature_ops(x, y, features))


def _sliding(name: str, y: Tensor, f: Features) -> Front:
    """The last samples and the older frames are states; before the first sample there is silence."""
    lag, fresh = f.rows - f.frames, f.slide
    x, past, read = (
        Tensor(f"{name}{end}", (1, rows, 1, f.stride), "int16")
        for end, rows in (("", fresh), (".past", lag), (".read", fresh + lag))
    )
    new = replace(y, name=f"{y.name}.new", shape=(1, fresh, *_tail(y, f)))
    front = _followed(Front(x, ()), past, x, read, _silence(past))
    front = replace(front, ops=(*front.ops, *feature_ops(read if lag else x, new, replace(f, frames=fresh))))
    old, all = (
        replace(y, name=f"{y.name}.{end}", shape=(1, rows, *_tail(y, f)))
        for end, rows in (("old", f.frames - fresh), ("all", f.frames))
    )
    front = _followed(front, old, new, all, _of_silence(old, f))
    last = all if old.shape[1] else new
    return replace(front, ops=(*front.ops, Reshape(x=last, y=y, origin=PREPARATION)))


def _followed(front: Front, old: Tensor, new: Tensor, all: Tensor, initial: Array) -> Front:
    """With `all`, rows of a state and new ones behind them, of which the last are the state's next value; nothing where it has no
    rows."""
    if not old.shape[1]:
        return front
    following = replace(old, name=f"{old.name}.next")
    begin = (0, new.shape[1], 0, 0)
    joined = Concat(xs=(old, new), y=all, axis=1, origin=PREPARATION)
    kept = Slice(x=all, y=following, begin=begin, stride=(1, 1, 1, 1), origin=PREPARATION)
    return replace(front, ops=(*front.ops, joined, kept), states=(*front.states, State(old, following, initial)))


def _silence(samples: Tensor) -> Array:
    return np.zeros(samples.shape, np.int16)


def _of_silence(y: Tensor, features: Features) -> Array:
    """The features of silence, in frames of `y`."""
    x = Tensor("silence", (1, features.rows, 1, features.stride), "int16")
    one = replace(y, shape=(1, features.frames, *y.shape[2:]))
    graph = Graph("silence", (x,), (one,), feature_ops(x, one, features))
    return np.ascontiguousarray(run(graph, [_silence(x)])[0][:, : y.shape[1]])


def _tail(y: Tensor, f: Features) -> tuple[int, ...]:
    """The axes behind those of frames: the network's own, where it has such."""
    return y.shape[2:] if len(y.shape) == 4 and y.shape[:2] == (1, f.frames) else (1, f.values)


def feature_ops(x: Tensor, y: Tensor, f: Features) -> tuple[Op, ...]:
    """From samples to what a network reads, float32 or of one byte or int16 with a scale."""
    tail = _tail(y, f)

    def made(name: str, values: tuple[int, ...]) -> Tensor:
        return Tensor(f"{y.name}.{name}", (1, f.frames, *values), "float32")

    def constant(name: str, data: Array) -> Tensor:
        return Tensor(f"{y.name}.{name}", data.shape, data.dtype.name, data=data)  # type: ignore[arg-type]

    bank = filter_bank(f.bands, f.length, f.rate, f.low, f.high, f.scale)
    last = made("mel", (1, f.bands) if f.coefficients else tail)
    scaled = {} if f.coefficients else {"offset": _real(-f.mean / f.std)}
    gain = Tensor(f"{y.name}.gain", (1, 1, 1, 1), "float32") if f.peak else None
    ops: list[Op] = [PeakGain(x=x, y=gain, origin=PREPARATION)] if gain else []
    ops.append(
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
            origin=PREPARATION,
            gain=gain,
            **scaled,
        )
    )
    if f.coefficients:
        matrix = constant("cosines", (cosines(f.coefficients, f.bands) / f.std).astype(np.float32))
        sums = OrderedSums(
            x=last, weights=matrix, y=made("mfcc", tail), offset=_real(-f.mean / f.std), origin=PREPARATION
        )
        ops.append(sums)
        last = sums.y
    return (*ops, *_stored(last, y))


def _stored(x: Tensor, y: Tensor) -> tuple[Op, ...]:
    """From reals of a shape to y."""
    if y.dtype == "float32":
        return (Reshape(x=x, y=y, origin=PREPARATION),)
    if x.shape == y.shape:
        return (Quantize(x=x, y=y, origin=PREPARATION),)
    flat = replace(y, name=f"{y.name}.quantized", shape=x.shape)
    return Quantize(x=x, y=flat, origin=PREPARATION), Reshape(x=flat, y=y, origin=PREPARATION)


def _real(x: float) -> float:
    return float(np.float32(x))
