"""The integers derived from an operator's quantisation: the one source that kernels and the reference share.

Everything that TensorFlow Lite Micro computes in floating point while it prepares a model is computed here, in the same
precision and order, so that what is left for run time is integer arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from smelt.model import arithmetic
from smelt.model.arithmetic import float32, quantize_multiplier
from smelt.model.graph import Tensor
from smelt.model.ops import (
    Add,
    Mean,
    Mul,
    Pool,
    Resize,
    ResizeBilinear,
    ResizeNearest,
    Softmax,
)
from smelt.model.tables import dequantize_table as dequantize_table
from smelt.model.tables import quantize_thresholds as quantize_thresholds
from smelt.model.tables import unary_table as unary_table

Int32s = NDArray[np.int32]


@dataclass(frozen=True)
class Factor:
    """One multiplier and its shift (positive to the left), for `arithmetic.requantize`."""

    multiplier: int
    shift: int


@dataclass(frozen=True)
class AddParameters:
    """With a_i = requantize((x_i - x_i_zero) << left_shift, *input_i):

    y = clamp(requantize(a_1 + a_2, *output) + y_zero), with a_1 - a_2 where the op subtracts.
    """

    left_shift: int
    input: Factor
    input2: Factor
    output: Factor
    x_zero: int
    x2_zero: int
    y_zero: int
    subtract: bool


def add_parameters(op: Add) -> AddParameters:
    """Both operands are brought to twice the larger scale, with 20 more bits (15 of int16), before they are added."""
    left_shift = 15 if op.y.dtype == "int16" else 20
    twice = 2 * max(op.x.q.scale, op.x2.q.scale)
    return AddParameters(
        left_shift,
        Factor(*quantize_multiplier(op.x.q.scale / twice)),
        Factor(*quantize_multiplier(op.x2.q.scale / twice)),
        Factor(*quantize_multiplier(twice / (2**left_shift * op.y.q.scale))),
        op.x.q.zero_point,
        op.x2.q.zero_point,
        op.y.q.zero_point,
        op.subtract,
    )


@dataclass(frozen=True)
class MulParameters:
    """y = clamp(requantize((x - x_zero) * (x2 - x2_zero), *output) + y_zero)."""

    output: Factor
    x_zero: int
    x2_zero: int
    y_zero: int


def mul_parameters(op: Mul) -> MulParameters:
    real = op.x.q.scale * op.x2.q.scale / op.y.q.scale
    zeros = (op.x.q.zero_point, op.x2.q.zero_point, op.y.q.zero_point)
    return MulParameters(Factor(*quantize_multiplier(real)), *zeros)


@dataclass(frozen=True, eq=False)
class SoftmaxParameters:
    """exp(x - max) depends on max - x alone: 256 numbers, `exponentials[max - x]`, with 31 fraction bits. `results` are the same,
    times what a probability of 1 is of 2^fraction_bits steps.

    Differences below `diff_min` count as nothing (their entries are 0, which has the same effect). For each row: sum = total of
    rounding_shift(e, 12) over the row; z = leading_zeros32(sum); scale = one_over_one_plus((sum << z) - 2**31); y =
    clip(rounding_shift(high_product(scale, r), 43 - fraction_bits - z) + y_zero).
    """

    input: Factor
    diff_min: int
    exponentials: Int32s  # (256,)
    results: Int32s  # (256,)
    fraction_bits: int
    y_zero: int


_SOFTMAX_INTEGER_BITS = 5


def softmax_parameters(op: Softmax) -> SoftmaxParameters:
    bits = _SOFTMAX_INTEGER_BITS
    real = min(float32(op.beta) * op.x.q.scale * 2 ** (31 - bits), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    diff_min = -arithmetic.input_radius(bits, shift)
    differences = -np.arange(256, dtype=np.int64)
    used = differences >= diff_min
    scaled = arithmetic.requantize(np.where(used, differences, 0), multiplier, shift)
    exponentials = np.where(used, arithmetic.exp_on_negative(scaled, bits), 0)
    made = exponentials.astype(np.int32)
    if op.steps is None:
        return SoftmaxParameters(
            Factor(multiplier, shift), diff_min, made, made, 8 if op.y.dtype == "int8" else 16, op.y.element.low
        )
    fraction_bits = max(8, (op.steps - 1).bit_length())
    share = (2 * exponentials * op.steps + (1 << fraction_bits)) >> (fraction_bits + 1)
    results = np.minimum(share, 2**31 - 1).astype(np.int32)
    return SoftmaxParameters(Factor(multiplier, shift), diff_min, made, results, fraction_bits, op.y.q.zero_point)


def softmax_steps(y: Tensor) -> int:
    """How many steps of y onnxruntime's `QLinearSoftmax` takes a probability of 1 to be."""
    return int(np.floor(np.float32(1) / np.float32(y.q.scale)))


@dataclass(frozen=True)
class MeanParameters:
    """y = clamp(requantize(sum(x) - count * x_zero, *output) + y_zero); 1 / count is part of the multiplier."""

    count: int
    output: Factor
    x_zero: int
    y_zero: int


def mean_parameters(op: Mean) -> MeanParameters:
    x, y = op.x.q, op.y.q
    count = prod(op.x.shape[axis] for axis in op.axes)
    multiplier, shift = quantize_multiplier(x.scale / y.scale)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    output = Factor((multiplier << extra) // count, shift - extra)
    return MeanParameters(count, output, x.zero_point, y.zero_point)


def average_counts(op: Pool) -> Int32s:
    """How many elements of the image each window holds: (rows, columns) of y.

    The average is the sum divided by this count, rounded to nearest, halves away from zero.
    """
    top, left = op.pad.top, op.pad.left
    rows = _window_sizes(op.y.shape[1], op.stride[0], op.size[0], top, op.x.shape[1])
    columns = _window_sizes(op.y.shape[2], op.stride[1], op.size[1], left, op.x.shape[2])
    return np.outer(rows, columns).astype(np.int32)


def _window_sizes(outputs: int, stride: int, size: int, before: int, inputs: int) -> NDArray[np.int64]:
    start = np.arange(outputs) * stride - before
    return np.minimum(start + size, inputs) - np.maximum(start, 0)


@dataclass(frozen=True, eq=False)
class AxisWeights:
    """Position i of y lies between `lower[i]` and `upper[i]` of x, `fraction[i]` / 1024 of the way up.

    Outside the image `fraction` may leave 0..1024; lower and upper are the same there. (Enlarging much, by a factor
    whose rounding to 1/1024 is upwards, TFLM itself reads behind the image; here the last element counts instead.)
    """

    lower: Int32s
    upper: Int32s
    fraction: Int32s


@dataclass(frozen=True, eq=False)
class BilinearParameters:
    """y = round((sum of the four corners, each times its two weights) / 2**20), halves away from zero.

    The weights of an axis are 1024 - fraction for `lower` and fraction for `upper`.
    """

    rows: AxisWeights
    columns: AxisWeights


def bilinear_parameters(op: ResizeBilinear) -> BilinearParameters:
    return BilinearParameters(*(_axis_weights(op, op.x.shape[axis], op.y.shape[axis]) for axis in (1, 2)))


def _axis_weights(op: Resize, inputs: int, outputs: int) -> AxisWeights:
    if op.align_corners and outputs > 1:
        scale = (1024 * (inputs - 1) + (outputs - 1) // 2) // (outputs - 1)
    else:
        scale = (1024 * inputs + outputs // 2) // outputs
    position = np.arange(outputs, dtype=np.int64) * scale
    if op.half_pixel_centers:
        position += scale // 2 - 512
    lower = np.minimum(np.maximum(position >> 10, 0), inputs - 1)
    upper = np.clip((position + 1023) >> 10, 0, inputs - 1)
    return AxisWeights(*(a.astype(np.int32) for a in (lower, upper, position - 1024 * lower)))


@dataclass(frozen=True, eq=False)
class NearestParameters:
    """y[r, c] = x[rows[r], columns[c]]."""

    rows: Int32s
    columns: Int32s


def nearest_parameters(op: ResizeNearest) -> NearestParameters:
    return NearestParameters(*(_nearest_indices(op, op.x.shape[axis], op.y.shape[axis]) for axis in (1, 2)))


def _nearest_indices(op: Resize, inputs: int, outputs: int) -> Int32s:
    """In single precision, as TFLM does."""
    aligned = op.align_corners and outputs > 1
    scale = np.float32(inputs - 1) / np.float32(outputs - 1) if aligned else np.float32(inputs) / np.float32(outputs)
    position = np.arange(outputs, dtype=np.float32)
    position = (position + np.float32(0.5 if op.half_pixel_centers else 0)) * scale
    # Positions are not negative: adding a half in double precision and flooring rounds halves away from zero.
    index = np.floor(position.astype(np.float64) + (0.5 if op.align_corners else 0))
    return np.clip(index, 0, inputs - 1).astype(np.int32)
