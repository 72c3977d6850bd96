"""Cast: the same number in another type."""

from __future__ import annotations

from smelt.kernels.c_types import C_TYPES
from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.unary import elementwise, same_size
from smelt.loops.ir import Const, Expr, binary, cast, maximum, minimum
from smelt.model.ops_pointwise import Cast
from smelt.targets.types import Core

INFINITY = 0x7F800000
BIAS = 127  # of a float's exponent
FRACTION_BITS = 23
FRACTION = (1 << FRACTION_BITS) - 1


def known_types(op: Cast, core: Core) -> bool:
    """x and y are integers, bool or float32; from float32 to at most 32 bits"""
    types = {op.x.dtype, op.y.dtype} <= {"int8", "uint8", "int16", "int32", "uint32", "int64", "bool", "float32"}
    return types and not (op.x.dtype == "float32" and op.y.dtype == "int64")


def build_cast(op: Cast, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("cast", in_place=same_size(op.x, op.y))
    if op.x.dtype == "float32" and op.y.dtype != "float32":
        return _from_float(k, op)

    def compute(x: Expr) -> Expr:
        return binary("!=", x, 0) if op.y.dtype == "bool" else cast(C_TYPES[op.y.dtype], x)

    return elementwise(k, op.x, op.y, schedule.unroll, compute)


def _from_float(k: CallBuilder, op: Cast) -> KernelCall:
    """From the bits of a float: whole numbers without their fraction, without floating-point arithmetic."""
    x, y = k.operand("x", op.x), k.result("y", op.y)
    with k.loop("i", 0, op.y.elements) as i:
        bits = k.let("bits", x.load("int32_t", i))
        magnitude = k.let("magnitude", bits & 0x7FFFFFFF)
        if op.y.dtype == "bool":
            k.store(y, i, binary("!=", magnitude, 0))
        else:
            k.store(y, i, _whole(k, op, bits, magnitude))
    return k.finish_call()


def _whole(k: CallBuilder, op: Cast, bits: Expr, magnitude: Expr) -> Expr:
    """Towards zero, saturated; 0 for what is no number."""
    low, high = op.y.element.range
    result = k.var("result", 0, "int64_t")
    with k.when(magnitude >= BIAS << FRACTION_BITS):
        with k.when(magnitude < (BIAS + 32) << FRACTION_BITS):
            top = cast("uint32_t", (bits & FRACTION) | (FRACTION + 1)) * (1 << (31 - FRACTION_BITS))
            k.assign(result, cast("int64_t", top >> (BIAS + 31 - (magnitude >> FRACTION_BITS))))
        with k.otherwise(), k.when(magnitude <= INFINITY):
            k.assign(result, Const(1 << 32, "int64_t"))
        with k.when(bits < 0):
            k.assign(result, 0 - result)
    return minimum(maximum(result, Const(low, "int64_t")), Const(high, "int64_t"))


CAST = Implementation("cast", Cast, unrolled, build_cast, (known_types,))
