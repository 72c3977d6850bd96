"""Exact integer arithmetic of operators with int16 activations: the requantisation of 48-bit sums, and logistic and tanh by table.

Everything here takes and returns int64 arrays (or scalars) whose values are those that the oracle's C arithmetic gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, log2, trunc

import numpy as np
from numpy.typing import NDArray

from smelt.model.arithmetic import Integers, IntegersLike, wrap32

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1


def clip_int16(x: IntegersLike) -> Integers:
    """Saturate to int16."""
    return np.clip(np.asarray(x, np.int64), INT16_MIN, INT16_MAX)


def halved_multiplier(multiplier: IntegersLike) -> Integers:
    """The upper half of a multiplier of 31 fraction bits, rounded, which must not become 2**15."""
    m = np.asarray(multiplier, np.int64)
    return np.where(m >= 0x7FFF0000, INT16_MAX, (m + (1 << 15)) >> 16)


def requantize48(x: IntegersLike, multiplier: IntegersLike, shift: IntegersLike) -> Integers:
    """``x * multiplier / 2**31 * 2**shift`` of sums below 2**47, with 15 bits of the multiplier, rounded once, halves up."""
    total = 15 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * halved_multiplier(multiplier)
    return wrap32((product + (np.int64(1) << (total - 1))) >> total)


# Where a rounded value of the oracle's table is one more than 65536 / (1 + exp(-i / 24)) rounds to.
_ONE_MORE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49, 50, 54, 62,
    63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip


def _logistic_table() -> NDArray[np.int64]:
    table = np.asarray([floor(65536 / (1 + exp(-i / 24)) + 0.5) for i in range(256)], np.int64)
    table[list(_ONE_MORE)] += 1
    return table


LOGISTIC_TABLE = _logistic_table()
"""65536 * logistic(i / 24): 256 numbers of 16 bits, between which `logistic16` and `tanh16` interpolate."""


@dataclass(frozen=True)
class TableInput:
    """How an input of `logistic16` and `tanh16` becomes a position in the table:
    ``(x * multiplier + half) >> shift``, of which a unit is 1 / 4096 / 3 of a real number for both."""

    multiplier: int
    shift: int


LOGISTIC_Q12 = TableInput(3, 0)
"""For inputs with 12 fraction bits; tanh's are the same."""


def table_input(scale: float, tanh: bool) -> TableInput:
    """For inputs of a scale. Where that is a power of two not far from 2**-12, the multiplier is exact."""
    exponent = log2(scale)
    power = round(exponent)
    left = 12 + power
    if abs(exponent - power) < 1e-3 and (left == 0 or (tanh and left == 1)):
        return TableInput(3 << left, 0)
    value, shift = scale * 4096 * 3, 0
    while value <= 32767 / 2 and shift <= 30:
        value, shift = value * 2, shift + 1
    return TableInput(trunc(value), shift)


def _position(x: IntegersLike, by: TableInput) -> Integers:
    return (wrap32(np.asarray(x, np.int64) * by.multiplier) + ((1 << by.shift) >> 1)) >> by.shift


def _interpolated(magnitude: Integers, bits: int, end: int) -> Integers:
    """Of the table at ``magnitude / 2**bits``, with `bits` more bits; `end` from its last entry on."""
    index, rest = magnitude >> bits, magnitude & ((1 << bits) - 1)
    low, high = LOGISTIC_TABLE[np.minimum(index, 254)], LOGISTIC_TABLE[np.minimum(index, 254) + 1]
    return np.where(index >= 255, end << bits, (low << bits) + rest * (high - low))


def logistic16(x: IntegersLike, by: TableInput) -> Integers:
    """1 / (1 + exp(-x)) with 15 fraction bits."""
    u = _position(x, by)
    w = _interpolated(np.abs(u), 9, 32767 * 2)
    return np.where(u >= 0, w + 512, (1 << 25) - w + 511) >> 10


def tanh16(x: IntegersLike, by: TableInput) -> Integers:
    """tanh(x) with 15 fraction bits."""
    u = _position(x, by)
    w = _interpolated(np.abs(u), 8, 65535)
    return np.where(u >= 0, w - (1 << 23) + 128, (1 << 23) - w + 127) >> 8
