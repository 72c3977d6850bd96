"""Add (and subtract), Mul, Minimum, Maximum, element by element with broadcasting.

Int8 operands have so few values that a cheaper formula can be tried on all of them: where one weighted sum and one
shift give the definition's result for every pair, the kernel computes just that (form "affine"), else what the
definition says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import Compute, broadcastable, elementwise, possible_values
from smelt.kernels.exact import Affine, Integers, find_affine
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.rescale import clamped, requantize
from smelt.loops.ir import Expr, Value, expression, maximum, minimum
from smelt.model import arithmetic
from smelt.model.graph import Tensor
from smelt.model.ops import Add, Binary, Maximum, Minimum, Mul
from smelt.model.parameters import AddParameters, Factor, add_parameters, mul_parameters
from smelt.targets.types import Core


@dataclass(frozen=True)
class Elements:
    """`unroll` elements per round; "affine" is one weighted sum and one shift, "exact" the definition step by step."""

    form: Literal["affine", "exact"]
    unroll: int

    def __str__(self) -> str:
        return f"form={self.form} unroll={self.unroll}"


def scaled_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are all int8 or all int16"""
    return op.x.dtype == op.x2.dtype == op.y.dtype and op.y.dtype in ("int8", "int16")


def integer_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are integers, or bool, of one type"""
    return op.x.dtype == op.x2.dtype == op.y.dtype and not op.y.element.is_float


ACCEPTS = (scaled_tensors, broadcastable)
MOST_PAIRS = 1 << 17  # that are tried
UNROLLS = (4, 2, 1)


def _pairs(op: Binary) -> tuple[Integers, Integers] | None:
    """Every pair of operands that can occur (and some that cannot); None where there are too many."""
    values, values2 = possible_values(op.x), possible_values(op.x2)
    if len(values) * len(values2) > MOST_PAIRS:
        return None
    first, second = np.meshgrid(values, values2, indexing="ij")
    return first.reshape(-1), second.reshape(-1)


def _forms(affine: Affine | None, core: Core) -> Iterable[Elements]:
    forms: tuple[Literal["affine", "exact"], ...] = ("affine", "exact") if affine else ("exact",)
    return tuple(Elements(form, unroll) for form in forms for unroll in UNROLLS)


# Add and subtract


def _rescaled(x: Integers, zero: int, p: AddParameters, by: Factor) -> Integers:
    return arithmetic.requantize((x - zero) << p.left_shift, by.multiplier, by.shift)


Problem = tuple[tuple[Integers, Integers], Integers, tuple[float, float]]
"""Operands of points, the result of each, and the real factors of the operands."""


def add_problem(op: Add) -> Problem | None:
    """The definition, for every pair that can occur; None where there are too many."""
    p, pairs = add_parameters(op), _pairs(op)
    if pairs is None:
        return None
    x, x2 = pairs
    sign = -1 if p.subtract else 1
    total = _rescaled(x, p.x_zero, p, p.input) + sign * _rescaled(x2, p.x2_zero, p, p.input2)
    wanted = np.clip(arithmetic.requantize(total, p.output.multiplier, p.output.shift) + p.y_zero, *op.clamp)
    return pairs, wanted, (op.x.q.scale / op.y.q.scale, sign * op.x2.q.scale / op.y.q.scale)


def _add_form(op: Add) -> Affine | None:
    problem = add_problem(op)
    if problem is None:
        return None
    xs, wanted, ratios = problem
    return find_affine(xs, wanted, op.clamp, ratios)


def add_schedules(op: Add, core: Core) -> Iterable[Elements]:
    return _forms(_add_form(op), core)


def build_add(op: Add, schedule: Elements) -> KernelCall:
    k = CallBuilder("subtract" if op.subtract else "add", in_place=True)
    return elementwise(k, op, schedule.unroll, add_compute(k, op, schedule.form == "affine"))


def add_compute(k: CallBuilder, op: Add, affine: bool) -> Compute:
    """An element of y, as one weighted sum where that is wanted and there is one."""
    form = _add_form(op) if affine else None
    if form is not None:
        return lambda a, b: clamped(k, form.of(a, b), op.clamp)
    p = add_parameters(op)
    return lambda a, b: _exact_sum(k, op, p, a, b)


def _exact_sum(k: CallBuilder, op: Add, p: AddParameters, a: Expr, b: Expr) -> Expr:
    first, limit = _exact_operand(k, op.x, a, p.x_zero, p, p.input)
    second, limit2 = _exact_operand(k, op.x2, b, p.x2_zero, p, p.input2)
    total = first - second if p.subtract else first + second
    scaled, reach = requantize(k, total, limit + limit2, p.output.multiplier, p.output.shift)
    return clamped(k, scaled + p.y_zero, op.clamp, (p.y_zero - reach, p.y_zero + reach))


def _exact_operand(
    k: CallBuilder, tensor: Tensor, value: Expr, zero: int, p: AddParameters, by: Factor
) -> tuple[Expr, int]:
    """The operand at the common scale, and its limit. Often (always for the larger scale) that is a mere multiple."""
    values = possible_values(tensor)
    results = _rescaled(values, zero, p, by)
    limit = int(np.abs(results).max())
    if len(values) == 1:
        return expression(int(results[0])), limit
    factor = int(arithmetic.requantize(1 << p.left_shift, by.multiplier, by.shift))
    if np.array_equal(results, (values - zero) * factor):
        return (value - zero) * factor, limit
    farthest = int(np.abs(values - zero).max()) << p.left_shift
    scaled, _ = requantize(k, (value - zero) * (1 << p.left_shift), farthest, by.multiplier, by.shift)
    return scaled, limit


ADD = Implementation("add", Add, add_schedules, build_add, ACCEPTS)


# Mul


def _mul_form(op: Mul) -> Affine | None:
    """In the product of the operands without their zero points."""
    p, pairs = mul_parameters(op), _pairs(op)
    if pairs is None:
        return None
    x, x2 = pairs
    products = np.unique((x - p.x_zero) * (x2 - p.x2_zero))
    wanted = np.clip(arithmetic.requantize(products, p.output.multiplier, p.output.shift) + p.y_zero, *op.clamp)
    ratio = p.output.multiplier / 2**31 * 2.0**p.output.shift
    return find_affine((products,), wanted, op.clamp, (ratio,))


def mul_schedules(op: Mul, core: Core) -> Iterable[Elements]:
    return _forms(_mul_form(op), core)


def build_mul(op: Mul, schedule: Elements) -> KernelCall:
    k = CallBuilder("mul", in_place=True)
    return elementwise(k, op, schedule.unroll, mul_compute(k, op, schedule.form == "affine"))


def mul_compute(k: CallBuilder, op: Mul, affine: bool) -> Compute:
    """An element of y, as one product and one shift where that is wanted and there is such a form."""
    p, form = mul_parameters(op), _mul_form(op) if affine else None
    most = _farthest(op.x, p.x_zero) * _farthest(op.x2, p.x2_zero)

    def compute(a: Expr, b: Expr) -> Expr:
        product = (a - p.x_zero) * (b - p.x2_zero)
        if form is not None:
            return clamped(k, form.of(product), op.clamp)
        scaled, reach = requantize(k, product, most, p.output.multiplier, p.output.shift, p.y_zero)
        return clamped(k, scaled, op.clamp, (p.y_zero - reach, p.y_zero + reach))

    return compute


def _farthest(tensor: Tensor, zero: int) -> int:
    """The greatest distance of a stored value from its zero point."""
    return int(np.abs(possible_values(tensor) - zero).max())


MUL = Implementation("mul", Mul, mul_schedules, build_mul, ACCEPTS)


# Minimum and maximum


def order_schedules(op: Binary, core: Core) -> Iterable[Elements]:
    return tuple(Elements("exact", unroll) for unroll in UNROLLS)


def build_order(op: Minimum | Maximum, schedule: Elements) -> KernelCall:
    choose: Callable[[Value, Value], Expr] = minimum if isinstance(op, Minimum) else maximum
    k = CallBuilder(choose.__name__, in_place=True)
    return elementwise(k, op, schedule.unroll, choose)


MINIMUM = Implementation("minimum", Minimum, order_schedules, build_order, (integer_tensors, broadcastable))
MAXIMUM = Implementation("maximum", Maximum, order_schedules, build_order, (integer_tensors, broadcastable))
