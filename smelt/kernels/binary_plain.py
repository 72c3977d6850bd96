"""Operators of two plain integers (they wrap), comparisons of these and of bool, LOGICAL_AND and OR, element by element."""

from __future__ import annotations

from collections.abc import Callable

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import broadcastable, elementwise
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.loops.ir import Const, Expr, Type, binary, cast, expression, maximum, minimum
from smelt.model.ops import Add, Binary, Mul
from smelt.model.ops_pointwise import (
    Compare,
    Div,
    FloorDiv,
    FloorMod,
    LogicalAnd,
    LogicalOr,
    Power,
    SquaredDifference,
)
from smelt.targets.types import Core

UNSIGNED: dict[str, Type] = {"int32": "uint32_t", "int64": "uint64_t"}
SIGNED: dict[str, Type] = {"int32": "int32_t", "int64": "int64_t"}


def plain_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are all int32 or all int64"""
    return op.x.dtype == op.x2.dtype == op.y.dtype and op.y.dtype in UNSIGNED


def int32_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are int32"""
    return op.x.dtype == op.x2.dtype == op.y.dtype == "int32"


def plain_operands(op: Compare, core: Core) -> bool:
    """x and x2 are both int32, int64, bool or float32"""
    return op.x.dtype == op.x2.dtype and op.x.dtype in (*UNSIGNED, "bool", "float32")


def bool_tensors(op: Binary, core: Core) -> bool:
    """x, x2 and y are bool"""
    return op.x.dtype == op.x2.dtype == op.y.dtype == "bool"


def wrapping(op: Binary, function: Callable[[Expr, Expr], Expr]) -> Callable[[Expr, Expr], Expr]:
    """`function` of unsigned numbers, read as signed."""
    unsigned, signed = UNSIGNED[op.y.dtype], SIGNED[op.y.dtype]
    return lambda a, b: cast(signed, function(cast(unsigned, a), cast(unsigned, b)))


def limited(op: Add | Mul | Div, value: Expr) -> Expr:
    """Within the clamp; the ends of the type cost nothing."""
    low, high = op.y.element.range
    kind = SIGNED[op.y.dtype]
    if op.clamp[0] > low:
        value = maximum(value, Const(op.clamp[0], kind))
    return minimum(value, Const(op.clamp[1], kind)) if op.clamp[1] < high else value


def build_sum(op: Add, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("subtract" if op.subtract else "add", in_place=True)
    compute = wrapping(op, (lambda a, b: a - b) if op.subtract else (lambda a, b: a + b))
    return elementwise(k, op, schedule.unroll, lambda a, b: limited(op, compute(a, b)))


def build_product(op: Mul, schedule: Unrolled) -> KernelCall:
    compute = wrapping(op, lambda a, b: a * b)
    k = CallBuilder("mul", in_place=True)
    return elementwise(k, op, schedule.unroll, lambda a, b: limited(op, compute(a, b)))


def build_squared_difference(op: SquaredDifference, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("squared_difference", in_place=True)
    unsigned, signed = UNSIGNED[op.y.dtype], SIGNED[op.y.dtype]

    def compute(a: Expr, b: Expr) -> Expr:
        difference = k.let("difference", cast(unsigned, a) - cast(unsigned, b))
        return cast(signed, difference * difference)

    return elementwise(k, op, schedule.unroll, compute)


def _divided(k: CallBuilder, a: Expr, b: Expr, floor: bool) -> tuple[Expr, Expr, Expr]:
    """(quotient, rest, divisor): in 64 bits, where the least int32 can be divided by -1; of 0 both are 0."""
    divisor = k.let("divisor", b)
    safe = k.let("safe", cast("int64_t", divisor) + binary("==", divisor, 0))
    some = k.let("some", cast("int64_t", a) * binary("!=", divisor, 0))
    quotient = k.let("quotient", some // safe)
    rest = k.let("rest", some - quotient * safe)
    if not floor:
        return quotient, rest, safe
    down = k.let("down", binary("!=", rest, 0).both((rest ^ safe) < 0))
    return quotient - down, rest + safe * down, safe


def build_div(op: Div, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("div", in_place=True)
    compute = lambda a, b: limited(op, cast("int32_t", _divided(k, a, b, floor=False)[0]))  # noqa: E731
    return elementwise(k, op, schedule.unroll, compute)


def build_floor_div(op: FloorDiv, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("floor_div", in_place=True)
    return elementwise(k, op, schedule.unroll, lambda a, b: cast("int32_t", _divided(k, a, b, floor=True)[0]))


def build_floor_mod(op: FloorMod, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("floor_mod", in_place=True)
    return elementwise(k, op, schedule.unroll, lambda a, b: cast("int32_t", _divided(k, a, b, floor=True)[1]))


def build_power(op: Power, schedule: Unrolled) -> KernelCall:
    """By squaring, for the 31 bits that an exponent has; 0 for negative ones."""
    k = CallBuilder("power", in_place=True)

    def compute(a: Expr, b: Expr) -> Expr:
        exponent = k.let("exponent", b)
        result = k.var("result", cast("uint32_t", binary(">=", exponent, 0)))
        square = k.var("square", cast("uint32_t", a))
        with k.loop("bit", 0, 31) as bit:
            with k.when((exponent >> bit) & 1):
                k.assign(result, result * square)
            k.assign(square, square * square)
        return cast("int32_t", result)

    return elementwise(k, op, 1, compute)


def build_compare(op: Compare, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("compare", in_place=op.x.element.bits == 8)
    return elementwise(k, op, schedule.unroll, lambda a, b: binary(op.relation, a, b))


def build_logical(op: LogicalAnd | LogicalOr, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("logical", in_place=True)
    either = isinstance(op, LogicalOr)
    return elementwise(k, op, schedule.unroll, lambda a, b: expression(a) | b if either else expression(a) & b)


PLAIN = (plain_tensors, broadcastable)
INT32 = (int32_tensors, broadcastable)
BOOLS = (bool_tensors, broadcastable)

BINARY_PLAIN: tuple[Implementation, ...] = (
    Implementation("add_plain", Add, unrolled, build_sum, PLAIN),
    Implementation("mul_plain", Mul, unrolled, build_product, PLAIN),
    Implementation("squared_difference_plain", SquaredDifference, unrolled, build_squared_difference, PLAIN),
    Implementation("div_plain", Div, unrolled, build_div, INT32),
    Implementation("floor_div", FloorDiv, unrolled, build_floor_div, INT32),
    Implementation("floor_mod", FloorMod, unrolled, build_floor_mod, INT32),
    Implementation("power", Power, unrolled, build_power, INT32),
    Implementation("compare_plain", Compare, unrolled, build_compare, (plain_operands, broadcastable)),
    Implementation("logical_and", LogicalAnd, unrolled, build_logical, BOOLS),
    Implementation("logical_or", LogicalOr, unrolled, build_logical, BOOLS),
)
