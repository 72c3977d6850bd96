"""Operators that are tables: functions of one byte (256 entries) and the thresholds between float32 and int8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.errors import ModelError
from smelt.model import arithmetic
from smelt.model.arithmetic import Integers, float32, quantize_multiplier, requantize, round_half_away
from smelt.model.graph import Tensor
from smelt.model.ops import Dequantize, Quantize, Unary

Table = NDArray[Any]


def every_value(x: Tensor) -> Integers:
    """All values that an element of one byte can have, in order: the operands of a table."""
    low, high = x.element.range
    return np.arange(low, high + 1, dtype=np.int64)


def unary_table(op: Unary) -> Table:
    """The 256 results of `op`: the first is that of the least x."""
    match op.function:
        case "relu":
            return _relu(op)
        case "relu6":
            return _relu6(op)
        case "leaky_relu":
            return _leaky_relu(op)
        case "logistic":
            return _logistic(op)
        case "tanh":
            return _tanh(op)
        case "hard_swish":
            return _hard_swish(op)
        case "requantize":
            return _requantize(op)
    raise ModelError(f"unknown unary function '{op.function}'")


def _centred(op: Unary) -> Integers:
    return every_value(op.x) - op.x.q.zero_point


def _clipped(op: Unary, values: Integers) -> Table:
    """Results of the type of y, saturated."""
    return np.clip(values, *op.y.element.range).astype(op.y.element.numpy)


def _requantize(op: Unary) -> Table:
    scaled = requantize(_centred(op), *quantize_multiplier(op.x.q.scale / op.y.q.scale))
    return _clipped(op, scaled + op.y.q.zero_point)


def _relu(op: Unary) -> Table:
    return np.asarray(np.maximum(_requantize(op), op.y.q.zero_point), op.y.element.numpy)


def _relu6(op: Unary) -> Table:
    """TFLM clamps x's own integers and takes y to be quantised as x is."""
    zero = op.x.q.zero_point
    six = min(round_half_away(float32(6 / op.x.q.scale)) + zero, op.x.element.high)
    return _clipped(op, np.clip(every_value(op.x), zero, six))


def _leaky_relu(op: Unary) -> Table:
    x = _centred(op)
    above = requantize(x, *quantize_multiplier(op.x.q.scale / op.y.q.scale))
    # A negative slope is requantised by its magnitude: halves of negative times negative go towards zero, as TFLM's do.
    slope = quantize_multiplier(op.x.q.scale * abs(float32(op.alpha)) / op.y.q.scale)
    below = requantize(x, *slope) * (-1 if op.alpha < 0 else 1)
    return _clipped(op, np.where(x >= 0, above, below) + op.y.q.zero_point)


def _fixed_point(op: Unary) -> tuple[Integers, int]:
    """x with four integer bits, and the distance from zero (in steps of x) where that range ends."""
    multiplier, shift = quantize_multiplier(op.x.q.scale * 2**27)
    return requantize(_centred(op), multiplier, shift), arithmetic.input_radius(4, shift)


def _saturate(op: Unary, radius: int, values: Integers) -> Table:
    x = _centred(op)
    return _clipped(op, np.where(x <= -radius, -128, np.where(x >= radius, 127, values)))


def _logistic(op: Unary) -> Table:
    """y is taken to have scale 1/256 and zero point -128."""
    x, radius = _fixed_point(op)
    return _saturate(op, radius, arithmetic.rounding_shift(arithmetic.logistic(x, 4), 23) - 128)


def _tanh(op: Unary) -> Table:
    """y is taken to have scale 1/128 and zero point 0."""
    x, radius = _fixed_point(op)
    return _saturate(op, radius, arithmetic.rounding_shift(arithmetic.tanh(x, 4), 24))


def _multiplier16(real: float) -> tuple[int, int]:
    """`quantize_multiplier` with 15 fraction bits instead of 31."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1), shift


def _hard_swish(op: Unary) -> Table:
    """x * min(max(x + 3, 0), 6) / 6 in 16-bit fixed point."""
    fine_scale = float32(op.x.q.scale / 128)
    multiplier, shift = _multiplier16(fine_scale / op.y.q.scale)
    fine = _centred(op) << 7
    value = arithmetic.high_product(fine, multiplier, 16)
    gate = (_hard_swish_gate(fine, fine_scale) + (1 << 15)) >> 1
    product = gate * value
    scaled = np.sign(product) * (np.abs(product) >> 15)
    return _clipped(op, _rounding_shift16(scaled, -shift) + op.y.q.zero_point)


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


def dequantize_table(op: Dequantize) -> NDArray[np.float32]:
    """The 256 results of `op`: the first is that of the least x."""
    with np.errstate(over="ignore"):  # `representable` refuses what becomes infinite
        return (np.float32(op.x.q.scale) * (every_value(op.x) - op.x.q.zero_point).astype(np.float32)).astype(
            np.float32
        )


def quantize_thresholds(op: Quantize) -> NDArray[np.float32]:
    """255 ascending thresholds: y = -128 + the number of thresholds <= x.

    Equal to TFLM for every x that C defines; x beyond the range of int32 steps saturates, and NaN gives -128 (TFLM's
    conversion is undefined there). Thresholds beyond the largest float32 are infinite.
    """
    low, high = np.full(255, _ordinal(-np.inf)), np.full(255, _ordinal(np.inf))
    wanted = np.arange(-127, 128)
    while np.any(low < high):
        middle = (low + high) >> 1
        reached = _quantize(_from_ordinal(middle), op) >= wanted
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return _from_ordinal(high)


def _quantize(x: NDArray[np.float32], op: Quantize) -> NDArray[np.float64]:
    """The result for each x before saturation, straight from the definition."""
    with np.errstate(over="ignore"):
        steps = (x / np.float32(op.y.q.scale)).astype(np.float64)
    return np.trunc(steps + np.copysign(0.5, steps)) + op.y.q.zero_point


def _ordinal(x: float) -> int:
    """The position of a float32 among all of them in ascending order."""
    bits = int(np.float32(x).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _from_ordinal(ordinal: NDArray[np.int64]) -> NDArray[np.float32]:
    magnitude = np.abs(ordinal).astype(np.uint32)
    return (magnitude | np.where(ordinal < 0, np.uint32(1 << 31), np.uint32(0)).astype(np.uint32)).view(np.float32)
