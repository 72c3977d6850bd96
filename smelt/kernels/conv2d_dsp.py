"""Conv2D with dual multiply-accumulate: the rows under the kernel are widened to int16 once, borders included, and
every output reads its window straight from them. Blocks of output channels x pixels stay in registers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.conv2d import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import Order, dot, fill, has_dual_mac, pack_weights, quads, widen
from smelt.kernels.requantize import Requantizer, requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Scratch, Window, minimum
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
class Shape:
    """A convolution as the kernel sees it: rows of x of `columns` pixels, kernels of `taps[0]` runs of `length`
    elements."""

    images: int
    x_rows: int
    x_columns: int
    depth: int
    taps: tuple[int, int]
    stride: tuple[int, int]
    top: int
    left: int
    rows: int
    columns: int
    channels: int

    @property
    def length(self) -> int:
        return self.taps[1] * self.depth

    @property
    def is_stretch(self) -> bool:
        """Whether rows are independent stretches of pixels."""
        return self.taps == (1, 1) and self.stride == (1, 1) and self.rows == self.x_rows

    @property
    def row_pixels(self) -> int:
        """Pixels of a widened row: all that the outputs of a row look at, padding included."""
        return max((self.columns - 1) * self.stride[1] + self.taps[1], self.left + self.x_columns)

    @property
    def row_length(self) -> int:
        """Elements of a widened row, even so that rows stay aligned."""
        return self.row_pixels * self.depth + self.row_pixels * self.depth % 2


@dataclass(frozen=True)
class _Buffers:
    x: Buffer
    weights: Buffer
    table: Buffer
    wide: Buffer
    y: Buffer


def is_undilated(op: Conv2D, core: Core) -> bool:
    """neighbouring taps that are neighbours in the image (dilation 1)"""
    return op.dilation == (1, 1)


def is_ungrouped(op: Conv2D, core: Core) -> bool:
    """every output channel reading every input channel (no groups)"""
    return op.weights.shape[3] == op.x.shape[3]


def is_pointwise(op: Conv2D) -> bool:
    return op.weights.shape[1:3] == (1, 1) and op.stride == (1, 1) and not op.pad


def _shapes(op: Conv2D, schedule: ConvBlock) -> list[tuple[int, Shape]]:
    """The convolution in parts, each with the first pixel of x and y that it works on.

    Pointwise layers are stretches of pixels, whatever the rows of the image; the last stretch may be shorter.
    """
    _, taps_rows, taps_columns, depth = op.weights.shape
    batch, rows, columns, channels = op.y.shape
    if not is_pointwise(op):
        x_rows, x_columns = op.x.shape[1:3]
        taps = (taps_rows, taps_columns)
        return [
            (
                0,
                Shape(
                    batch, x_rows, x_columns, depth, taps, op.stride, op.pad.top, op.pad.left, rows, columns, channels
                ),
            )
        ]
    pixels, stretch = batch * rows * columns, min(schedule.columns, batch * rows * columns)
    full, rest = pixels // stretch, pixels % stretch
    parts = [(0, Shape(1, full, stretch, depth, (1, 1), (1, 1), 0, 0, full, stretch, channels))]
    if rest:
        parts.append((full * stretch, Shape(1, 1, rest, depth, (1, 1), (1, 1), 0, 0, 1, rest, channels)))
    return parts


def build_conv2d(op: Conv2D, schedule: ConvBlock) -> KernelCall:
    weights = op.weights.constant
    channels, taps_rows, taps_columns, depth = weights.shape
    order = Order(mixed=depth % 4 == 0)
    r = requantizer(op, weights.reshape(channels, -1), folded=True)
    packed = pack_weights(weights.reshape(channels, taps_rows, taps_columns * depth), schedule.channels, order.mixed)
    parts = _shapes(op, schedule)
    k = KernelBuilder("conv2d_dsp")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int32_t", packed.size)
    table = r.bind(k)
    # Where a run is no multiple of four, its last weights are zeros and may meet elements beyond the rows.
    wide = order.scratch(k, taps_rows * parts[0][1].row_length + 4)
    y = k.output("y", "int8_t", op.y.elements)
    for first, shape in parts:
        _part(k, op, shape, first, order, schedule, r, _Buffers(x, w, table, wide, y))
    return KernelCall(k.finish(), (op.x, packed, r.table, Scratch(wide.size * (4 if order.mixed else 2)), op.y))


def _part(
    k: KernelBuilder, op: Conv2D, s: Shape, first: int, order: Order, schedule: ConvBlock, r: Requantizer, b: _Buffers
) -> None:
    zero = op.x.q.zero_point
    fill_sides(k, s, order, b.wide, zero, s.taps[0])
    with k.loop("image", 0, s.images) as image, k.loop("row", 0, s.rows) as row:
        _load_rows(k, s, order, b, (image, row), first, zero)
        for column, pixels in in_blocks(k, "column", s.columns, schedule.pixels):
            pixel = k.let("pixel", (image * s.rows + row) * s.columns + column + first)
            base = k.window("window", b.wide, column * order.length(s.stride[1] * s.depth))
            for block, channels in _channel_blocks(k, s.channels, schedule.channels):
                _block(k, s, order, schedule, r, b, base, pixel, pixels, block, channels)


def _channel_blocks(k: KernelBuilder, channels: int, size: int) -> Iterable[tuple[Expr, int]]:
    for first, count in in_blocks(k, "block", channels, size):
        yield k.let("channel", first), count


def fill_sides(k: KernelBuilder, s: Shape, order: Order, wide: Buffer, zero: int, rows: int) -> None:
    """The padding left and right of the image in `rows` widened rows, which stays as it is."""
    left, right = s.left * s.depth, (s.row_pixels - s.left - s.x_columns) * s.depth
    if left or right:
        with k.loop("kernel_row", 0, rows) as kernel_row:
            start = kernel_row * order.length(s.row_length)
            fill(k, wide, start, order.zeros(zero), order.length(left))
            fill(k, wide, start + order.length(left + s.x_columns * s.depth), order.zeros(zero), order.length(right))


def _load_rows(
    k: KernelBuilder, s: Shape, order: Order, b: _Buffers, at: tuple[Expr, Expr], first: int, zero: int
) -> None:
    """Bring the rows under the kernel into `wide`: those that the row above had already move up, the others are
    widened."""
    image, row = at
    length, (height, _) = order.length(s.row_length), s.taps
    kept = max(height - s.stride[0], 0) if s.rows > 1 else 0
    if kept:
        with k.when(row > 0), k.loop("kernel_row", 0, kept) as kernel_row:
            k.copy(b.wide, kernel_row * length, b.wide, (kernel_row + s.stride[0]) * length, length)
    begin = minimum(row, 1) * kept if kept else Const(0)
    with k.loop("kernel_row", begin, height) as kernel_row:
        x_row = k.let("x_row", row * s.stride[0] + kernel_row - s.top)
        start = k.let("start", kernel_row * length + order.length(s.left * s.depth))
        elements = s.x_columns * s.depth
        inside = (s.top > 0) or (s.rows - 1) * s.stride[0] + height > s.x_rows
        condition = (x_row >= 0).both(x_row < s.x_rows) if inside else Const(1)
        with k.when(condition):
            source = ((image * s.x_rows + x_row) * s.x_columns + first) * s.depth
            widen(k, order, b.wide, start, b.x, source, elements)
        if inside:
            with k.otherwise():
                fill(k, b.wide, start, order.zeros(zero), order.length(elements))


def _block(
    k: KernelBuilder, s: Shape, order: Order, schedule: ConvBlock, r: Requantizer, b: _Buffers, window: Window,
    pixel: Expr, pixels: int, channel: Expr, channels: int,
) -> None:  # fmt: skip
    """`channels` x `pixels` outputs."""
    sums = []
    for c in range(channels):
        bias = k.let("bias", r.bias(b.table, channel + c), "int32_t")
        sums.append([k.var("sum", bias) for _ in range(pixels)])
    run = quads(s.length)
    weights = k.window("words", b.weights, channel * (s.taps[0] * run))
    steps = [order.length(p * s.stride[1] * s.depth) for p in range(pixels)]
    with k.loop("kernel_row", 0, s.taps[0]) as kernel_row:
        xs = k.window("xs", window, kernel_row * order.length(s.row_length))
        ws = k.window("ws", weights, kernel_row * (run * channels))
        dot(k, order, xs, steps, ws, s.length, sums, schedule.unroll)
    for c in range(channels):
        places = [(pixel + p) * s.channels + channel + c for p in range(pixels)]
        store_outputs(k, r, b.table, channel + c, sums[c], b.y, places)


def schedules(op: Conv2D, core: Core) -> Iterable[ConvBlock]:
    """Blocks that fit the registers, wide ones for long runs; a stretch of a pointwise layer is a few blocks."""
    channels, columns = op.y.shape[3], op.y.shape[2]
    if is_pointwise(op):
        columns = op.y.elements // channels
    run = quads(op.weights.shape[2] * op.weights.shape[3])
    sizes = ((2, 3), (2, 2), (1, 4), (3, 2), (4, 1), (1, 1)) if run > 4 else ((1, 4), (1, 3), (2, 3), (2, 2), (1, 1))
    seen = set()
    for unroll in _unrolls(op, run):
        for size in sizes:
            pixels = min(size[1], columns)
            stretch = min(columns, _stretch(pixels, op.weights.shape[3])) if is_pointwise(op) else columns
            schedule = ConvBlock(min(size[0], channels), pixels, unroll, stretch)
            if schedule not in seen:
                seen.add(schedule)
                yield schedule


def _unrolls(op: Conv2D, run: int) -> list[int]:
    """How far to repeat the inner loop: all of it where it is short, else a divisor, so that no rest remains."""
    if run <= (16 if op.weights.shape[1] == 1 else 6):
        return [run, *(u for u in (4, 2) if u < run)]
    return sorted((4, 8, 2), key=lambda unroll: (run % unroll, -unroll))


def _stretch(pixels: int, depth: int) -> int:
    """Pixels that are widened at a time: some blocks, about 1 KB."""
    return max(512 // depth // pixels, 1) * pixels


CONV2D_DSP = Implementation("conv2d_dsp", Conv2D, schedules, build_conv2d, (has_dual_mac, is_undilated, is_ungrouped))
