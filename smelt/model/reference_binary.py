"""What the operators of two and more operands that work element by element compute."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from smelt.model import arithmetic
from smelt.model.arithmetic import Integers, requantize, wrap32
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Add, Clamp, Maximum, Minimum, Mul
from smelt.model.ops_pointwise import (
    AddN,
    Compare,
    Div,
    FloorDiv,
    FloorMod,
    LogicalAnd,
    LogicalOr,
    Power,
    Prelu,
    Relation,
    Select,
    SquaredDifference,
)
from smelt.model.parameters import Factor, add_parameters, mul_parameters
from smelt.model.parameters_pointwise import (
    common_scale,
    compare_parameters,
    div_parameters,
    prelu_parameters,
    squared_difference_parameters,
)
from smelt.model.unary import is_scaled


def _rescale(x: Integers, by: Factor) -> Integers:
    return requantize(x, by.multiplier, by.shift)


def _centred(x: Array, zero: int) -> Integers:
    return x.astype(np.int64) - zero


def _stored(op: Op, y: Integers, clamp: Clamp | None = None) -> Array:
    """Limited to `clamp`, else to what y can hold."""
    return np.clip(y, *(clamp or op.y.element.range)).astype(op.y.element.numpy)


def _wrapped(y: Tensor, values: Array, clamp: Clamp) -> Array:
    """Plain integers: they wrap, and are limited after that."""
    return np.asarray(np.clip(values.astype(y.element.numpy), *clamp), y.element.numpy)


def _plain(function: Callable[[Array, Array], Array], op: Add | Mul | Div, x: Array, x2: Array) -> Array:
    with np.errstate(over="ignore"):
        return _wrapped(op.y, function(x, x2), op.clamp)


def add(op: Add, x: Array, x2: Array) -> Array:
    """Sum or difference."""
    if op.terms is not None:
        return _stored(op, op.terms.apply(x.astype(np.int64), x2.astype(np.int64)), op.clamp)
    if not is_scaled(op.y.dtype):
        return _plain(operator.sub if op.subtract else operator.add, op, x, x2)
    p = add_parameters(op)
    a = _rescale(_centred(x, p.x_zero) << p.left_shift, p.input)
    b = _rescale(_centred(x2, p.x2_zero) << p.left_shift, p.input2)
    total = _rescale(a - b if p.subtract else a + b, p.output)
    return _stored(op, total + p.y_zero, op.clamp)


def mul(op: Mul, x: Array, x2: Array) -> Array:
    if not is_scaled(op.y.dtype):
        return _plain(operator.mul, op, x, x2)
    if op.rescale is not None:
        total = _centred(x, op.x.q.zero_point) * _centred(x2, op.x2.q.zero_point)
        return _stored(op, op.rescale.apply(total), op.clamp)
    p = mul_parameters(op)
    product = _rescale(_centred(x, p.x_zero) * _centred(x2, p.x2_zero), p.output)
    return _stored(op, product + p.y_zero, op.clamp)


def squared_difference(op: SquaredDifference, x: Array, x2: Array) -> Array:
    if not is_scaled(op.y.dtype):
        with np.errstate(over="ignore"):
            return np.asarray((x - x2) * (x - x2))
    p = squared_difference_parameters(op)
    a = _rescale(_centred(x, p.x_zero) << p.left_shift, p.input)
    b = _rescale(_centred(x2, p.x2_zero) << p.left_shift, p.input2)
    return _stored(op, _rescale((a - b) ** 2, p.output) + p.y_zero)


def div(op: Div, x: Array, x2: Array) -> Array:
    """Of plain integers towards zero, and 0 where x2 is 0 (which the oracle refuses when it meets it)."""
    if not is_scaled(op.y.dtype):
        return _plain(_quotient, op, x, x2)
    p = div_parameters(op)
    a, b = _centred(x, p.x_zero), _centred(x2, p.x2_zero)
    a, b = np.where(b < 0, -a, a), np.abs(b)
    headroom = arithmetic.leading_zeros32(np.maximum(b, 1))
    inverse = arithmetic.one_over_one_plus((np.maximum(b, 1) << headroom) - 2**31)
    spare = 31 - np.frexp(np.where(a < 0, -1 - a, a).astype(np.float64))[1].astype(np.int64)
    high = arithmetic.high_product(arithmetic.high_product(a << spare, inverse), p.output.multiplier)
    right = (31 - headroom) + spare - p.output.shift
    quotient = arithmetic.rounding_shift(high, np.clip(right, 0, 62))
    return _stored(op, np.where(b == 0, 0, quotient) + p.y_zero, op.clamp)


def _quotient(x: Array, x2: Array) -> Array:
    wide, divisor = x.astype(np.int64), np.where(x2 == 0, 1, x2).astype(np.int64)
    quotient = np.sign(wide) * np.sign(divisor) * (np.abs(wide) // np.abs(divisor))
    return np.where(x2 == 0, 0, quotient)


def floor_div(op: FloorDiv, x: Array, x2: Array) -> Array:
    """0 where x2 is 0."""
    return np.where(x2 == 0, 0, np.floor_divide(x, np.where(x2 == 0, 1, x2))).astype(x.dtype)


def floor_mod(op: FloorMod, x: Array, x2: Array) -> Array:
    """0 where x2 is 0."""
    return np.where(x2 == 0, 0, np.mod(x, np.where(x2 == 0, 1, x2))).astype(x.dtype)


def power(op: Power, x: Array, x2: Array) -> Array:
    """Of plain integers, which wrap; 0 for negative exponents (which the oracle refuses when it meets them)."""
    with np.errstate(over="ignore"):
        return np.where(x2 < 0, 0, np.power(x, np.maximum(x2, 0))).astype(x.dtype)


def minimum(op: Minimum, x: Array, x2: Array) -> Array:
    """Of the stored integers: TFLM takes all three tensors to be quantised alike."""
    return np.asarray(np.minimum(x, x2))


def maximum(op: Maximum, x: Array, x2: Array) -> Array:
    """Of the stored integers: TFLM takes all three tensors to be quantised alike."""
    return np.asarray(np.maximum(x, x2))


RELATIONS: dict[Relation, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def compare(op: Compare, x: Array, x2: Array) -> Array:
    """Integers with a scale are brought to 8 more bits, each with its own rounding, before they are compared."""
    if is_scaled(op.x.dtype):
        p = compare_parameters(op)
        x = _rescale(_centred(x, p.x_zero) << p.left_shift, p.input)
        x2 = _rescale(_centred(x2, p.x2_zero) << p.left_shift, p.input2)
    return np.asarray(RELATIONS[op.relation](x, x2))


def logical_and(op: LogicalAnd, x: Array, x2: Array) -> Array:
    return np.asarray(x & x2)


def logical_or(op: LogicalOr, x: Array, x2: Array) -> Array:
    return np.asarray(x | x2)


def select(op: Select, condition: Array, x: Array, x2: Array) -> Array:
    return np.broadcast_to(np.where(condition, x, x2), op.y.shape)


def prelu(op: Prelu, x: Array, alpha: Array) -> Array:
    p = prelu_parameters(op)
    d = _centred(x, p.x_zero)
    below = _rescale(d * _centred(alpha, p.x2_zero), p.input2)
    return _stored(op, np.where(d >= 0, _rescale(d, p.input), below) + p.y_zero)


def add_n(op: AddN, *xs: Array) -> Array:
    """The sum starts at minus the zero point of x, as the oracle's does."""
    p = common_scale(op.xs[0].q, op.y.q)
    steps = np.sum([_centred(x, p.x_zero) for x in xs], axis=0) - p.x_zero
    total = wrap32(steps * p.step)
    return _stored(op, _rescale(total, p.output) + p.y_zero)


BINARY: dict[type[Op], Callable[..., Array]] = {
    Add: add,
    Mul: mul,
    SquaredDifference: squared_difference,
    Div: div,
    FloorDiv: floor_div,
    FloorMod: floor_mod,
    Power: power,
    Minimum: minimum,
    Maximum: maximum,
    Compare: compare,
    LogicalAnd: logical_and,
    LogicalOr: logical_or,
    Select: select,
    Prelu: prelu,
    AddN: add_n,
}
