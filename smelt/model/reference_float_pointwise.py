"""What operators that work element by element, or along an axis, compute in float32, in the order of TensorFlow Lite Micro's
reference kernels. Functions of C's library are correctly rounded here; hers are within two units in the last place of that.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf, erfc
from typing import Any

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops import Add, Maximum, Mean, Minimum, Mul, Reduce, Softmax, Unary
from smelt.model.ops_pointwise import (
    AddN,
    CumulativeSum,
    Div,
    FloorDiv,
    FloorMod,
    L2Normalization,
    LogSoftmax,
    Power,
    Prelu,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    SquaredDifference,
    Sum,
)
from smelt.model.reference_float import clamped
from smelt.model.unary import CUBIC, SQRT_2_OVER_PI, SQRT_HALF


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
    return np.asarray(e / _sum_in_order(e))


def log_softmax(op: LogSoftmax, x: Array) -> Array:
    most = x.max(axis=-1, keepdims=True)
    total = _sum_in_order(rounded(np.exp, x - most))
    return np.asarray(x - most - rounded(np.log, total))


def l2_normalization(op: L2Normalization, x: Array) -> Array:
    norm = np.sqrt(_sum_in_order(x * x))
    return np.asarray(x / np.maximum(norm, np.float32(1e-6)))


def _sum_in_order(x: Array) -> Array:
    """Of the last axis, which stays with size 1."""
    total = np.zeros((*x.shape[:-1], 1), np.float32)
    for column in range(x.shape[-1]):
        total = total + x[..., column : column + 1]
    return total


def prelu(op: Prelu, x: Array, alpha: Array) -> Array:
    return np.asarray(np.where(x >= 0, x, x * alpha))


def add_n(op: AddN, *xs: Array) -> Array:
    return np.asarray(sum(xs[1:], xs[0]))


def floor_div(op: FloorDiv, x: Array, x2: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(np.floor(x / x2))


def floor_mod(op: FloorMod, x: Array, x2: Array) -> Array:
    """The rest of a division, of the sign of the divisor."""
    with np.errstate(all="ignore"):
        rest = np.fmod(x, x2)
        return np.asarray(np.where((rest != 0) & ((x2 < 0) != (rest < 0)), rest + x2, rest))


def power(op: Power, x: Array, x2: Array) -> Array:
    """As C's pow: 1 of any number to the power of 0, no number of negative ones to that of a fraction."""
    with np.errstate(all="ignore"):
        return np.asarray(np.power(x.astype(np.float64), x2.astype(np.float64)), np.float32)


def cumulative_sum(op: CumulativeSum, x: Array) -> Array:
    lines = np.moveaxis(x, op.axis, 0)
    total, sums = np.zeros(lines.shape[1:], np.float32), []
    for line in lines[::-1] if op.reverse else lines:
        following = total + line
        sums.append(total if op.exclusive else following)
        total = following
    return np.moveaxis(np.stack(sums[::-1] if op.reverse else sums), 0, op.axis)


def unary(op: Unary, x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(FUNCTIONS[op.function](op, x), np.float32)


def _exact(function: Callable[[Any], Any]) -> Callable[[Unary, Array], Array]:
    return lambda op, x: rounded(function, x)


def _between(low: float, high: float) -> Callable[[Unary, Array], Array]:
    return lambda op, x: clamped(x, (low, high))


def logistic(x: Array) -> Array:
    """With the limits of TFLM, from which on it is 1, and an exponential."""
    one, limit = np.float32(1), np.float32(16.619047164916992188)
    usual = one / (one + rounded(np.exp, -x))
    return np.where(x > limit, one, np.where(x < np.float32(-9), rounded(np.exp, x), usual))


def _hard_swish(op: Unary, x: Array) -> Array:
    return x * clamped(x + np.float32(3), (0.0, 6.0)) / np.float32(6)


def _gelu(op: Unary, x: Array) -> Array:
    """x * (1 + erf(x / sqrt(2))) / 2, by the function that loses nothing where x is negative."""
    return np.float32(0.5) * x * rounded(np.vectorize(erfc, otypes=[np.float64]), x * np.float32(-SQRT_HALF))


def _gelu_tanh(op: Unary, x: Array) -> Array:
    """x * (1 + tanh(u)) / 2 as x / (1 + exp(-2 u)): the same, without what the sum loses where x is negative."""
    twice = np.float32(-2 * SQRT_2_OVER_PI) * x * (np.float32(CUBIC) * (x * x) + np.float32(1))
    return x / (rounded(np.exp, twice) + np.float32(1))


FUNCTIONS: dict[str, Callable[[Unary, Array], Array]] = {
    "relu": _between(0.0, np.inf),
    "relu6": _between(0.0, 6.0),
    "relu_n1_to_1": _between(-1.0, 1.0),
    "relu_0_to_1": _between(0.0, 1.0),
    "leaky_relu": lambda op, x: np.where(x > 0, x, x * np.float32(op.alpha)),
    "logistic": lambda op, x: logistic(x),
    "tanh": _exact(np.tanh),
    "hard_swish": _hard_swish,
    "elu": lambda op, x: np.where(x < 0, rounded(np.expm1, x), x),
    "gelu": _gelu,
    "erf": _exact(np.vectorize(erf, otypes=[np.float64])),
    "gelu_tanh": _gelu_tanh,
    "abs": lambda op, x: np.abs(x),
    "neg": lambda op, x: -x,
    "sign": lambda op, x: np.sign(x),
    "square": lambda op, x: x * x,
    "sqrt": lambda op, x: np.sqrt(x),
    "rsqrt": lambda op, x: np.float32(1) / np.sqrt(x),
    "exp": _exact(np.exp),
    "log": _exact(np.log),
    "sin": _exact(np.sin),
    "cos": _exact(np.cos),
    "floor": lambda op, x: np.floor(x),
    "ceil": lambda op, x: np.ceil(x),
    "round": lambda op, x: np.rint(x),
}


def _in_order(start: float | None, combine: Callable[[Array, Array], Array]) -> Callable[[Reduce, Array], Array]:
    """A reduction that takes one value after the other, in the order of the axes that go."""

    def reduced(op: Reduce, x: Array) -> Array:
        kept = tuple(axis for axis in range(x.ndim) if axis not in op.axes)
        lines = x.transpose(*kept, *op.axes).reshape(*(x.shape[axis] for axis in kept), -1)
        result = lines[..., 0] if start is None else np.full(lines.shape[:-1], start, np.float32)
        for position in range(start is None, lines.shape[-1]):
            result = combine(result, lines[..., position])
        return result

    return reduced


def mean(op: Mean, x: Array) -> Array:
    total = _in_order(0.0, np.add)(op, x)
    return np.asarray(total / np.float32(x.size // max(total.size, 1)))


REAL_POINTWISE: dict[type[Op], Callable[..., Array]] = {
    Add: add,
    Mul: mul,
    Div: div,
    Minimum: minimum,
    Maximum: maximum,
    SquaredDifference: squared_difference,
    Softmax: softmax,
    LogSoftmax: log_softmax,
    L2Normalization: l2_normalization,
    Prelu: prelu,
    AddN: add_n,
    FloorDiv: floor_div,
    FloorMod: floor_mod,
    Power: power,
    CumulativeSum: cumulative_sum,
    Unary: unary,
    Mean: mean,
    Sum: _in_order(0.0, np.add),
    ReduceProduct: _in_order(1.0, np.multiply),
    ReduceMax: _in_order(None, np.maximum),
    ReduceMin: _in_order(None, np.minimum),
}
