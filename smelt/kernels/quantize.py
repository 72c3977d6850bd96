"""Quantize: float32 to int8 or uint8, with the core's floating-point unit or without floating-point arithmetic.

With one, x / scale is two products: with the high and the low part of 1 / scale, the former fused with the sum. They lead to the
same steps as the division that rounds: that is tried for the 255 numbers where the result changes and for those before them.

Without, the bits of a float, read as an integer, are in the order of the numbers but for the sign. A binary search over these
255 numbers gives the result, exactly, in eight comparisons of integers.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.routines import QUANTIZE as AWAY
from smelt.kernels.routines import QUANTIZE_EVEN as EVEN
from smelt.loops.ir import AnyBuffer, Expr, expression
from smelt.loops.routine import At
from smelt.model.ops import Quantize
from smelt.model.tables import quantize_thresholds
from smelt.targets.types import Core

INFINITY = 0x7F800000


def float_to_byte(op: Quantize, core: Core) -> bool:
    """x is float32 and y is int8 or uint8"""
    return op.x.dtype == "float32" and op.y.dtype in ("int8", "uint8")


def ordinals(x: NDArray[np.float32]) -> NDArray[np.int32]:
    """The positions of floats among all floats; both zeros are 0."""
    bits = x.view(np.int32)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits).astype(np.int32)


def build_quantize(op: Quantize, schedule: Plain) -> KernelCall:
    k = CallBuilder("quantize")
    x = k.operand("x", op.x)
    thresholds = k.table("thresholds", ordinals(quantize_thresholds(op)))
    y = k.result("y", op.y)
    with k.loop("i", 0, op.y.elements) as i:
        bits = k.let("bits", x.load("int32_t", i))
        ordinal = k.var("ordinal", bits)
        with k.when(bits < 0):
            k.assign(ordinal, 0 - (bits & 0x7FFFFFFF))
        with k.when(bits > INFINITY):
            k.comment("not a number")
            k.assign(ordinal, -INFINITY - 1)
        k.store(y, i, _reached(k, thresholds, ordinal) + op.y.element.low)
    return k.finish_call()


def _reached(k: CallBuilder, thresholds: AnyBuffer, ordinal: Expr) -> Expr:
    """How many thresholds are at most `ordinal`."""
    count = expression(0)
    for step in (128, 64, 32, 16, 8, 4, 2, 1):
        count = k.let("count", count + (thresholds[count + (step - 1)] <= ordinal) * step)
    return count


QUANTIZE = Implementation("quantize", Quantize, plain, build_quantize, (float_to_byte,))


def float_to_int8(op: Quantize, core: Core) -> bool:
    """x is float32 and y is int8"""
    return op.x.dtype == "float32" and op.y.dtype == "int8"


def has_float_unit(op: Quantize, core: Core) -> bool:
    """a core with a floating-point unit and the DSP extension"""
    return core.floats is not None and core.has("smlad")


def factors(scale: float) -> NDArray[np.float32]:
    """The high and the low part of 1 / scale, and the scale."""
    high = np.float32(1 / Fraction(scale))
    return np.array([high, np.float32(1 / Fraction(scale) - Fraction(float(high))), scale], np.float32)


def products_divide(op: Quantize, core: Core) -> bool:
    """a scale for which two products give what the division gives"""
    thresholds = quantize_thresholds(op)
    low = np.float32(1 / Fraction(op.y.q.scale)) if op.y.q.scale > 2.0**-126 else np.float32(np.inf)
    if not np.all(np.isfinite(thresholds)) or not np.isfinite(low) or low == 0:
        return False
    high, rest, _ = factors(op.y.q.scale)
    before = np.nextafter(thresholds, np.float32(-np.inf))
    wanted = np.arange(-127, 128)
    return all(
        _steps(x, high, rest, _is_even(op)) + op.y.q.zero_point == expected
        for xs, expectations in ((thresholds, wanted), (before, wanted - 1))
        for x, expected in zip(xs, expectations, strict=True)
    )


def _is_even(op: Quantize) -> bool:
    return op.rounding == "ties_even"


def _steps(x: np.float32, high: np.float32, low: np.float32, even: bool) -> int:
    """The steps that the routine counts: a product that rounds, and a fused one."""
    with np.errstate(under="ignore"):
        rounded = Fraction(float(x * low))
    steps = Fraction(float(_nearest(Fraction(float(x)) * Fraction(float(high)) + rounded)))
    if even:
        return round(steps)
    halves = int(2 * steps)
    return (halves + 1 + (halves >> 31)) >> 1


def _nearest(value: Fraction) -> np.float32:
    """The float32 next to `value`; of two the even one."""
    near = np.float32(float(value))
    around = (near, *(np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf)))
    return min(around, key=lambda f: (abs(Fraction(float(f)) - value), int(f.view(np.uint32)) & 1))


def build_with_floats(op: Quantize, schedule: Plain) -> KernelCall:
    k, count = CallBuilder("quantize_floats"), op.y.elements
    x = k.operand("x", op.x)
    table = k.table("factors", factors(op.y.q.scale))
    y = k.result("y", op.y)
    k.routine(EVEN if _is_even(op) else AWAY, (At(y), At(x), At(table), count, op.y.q.zero_point), (), 7 * count + 30)
    return k.finish_call()


QUANTIZE_FLOATS = Implementation(
    "quantize_floats", Quantize, plain, build_with_floats, (float_to_int8, has_float_unit, products_divide)
)
