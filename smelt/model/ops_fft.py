"""Fourier transforms of real signals, and their numbers: int16 and int32 with all bits but the sign behind the point, or float32.

A spectrum has the real and imaginary part of a bin side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, floor, pi, sin

import numpy as np

from smelt.model.graph import Array, DType, Op, Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class RealFft(Op):
    """The spectrum of `length` samples, divided by `length` where they are integers: x is (..., samples), with zeros behind them, y
    (..., length + 2)."""

    x: Tensor
    length: int


@dataclass(frozen=True, eq=False, kw_only=True)
class InverseFft(Op):
    """The samples that have a spectrum, divided by their number `length`: x is (..., length + 2), y (..., length)."""

    x: Tensor
    length: int


def one(dtype: DType) -> int:
    """The greatest integer below 1: what kernels of the FFT take for 1."""
    return 2**15 - 1 if dtype == "int16" else 2**31 - 1


def radices(length: int) -> tuple[int, ...]:
    """The butterflies of an FFT, outermost first: as many of 4 as there can be, then of 2, 3 and 5. Raises ValueError where
    `length` has other factors, for which the oracle has no butterflies."""
    found = list[int]()
    for radix in (4, 2, 3, 5):
        while length % radix == 0:
            found.append(radix)
            length //= radix
    if length != 1:
        raise ValueError(f"{length} is no product of 2, 3 and 5")
    return tuple(found)


def has_butterflies(length: int) -> bool:
    """Whether real signals of `length` samples can be transformed."""
    try:
        return length >= 4 and length % 2 == 0 and bool(radices(length // 2))
    except ValueError:
        return False


def order(points: int, factors: tuple[int, ...]) -> list[int]:
    """Which point is where when an FFT that combines neighbours first begins."""
    if not factors:
        return [0]
    inner = order(points // factors[0], factors[1:])
    return [start + factors[0] * i for start in range(factors[0]) for i in inner]


def rotations(length: int, dtype: DType, inverse: bool = False) -> Array:
    """exp(-2 pi i k / length) of an FFT as (length, 2), of `dtype`; of an inverse one the other way round."""
    return _unit_circle((-2 * pi * k / length for k in range(length)), dtype, inverse)


def split_rotations(half: int, dtype: DType, inverse: bool = False) -> Array:
    """Of the step between the FFT of `half` pairs of samples and the spectrum of the samples, for the bins 1 to half / 2."""
    return _unit_circle((-pi * (k / half + 0.5) for k in range(1, half // 2 + 1)), dtype, inverse)


def _unit_circle(phases: Iterable[float], dtype: DType, inverse: bool) -> Array:
    turns = [(cos(p), sin(p)) for p in (-p if inverse else p for p in phases)]
    if dtype == "float32":
        return np.array(turns, np.float32).reshape(-1, 2)
    rounded = [[floor(0.5 + one(dtype) * part) for part in turn] for turn in turns]
    return np.array(rounded, np.dtype(dtype)).reshape(-1, 2)
