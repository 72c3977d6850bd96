"""Quantize: float32 to int8 without floating-point arithmetic.

The bits of a float, read as an integer, are in the order of the numbers but for the sign. A binary search over the 255
numbers where the result changes gives the result, exactly, in eight comparisons of integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.loops.ir import AnyBuffer, Expr, expression
from smelt.model.ops import Quantize
from smelt.model.tables import quantize_thresholds
from smelt.targets.types import Core

INFINITY = 0x7F800000


def float_to_int8(op: Quantize, core: Core) -> bool:
    """x is float32 and y is int8"""
    return op.x.dtype == "float32" and op.y.dtype == "int8"


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
        k.store(y, i, _reached(k, thresholds, ordinal) - 128)
    return k.finish_call()


def _reached(k: CallBuilder, thresholds: AnyBuffer, ordinal: Expr) -> Expr:
    """How many thresholds are at most `ordinal`."""
    count = expression(0)
    for step in (128, 64, 32, 16, 8, 4, 2, 1):
        count = k.let("count", count + (thresholds[count + (step - 1)] <= ordinal) * step)
    return count


QUANTIZE = Implementation("quantize", Quantize, plain, build_quantize, (float_to_int8,))
