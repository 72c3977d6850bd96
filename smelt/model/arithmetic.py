"""Exact integer arithmetic of quantised operators, vectorised: requantisation, and exp/logistic/tanh in fixed point.

A fixed-point number "with n integer bits" is an int32 `raw` standing for ``raw / 2**(31 - n)``. Everything here
takes and returns int64 arrays (or scalars) whose values are those that 32-bit C arithmetic gives: no silent overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
IntegersLike = Integers | NDArray[np.int32] | int

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def round_half_away(x: float) -> int:
    """The nearest integer; halves go away from zero, as C's round() does (Python's goes to even)."""
    whole = floor(abs(x))
    nearest = whole + 1 if abs(x) - whole >= 0.5 else whole
    return nearest if x >= 0 else -nearest


def float32(x: float) -> float:
    """`x` rounded to single precision."""
    return float(np.float32(x))


def quantize_multipliers(reals: Sequence[float]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Each as (multiplier, shift) with ``real = multiplier / 2**31 * 2**shift`` and 31 significant bits.

    Shifts are positive to the left. Numbers too small to matter (below 2**-32) become (0, 0).
    """
    fractions, shifts = np.frexp(np.asarray(reals, np.float64))
    scaled = fractions * 2.0**31
    multipliers = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)
    carry = multipliers == 2**31
    multipliers, shifts = np.where(carry, 2**30, multipliers), shifts + carry
    tiny = shifts < -31
    return np.where(tiny, 0, multipliers).astype(np.int32), np.where(tiny, 0, shifts).astype(np.int32)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`quantize_multipliers` of one."""
    multipliers, shifts = quantize_multipliers([real])
    return int(multipliers[0]), int(shifts[0])


def input_radius(integer_bits: int, shift: int) -> int:
    """The distance from zero at which an input, scaled by at most ``2**shift``, leaves the range of `integer_bits`."""
    return floor((2.0**integer_bits - 1) * 2.0 ** (31 - integer_bits - shift))


def wrap32(x: Integers) -> Integers:
    """The int32 that remains of a wider number."""
    return x.astype(np.int32).astype(np.int64)


def _wide(x: IntegersLike) -> Integers:
    return np.asarray(x, np.int64)


def high_product(a: IntegersLike, b: IntegersLike, bits: int = 32) -> Integers:
    """``a * b / 2**(bits - 1)`` rounded to nearest (halves up), saturated: Arm's SQRDMULH."""
    product = _wide(a) * _wide(b)
    rounded: Integers = np.right_shift(product + (1 << (bits - 2)), bits - 1)
    return np.minimum(rounded, (1 << (bits - 1)) - 1)


def rounding_shift(x: IntegersLike, exponent: IntegersLike) -> Integers:
    """``x / 2**exponent`` rounded to nearest, halves away from zero."""
    x, exponent = _wide(x), _wide(exponent)
    half = np.left_shift(1, exponent) >> 1
    away = np.logical_and(x < 0, half > 0)
    rounded: Integers = np.right_shift(x + half - away, exponent)
    return rounded


def requantize(x: IntegersLike, multiplier: IntegersLike, shift: IntegersLike) -> Integers:
    """``x * multiplier / 2**31 * 2**shift`` of int32 numbers, rounded twice: after the product and after the shift.

    A left shift comes first and wraps at 32 bits, as the C does on every compiler we know (strictly it is undefined).
    """
    shift = _wide(shift)
    shifted = wrap32(_wide(x) << np.maximum(shift, 0))
    return rounding_shift(high_product(shifted, multiplier), np.maximum(-shift, 0))


def saturating_shift(x: IntegersLike, exponent: int, bits: int = 32) -> Integers:
    """``x * 2**exponent``, saturated to `bits`; `exponent` is not negative."""
    limit = 1 << (bits - 1)
    return np.clip(np.left_shift(_wide(x), exponent), -limit, limit - 1)


# exp(-2**e) for the bits e of a remainder, and the constants of the polynomials, as raw numbers without integer bits.
_EXP_OF_BIT = {e: round_half_away(exp(-(2.0**e)) * 2**31) for e in range(-2, 5)}
_EXP_MINUS_EIGHTH = round_half_away(exp(-1 / 8) * 2**31)
_THIRD = round_half_away(2**31 / 3)
_48_17, _32_17 = round_half_away(48 / 17 * 2**29), round_half_away(32 / 17 * 2**29)  # two integer bits


def _exp_on_last_quarter(x: Integers) -> Integers:
    """exp(x) for -1/4 <= x < 0; no integer bits in and out. Taylor of degree four around -1/8."""
    x = x + (1 << 28)
    square = high_product(x, x)
    cube, fourth = high_product(square, x), high_product(square, square)
    tail = rounding_shift(high_product(rounding_shift(fourth, 2) + cube, _THIRD) + square, 1)
    return _EXP_MINUS_EIGHTH + high_product(_EXP_MINUS_EIGHTH, x + tail)


def exp_on_negative(x: IntegersLike, integer_bits: int) -> Integers:
    """exp(x) for x <= 0 with `integer_bits` (at most 5); the result has none, and exp(0) is INT32_MAX."""
    x = _wide(x)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    last = (x & (quarter - 1)) - quarter
    result = _exp_on_last_quarter(saturating_shift(last, integer_bits))
    remainder = last - x
    for exponent in range(-2, integer_bits):
        bit = (remainder >> (fraction_bits + exponent)) & 1
        result = np.where(bit != 0, high_product(result, _EXP_OF_BIT[exponent]), result)
    return np.where(x == 0, INT32_MAX, result)


def _reciprocal_of_half_sum(x: Integers) -> Integers:
    """2 / (1 + x) for 0 <= x <= 1 without integer bits; the result has two. Three steps of Newton-Raphson."""
    total = x + INT32_MAX
    half = np.where(total >= 0, (total + 1) >> 1, -((1 - total) >> 1))
    y = _48_17 + high_product(half, -_32_17)
    for _ in range(3):
        error = (1 << 29) - high_product(half, y)
        y = y + saturating_shift(high_product(y, error), 2)
    return y


def one_over_one_plus(x: IntegersLike) -> Integers:
    """1 / (1 + x) for 0 <= x <= 1; no integer bits in and out."""
    return saturating_shift(_reciprocal_of_half_sum(_wide(x)), 1)


def one_minus_over_one_plus(x: IntegersLike) -> Integers:
    """(1 - x) / (1 + x) for 0 <= x <= 1; no integer bits in and out."""
    return saturating_shift(_reciprocal_of_half_sum(_wide(x)) - (1 << 29), 2)


def logistic(x: IntegersLike, integer_bits: int) -> Integers:
    """1 / (1 + exp(-x)) of x with `integer_bits`; the result has none."""
    x = _wide(x)
    positive = one_over_one_plus(exp_on_negative(-np.abs(x), integer_bits))
    return np.where(x == 0, 1 << 30, np.where(x > 0, positive, INT32_MAX - positive))


def tanh(x: IntegersLike, integer_bits: int) -> Integers:
    """tanh(x) of x with `integer_bits` (at most 4); the result has none."""
    x = _wide(x)
    # The raw number of x, read with one more integer bit, is 2 x.
    magnitude = one_minus_over_one_plus(exp_on_negative(-np.abs(x), integer_bits + 1))
    return np.sign(x) * magnitude


def leading_zeros32(x: IntegersLike) -> Integers:
    """Zero bits before the first one of a positive 32-bit number."""
    return np.asarray(32 - np.frexp(np.asarray(x, np.float64))[1], np.int64)
