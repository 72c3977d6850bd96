"""Functions of one integer, of every integer type that has them: what the stored integers of x become in y."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, exp, log, sqrt, tanh

import numpy as np

from smelt.errors import ModelError
from smelt.model import arithmetic, arithmetic16
from smelt.model.arithmetic import Integers, float32, quantize_multiplier, requantize, round_half_away, wrap32
from smelt.model.dtypes import DType
from smelt.model.graph import Quantization, Tensor
from smelt.model.interpolated import interpolated_table, look_up_interpolated
from smelt.model.ops import Unary
from smelt.model.roots import inverse_square_root

SQRT_HALF = sqrt(0.5)
SQRT_2_OVER_PI, CUBIC = 0.7978845608028654, 0.044715  # of the approximation of GELU by tanh


def is_scaled(dtype: DType) -> bool:
    """Whether integers of this type stand for reals by a scale and a zero point; others are plain numbers."""
    return dtype in ("int8", "uint8", "int16")


def unary_integers(op: Unary, x: Integers) -> Integers:
    """The result for each stored integer `x`. Raises ModelError where integers have no such function."""
    function = PLAIN.get(op.function) if not is_scaled(op.x.dtype) else _scaled(op)
    if function is None:
        raise ModelError(f"{op.function} of {op.x.dtype} is not defined")
    return function(op, x)


def _scaled(op: Unary) -> Callable[[Unary, Integers], Integers] | None:
    if op.function in REALS:
        return _looked_up
    wide = SCALED16.get(op.function) if op.x.dtype == "int16" else None
    return wide or SCALED.get(op.function)


def _saturated(op: Unary, y: Integers) -> Integers:
    return np.clip(y, *op.y.element.range)


def _centred(op: Unary, x: Integers) -> Integers:
    return wrap32(x - op.x.q.zero_point)


def _requantized(op: Unary, x: Integers) -> Integers:
    """Before saturation."""
    scaled = requantize(_centred(op, x), *quantize_multiplier(op.x.q.scale / op.y.q.scale))
    return scaled + op.y.q.zero_point


def _requantize(op: Unary, x: Integers) -> Integers:
    return _saturated(op, _requantized(op, x))


def _relu(op: Unary, x: Integers) -> Integers:
    return np.maximum(_requantize(op, x), op.y.q.zero_point)


def _relu6(op: Unary, x: Integers) -> Integers:
    """TFLM clamps x's own integers and takes y to be quantised as x is."""
    six = round_half_away(float32(6 / op.x.q.scale)) + op.x.q.zero_point
    return _saturated(op, np.clip(x, op.x.q.zero_point, six))


def _between(low: float, high: float) -> Callable[[Unary, Integers], Integers]:
    def clamp(op: Unary, x: Integers) -> Integers:
        return np.clip(_requantize(op, x), *limits_of(op.y, low, high))

    return clamp


def limits_of(y: Tensor, low: float, high: float) -> tuple[int, int]:
    """Real limits in stored integers of y."""
    least, most = (round_half_away(float32(end / y.q.scale)) + y.q.zero_point for end in (low, high))
    return max(least, y.element.low), min(most, y.element.high)


def _leaky_relu(op: Unary, x: Integers) -> Integers:
    centred = _centred(op, x)
    above = requantize(centred, *quantize_multiplier(op.x.q.scale / op.y.q.scale))
    # A negative slope is requantised by its magnitude: halves of negative times negative go towards zero, as TFLM's do.
    slope = quantize_multiplier(op.x.q.scale * abs(float32(op.alpha)) / op.y.q.scale)
    below = requantize(centred, *slope) * (-1 if op.alpha < 0 else 1)
    return _saturated(op, np.where(centred >= 0, above, below) + op.y.q.zero_point)


def _fixed_point(op: Unary, x: Integers) -> tuple[Integers, int]:
    """x with four integer bits, and the distance from zero (in steps of x) where that range ends."""
    multiplier, shift = quantize_multiplier(op.x.q.scale * 2**27)
    return requantize(_centred(op, x), multiplier, shift), arithmetic.input_radius(4, shift)


def _ended(op: Unary, x: Integers, radius: int, values: Integers) -> Integers:
    """`values`, but the ends of y's range where x is `radius` or more from zero."""
    centred, (least, most) = _centred(op, x), op.y.element.range
    return _saturated(op, np.where(centred <= -radius, least, np.where(centred >= radius, most, values)))


def _logistic(op: Unary, x: Integers) -> Integers:
    """y is taken to have scale 1/256 and zero point -128."""
    fixed, radius = _fixed_point(op, x)
    return _ended(op, x, radius, arithmetic.rounding_shift(arithmetic.logistic(fixed, 4), 23) - 128)


def _tanh(op: Unary, x: Integers) -> Integers:
    """y is taken to have scale 1/128 and zero point 0."""
    fixed, radius = _fixed_point(op, x)
    return _ended(op, x, radius, arithmetic.rounding_shift(arithmetic.tanh(fixed, 4), 24))


def _logistic16(op: Unary, x: Integers) -> Integers:
    """y is taken to have scale 2**-15 and zero point 0."""
    return arithmetic16.logistic16(x, arithmetic16.table_input(op.x.q.scale, tanh=False))


def _tanh16(op: Unary, x: Integers) -> Integers:
    """y is taken to have scale 2**-15 and zero point 0."""
    return arithmetic16.tanh16(x, arithmetic16.table_input(op.x.q.scale, tanh=True))


def _multiplier16(real: float) -> tuple[int, int]:
    """`quantize_multiplier` with 15 fraction bits instead of 31."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1), shift


def _hard_swish(op: Unary, x: Integers) -> Integers:
    """x * min(max(x + 3, 0), 6) / 6 in 16-bit fixed point."""
    fine_scale = float32(op.x.q.scale / 128)
    multiplier, shift = _multiplier16(fine_scale / op.y.q.scale)
    fine = _centred(op, x) << 7
    value = arithmetic.high_product(fine, multiplier, 16)
    gate = (_hard_swish_gate(fine, fine_scale) + (1 << 15)) >> 1
    product = gate * value
    scaled = np.sign(product) * (np.abs(product) >> 15)
    return _saturated(op, _rounding_shift16(scaled, -shift) + op.y.q.zero_point)


def _hard_swish_gate(fine: Integers, fine_scale: float) -> Integers:
    """x / 3 saturated to -1..1, with 15 fraction bits."""
    multiplier, shift = _multiplier16(fine_scale / (3 / 32768))
    # The last bit of a left shift comes after the product, so that what saturates is what would have saturated anyway.
    gate = arithmetic.saturating_shift(fine, max(shift - 1, 0), 16)
    gate = arithmetic.high_product(gate, multiplier, 16)
    if shift > 0:
        return arithmetic.saturating_shift(gate, 1, 16)
    return _rounding_shift16(gate, -shift)


def _rounding_shift16(x: Integers, exponent: int) -> Integers:
    """`rounding_shift` with a 16-bit mask: shifts of 16 and more give 1 for x >= 0 and -1 for x < 0, as TFLM has it."""
    if exponent < 16:
        return arithmetic.rounding_shift(x, exponent)
    return np.where(x >= 0, 1, -1)


def _abs(op: Unary, x: Integers) -> Integers:
    scaled = requantize(np.abs(_centred(op, x)), *quantize_multiplier(op.x.q.scale / op.y.q.scale))
    return _saturated(op, scaled + op.y.q.zero_point)


ROOT_BITS = 20


def rsqrt_scale(x: Quantization, y: Quantization) -> tuple[int, int]:
    """Multiplier and shift that bring 1 / sqrt(stored x) with 20 fraction bits to y's scale."""
    multiplier, shift = quantize_multiplier(1.0 / (float32(sqrt(x.scale)) * y.scale))
    return multiplier, shift - ROOT_BITS


def _rsqrt(op: Unary, x: Integers) -> Integers:
    """The greatest y for x = 0, and for negative x, which the oracle refuses when it meets them."""
    distance = _centred(op, x)
    inverse, exponent = inverse_square_root(np.maximum(distance, 1))
    scaled = requantize(requantize(np.ones_like(x), inverse, exponent + ROOT_BITS), *rsqrt_scale(op.x.q, op.y.q))
    most = op.y.element.high
    return np.where(distance <= 0, most, _saturated(op, scaled + op.y.q.zero_point))


def _looked_up(op: Unary, x: Integers) -> Integers:
    """Computed in single precision for each of 256 values; of int16, between 513 that are computed."""
    real = real_function(op)
    if op.x.dtype == "int16":
        return look_up_interpolated(interpolated_table(real, op.x.q, op.y.q), x)
    with np.errstate(over="ignore", invalid="ignore"):  # infinity saturates, too
        values = np.float32(op.x.q.scale) * _centred(op, x).astype(np.float32)
        results = np.array([real(float(v)) for v in values.reshape(-1)], np.float32).reshape(values.shape)
        steps = (results * np.float32(1 / np.float32(op.y.q.scale))).astype(np.float64)
    steps = np.clip(np.nan_to_num(steps), -(2.0**31), 2.0**31)  # far beyond what y has
    rounded = np.trunc(steps + np.copysign(0.5, steps)).astype(np.float32)
    return _saturated(op, np.trunc((rounded + np.float32(op.y.q.zero_point)).astype(np.float64)).astype(np.int64))


def real_function(op: Unary) -> Callable[[float], float]:
    """What a table holds. Where there is no logarithm, the least y."""
    if op.function != "log":
        return REALS[op.function]
    least = op.y.q.scale * (op.y.element.low - op.y.q.zero_point)
    return lambda x: log(x) if x > 0 else least


def _elu(x: float) -> float:
    return x if x >= 0 else float(np.float32(np.float32(exp(x)) - np.float32(1)))


def _gelu(x: float) -> float:
    return 0.5 * x * erfc(-x * SQRT_HALF)


def _gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + CUBIC * x**3)))


def _exp(x: float) -> float:
    return exp(min(x, 88.7))  # float32 knows no more; y saturates long before


REALS: dict[str, Callable[[float], float]] = {
    "elu": _elu, "gelu": _gelu, "gelu_tanh": _gelu_tanh, "exp": _exp, "log": log,
}  # fmt: skip
"""Functions whose integers are tables of what single precision gives."""

SCALED: dict[str, Callable[[Unary, Integers], Integers]] = {
    "requantize": _requantize,
    "relu": _relu,
    "relu6": _relu6,
    "relu_n1_to_1": _between(-1, 1),
    "relu_0_to_1": _between(0, 1),
    "leaky_relu": _leaky_relu,
    "logistic": _logistic,
    "tanh": _tanh,
    "hard_swish": _hard_swish,
    "abs": _abs,
    "rsqrt": _rsqrt,
}
SCALED16: dict[str, Callable[[Unary, Integers], Integers]] = {"logistic": _logistic16, "tanh": _tanh16}
"""What int16 has instead."""


def _wrapped(op: Unary, y: Integers) -> Integers:
    return y.astype(op.y.element.numpy).astype(np.int64)


PLAIN: dict[str, Callable[[Unary, Integers], Integers]] = {
    "requantize": _requantize,
    "abs": lambda op, x: _wrapped(op, np.abs(x)),
    "neg": lambda op, x: _wrapped(op, -x),
    "sign": lambda op, x: np.sign(x),
    "square": lambda op, x: _wrapped(op, x * x),
    "not": lambda op, x: np.where(x == 0, 1, 0),
}
"""Of int32 and int64, which wrap, and of bool."""
