"""Operators of audio front ends: from frames of samples to the features of keyword models. All integers; no tensor has a scale.

A complex spectrum is int16, the real and imaginary part of a bin side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log2
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Op, Tensor

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Window(Op):
    """y = saturated((x * weights) >> shift), int16; `weights` are those of the last axis."""

    x: Tensor
    weights: Tensor
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AutoScale(Op):
    """y = x << bits, int16, with as many bits (a scalar, int32) as the greatest magnitude leaves free."""

    results: ClassVar[tuple[str, ...]] = ("y", "bits")

    x: Tensor
    bits: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Energy(Op):
    """y[b] = re² + im² of the bins from `start` to `end`, uint32, 0 of the others."""

    x: Tensor
    start: int
    end: int


@dataclass(frozen=True, eq=False, kw_only=True)
class FilterBank(Op):
    """Channels of overlapping triangles, uint32 to uint64.

    Channel c sums weight * x over its `widths[c]` bins from `starts[c]` on, its weights being those from `weight_starts[c]` on, and
    the unweight * x of channel c - 1. The first is only there for the second, and is no result.
    """

    x: Tensor
    weights: Tensor
    unweights: Tensor
    starts: Tensor
    weight_starts: Tensor
    widths: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class FilterBankRoot(Op):
    """y = round(root of x) >> bits, uint64 to uint32; `bits` is a scalar, int32."""

    x: Tensor
    bits: Tensor


@dataclass(frozen=True)
class Subtraction:
    """How noise is followed: `smoothing` and its complement of even channels and of odd ones, with `bits` fraction bits."""

    smoothing: tuple[int, int]
    one_minus_smoothing: tuple[int, int]
    least_remaining: int
    smoothing_bits: int
    bits: int
    clamping: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class SpectralSubtraction(Op):
    """y is x without the noise of each channel, which follows x slowly: `noise` is a state, `next_noise` its next value. uint32."""

    results: ClassVar[tuple[str, ...]] = ("y", "next_noise")
    renews: ClassVar[tuple[tuple[str, str], ...]] = (("noise", "next_noise"),)

    x: Tensor
    noise: Tensor
    next_noise: Tensor
    numbers: Subtraction


@dataclass(frozen=True, eq=False, kw_only=True)
class Pcan(Op):
    """Per-channel amplitude normalisation: x times a gain that `gains`, a table of int16, gives for `noise`. uint32."""

    x: Tensor
    noise: Tensor
    gains: Tensor
    shift: int


@dataclass(frozen=True, eq=False, kw_only=True)
class FilterBankLog(Op):
    """y = scale * ln(x << correction), uint32 to int16."""

    x: Tensor
    scale: int
    correction: int


LOG_SEGMENTS = 128


def log_corrections() -> Integers:
    """How far log2(1 + i / 128) lies above i / 128, with 16 fraction bits."""
    steps = (i / LOG_SEGMENTS for i in range(LOG_SEGMENTS + 1))
    return np.array([floor(65536 * (log2(1 + step) - step) + 0.5) for step in steps], np.int64)
