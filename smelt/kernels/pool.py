"""Average and maximum pooling: windows in registers, several channels side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.exact import find_affine
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.nests import blocks, loops, merged
from smelt.kernels.requantize_exact import single_output
from smelt.kernels.rescale import clamped
from smelt.loops.ir import AnyBuffer, Expr, Value, Var, expression, maximum, minimum
from smelt.model.ops import AveragePool2D, MaxPool2D, Pool
from smelt.model.rescale import Rescale
from smelt.targets.types import Core

LARGEST_PROOF = 1 << 20  # how many sums a window may have so that all are tried


@dataclass(frozen=True)
class Channels:
    """`channels` are handled side by side, each in a register."""

    channels: int

    def __str__(self) -> str:
        return f"channels={self.channels}"


def schedules(op: Pool, core: Core) -> Iterable[Channels]:
    channels = op.x.shape[-1]
    return tuple(Channels(n) for n in (4, 2, 1) if n == 1 or n <= channels)


def scaled_image(op: Pool, core: Core) -> bool:
    """x and y are images of four axes, of int8 or int16"""
    if isinstance(op, AveragePool2D) and op.rescale is not None and op.x.dtype == "int8":
        return op.y.dtype in ("int8", "int16", "int32") and len(op.x.shape) == len(op.y.shape) == 4
    return op.x.dtype == op.y.dtype in ("int8", "int16") and len(op.x.shape) == len(op.y.shape) == 4


@dataclass(frozen=True)
class Span:
    """The rows (or columns) of a window: first to before `stop`; `count` where it is the same for all windows."""

    first: Expr
    stop: Expr
    count: int | None


def span(k: CallBuilder, op: Pool, axis: int, position: Expr) -> Span:
    """Of the window at `position` (of y) along image axis 0 or 1."""
    size, stride, inputs = op.size[axis], op.stride[axis], op.x.shape[axis + 1]
    before = (op.pad.top, op.pad.left)[axis]
    first = position * stride - before
    stop: Expr = first + size
    inside = (op.y.shape[axis + 1] - 1) * stride - before + size <= inputs
    if before == 0 and inside:
        return Span(first, stop, size)
    name = ("row", "column")[axis]
    first = k.let(f"first_{name}", first if before == 0 else maximum(first, 0))
    stop = k.let(f"stop_{name}", stop if inside else minimum(stop, inputs))
    return Span(first, stop, None)


@contextmanager
def window(k: CallBuilder, op: Pool, rows: Span, columns: Span, image: Expr) -> Iterator[Expr]:
    """Loops over a window's pixels; yields the index of each (of its first channel)."""
    width, channels = op.x.shape[2], op.x.shape[3]
    if rows.count is not None and columns.count is not None:
        nest = merged((rows.count, columns.count), (width * channels, channels))
        start = ((image + rows.first) * width + columns.first) * channels
        with loops(k, "pixel", nest, (start,)) as (pixel,):
            yield pixel
    else:
        with k.loop("row", rows.first, rows.stop) as row, k.loop("column", columns.first, columns.stop) as column:
            yield ((image + row) * width + column) * channels


Combine = Callable[[Expr, Expr], Expr]
Finish = Callable[[Var], Expr]


def pooled(
    k: CallBuilder,
    op: Pool,
    schedule: Channels,
    initial: Value,
    combine: Combine,
    finish: Callable[[CallBuilder, Span, Span], Finish],
) -> KernelCall:
    """y = finish(combine(... combine(initial, x), ...)) for every window and channel."""
    x, y = k.operand("x", op.x), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as n, k.loop("y_row", 0, rows) as r, k.loop("y_column", 0, columns) as c:
        row_span, column_span = span(k, op, 0, r), span(k, op, 1, c)
        finisher = finish(k, row_span, column_span)
        target = ((n * rows + r) * columns + c) * channels
        for block in blocks(k, "channel", merged((channels,), (1,)), (0,), schedule.channels):
            values = [k.var("value", initial) for _ in block]
            with window(k, op, row_span, column_span, n * op.x.shape[1]) as pixel:
                _combine(k, values, block, x, pixel, combine)
            for value, (channel,) in zip(values, block, strict=True):
                k.store(y, target + channel, finisher(value))
    return k.finish_call()


def _combine(
    k: CallBuilder, values: list[Var], block: tuple[tuple[Expr, ...], ...], x: AnyBuffer, pixel: Expr, combine: Combine
) -> None:
    for value, (channel,) in zip(values, block, strict=True):
        k.assign(value, combine(value, x[pixel + channel]))


def build_max(op: MaxPool2D, schedule: Channels) -> KernelCall:
    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        return lambda value: clamped(k, value, op.clamp, op.x.element.range)

    # What is below the lower limit need not be found.
    lowest = min(max(op.clamp[0], op.x.element.low), op.x.element.high)
    return pooled(CallBuilder("max_pool"), op, schedule, lowest, maximum, finish)


def build_average(op: AveragePool2D, schedule: Channels) -> KernelCall:
    if op.rescale is not None:
        return _rescaled(op, op.rescale, schedule)

    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        if rows.count is not None and columns.count is not None:
            divide = _divided_by(rows.count * columns.count, op.x.element.range)
        else:
            extents = [s.stop - s.first if s.count is None else expression(s.count) for s in (rows, columns)]
            divide = _rounded_quotient(k, k.let("count", extents[0] * extents[1]))
        return lambda value: clamped(k, divide(value), op.clamp, op.x.element.range)

    return pooled(CallBuilder("average_pool"), op, schedule, 0, lambda total, x: total + x, finish)


def _rescaled(op: AveragePool2D, p: Rescale, schedule: Channels) -> KernelCall:
    """The sums of what lies inside the image, less their zero points."""
    most = op.size[0] * op.size[1]
    ends = [most * (end - p.x_zero) for end in op.x.element.range]

    def finish(k: CallBuilder, rows: Span, columns: Span) -> Finish:
        extents = [s.stop - s.first if s.count is None else expression(s.count) for s in (rows, columns)]
        zeros = k.let("zeros", extents[0] * extents[1] * p.x_zero)
        sums = min(*ends, 0), max(*ends, 0)
        return lambda total: single_output(k, p.clamped(op.clamp), op.y.dtype, sums, k.let("sum", total - zeros))

    return pooled(CallBuilder("average_pool_rescaled"), op, schedule, 0, lambda total, x: total + x, finish)


def _divided_by(count: int, x: tuple[int, int]) -> Finish:
    """Division by a constant, halves away from zero: a product and a shift where that is proved for all sums of such an x."""
    if count == 1:
        return lambda total: total
    if (x[1] - x[0]) * count <= LARGEST_PROOF:
        totals = np.arange(x[0] * count, x[1] * count + 1, dtype=np.int64)
        wanted = np.sign(totals) * ((np.abs(totals) + count // 2) // count)
        form = find_affine((totals,), wanted, (-(2**31), 2**31), (1 / count,))
        if form is not None:
            return form.of
    return lambda total: _away_from_zero(total, expression(count // 2), expression(count))


def _rounded_quotient(k: CallBuilder, count: Expr) -> Finish:
    half = k.let("half", count >> 1)
    return lambda total: _away_from_zero(total, half, count)


def _away_from_zero(total: Expr, half: Expr, count: Expr) -> Expr:
    sign = total >> 31  # -1 or 0: turns half into -half below
    return (total + ((half ^ sign) - sign)) // count


AVERAGE_POOL = Implementation("average_pool", AveragePool2D, schedules, build_average, (scaled_image,))
MAX_POOL = Implementation("max_pool", MaxPool2D, schedules, build_max, (scaled_image,))
