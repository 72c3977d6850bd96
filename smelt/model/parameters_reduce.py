"""The integers derived from the quantisation of operators that reduce axes or look at rows, as `parameters.py` has them."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, floor, prod

import numpy as np

from smelt.model.arithmetic import float32, quantize_multiplier
from smelt.model.graph import Quantization
from smelt.model.interpolated import Table16, interpolated_table
from smelt.model.ops import Softmax
from smelt.model.ops_pointwise import LogSoftmax, Sum
from smelt.model.parameters import Factor, MeanParameters


def sum_parameters(op: Sum) -> MeanParameters:
    """A sum is a mean that is not divided."""
    x, y = op.x.q, op.y.q
    count = prod(op.x.shape[axis] for axis in op.axes)
    return MeanParameters(count, Factor(*quantize_multiplier(x.scale / y.scale)), x.zero_point, y.zero_point)


@dataclass(frozen=True, eq=False)
class Softmax16Parameters:
    """With e = exponentials(clip(requantize(x - max, *input) + 32767)) of an interpolated table, sum = total of e over the row,
    z = leading_zeros32(sum) and r = reciprocals(clip((((sum << (z - 1)) + 2**13) >> 14) - 98304)):
    y = clip((e * r + (1 << (30 - z))) >> (31 - z), 0, 32767)."""

    input: Factor
    exponentials: Table16  # of x from -10 to 0, 15 fraction bits
    reciprocals: Table16  # 1 / (1 + x) of x from 0 to 1, 15 fraction bits


STEP = 10.0 / 65535  # of the table of exponentials


def softmax16_parameters(op: Softmax) -> Softmax16Parameters:
    y = Quantization((float32(2 / 65535),), (0,))
    steps = Quantization((float32(STEP),), (32767,))
    unit = Quantization((float32(1 / 65535),), (-32768,))
    return Softmax16Parameters(
        Factor(*quantize_multiplier(op.x.q.scale * float32(op.beta) / STEP)),
        interpolated_table(exp, steps, y),
        interpolated_table(_one_over_one_plus, unit, y),
    )


def _one_over_one_plus(x: float) -> float:
    return float(np.float32(1) / (np.float32(1) + np.float32(x)))


@dataclass(frozen=True)
class LogSoftmaxParameters:
    """With d = x - max, log = ln(sum over d >= diff_min of exp(requantize(d, *input))): y is requantize(d, *input) - log with 22
    fewer fraction bits, + 127; and -128 where d is at most the larger of diff_min - 1 and requantize(log - 2**31, *reverse)."""

    input: Factor
    reverse: Factor
    diff_min: int


def log_softmax_parameters(op: LogSoftmax) -> LogSoftmaxParameters:
    multiplier, shift = quantize_multiplier(min(op.x.q.scale * 2.0**26, 2.0**31 - 1))
    reverse = Factor(*quantize_multiplier(2.0 ** (31 - shift) / multiplier))
    return LogSoftmaxParameters(Factor(multiplier, shift), reverse, -floor(31 * 2.0**26 / 2.0**shift))
