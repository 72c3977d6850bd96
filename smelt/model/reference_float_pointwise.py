"""What operators that work element by element, or along an axis, compute in float32, in the order of TensorFlow Lite Micro's
reference kernels. Functions of C's library are correctly rounded here; hers are within two units in the last place of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops import Add, Maximum, Minimum, Mul, Softmax
from smelt.model.ops_pointwise import Div, SquaredDifference
from smelt.model.reference_float import clamped


def add(op: Add, x: Array, x2: Array) -> Array:
    """Sum or difference."""
    return clamped(x - x2 if op.subtract else x + x2, op.clamp)


def mul(op: Mul, x: Array, x2: Array) -> Array:
    return clamped(x * x2, op.clamp)


def div(op: Div, x: Array, x2: Array) -> Array:
    with np.errstate(all="ignore"):
        return clamped(x / x2, op.clamp)


def minimum(op: Minimum, x: Array, x2: Array) -> Array:
    return np.asarray(np.where(x < x2, x, x2))


def maximum(op: Maximum, x: Array, x2: Array) -> Array:
    return np.asarray(np.where(x > x2, x, x2))


def squared_difference(op: SquaredDifference, x: Array, x2: Array) -> Array:
    return np.asarray(np.square(x - x2))


def rounded(function: Callable[[Any], Any], x: Array) -> Array:
    """A function of reals, correctly rounded (but for rare halves)."""
    with np.errstate(all="ignore"):
        return np.asarray(function(x.astype(np.float64)), np.float32)


def softmax(op: Softmax, x: Array) -> Array:
    e = rounded(np.exp, (x - x.max(axis=-1, keepdims=True)) * np.float32(op.beta))
    total = np.zeros((*x.shape[:-1], 1), np.float32)
    for column in range(x.shape[-1]):
        total = total + e[..., column : column + 1]
    return np.asarray(e / total)


REAL_POINTWISE: dict[type[Op], Callable[..., Array]] = {
    Add: add,
    Mul: mul,
    Div: div,
    Minimum: minimum,
    Maximum: maximum,
    SquaredDifference: squared_difference,
    Softmax: softmax,
}
