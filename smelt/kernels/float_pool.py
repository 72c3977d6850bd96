"""Pools in float32: the loops of `pool`, other arithmetic."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import limited, real_operands
from smelt.kernels.pool import Channels, Finish, Span, pooled, schedules
from smelt.loops.ir import Expr, cast, expression, maximum, real
from smelt.model.ops import AveragePool2D, L2Pool2D, MaxPool2D
from smelt.targets.intrinsics import SQRT

LEAST = real(float(np.finfo(np.float32).min))


def build_max(op: MaxPool2D, schedule: Channels) -> KernelCall:
    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        return lambda value: limited(k, value, op.clamp)

    return pooled(CallBuilder("max_pool_floats"), op, schedule, LEAST, maximum, finish)


def _count(k: CallBuilder, rows: Span, columns: Span) -> Expr:
    """How many pixels a window has, as a real."""
    extents = [s.stop - s.first if s.count is None else expression(s.count) for s in (rows, columns)]
    return k.let("count", cast("float", extents[0] * extents[1]))


def build_average(op: AveragePool2D, schedule: Channels) -> KernelCall:
    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        count = _count(k, rows, columns)
        return lambda value: limited(k, value // count, op.clamp)

    return pooled(CallBuilder("average_pool_floats"), op, schedule, real(0.0), lambda total, x: total + x, finish)


def build_l2(op: L2Pool2D, schedule: Channels) -> KernelCall:
    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        count = _count(k, rows, columns)
        return lambda value: limited(k, k.call(SQRT, value // count), op.clamp)

    return pooled(CallBuilder("l2_pool_floats"), op, schedule, real(0.0), lambda total, x: total + x * x, finish)


AVERAGE_POOL_FLOATS = Implementation("average_pool_floats", AveragePool2D, schedules, build_average, (real_operands,))
MAX_POOL_FLOATS = Implementation("max_pool_floats", MaxPool2D, schedules, build_max, (real_operands,))
L2_POOL_FLOATS = Implementation("l2_pool_floats", L2Pool2D, schedules, build_l2, (real_operands,))
