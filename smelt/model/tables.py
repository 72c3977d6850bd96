"""Operators that are tables: functions of one byte (256 entries) and the thresholds between float32 and int8."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Quantization, Tensor
from smelt.model.ops import Dequantize, Quantize, Unary
from smelt.model.unary import unary_integers


def every_value(x: Tensor) -> NDArray[np.int64]:
    """The 256 values of a tensor of 8-bit integers, in order."""
    low, high = x.element.range
    return np.arange(low, high + 1, dtype=np.int64)


def unary_table(op: Unary) -> Array:
    """The 256 results of `op`, of an 8-bit x, beginning with that for the least x."""
    return unary_integers(op, every_value(op.x)).astype(op.y.element.numpy)


def dequantize_table(op: Dequantize) -> NDArray[np.float32]:
    """The 256 results of `op`, of an 8-bit x, beginning with that for the least x."""
    return dequantized(op, every_value(op.x))


def dequantized(op: Dequantize, x: NDArray[np.int64]) -> NDArray[np.float32]:
    """The real numbers that stored integers stand for."""
    return dequantize_integers(x, op.x)


def dequantize_integers(integers: NDArray[Any], tensor: Tensor) -> NDArray[np.float32]:
    """The real numbers that stored integers of `tensor` stand for, in float32 as TensorFlow Lite Micro and onnxruntime compute."""
    with np.errstate(over="ignore"):  # `representable` refuses what becomes infinite
        distances = (np.asarray(integers, np.int64) - tensor.q.zero_point).astype(np.float32)
        return (np.float32(tensor.q.scale) * distances).astype(np.float32)


def quantize_floats(reals: NDArray[Any], tensor: Tensor) -> Array:
    """The integers that `tensor` stores for real numbers, in onnxruntime's arithmetic; NaN becomes the least."""
    return quantized_within(reals, tensor.q, *tensor.element.range).astype(tensor.element.numpy)


def quantized_within(reals: NDArray[Any], q: Quantization, least: float, most: float) -> NDArray[np.float64]:
    """The integers that stand for real numbers within limits, as onnxruntime computes them: sat(rne(f32(x / scale)) + zero point),
    NaN as the least."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        steps = np.rint(np.asarray(reals, np.float32) / np.float32(q.scale)).astype(np.float64)
    steps = np.nan_to_num(steps, nan=-inf, posinf=inf, neginf=-inf)
    return np.asarray(np.clip(steps + q.zero_point, least, most), np.float64)


def quantize_thresholds(op: Quantize) -> NDArray[np.float32]:
    """255 ascending thresholds, where y has 8 bits: y = its least value + the number of thresholds <= x.

    Equal to TFLM for every x that C defines; x beyond the range of int32 steps saturates, and NaN gives the least value (TFLM's
    conversion is undefined there). Thresholds beyond the largest float32 are infinite.
    """
    low, high = np.full(255, _ordinal(-np.inf)), np.full(255, _ordinal(np.inf))
    wanted = op.y.element.low + np.arange(1, 256)
    while np.any(low < high):
        middle = (low + high) >> 1
        reached = _quantize(_from_ordinal(middle), op) >= wanted
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return _from_ordinal(high)


def quantized(op: Quantize, x: Array) -> Array:
    """The stored integers for real numbers; NaN becomes the least."""
    least, most = op.y.element.range
    steps = np.nan_to_num(_quantize(x, op), nan=least, posinf=most, neginf=least)
    return np.clip(steps, least, most).astype(op.y.element.numpy)


def _quantize(x: NDArray[np.float32], op: Quantize) -> NDArray[np.float64]:
    """The result for each x before saturation, straight from the definition."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = (x / np.float32(op.y.q.scale)).astype(np.float64)
    rounded = np.rint(steps) if op.rounding == "ties_even" else np.trunc(steps + np.copysign(0.5, steps))
    return np.asarray(rounded + op.y.q.zero_point)


def _ordinal(x: float) -> int:
    """The position of a float32 among all of them in ascending order."""
    bits = int(np.float32(x).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _from_ordinal(ordinal: NDArray[np.int64]) -> NDArray[np.float32]:
    magnitude = np.abs(ordinal).astype(np.uint32)
    return (magnitude | np.where(ordinal < 0, np.uint32(1 << 31), np.uint32(0)).astype(np.uint32)).view(np.float32)
