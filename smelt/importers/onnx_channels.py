"""Activations with a scale for each channel, as NNCF writes them before depthwise convolutions.

Stored are bytes of scale 1: a scale becomes part of the scales of the weights before it and behind it, and costs nothing. That is
possible where the channels are the stored last axis and have one zero point. What does not multiply channel by channel reads them
as reals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from smelt.importers.onnx_binary import by_channel
from smelt.importers.onnx_linear import Weights, one_limit
from smelt.importers.onnx_site import Site
from smelt.importers.onnx_unary import reals_of
from smelt.importers.onnx_views import UNLIMITED, Decoded, Floats, Limits, Promise, Stored, Target, View
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Dequantize, Quantize


@dataclass(frozen=True, eq=False)
class ByChannel(Stored):
    """Bytes of scale 1, which stand for that times `target.factors`, one for each index of the stored last axis."""


def target_of(scales: Floats, zero: int, low: int, high: int, unsigned: bool, view: View) -> Target | None:
    """What a quantiser wants whose scales broadcast against a view; None where they do not lie along the stored last axis."""
    factors = by_channel(scales, view)
    if factors is None:
        return None
    return Target("int8", Quantization((1.0,), (zero,)), low, high, unsigned, tuple(map(float, factors)))


def made(at: Site, x: View, target: Target, dtype: str) -> View:
    """The bytes that a quantiser makes of reals, of `dtype` in the file."""
    source, where = x.source, at.node.where
    sums, limits = None, UNLIMITED
    if isinstance(source, Promise) and source.by_channel and one_limit(target, source.limits):
        sums, limits = source.quantised, source.limits

    def make(wanted: Target) -> Tensor:
        before, at.bench.here = at.bench.here, where
        found = _of_reals(at, at.bench.real(x), wanted) if sums is None else sums(wanted, limits)
        at.bench.here = before
        return found

    return x.of(ByChannel(x.stored, target, make), dtype)


def _of_reals(at: Site, real: Tensor, target: Target) -> Tensor:
    """Divided by the factors, limited, and rounded."""
    zero = target.quantization.zero_point
    limits = (float(target.low - zero), float(target.high - zero))
    quotient = reals_of(at).over(real, _constant(at, target, len(real.shape)), limits)
    y = at.bench.tensor(at.wish, real.shape, "int8", target.quantization)
    return at.bench.add(Quantize(x=quotient, y=y, rounding="ties_even"))


def _constant(at: Site, target: Target, rank: int) -> Tensor:
    factors = np.asarray(target.factors, np.float32).reshape((1,) * (rank - 1) + (-1,))
    return at.bench.constant(f"{at.wish}.scales", factors)


def read(at: Site, x: View, source: ByChannel) -> View:
    """The reals that such bytes stand for."""

    def real(limits: Limits) -> Tensor:
        tensor = at.bench.held(x)
        plain = at.bench.tensor(f"{tensor.name}.real", tensor.shape, "float32")
        at.bench.add(Dequantize(x=tensor, y=plain))
        return reals_of(at).times(plain, _constant(at, source.target, len(tensor.shape)), limits)

    def scaled() -> tuple[Tensor, Floats]:
        return at.bench.held(x), np.asarray(source.target.factors, np.float32)

    return x.of(Promise(x.stored, real, scaled=scaled), "float32")


def with_integers(x: View, weights: Weights) -> tuple[View, Weights]:
    """Operands of a depthwise convolution, the factors of x's channels as part of the scales of the weights."""
    scaled: Callable[[], tuple[Tensor, Floats]] | None = x.source.scaled if isinstance(x.source, Promise) else None
    if scaled is None or weights.stored is None:
        return x, weights
    tensor, factors = scaled()
    each = np.repeat(factors, weights.stored.shape[weights.axis] // len(factors))
    return x.of(Decoded(tensor)), replace(weights, scales=np.asarray(weights.scales * each, np.float32))
