"""What the operators compute that reduce axes, or look at whole rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model import arithmetic
from smelt.model.arithmetic import Integers, requantize, wrap32
from smelt.model.graph import Array, Op
from smelt.model.interpolated import look_up_interpolated
from smelt.model.logarithm import logarithm
from smelt.model.ops import Mean, Reduce, Softmax
from smelt.model.ops_pointwise import (
    ArgMax,
    ArgMin,
    CumulativeSum,
    L2Normalization,
    LogSoftmax,
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    Sum,
)
from smelt.model.parameters import mean_parameters, softmax_parameters
from smelt.model.parameters_pointwise import common_scale
from smelt.model.parameters_reduce import log_softmax_parameters, softmax16_parameters, sum_parameters
from smelt.model.roots import inverse_square_root
from smelt.model.unary import is_scaled


def _stored(op: Op, y: Integers) -> Array:
    """Saturated to what y can hold."""
    return np.asarray(np.clip(y, *op.y.element.range), op.y.element.numpy)


def total(op: Mean | Sum, x: Array) -> Array:
    """The sum of all along the axes, requantised; the factor of a mean contains its division. Plain integers wrap."""
    summed: Integers = np.asarray(x.sum(axis=op.axes, dtype=np.int64)).reshape(op.y.shape)
    if isinstance(op, Mean) and op.rescale is not None:
        return _stored(op, op.rescale.apply(summed - x.size // summed.size * op.rescale.x_zero))
    if not is_scaled(op.x.dtype):
        return np.asarray(summed, op.y.element.numpy)
    p = mean_parameters(op) if isinstance(op, Mean) else sum_parameters(op)
    return _stored(op, requantize(wrap32(summed) - p.count * p.x_zero, p.output.multiplier, p.output.shift) + p.y_zero)


def _reduced(function: Callable[..., Array]) -> Callable[[Reduce, Array], Array]:
    """A reduction of stored values."""

    def reduce(op: Reduce, x: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(function(x, axis=op.axes), x.dtype)

    return reduce


def _product(x: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.prod(x, axis=axis, dtype=x.dtype))


def arg_max(op: ArgMax, x: Array) -> Array:
    return np.asarray(np.argmax(_comparable(x, op.axis, -np.inf), axis=op.axis), op.y.element.numpy)


def arg_min(op: ArgMin, x: Array) -> Array:
    return np.asarray(np.argmin(_comparable(x, op.axis, np.inf), axis=op.axis), op.y.element.numpy)


def _comparable(x: Array, axis: int, least: float) -> Array:
    """x without what is no number: nothing is greater or less than that, so that it never wins, unless it comes first: then nothing
    beats it."""
    if x.dtype.kind != "f":
        return x
    numbers = np.where(np.isnan(x), np.float32(least), x)
    first = np.isnan(np.take(x, [0], axis))
    return np.where(first, np.float32(0), numbers)


def cumulative_sum(op: CumulativeSum, x: Array) -> Array:
    """Of integers with a scale, sums start at minus the zero point of x, as the oracle's do."""
    if not is_scaled(op.x.dtype):
        return np.asarray(_running(op, x.astype(np.int64)), op.y.element.numpy)
    p = common_scale(op.x.q, op.y.q)
    sums = wrap32((_running(op, x.astype(np.int64) - p.x_zero) - p.x_zero) * p.step)
    return _stored(op, requantize(sums, p.output.multiplier, p.output.shift) + p.y_zero)


def _running(op: CumulativeSum, terms: Integers) -> Integers:
    terms = np.flip(terms, op.axis) if op.reverse else terms
    sums: Integers = np.cumsum(terms, axis=op.axis) - (terms if op.exclusive else 0)
    return np.flip(sums, op.axis) if op.reverse else sums


def softmax(op: Softmax, x: Array) -> Array:
    """See `SoftmaxParameters`."""
    if op.x.dtype == "int16":
        return _softmax16(op, x.astype(np.int64))
    wide, p = x.astype(np.int64), softmax_parameters(op)
    differences = wide.max(axis=-1, keepdims=True) - wide
    e = p.exponentials.astype(np.int64)[differences]
    summed = wrap32(arithmetic.rounding_shift(e, 12).sum(axis=-1, keepdims=True))
    zeros = arithmetic.leading_zeros32(summed)
    scale = arithmetic.one_over_one_plus((summed << zeros) - 2**31)
    high = arithmetic.high_product(scale, p.results.astype(np.int64)[differences])
    return _stored(op, arithmetic.rounding_shift(high, 43 - p.fraction_bits - zeros) + p.y_zero)


def _softmax16(op: Softmax, x: Integers) -> Array:
    """See `Softmax16Parameters`."""
    p = softmax16_parameters(op)
    differences = requantize(x - x.max(axis=-1, keepdims=True), p.input.multiplier, p.input.shift)
    e = look_up_interpolated(p.exponentials, np.clip(differences + 32767, -32768, 32767))
    summed = e.sum(axis=-1, keepdims=True)
    zeros = arithmetic.leading_zeros32(summed)
    position = (((summed << (zeros - 1)) + (1 << 13)) >> 14) - 98304
    inverse = look_up_interpolated(p.reciprocals, np.clip(position, -32768, 32767))
    result = (e * inverse + (np.int64(1) << (30 - zeros))) >> (31 - zeros)
    return _stored(op, np.maximum(result, 0))


def log_softmax(op: LogSoftmax, x: Array) -> Array:
    """See `LogSoftmaxParameters`."""
    p, wide = log_softmax_parameters(op), x.astype(np.int64)
    difference = wide - wide.max(axis=-1, keepdims=True)
    used = difference >= p.diff_min
    scaled = requantize(np.where(used, difference, 0), p.input.multiplier, p.input.shift)
    e = np.where(used, arithmetic.rounding_shift(arithmetic.exp_on_negative(scaled, 5), 12), 0)
    log = logarithm(wrap32(e.sum(axis=-1, keepdims=True)))
    least = requantize(wrap32(log - 2**31), p.reverse.multiplier, p.reverse.shift)
    scaled = requantize(np.maximum(difference, p.diff_min - 1), p.input.multiplier, p.input.shift)
    result = _stored(op, arithmetic.rounding_shift(scaled - log, 22) + 127)
    return np.where(difference > np.maximum(p.diff_min - 1, least), result, -128).astype(np.int8)


def l2_normalization(op: L2Normalization, x: Array) -> Array:
    """y is taken to have scale 1/128 and zero point 0."""
    distance = x.astype(np.int64) - op.x.q.zero_point
    inverse, exponent = inverse_square_root(wrap32((distance**2).sum(axis=-1, keepdims=True)))
    return _stored(op, requantize(distance, inverse, exponent + 7))


REDUCING: dict[type[Op], Callable[..., Array]] = {
    Mean: total,
    Sum: total,
    ReduceMax: _reduced(np.max),
    ReduceMin: _reduced(np.min),
    ReduceAll: _reduced(np.all),
    ReduceAny: _reduced(np.any),
    ReduceProduct: _reduced(_product),
    ArgMax: arg_max,
    ArgMin: arg_min,
    CumulativeSum: cumulative_sum,
    Softmax: softmax,
    LogSoftmax: log_softmax,
    L2Normalization: l2_normalization,
}
