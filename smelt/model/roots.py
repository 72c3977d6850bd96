"""The inverse square root in fixed point, as the oracle has it."""

from __future__ import annotations

import numpy as np

from smelt.model.arithmetic import INT32_MAX, INT32_MIN, Integers, high_product, leading_zeros32, rounding_shift

THREE_HALVES = 3 << 27  # with three integer bits
HALF_ROOT_OF_TWO = 1518500250


def inverse_square_root(x: Integers) -> tuple[Integers, Integers]:
    """1 / sqrt(x) of positive int32 numbers as (multiplier, shift): ``multiplier / 2**31 * 2**shift``, shift not positive.

    Of 1 the multiplier is the greatest int32. Five steps of Newton's iteration.
    """
    value, right = x.astype(np.int64), np.full(x.shape, 11, np.int64)
    while np.any(big := value >= 2**29):
        value, right = np.where(big, value // 4, value), right + big
    left = (leading_zeros32(np.maximum(value, 1)) - 1) // 2 - 1
    right = right - left
    value = value << (2 * left)
    half = rounding_shift(value >> 1, 1)
    root = np.full(x.shape, 1 << 28, np.int64)
    for _ in range(5):
        cube = _saturated(high_product(high_product(root, root), root) << 6)
        root = _saturated((high_product(THREE_HALVES, root) - high_product(half, cube)) << 3)
    root = high_product(root, HALF_ROOT_OF_TWO)
    root = np.where(right < 0, root << np.maximum(-right, 0), root)
    one = x <= 1
    return np.where(one, INT32_MAX, root), np.where(one, 0, -np.maximum(right, 0))


def _saturated(x: Integers) -> Integers:
    return np.clip(x, INT32_MIN, INT32_MAX)
