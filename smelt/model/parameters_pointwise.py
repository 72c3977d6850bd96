"""The integers derived from the quantisation of element-wise operators, as `parameters.py` has them of others."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.model.arithmetic import quantize_multiplier
from smelt.model.graph import Quantization
from smelt.model.ops_pointwise import Compare, Div, Prelu, SquaredDifference
from smelt.model.parameters import Factor


@dataclass(frozen=True)
class PairParameters:
    """With a_i = requantize((x_i - x_i_zero) << left_shift, *input_i), something of a_1 and a_2 is requantised by `output`."""

    left_shift: int
    input: Factor
    input2: Factor
    output: Factor
    x_zero: int
    x2_zero: int
    y_zero: int


def _pair(
    x: Quantization, x2: Quantization, left_shift: int, reals: tuple[float, float, float], y_zero: int
) -> PairParameters:
    first, second, output = (Factor(*quantize_multiplier(real)) for real in reals)
    return PairParameters(left_shift, first, second, output, x.zero_point, x2.zero_point, y_zero)


def squared_difference_parameters(op: SquaredDifference) -> PairParameters:
    """y = requantize((a_1 - a_2)**2, *output) + y_zero; both operands are brought to twice the larger scale, with 7 more bits
    of int8."""
    shift = 7 if op.y.dtype == "int8" else 0
    x, x2, y = op.x.q, op.x2.q, op.y.q
    twice = 2 * max(x.scale, x2.scale)
    reals = (x.scale / twice, x2.scale / twice, twice * twice / (2.0 ** (2 * shift) * y.scale))
    return _pair(x, x2, shift, reals, y.zero_point)


def compare_parameters(op: Compare) -> PairParameters:
    """The relation of a_1 and a_2, each brought to reals with 8 fraction bits."""
    return _pair(op.x.q, op.x2.q, 8, (op.x.q.scale, op.x2.q.scale, 1.0), 0)


def div_parameters(op: Div) -> PairParameters:
    """Of the quotient of x - x_zero and x2 - x2_zero."""
    return _pair(op.x.q, op.x2.q, 0, (1.0, 1.0, op.x.q.scale / (op.x2.q.scale * op.y.q.scale)), op.y.q.zero_point)


def prelu_parameters(op: Prelu) -> PairParameters:
    """With d = x - x_zero: y = requantize(d, *input) where d >= 0, else requantize(d * (alpha - x2_zero), *input2); + y_zero."""
    x, alpha, y = op.x.q, op.alpha.q, op.y.q
    return _pair(x, alpha, 0, (x.scale / y.scale, x.scale * alpha.scale / y.scale, 1.0), y.zero_point)


@dataclass(frozen=True)
class SumParameters:
    """y = requantize(sum of (x - x_zero) * step, *output) + y_zero, where the sum starts at -x_zero * step and wraps."""

    step: int
    output: Factor
    x_zero: int
    y_zero: int


def common_scale(x: Quantization, y: Quantization) -> SumParameters:
    """All operands have one scale; each counts half, with 20 more bits."""
    shift = 20
    output = Factor(*quantize_multiplier(2 * x.scale / (2.0**shift * y.scale)))
    return SumParameters(1 << (shift - 1), output, x.zero_point, y.zero_point)
