"""The natural logarithm in fixed point, as `model/logarithm.py` has it; and the leading zeros of a number."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantizer import SHIFT_LEFT
from smelt.kernels.rescale import INT32_MAX, rounding_shift, wide_high_product
from smelt.kernels.softmax import newton_reciprocal
from smelt.loops.ir import Call, Const, Expr, cast, expression, maximum, minimum
from smelt.model.logarithm import COEFFICIENTS, HALF_ROOT_OF_TWO, INTEGER_BITS_IN, LOG_OF_TWO, ROOT_OF_HALF


def leading_zeros(k: CallBuilder, x: Expr) -> Expr:
    """Of a positive number."""
    value, zeros = k.var("value", x), k.var("zeros", 1)
    for bits in (16, 8, 4, 2, 1):
        with k.when(value < (1 << (31 - bits))):
            k.assign(value, value * (1 << bits))
            k.assign(zeros, zeros + bits)
    return zeros


def logarithm(k: CallBuilder, a: Expr) -> Expr:
    """ln(a) of a number from 1 on with 12 integer bits; the result has five."""
    zeros = leading_zeros(k, a)
    first = _shifted(_high(Call(SHIFT_LEFT, (a, zeros - 1)), HALF_ROOT_OF_TWO), expression(2))
    zeros2 = k.let("shift", leading_zeros(k, _high(a, HALF_ROOT_OF_TWO)) - 1)
    second = _shifted(a, Call(SHIFT_LEFT, (Const(1), zeros2)))
    ratio = k.let("ratio", minimum(first, second))
    powers = (INTEGER_BITS_IN - zeros) * (1 << 25) + (1 << 23), (INTEGER_BITS_IN - zeros2) * (1 << 25) - (1 << 23)
    power = k.let("power", maximum(*powers))
    half_sum = k.let("half", cast("int32_t", (cast("int64_t", ratio) + (ROOT_OF_HALF + 1)) >> 1))
    q = k.let("q", (ratio - ROOT_OF_HALF) * 2)
    square = k.let("square", wide_high_product(q, q))
    c0, c1, c2, c3 = COEFFICIENTS
    numerator = wide_high_product(q, ratio) + _high(wide_high_product(q, square), c0)
    denominator = wide_high_product(half_sum, k.let("inner", _high(square, c1) + q + c2)) + _high(q, c3)
    total = cast("int32_t", (cast("int64_t", denominator) + (1 << 31)) >> 1)
    inverse = newton_reciprocal(k, k.let("denominator", total))
    fraction = wide_high_product(rounding_shift(k, numerator, 6), inverse)
    return _shifted(_high(power, LOG_OF_TWO) + fraction, expression(2))


def _high(x: Expr, factor: int) -> Expr:
    return wide_high_product(x, expression(factor))


def _shifted(x: Expr, factor: Expr) -> Expr:
    """The product, saturated at the upper end."""
    return cast("int32_t", minimum(cast("int64_t", x) * factor, Const(INT32_MAX, "int64_t")))
