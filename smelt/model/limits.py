"""How large numbers may become: what 32-bit fixed point and float32 hold."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import numpy as np

from smelt.model.arithmetic import INT32_MAX, quantize_multiplier
from smelt.model.graph import Quantization, Tensor

SMALLEST_NORMAL = float(np.finfo(np.float32).smallest_normal)


def farthest(x: Tensor) -> int:
    """The distance that a stored integer can have from its zero point; of int32, whose zero point is 0, from 0."""
    return min(x.element.high - x.element.low, INT32_MAX)


def usable_scale(scale: float) -> bool:
    """Whether a scale is a normal positive float32: what an activation needs (weights of a dead channel may have 0)."""
    return isfinite(scale) and scale >= SMALLEST_NORMAL


def fits_steps(real: float, q: Quantization) -> bool:
    """Whether a real number is an int32 number of steps of `q`."""
    return abs(real) / q.scale < INT32_MAX - 256


def rescaled(limit: int, real: float, what: str) -> Iterator[str]:
    """An integer of up to `limit` is multiplied by `real`: a left shift, which comes first, must not lose bits."""
    if limit << max(quantize_multiplier(real)[1], 0) > INT32_MAX:
        yield f"{what} is {real:.3g}, too much for 32-bit arithmetic"
