"""The natural logarithm in fixed point, as the oracle has it."""

from __future__ import annotations

import numpy as np

from smelt.model.arithmetic import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    IntegersLike,
    high_product,
    leading_zeros32,
    one_over_one_plus,
    rounding_shift,
)

INTEGER_BITS_IN, INTEGER_BITS_OUT = 12, 5
HALF_ROOT_OF_TWO = 1518500250  # sqrt(1/2) without integer bits
ROOT_OF_HALF = 1805811301  # sqrt(sqrt(1/2)) without integer bits
LOG_OF_TWO = 1488522236
COEFFICIENTS = (117049297, 127690142, 1057819769, 638450708)


def _shifted(x: IntegersLike, count: IntegersLike) -> Integers:
    """``x << count``, saturated."""
    return np.clip(np.left_shift(np.asarray(x, np.int64), count), INT32_MIN, INT32_MAX)


def logarithm(a: Integers) -> Integers:
    """ln(a) of numbers from 1 on with 12 integer bits; the result has five."""
    zeros = leading_zeros32(a)
    first = _shifted(high_product(_shifted(a, zeros - 1), HALF_ROOT_OF_TWO), 1)
    first_power = np.minimum(_shifted(INTEGER_BITS_IN - zeros, 25) + (1 << 23), INT32_MAX)
    zeros2 = leading_zeros32(high_product(a, HALF_ROOT_OF_TWO)) - 1
    second = _shifted(a, zeros2)
    second_power = np.maximum(_shifted(INTEGER_BITS_IN - zeros2, 25) - (1 << 23), INT32_MIN)
    ratio, power = np.minimum(first, second), np.maximum(first_power, second_power)
    half_sum = rounding_shift(ratio + ROOT_OF_HALF, 1)
    q = 2 * (ratio - ROOT_OF_HALF)
    square = high_product(q, q)
    c0, c1, c2, c3 = COEFFICIENTS
    numerator = high_product(q, ratio) + high_product(high_product(q, square), c0)
    denominator = high_product(half_sum, c2 + q + high_product(c1, square)) + high_product(c3, q)
    fraction = high_product(rounding_shift(numerator, 6), one_over_one_plus(denominator))
    return _shifted(high_product(power, LOG_OF_TWO) + fraction, 1)
