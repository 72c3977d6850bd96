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
from smelt.kernels.exact import MOST_OTHERS, Affine, Integers, find_affine, find_even
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.once import Once, find_once
from smelt.kernels.requantize_exact import once_output
from smelt.kernels.rescale import clamped, requantize
from smelt.loops.ir import Const, Expr, Type, Value, binary, cast, expression, maximum, minimum
from smelt.model import arithmetic
from smelt.model.graph import Tensor
from smelt.model.limits import farthest
from smelt.model.ops import Add, Binary, Maximum, Minimum, Mul
from smelt.model.parameters import AddParameters, Factor, add_parameters, mul_parameters
from smelt.model.rescale import Rescale
from smelt.model.terms import FloorTerms, FusedTerms
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


def known_arithmetic(op: Binary, core: Core) -> bool:
    """operands and result of 8 bits, unless they are added as integers are, in TensorFlow Lite Micro's way"""
    if isinstance(op, Add) and isinstance(op.terms, FloorTerms):
        return all(t.dtype in ("int8", "int16", "int32") for t in (op.x, op.x2, op.y))
    own = (isinstance(op, Add) and op.terms is not None) or (isinstance(op, Mul) and op.rescale is not None)
    return scaled_tensors(op, core) and (op.y.dtype == "int8" or not own)


ACCEPTS = (known_arithmetic, broadcastable)
MOST_PAIRS = 1 << 17  # that are tried
UNROLLS = (4, 2, 1)


def _pairs(op: Binary) -> tuple[Integers, Integers] | None:
    """Every pair of operands that can occur (and some that cannot); None where there are too many."""
    if any(t.element.bits > 16 and t.data is None for t in (op.x, op.x2)):
        return None
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
    pairs = _pairs(op)
    if pairs is None:
        return None
    x, x2 = pairs
    if op.terms is not None:
        return pairs, np.clip(op.terms.apply(x, x2), *op.clamp), op.terms.ratios
    p = add_parameters(op)
    sign = -1 if p.subtract else 1
    total = _rescaled(x, p.x_zero, p, p.input) + sign * _rescaled(x2, p.x2_zero, p, p.input2)
    wanted = np.clip(arithmetic.requantize(total, p.output.multiplier, p.output.shift) + p.y_zero, *op.clamp)
    return pairs, wanted, (op.x.q.scale / op.y.q.scale, sign * op.x2.q.scale / op.y.q.scale)


def sum_form(op: Add) -> Affine | None:
    """One weighted sum of both operands, where that is proved."""
    problem = add_problem(op)
    if problem is None:
        return None
    xs, wanted, ratios = problem
    return find_affine(xs, wanted, op.clamp, ratios)


def add_schedules(op: Add, core: Core) -> Iterable[Elements]:
    return _forms(sum_form(op), core)


def build_add(op: Add, schedule: Elements) -> KernelCall:
    k = CallBuilder("subtract" if op.subtract else "add", in_place=True)
    return elementwise(k, op, schedule.unroll, add_compute(k, op, schedule.form == "affine"))


def add_compute(k: CallBuilder, op: Add, affine: bool) -> Compute:
    """An element of y, as one weighted sum where that is wanted and there is one."""
    form = sum_form(op) if affine else None
    if form is not None:
        return lambda a, b: clamped(k, form.of(a, b), op.clamp)
    if isinstance(op.terms, FloorTerms):
        return _floor_sum(k, op, op.terms)
    if op.terms is not None:
        return _even_sum(k, op, op.terms)
    p = add_parameters(op)
    return lambda a, b: _exact_sum(k, op, p, a, b)


def _floor_sum(k: CallBuilder, op: Add, terms: FloorTerms) -> Compute:
    """With 64 bits where 32 do not hold every sum."""
    reach = abs(terms.addend) + sum(
        abs(m) * farthest(t) for m, t in ((terms.multiplier, op.x), (terms.multiplier2, op.x2))
    )
    wide: Type = "int32_t" if reach < 2**31 else "int64_t"
    low, high = (Const(int(np.clip(end - terms.y_zero, -(2**31), 2**31 - 1)), wide) for end in op.clamp)

    def compute(a: Expr, b: Expr) -> Expr:
        a, b = (cast(wide, e) * m for e, m in ((a, terms.multiplier), (b, terms.multiplier2)))
        value = k.let("sum", a + b + Const(terms.addend, wide)) >> terms.shift
        return cast("int32_t", minimum(maximum(value, low), high)) + terms.y_zero

    return compute


def _even_sum(k: CallBuilder, op: Add, terms: FusedTerms) -> Compute:
    """A weighted sum whose ties become even where that is proved for all pairs, else a table of them."""
    problem = add_problem(op)
    assert problem is not None, "all operands have 8 bits"
    xs, wanted, ratios = problem
    added = terms.constant + terms.more * (sum(ratios) - 1)
    form = find_even(xs, wanted, op.clamp, ratios, added)
    if form is not None:
        return lambda a, b: clamped(k, form.of(k, a, b), op.clamp)
    return _table_of(k, op, wanted)


def _table_of(k: CallBuilder, op: Binary, results: Integers) -> Compute:
    """A result for each pair of values: the last resort."""
    low, low2 = (int(possible_values(t)[0]) for t in (op.x, op.x2))
    values2 = int(possible_values(op.x2)[-1]) - low2 + 1
    values = int(possible_values(op.x)[-1]) - low + 1
    every = np.zeros((values, values2), np.int8)
    x, x2 = (possible_values(t) for t in (op.x, op.x2))
    every[np.ix_(x - low, x2 - low2)] = results.reshape(len(x), len(x2))
    table = k.table("results", every)

    def compute(a: Expr, b: Expr) -> Expr:
        first, second = (
            minimum(maximum(e - least, 0), n - 1) for e, least, n in ((a, low, values), (b, low2, values2))
        )
        return table[first * values2 + second]

    return compute


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
    pairs = _pairs(op)
    if pairs is None:
        return None
    x, x2 = pairs
    if op.rescale is not None:
        products = np.unique((x - op.x.q.zero_point) * (x2 - op.x2.q.zero_point))
        return find_affine((products,), np.clip(op.rescale.apply(products), *op.clamp), op.clamp, (op.rescale.largest,))
    p = mul_parameters(op)
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
    if op.rescale is not None:
        return _rescaled_product(k, op, op.rescale, affine)
    p, form = mul_parameters(op), _mul_form(op) if affine else None
    most = _farthest(op.x, p.x_zero) * _farthest(op.x2, p.x2_zero)

    def compute(a: Expr, b: Expr) -> Expr:
        product = (a - p.x_zero) * (b - p.x2_zero)
        if form is not None:
            return clamped(k, form.of(product), op.clamp)
        scaled, reach = requantize(k, product, most, p.output.multiplier, p.output.shift, p.y_zero)
        return clamped(k, scaled, op.clamp, (p.y_zero - reach, p.y_zero + reach))

    return compute


def _rescaled_product(k: CallBuilder, op: Mul, p: Rescale, affine: bool) -> Compute:
    """As one product and one shift, of 32 bits or with the upper word of 64, or one whose ties become even, or else a table."""
    zero, zero2 = op.x.q.zero_point, op.x2.q.zero_point
    form, pairs = _mul_form(op) if affine else None, _pairs(op)
    if form is not None:
        return lambda a, b: clamped(k, form.of((a - zero) * (b - zero2)), op.clamp)
    assert pairs is not None, "all operands have 8 bits"
    products = (pairs[0] - zero) * (pairs[1] - zero2)
    wanted = np.clip(p.apply(products), *op.clamp)
    even = find_even((products,), wanted, op.clamp, (p.largest,), p.y_zero)
    if even is not None:
        return lambda a, b: clamped(k, even.of(k, k.let("product", (a - zero) * (b - zero2))), op.clamp)
    limits = p.clamped(op.clamp)
    once = find_once(limits, *(np.array([end], np.int64) for end in (products.min(), products.max())))
    if once is not None:
        every = np.unique(products)
        beside = limits.apply(every) - np.clip(once.of(every), *op.clamp)
        off = np.flatnonzero(beside)
        if off.size <= MOST_OTHERS:
            others = tuple((int(every[n]), int(beside[n])) for n in off)
            return lambda a, b: _once_but(k, once, limits, others, (a - zero) * (b - zero2))
    return _table_of(k, op, wanted)


def _once_but(k: CallBuilder, form: Once, p: Rescale, others: tuple[tuple[int, int], ...], product: Expr) -> Expr:
    """An output for a product by that form, but for `others`: (product, what is added to its output)."""
    product = k.let("product", product)
    result = once_output(k, p, form, product)
    for value, added in others:
        result = k.let("result", result + binary("==", product, value) * added)
    return result


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
