"""What the operators that work element by element (softmax: row by row) compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model import arithmetic
from smelt.model.arithmetic import Integers, clip_int8, requantize
from smelt.model.graph import Array, Op
from smelt.model.ops import Add, Dequantize, Lookup, Maximum, Minimum, Mul, Quantize, Softmax, Unary
from smelt.model.ops_pointwise import Cast
from smelt.model.parameters import Rescale, add_parameters, mul_parameters, softmax_parameters
from smelt.model.tables import dequantized, quantized
from smelt.model.unary import unary_integers


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
    return unary_integers(op, x.astype(np.int64)).astype(op.y.dtype)


def look_up(op: Lookup, x: Array, table: Array) -> Array:
    """``table[x - least x]``."""
    return np.asarray(table.reshape(-1)[x.astype(np.int64) - op.x.element.low])


def quantize(op: Quantize, x: Array) -> Array:
    return quantized(op, x)


def dequantize(op: Dequantize, x: Array) -> Array:
    return dequantized(op, x.astype(np.int64))


def cast(op: Cast, x: Array) -> Array:
    """Floats towards zero, saturated, NaN to 0; integers wrap; bool from any number is whether it is not 0."""
    if op.y.dtype == "bool":
        return np.asarray(x != 0)
    if x.dtype.kind != "f" or op.y.dtype == "float32":
        return x.astype(op.y.dtype)
    low, high = op.y.element.range
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0)
    inside = (whole >= low) & (whole < high + 1.0)
    exact = np.where(inside, whole, 0).astype(np.int64)
    return np.where(inside, exact, np.where(whole < 0, low, high)).astype(op.y.dtype)


POINTWISE: dict[type[Op], Callable[..., Array]] = {
    Add: add,
    Mul: mul,
    Minimum: minimum,
    Maximum: maximum,
    Softmax: softmax,
    Unary: unary,
    Lookup: look_up,
    Quantize: quantize,
    Dequantize: dequantize,
    Cast: cast,
}
