"""What the operators that work element by element (softmax: row by row) compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model import arithmetic
from smelt.model.arithmetic import Integers, clip_int8, requantize
from smelt.model.graph import Array, Op
from smelt.model.ops import Add, Dequantize, Lookup, Maximum, Minimum, Mul, Quantize, Softmax, Unary
from smelt.model.parameters import Rescale, add_parameters, mul_parameters, softmax_parameters
from smelt.model.tables import dequantize_table, quantize_thresholds, unary_table


def _rescale(x: Integers, by: Rescale) -> Integers:
    return requantize(x, by.multiplier, by.shift)


def _centred(x: Array, zero: int) -> Integers:
    return x.astype(np.int64) - zero


def add(op: Add, x: Array, x2: Array) -> Array:
    """Sum or difference."""
    p = add_parameters(op)
    a = _rescale(_centred(x, p.x_zero) << p.left_shift, p.input)
    b = _rescale(_centred(x2, p.x2_zero) << p.left_shift, p.input2)
    total = _rescale(a - b if p.subtract else a + b, p.output)
    return np.clip(total + p.y_zero, *op.clamp).astype(np.int8)


def mul(op: Mul, x: Array, x2: Array) -> Array:
    p = mul_parameters(op)
    product = _rescale(_centred(x, p.x_zero) * _centred(x2, p.x2_zero), p.output)
    return np.clip(product + p.y_zero, *op.clamp).astype(np.int8)


def minimum(op: Minimum, x: Array, x2: Array) -> Array:
    """Of the stored integers: TFLM takes all three tensors to be quantised alike."""
    return np.asarray(np.minimum(x, x2))


def maximum(op: Maximum, x: Array, x2: Array) -> Array:
    """Of the stored integers: TFLM takes all three tensors to be quantised alike."""
    return np.asarray(np.maximum(x, x2))


def softmax(op: Softmax, x: Array) -> Array:
    """See `SoftmaxParameters`."""
    wide = x.astype(np.int64)
    e = softmax_parameters(op).exponentials.astype(np.int64)[wide.max(axis=-1, keepdims=True) - wide]
    total = arithmetic.wrap32(arithmetic.rounding_shift(e, 12).sum(axis=-1, keepdims=True))
    zeros = arithmetic.leading_zeros32(total)
    scale = arithmetic.one_over_one_plus((total << zeros) - 2**31)
    return clip_int8(arithmetic.rounding_shift(arithmetic.high_product(scale, e), 35 - zeros) - 128)


def unary(op: Unary, x: Array) -> Array:
    return look_up(op, unary_table(op), x)


def lookup(op: Lookup, x: Array, table: Array) -> Array:
    return look_up(op, table, x)


def look_up(op: Unary | Dequantize | Lookup, table: Array, x: Array) -> Array:
    """The entries of a table that begins with the result for the least x."""
    return np.asarray(table.reshape(-1)[x.astype(np.int64) - op.x.element.low])


def quantize(op: Quantize, x: Array) -> Array:
    """NaN becomes -128."""
    reached = np.searchsorted(quantize_thresholds(op), x, side="right")
    return (np.where(np.isnan(x), 0, reached) - 128).astype(np.int8)


def dequantize(op: Dequantize, x: Array) -> Array:
    return look_up(op, dequantize_table(op), x)


POINTWISE: dict[type[Op], Callable[..., Array]] = {
    Add: add,
    Mul: mul,
    Minimum: minimum,
    Maximum: maximum,
    Softmax: softmax,
    Unary: unary,
    Lookup: lookup,
    Quantize: quantize,
    Dequantize: dequantize,
}
