"""Operators of several integers with scales, beyond sums and products: SQUARED_DIFFERENCE, DIV, PRELU, ADD_N, comparisons; and
SELECT_V2, which looks at no scale."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import Compute, broadcastable, elementwise, possible_values
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.requantizer import REQUANTIZE, SHIFT_LEFT
from smelt.kernels.rescale import INT32_MAX, limited, requantize, wide_high_product
from smelt.loops.ir import Call, Expr, Var, binary, cast, minimum
from smelt.model import arithmetic
from smelt.model.graph import Tensor
from smelt.model.ops import Binary
from smelt.model.ops_pointwise import AddN, Compare, Div, Prelu, Select, SquaredDifference
from smelt.model.parameters import Factor
from smelt.model.parameters_pointwise import (
    common_scale,
    compare_parameters,
    div_parameters,
    prelu_parameters,
    squared_difference_parameters,
)
from smelt.targets.types import Core

FARTHEST_SHIFT = 40  # to the right: nothing is left of 32 bits


def scaled_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are all int8 or all int16"""
    return op.x.dtype == op.x2.dtype == op.y.dtype and op.y.dtype in ("int8", "int16")


def int8_tensors(op: Div, core: Core) -> bool:
    """x, x2 and y are int8"""
    return op.x.dtype == op.x2.dtype == op.y.dtype == "int8"


def _farthest(tensor: Tensor, zero: int) -> int:
    return int(np.abs(possible_values(tensor) - zero).max())


def _finished(k: CallBuilder, y: Tensor, value: Expr, limit: int) -> Expr:
    return limited(k, value, y.q.zero_point, y.element.range, limit)


# SQUARED_DIFFERENCE


def _aligned(k: CallBuilder, value: Expr, tensor: Tensor, zero: int, shift: int, by: Factor) -> tuple[Expr, int]:
    """An operand at the common scale, and its limit."""
    return requantize(k, (value - zero) * (1 << shift), _farthest(tensor, zero) << shift, by.multiplier, by.shift)


def build_squared_difference(op: SquaredDifference, schedule: Unrolled) -> KernelCall:
    k, p = CallBuilder("squared_difference", in_place=True), squared_difference_parameters(op)

    def compute(a: Expr, b: Expr) -> Expr:
        first, limit = _aligned(k, a, op.x, p.x_zero, p.left_shift, p.input)
        second, limit2 = _aligned(k, b, op.x2, p.x2_zero, p.left_shift, p.input2)
        difference = k.let("difference", first - second)
        most = min((limit + limit2) ** 2, INT32_MAX)
        return _finished(k, op.y, *requantize(k, difference * difference, most, p.output.multiplier, p.output.shift))

    return elementwise(k, op, schedule.unroll, compute)


# DIV


def build_div(op: Div, schedule: Unrolled) -> KernelCall:
    """Tables hold, for every x2, the reciprocal of its magnitude (0 of 0) and how far that is shifted."""
    k, p = CallBuilder("div", in_place=True), div_parameters(op)
    inverses, shifts = _reciprocals(op)
    table, right = k.table("inverses", inverses), k.table("shifts", shifts)

    def compute(a: Expr, b: Expr) -> Expr:
        index = k.let("index", b + 128)
        dividend = k.var("dividend", a - p.x_zero)
        with k.when(b < p.x2_zero):
            k.assign(dividend, 0 - dividend)
        spare = _redundant_bits(k, k.var("rest", dividend ^ (dividend >> 31)))
        quotient = wide_high_product(Call(SHIFT_LEFT, (dividend, spare)), table[index])
        shift = minimum(right[index] + spare - p.output.shift, FARTHEST_SHIFT)
        scaled = k.let("scaled", Call(REQUANTIZE, (quotient, cast("int32_t", p.output.multiplier), 0 - shift)))
        return limited(k, scaled, p.y_zero, op.clamp, INT32_MAX)

    return elementwise(k, op, 1, compute)


def _redundant_bits(k: CallBuilder, rest: Var) -> Expr:
    """How far a number that is not negative, below 256, may be shifted to the left within 31 bits."""
    spare = k.var("spare", 23)
    with k.when(binary("==", rest, 0)):
        k.assign(spare, 24)
    for bits in (4, 2, 1):
        with k.when(rest < (1 << (8 - bits))):
            k.assign(rest, rest * (1 << bits))
            k.assign(spare, spare + bits)
    return spare


def _reciprocals(op: Div) -> tuple[np.ndarray, np.ndarray]:
    distance = np.abs(np.arange(-128, 128, dtype=np.int64) - op.x2.q.zero_point)
    some = np.maximum(distance, 1)
    headroom = arithmetic.leading_zeros32(some)
    inverses = arithmetic.one_over_one_plus((some << headroom) - 2**31)
    return np.where(distance == 0, 0, inverses).astype(np.int32), (31 - headroom).astype(np.int8)


# PRELU


def prelu_tensors(op: Prelu, core: Core) -> bool:
    """x and y are both int8 or both int16, alpha is int8"""
    return op.x.dtype == op.y.dtype and op.x.dtype in ("int8", "int16") and op.alpha.dtype == "int8"


def build_prelu(op: Prelu, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("prelu", in_place=True)
    return elementwise(k, op, schedule.unroll, prelu_compute(k, op), ("x", "alpha"))


def prelu_compute(k: CallBuilder, op: Prelu) -> Compute:
    """An element of y."""
    p = prelu_parameters(op)
    far = _farthest(op.x, p.x_zero)

    def compute(a: Expr, slope: Expr) -> Expr:
        distance, result = k.let("distance", a - p.x_zero), k.var("result", 0)
        with k.when(distance >= 0):
            k.assign(result, _finished(k, op.y, *requantize(k, distance, far, p.input.multiplier, p.input.shift)))
        with k.otherwise():
            product, most = distance * (slope - p.x2_zero), far * _farthest(op.alpha, p.x2_zero)
            below = requantize(k, product, most, p.input2.multiplier, p.input2.shift)
            k.assign(result, _finished(k, op.y, *below))
        return result

    return compute


# ADD_N


def one_kind(op: AddN, core: Core) -> bool:
    """all tensors are int8"""
    return all(t.dtype == "int8" for t in (*op.inputs, op.y))


def build_add_n(op: AddN, schedule: Unrolled) -> KernelCall:
    k, p = CallBuilder("add_n", in_place=True), common_scale(op.xs[0].q, op.y.q)
    most = (255 * len(op.xs) + abs(p.x_zero)) * p.step

    def compute(*values: Expr) -> Expr:
        total = values[0]
        for value in values[1:]:
            total = total + value
        steps = total - p.x_zero * (len(values) + 1)
        wrapped = steps * p.step if most <= INT32_MAX else cast("int32_t", cast("uint32_t", steps) * p.step)
        limit = min(most, INT32_MAX + 1)
        return _finished(k, op.y, *requantize(k, wrapped, limit, p.output.multiplier, p.output.shift))

    return elementwise(k, op, schedule.unroll, compute, tuple(f"x{i}" for i in range(len(op.xs))))


# Comparisons


def int8_operands(op: Compare, core: Core) -> bool:
    """x and x2 are int8"""
    return op.x.dtype == op.x2.dtype == "int8"


def build_compare(op: Compare, schedule: Unrolled) -> KernelCall:
    """Stored integers, where both sides are rounded alike and no two of their values become one."""
    k, p = CallBuilder("compare", in_place=True), compare_parameters(op)
    steps = arithmetic.requantize(np.arange(-255, 256) << p.left_shift, p.input.multiplier, p.input.shift)
    distinct = p.input == p.input2 and np.all(np.diff(steps) > 0)

    def compute(a: Expr, b: Expr) -> Expr:
        if distinct:
            return binary(op.relation, a - (p.x_zero - p.x2_zero), b)
        first, _ = _aligned(k, a, op.x, p.x_zero, p.left_shift, p.input)
        second, _ = _aligned(k, b, op.x2, p.x2_zero, p.left_shift, p.input2)
        return binary(op.relation, first, second)

    return elementwise(k, op, schedule.unroll, compute)


# SELECT_V2


def one_type(op: Select, core: Core) -> bool:
    """condition is bool, x, x2 and y are of one type"""
    return op.condition.dtype == "bool" and op.x.dtype == op.x2.dtype == op.y.dtype


def build_select(op: Select, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("select", in_place=True)

    def compute(condition: Expr, a: Expr, b: Expr) -> Expr:
        result = k.var("result", b)
        with k.when(binary("!=", condition, 0)):
            k.assign(result, a)
        return result

    return elementwise(k, op, schedule.unroll, compute, ("condition", "x", "x2"))


def add_n_schedules(op: AddN, core: Core) -> Iterable[Unrolled]:
    return (Unrolled(2), Unrolled(1))


BINARY_SCALED: tuple[Implementation, ...] = (
    Implementation(
        "squared_difference",
        SquaredDifference,
        unrolled,
        build_squared_difference,
        (scaled_tensors, broadcastable),
    ),
    Implementation("div", Div, unrolled, build_div, (int8_tensors, broadcastable)),
    Implementation("prelu", Prelu, unrolled, build_prelu, (prelu_tensors, broadcastable)),
    Implementation("add_n", AddN, add_n_schedules, build_add_n, (one_kind, broadcastable)),
    Implementation("compare", Compare, unrolled, build_compare, (int8_operands, broadcastable)),
    Implementation("select", Select, unrolled, build_select, (one_type, broadcastable)),
)
