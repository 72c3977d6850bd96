"""Products of two matrices that are both computed: blocks of columns share every element of x."""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.portable import ChannelBlock, channel_blocks
from smelt.kernels.nests import broadcast, loops, merged, row_major
from smelt.kernels.requantize_exact import single_output
from smelt.kernels.rescale import clamped, requantize, requantize48
from smelt.loops.ir import Expr, Type, Var, cast, expression, real
from smelt.model.ops_matmul import BatchMatMul
from smelt.targets.types import Core

LONGEST = 2**31 // 255**2
"""Products of int8 numbers whose sum fits 32 bits, whatever they are."""


def sums_fit(op: BatchMatMul, core: Core) -> bool:
    """int8 sums of at most 33,000 products, or another type"""
    return op.x.dtype != "int8" or op.depth < LONGEST


def build_matmul(op: BatchMatMul, schedule: ChannelBlock) -> KernelCall:
    k = CallBuilder("batch_matmul")
    x, x2, y = k.operand("x", op.x), k.operand("x2", op.x2), k.result("y", op.y)
    rows, columns = op.y.shape[-2:]
    x_row, x_step = (1, rows) if op.transposed else (op.depth, 1)
    x2_step, x2_column = (1, op.depth) if op.transposed2 else (columns, 1)
    batch = op.y.shape[:-2]
    nest = merged(
        batch,
        tuple(s * rows * columns for s in row_major(batch)),
        tuple(s * rows * op.depth for s in broadcast(op.x.shape[:-2], batch)),
        tuple(s * op.depth * columns for s in broadcast(op.x2.shape[:-2], batch)),
    )
    with loops(k, "matrix", nest, (0, 0, 0)) as (y_first, x_first, x2_first), k.loop("row", 0, rows) as row:
        left = k.window("left", x, x_first + row * x_row)
        for column, count in in_blocks(k, "block", columns, schedule.channels):
            first = k.let("column", column)
            right = k.window("right", x2, x2_first + first * x2_column)
            sums = [k.var("sum", _nothing(op)) for _ in range(count)]
            with k.loop("i", 0, op.depth) as i:
                value = k.let("value", left[i * x_step] - op.rescale.x_zero if op.rescale.x_zero else left[i * x_step])
                products = [value * _centred(right[i * x2_step + c * x2_column], op.x2_zero) for c in range(count)]
                for total, product in zip(sums, [k.let("product", p) for p in products], strict=True):
                    k.assign(total, total + cast(total.type, product))
            for c, total in enumerate(sums):
                k.store(y, y_first + row * columns + first + c, _output(k, op, total))
    return k.finish_call()


def _centred(value: Expr, zero: int) -> Expr:
    return value - zero if zero else value


def _nothing(op: BatchMatMul) -> Expr:
    types: dict[str, Type] = {"int8": "int32_t", "int16": "int64_t"}
    return real(0.0) if op.y.element.is_float else cast(types[op.x.dtype], expression(0))


def _output(k: CallBuilder, op: BatchMatMul, total: Var) -> Expr:
    p = op.rescale
    if op.y.element.is_float:
        return total
    if p.rounding == "ties_even":
        return single_output(k, p, op.y.dtype, _sums(op), total)
    multiplier, shift = int(p.multipliers[0]), int(p.shifts[0])
    if op.x.dtype == "int16":
        value, limit = requantize48(total, op.depth << 30, multiplier, shift)
    else:
        value, limit = requantize(k, total, op.depth * 255**2, multiplier, shift)
    low, high = p.low - p.y_zero, p.high - p.y_zero
    return clamped(k, value, (low, high), (-limit, limit)) + p.y_zero


def _sums(op: BatchMatMul) -> tuple[int, int]:
    """The least and the greatest sum that there can be."""
    ends, ends2 = (
        [end - zero for end in t.element.range] for t, zero in ((op.x, op.rescale.x_zero), (op.x2, op.x2_zero))
    )
    products = [a * b for a in ends for b in ends2]
    return op.depth * min(products), op.depth * max(products)


def schedules(op: BatchMatMul, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.y.shape[-1], 4, 2, 1)


MATMUL: tuple[Implementation, ...] = (
    Implementation("batch_matmul", BatchMatMul, schedules, build_matmul, (sums_fit,)),
)
