"""Quantize and Dequantize between float32 and int16, in floating point: a table of all results would be too large."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.unary import elementwise
from smelt.loops.ir import Expr, cast, maximum, minimum, real
from smelt.model.ops import Dequantize, Quantize
from smelt.targets.types import Core

FAR = 1 << 17  # steps: beyond what any zero point brings back


def float_to_int16(op: Quantize, core: Core) -> bool:
    """x is float32 and y is int16"""
    return op.x.dtype == "float32" and op.y.dtype == "int16"


def int16_to_float(op: Dequantize, core: Core) -> bool:
    """x is int16 and y is float32"""
    return op.x.dtype == "int16" and op.y.dtype == "float32"


def build_quantize16(op: Quantize, schedule: Unrolled) -> KernelCall:
    """Rounded halves away from zero: what is cut off is exact. What is no number compares as little, and becomes the least y."""
    k = CallBuilder("quantize16")

    def compute(x: Expr) -> Expr:
        steps = k.let("steps", minimum(maximum(x // real(op.y.q.scale), real(-FAR)), real(FAR)))
        whole = k.let("whole", cast("int32_t", steps))
        rest = k.let("rest", steps - cast("float", whole))
        rounded = whole + (rest >= real(0.5)) - (rest <= real(-0.5)) + op.y.q.zero_point
        return minimum(maximum(rounded, op.y.element.low), op.y.element.high)

    return elementwise(k, op.x, op.y, schedule.unroll, compute)


def build_dequantize16(op: Dequantize, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("dequantize16")
    scale, zero = real(op.x.q.scale), op.x.q.zero_point
    return elementwise(k, op.x, op.y, schedule.unroll, lambda x: cast("float", x - zero) * scale)


QUANTIZE16 = Implementation("quantize16", Quantize, unrolled, build_quantize16, (float_to_int16,))
DEQUANTIZE16 = Implementation("dequantize16", Dequantize, unrolled, build_dequantize16, (int16_to_float,))
