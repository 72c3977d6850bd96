"""Requantisation, rounding shifts and clamps as expressions, as short as the known range of their operand allows."""

from __future__ import annotations

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Expr, cast, expression, maximum, minimum
from smelt.model.arithmetic16 import halved_multiplier
from smelt.model.ops import FULL, Clamp
from smelt.targets.intrinsics import SMMLAR, SMMULR, SSAT8

INT32_MAX = 2**31 - 1


def high_product(k: KernelBuilder, x: Expr, multiplier: int, limit: int = INT32_MAX) -> Expr:
    """``x * multiplier / 2**31``, halves up, where ``|x| <= limit``; one multiplication where twice x fits 32 bits, and where the
    multiplier has its upper bit set, as they usually have (see `requantize`)."""
    if limit < 2**30:
        return k.call(SMMULR, x * 2, multiplier)
    if multiplier >= 2**30:
        kept = k.let("wide", x)
        return k.call(SMMLAR, kept, 2 * multiplier - 2**32, kept)
    return wide_high_product(x, expression(multiplier))


def wide_high_product(a: Expr, b: Expr) -> Expr:
    """``a * b / 2**31``, halves up, of any two int32 numbers but INT32_MIN squared."""
    return cast("int32_t", (cast("int64_t", a) * b + (1 << 30)) >> 31)


def rounding_shift(k: KernelBuilder, x: Expr, exponent: int, limit: int = INT32_MAX, zero: int = 0) -> Expr:
    """``x / 2**exponent``, halves away from zero, plus `zero`, where ``|x| <= limit``."""
    if exponent == 0:
        return x + zero
    kept, half = k.let("scaled", x), 1 << (exponent - 1)
    if limit + half + (abs(zero) << exponent) <= INT32_MAX:
        return (kept + (kept >> 31) + (half + (zero << exponent))) >> exponent
    if limit + half <= INT32_MAX:
        return ((kept + (kept >> 31) + half) >> exponent) + zero
    return cast("int32_t", (cast("int64_t", kept) + (kept >> 31) + half) >> exponent) + zero


def requantize(k: KernelBuilder, x: Expr, limit: int, multiplier: int, shift: int, zero: int = 0) -> tuple[Expr, int]:
    """`arithmetic.requantize` of an x with ``|x| <= limit``, plus `zero`: the result, and the limit of what `zero` is added to."""
    left, right = max(shift, 0), max(-shift, 0)
    shifted, limit = _shifted_left(x, left), min(limit << left, INT32_MAX + 1)
    high = high_product(k, shifted, multiplier, limit)
    limit = (limit * multiplier >> 31) + 1
    return rounding_shift(k, high, right, limit, zero), (limit >> right) + 1


def requantize48(x: Expr, limit: int, multiplier: int, shift: int) -> tuple[Expr, int]:
    """`arithmetic16.requantize48` of an x with ``|x| <= limit < 2**47``: the result and its limit, which is below 2**31."""
    factor, right = int(halved_multiplier(multiplier)), 15 - shift
    value = (cast("int64_t", x) * factor + (1 << (right - 1))) >> right
    return cast("int32_t", value), min((limit * factor >> right) + 1, INT32_MAX)


def _shifted_left(x: Expr, count: int) -> Expr:
    """Bits that leave at the top are lost, as TFLM loses them (C defines that for unsigned numbers alone)."""
    if count == 0:
        return x
    if count > 30:
        return cast("int32_t", cast("uint32_t", x) * (1 << 30) * (1 << (count - 30)))
    return cast("int32_t", cast("uint32_t", x) * (1 << count))


def clamped(k: KernelBuilder, x: Expr, clamp: Clamp, reach: tuple[int, int] = (-(2**31), INT32_MAX)) -> Expr:
    """x limited to `clamp`; sides that lie outside `reach` (what x can be) cost nothing."""
    above, below = reach[1] > clamp[1], reach[0] < clamp[0]
    if clamp == FULL and (above or below):
        return k.call(SSAT8, x)
    if above:
        x = minimum(x, clamp[1])
    return maximum(x, clamp[0]) if below else x


def limited(k: KernelBuilder, x: Expr, zero: int, clamp: Clamp, limit: int) -> Expr:
    """``x + zero`` limited to `clamp`, where ``|x| <= limit``; the clamp comes first where the sum could leave 32 bits."""
    reach = (zero - limit, zero + limit)
    if reach[0] >= -INT32_MAX - 1 and reach[1] <= INT32_MAX:
        return clamped(k, x + zero, clamp, reach)
    low, high = max(clamp[0] - zero, -INT32_MAX - 1), min(clamp[1] - zero, INT32_MAX)
    return clamped(k, x, (low, high), (-INT32_MAX - 1, INT32_MAX)) + zero
