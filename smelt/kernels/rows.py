"""Operators that look at rows, the last axis, in fixed point: Softmax of int16, LogSoftmax, L2Normalization."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.logarithm import leading_zeros, logarithm
from smelt.kernels.requantizer import REQUANTIZE, SHIFT_LEFT
from smelt.kernels.rescale import INT32_MAX, clamped, requantize, rounding_shift
from smelt.kernels.roots import newton_root
from smelt.loops.ir import AnyBuffer, Call, Const, Expr, cast, maximum, minimum
from smelt.model import arithmetic
from smelt.model.ops import Softmax
from smelt.model.ops_pointwise import L2Normalization, LogSoftmax
from smelt.model.parameters_reduce import log_softmax_parameters, softmax16_parameters
from smelt.targets.types import Core

LONGEST16 = 65535  # elements of a row: the sum of as many numbers of 15 bits fits
LONGEST = 4095  # of as many numbers of 19 bits
LONGEST_SQUARES = (2**31 - 1) // 255**2


def int16_tensors(op: Softmax, core: Core) -> bool:
    """x and y are int16"""
    return op.x.dtype == op.y.dtype == "int16"


def int8_tensors(op: LogSoftmax | L2Normalization, core: Core) -> bool:
    """x and y are int8"""
    return op.x.dtype == op.y.dtype == "int8"


def fits16(op: Softmax, core: Core) -> bool:
    """the last axis has at most 65535 elements"""
    return len(op.x.shape) > 0 and op.x.shape[-1] <= LONGEST16


def fits(op: LogSoftmax, core: Core) -> bool:
    """the last axis has at most 4095 elements"""
    return len(op.x.shape) > 0 and op.x.shape[-1] <= LONGEST


def squares_fit(op: L2Normalization, core: Core) -> bool:
    """the last axis has so few elements that the sum of their squares fits 32 bits"""
    return len(op.x.shape) > 0 and op.x.shape[-1] <= LONGEST_SQUARES


def _largest(k: CallBuilder, x: AnyBuffer, columns: int) -> Expr:
    largest = k.var("largest", x[0])
    with k.loop("i", 1, columns) as i:
        k.assign(largest, maximum(largest, x[i]))
    return largest


# Softmax of int16


def build_softmax16(op: Softmax, schedule: Plain) -> KernelCall:
    """Exponentials are kept in y until their sum is known."""
    k, p = CallBuilder("softmax16", in_place=True), softmax16_parameters(op)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    exponentials, reciprocals = k.table("exponentials", p.exponentials), k.table("reciprocals", p.reciprocals)
    columns = op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        largest, total = _largest(k, source, columns), k.var("total", 0)
        with k.loop("i", 0, columns) as i:
            scaled, _ = requantize(k, source[i] - largest, 65535, p.input.multiplier, p.input.shift)
            position = k.let("position", maximum(minimum(scaled, 0) + 32767, -32768))
            e = k.let("e", _interpolated(k, exponentials, position))
            k.assign(total, total + e)
            k.store(target, i, e)
        zeros = leading_zeros(k, total)
        shifted = Call(SHIFT_LEFT, (total, zeros - 1))
        position = k.let("place", minimum(((shifted + (1 << 13)) >> 14) - 98304, 32767))
        inverse = k.let("inverse", _interpolated(k, reciprocals, position))
        half = k.let("half", Call(SHIFT_LEFT, (Const(1), 30 - zeros)))
        with k.loop("i", 0, columns) as i:
            k.store(target, i, minimum((target[i] * inverse + half) >> (31 - zeros), 32767))
    return k.finish_call()


def _interpolated(k: CallBuilder, table: AnyBuffer, position: Expr) -> Expr:
    index = k.let("index", (cast("int16_t", position) >> 7) + 256)
    low = k.let("low", table[index])
    return low + (((table[index + 1] - low) * (position & 127) + 64) >> 7)


# LogSoftmax


def build_log_softmax(op: LogSoftmax, schedule: Plain) -> KernelCall:
    """A table has, for every distance from the largest value, what it is in fixed point; another the exponential."""
    k, p = CallBuilder("log_softmax", in_place=True), log_softmax_parameters(op)
    x = k.operand("x", op.x)
    used = min(-p.diff_min, 255) + 1
    distances = -np.arange(used, dtype=np.int64)
    scaled = arithmetic.requantize(distances, p.input.multiplier, p.input.shift)
    e = arithmetic.rounding_shift(arithmetic.exp_on_negative(scaled, 5), 12)
    exponentials, fixed = k.table("exponentials", e.astype(np.int32)), k.table("fixed", scaled.astype(np.int32))
    y, columns = k.result("y", op.y), op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        largest, total = _largest(k, source, columns), k.var("total", 0)
        with k.loop("i", 0, columns) as i:
            distance = _distance(k, largest, source[i])
            with k.when(distance < used):
                k.assign(total, total + exponentials[minimum(distance, used - 1)])
        log = k.let("log", logarithm(k, total))
        least, _ = requantize(
            k,
            cast("int32_t", cast("uint32_t", log) ^ Const(1 << 31, "uint32_t")),
            INT32_MAX + 1,
            p.reverse.multiplier,
            p.reverse.shift,
        )
        limit = k.let("limit", minimum(0 - maximum(least, p.diff_min - 1), 256))
        with k.loop("i", 0, columns) as i:
            distance, result = _distance(k, largest, source[i]), k.var("result", -128)
            with k.when(distance < limit):
                difference = fixed[minimum(distance, used - 1)] - log
                k.assign(result, clamped(k, rounding_shift(k, difference, 22) + 127, (-128, 127)))
            k.store(target, i, result)
    return k.finish_call()


def _distance(k: CallBuilder, largest: Expr, value: Expr) -> Expr:
    """``largest - value``; the mask changes nothing, but shows that it is a byte."""
    return k.let("distance", (largest - value) & 255)


# L2Normalization


def build_l2_normalization(op: L2Normalization, schedule: Plain) -> KernelCall:
    k, zero = CallBuilder("l2_normalization", in_place=True), op.x.q.zero_point
    x, y, columns = k.operand("x", op.x), k.result("y", op.y), op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        total = k.var("total", 0)
        with k.loop("i", 0, columns) as i:
            value = k.let("value", source[i] - zero)
            k.assign(total, total + value * value)
        multiplier, shift = k.var("multiplier", INT32_MAX), k.var("shift", 7)
        with k.when(total > 1):
            root, right = newton_root(k, total, wide=True)
            k.assign(multiplier, Call(SHIFT_LEFT, (root, maximum(0 - right, 0))))
            k.assign(shift, 7 - maximum(right, 0))
        with k.loop("i", 0, columns) as i:
            scaled = Call(REQUANTIZE, (source[i] - zero, multiplier, shift))
            k.store(target, i, clamped(k, scaled, (-128, 127)))
    return k.finish_call()


ROWS: tuple[Implementation, ...] = (
    Implementation("softmax16", Softmax, plain, build_softmax16, (int16_tensors, fits16)),
    Implementation("log_softmax", LogSoftmax, plain, build_log_softmax, (int8_tensors, fits)),
    Implementation("l2_normalization", L2Normalization, plain, build_l2_normalization, (int8_tensors, squares_fit)),
)
