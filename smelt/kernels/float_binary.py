"""Operators of two operands that work element by element, in float32, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import broadcastable, elementwise
from smelt.kernels.float_unary import rectified
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import limited, real_operands
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.loops.ir import Expr, maximum, minimum
from smelt.model.graph import Op
from smelt.model.ops import Add, Maximum, Minimum, Mul
from smelt.model.ops_pointwise import AddN, Div, FloorDiv, FloorMod, Power, Prelu, SquaredDifference
from smelt.targets.intrinsics import FLOOR, FLOOR_MOD, POW

Compute = Callable[..., Expr]


def _builder(stem: str, compute: Compute, names: tuple[str, ...]) -> Callable[[Op, Unrolled], KernelCall]:
    def build(op: Op, schedule: Unrolled) -> KernelCall:
        k = CallBuilder(f"{stem}_floats", in_place=True)
        return elementwise(k, op, schedule.unroll, partial(compute, k, op), names)

    return build


def _sum(k: CallBuilder, op: Add, a: Expr, b: Expr) -> Expr:
    return limited(k, a - b if op.subtract else a + b, op.clamp)


def _product(k: CallBuilder, op: Mul, a: Expr, b: Expr) -> Expr:
    return limited(k, a * b, op.clamp)


def _quotient(k: CallBuilder, op: Div, a: Expr, b: Expr) -> Expr:
    return limited(k, a // b, op.clamp)


def _square(k: CallBuilder, op: SquaredDifference, a: Expr, b: Expr) -> Expr:
    difference = k.let("difference", a - b)
    return difference * difference


def _floor(k: CallBuilder, op: FloorDiv, a: Expr, b: Expr) -> Expr:
    return k.call(FLOOR, a // b)


def _rest(k: CallBuilder, op: FloorMod, a: Expr, b: Expr) -> Expr:
    return k.call(FLOOR_MOD, a, b)


def _power(k: CallBuilder, op: Power, a: Expr, b: Expr) -> Expr:
    return k.call(POW, a, b)


def _prelu(k: CallBuilder, op: Prelu, x: Expr, alpha: Expr) -> Expr:
    return rectified(k, x, alpha)


def _way(stem: str, kind: type[Op], compute: Compute, names: tuple[str, ...] = ("x", "x2")) -> Implementation:
    accepts = (real_operands, broadcastable)
    return Implementation(f"{stem}_floats", kind, unrolled, _builder(stem, compute, names), accepts)


def build_add_n(op: AddN, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("add_n_floats")
    names = tuple(f"x{number}" for number in range(len(op.xs)))
    return elementwise(k, op, schedule.unroll, lambda *values: sum(values[1:], values[0]), names)


BINARY_FLOATS: tuple[Implementation, ...] = (
    _way("add", Add, _sum),
    _way("mul", Mul, _product),
    _way("div", Div, _quotient),
    _way("minimum", Minimum, lambda k, op, a, b: minimum(a, b)),
    _way("maximum", Maximum, lambda k, op, a, b: maximum(a, b)),
    _way("squared_difference", SquaredDifference, _square),
    _way("floor_div", FloorDiv, _floor),
    _way("floor_mod", FloorMod, _rest),
    _way("power", Power, _power),
    _way("prelu", Prelu, _prelu, ("x", "alpha")),
    Implementation("add_n_floats", AddN, unrolled, build_add_n, (real_operands,)),
)
