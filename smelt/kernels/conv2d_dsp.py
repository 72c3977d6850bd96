"""Conv2D with dual multiply-accumulate: the rows under the kernel are widened to int16 once, borders included, and
every output reads its window straight from them. Blocks of output channels x pixels stay in registers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from smelt.kernels.accepts import has_dual_mac, is_pointwise, is_undilated, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.rows import Rows, parts_of
from smelt.kernels.feeds.widened import Order
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.packed import dot, pack_weights, quads
from smelt.kernels.requantize import Epilogue, store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr
from smelt.model.ops import Conv2D
from smelt.targets.types import Core


@dataclass(frozen=True)
class ConvBlock:
    """`channels` x `pixels` sums in registers, `unroll` times four products per round of the inner loop.

    `columns` outputs are made from one stretch of widened rows (pointwise layers choose it freely, others make whole
    rows).
    """

    channels: int
    pixels: int
    unroll: int
    columns: int

    def __str__(self) -> str:
        return f"block(channels={self.channels}, pixels={self.pixels}, unroll={self.unroll}, columns={self.columns})"


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    schedule: ConvBlock
    r: Epilogue
    weights: Buffer
    table: Buffer
    y: Buffer


def build_conv2d(op: Conv2D, schedule: ConvBlock) -> KernelCall:
    weights = op.weights.constant
    channels, taps_rows, taps_columns, depth = weights.shape
    order = Order(mixed=depth % 4 == 0 and op.x.dtype == "int8")
    r = epilogue(op, weights.reshape(channels, -1), folded=True)
    packed = pack_weights(weights.reshape(channels, taps_rows, taps_columns * depth), schedule.channels, order.mixed)
    parts = parts_of(op, schedule.columns)
    k = CallBuilder("conv2d_dsp")
    x, w, table = k.operand("x", op.x), bind_weights(k, op.weights, packed), r.bind(k)
    # Where a run is no multiple of four, its last weights are zeros and may meet elements beyond the rows.
    wide = order.scratch(k, taps_rows * parts[0][1].row_length + 4)
    kernel = _Kernel(schedule, r, w, table, k.result("y", op.y))
    for first, shape in parts:
        _part(k, kernel, Rows(shape, order, op.x.q.zero_point, x, wide, first))
    return k.finish_call()


def _part(k: KernelBuilder, kernel: _Kernel, rows: Rows) -> None:
    s = rows.shape
    rows.fill_sides(k, s.taps[0])
    with k.loop("image", 0, s.images) as image, k.loop("row", 0, s.rows) as row:
        rows.load(k, image, row)
        for column, pixels in in_blocks(k, "column", s.columns, kernel.schedule.pixels):
            pixel = k.let("pixel", (image * s.rows + row) * s.columns + column + rows.first)
            base = k.window("window", rows.wide, column * rows.order.length(s.stride[1] * s.depth))
            for block, channels in in_blocks(k, "block", s.channels, kernel.schedule.channels):
                _block(k, kernel, replace(rows, wide=base), pixel, pixels, k.let("channel", block), channels)


def _block(
    k: KernelBuilder, kernel: _Kernel, rows: Rows, pixel: Expr, pixels: int, channel: Expr, channels: int
) -> None:
    """`channels` x `pixels` outputs."""
    s, order, r = rows.shape, rows.order, kernel.r
    sums = []
    for c in range(channels):
        bias = k.let("bias", r.bias(kernel.table, channel + c), "int64_t" if r.sum_type == "int64_t" else "int32_t")
        sums.append([k.var("sum", bias) for _ in range(pixels)])
    run = quads(s.length)
    weights = k.window("words", kernel.weights, channel * (s.taps[0] * run))
    steps = [order.length(p * s.stride[1] * s.depth) for p in range(pixels)]
    with k.loop("kernel_row", 0, s.taps[0]) as kernel_row:
        xs = k.window("xs", rows.wide, kernel_row * rows.pitch)
        ws = k.window("ws", weights, kernel_row * (run * channels))
        dot(k, order, xs, steps, ws, s.length, sums, kernel.schedule.unroll)
    for c in range(channels):
        places = [(pixel + p) * s.channels + channel + c for p in range(pixels)]
        store_outputs(k, r, kernel.table, channel + c, sums[c], kernel.y, places)


LEAN_COLUMNS = 8
"""Of a stretch with little scratch, where that is scarce."""


def schedules(op: Conv2D, core: Core) -> Iterable[ConvBlock]:
    """Blocks that fit the registers, wide ones for long runs; a stretch of a pointwise layer is a few blocks."""
    channels, columns = op.y.shape[3], op.y.shape[2]
    if is_pointwise(op):
        columns = pixels_of(op)
    run = quads(op.weights.shape[2] * op.weights.shape[3])
    sizes = ((2, 3), (2, 2), (1, 4), (3, 2), (4, 1), (1, 1)) if run > 4 else ((1, 4), (1, 3), (2, 3), (2, 2), (1, 1))
    if columns == 1 and op.x.dtype == "int16":  # of which nothing is widened: channels share the loads of x
        sizes = ((4, 1), (6, 1), (2, 1), (3, 1), (1, 1))
    seen = set()
    for unroll in _unrolls(op, run):
        for size in sizes:
            pixels = min(size[1], columns)
            stretch = min(columns, _stretch(pixels, op.weights.shape[3])) if is_pointwise(op) else columns
            schedule = ConvBlock(min(size[0], channels), pixels, unroll, stretch)
            if schedule not in seen:
                seen.add(schedule)
                yield schedule
    if not is_pointwise(op) and columns > LEAN_COLUMNS:
        yield ConvBlock(min(sizes[0][0], channels), min(sizes[0][1], columns), _unrolls(op, run)[0], LEAN_COLUMNS)


def _unrolls(op: Conv2D, run: int) -> list[int]:
    """How far to repeat the inner loop: all of it where it is short, else a divisor, so that no rest remains."""
    if run <= (16 if op.weights.shape[1] == 1 else 6):
        return [run, *(u for u in (4, 2) if u < run)]
    return sorted((4, 8, 2), key=lambda unroll: (run % unroll, -unroll))


def _stretch(pixels: int, depth: int) -> int:
    """Pixels that are widened at a time: some blocks, about 1 KB."""
    return max(512 // depth // pixels, 1) * pixels


CONV2D_DSP = Implementation("conv2d_dsp", Conv2D, schedules, build_conv2d, (has_dual_mac, is_undilated, is_ungrouped))
