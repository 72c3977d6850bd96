"""Conv2D from widened rows by pairs of channels: only half of the weights need unpacking.

The rows of x under a strip of rows of y are widened to int16 once; then, for each pair of channels, all pixels of the strip
are made, so that the weights come from flash once per strip: out of the cache, or out of a copy in RAM where they are
too many for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.accepts import has_dual_mac, has_enough_taps, is_pointwise, is_undilated, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import Slices, bind_slices, bind_weights, even
from smelt.kernels.feeds.rows import MOST_SUMS, Rows, parts_of
from smelt.kernels.feeds.widened import Order
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import Row, fit_pairs, leaves_cache, multiply_row, pack_pairs
from smelt.kernels.requantize import requantizer
from smelt.kernels.requantizer import Requantizer, Scale
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, minimum
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import BOTH_SUMS, HIGH_SUM
from smelt.targets.types import Core

MOST_STEP = 1000  # elements between neighbouring pixels that an instruction can reach
STRIP_BYTES = 6800
STRETCH_BYTES = 3200
SHORT_ROW = 16  # weights


@dataclass(frozen=True)
class PairBlock:
    """Two channels x `pixels` sums in registers; strips of `rows` rows of y (pointwise: stretches of `rows` pixels).

    `staged` copies the weights of a pair of channels to RAM for the time of a strip; `gathered` lays what a pixel of y looks at
    side by side, for kernels of short rows.
    """

    pixels: int
    rows: int
    staged: bool
    gathered: bool = False

    def __str__(self) -> str:
        flags = "".join(f", {name}" for name in ("staged", "gathered") if getattr(self, name))
        return f"pairs(pixels={self.pixels}, rows={self.rows}{flags})"


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    schedule: PairBlock
    r: Requantizer
    rows: Rows
    weights: Buffer | Slices
    table: Buffer
    slice: Buffer | None
    columns: Buffer | None
    sums: Buffer
    y: Buffer

    @property
    def run(self) -> int:
        """Words of weights of a pair of channels in one row of the kernel."""
        return -(-self.rows.shape.length // 2)

    @property
    def slice_words(self) -> int:
        return self.rows.shape.taps[0] * self.run


def weights_fit_pairs(op: Conv2D, core: Core) -> bool:
    """weights of which two fit one halfword, sums that stay below 2^23, and at most 1000 channels x stride"""
    weights = op.weights.constant
    if weights.shape[3] * op.stride[1] > MOST_STEP:
        return False
    flat = weights.reshape(len(weights), -1)
    return fit_pairs(flat, requantizer(op, flat, folded=True))


def build_conv2d(op: Conv2D, schedule: PairBlock) -> KernelCall:
    weights = op.weights.constant
    channels, taps_rows, taps_columns, depth = weights.shape
    order = Order(mixed=depth % 4 == 0)
    r = requantizer(op, weights.reshape(channels, -1), folded=True)
    packed = pack_pairs(weights.reshape(channels, taps_rows, taps_columns * depth), order.mixed)
    parts = parts_of(op, schedule.rows)
    shape = parts[0][1]
    k = CallBuilder("conv2d_pairs")
    x, w, table = k.operand("x", op.x), _weights(k, op, packed, schedule), r.bind(k)
    # Behind the rows there is room for what a run of odd length, or the word too many, reads.
    wide = order.scratch(k, shape.strip_rows(schedule.rows) * shape.row_length + 4)
    words = taps_rows * -(-shape.length // 2) + 1
    room = even(words - 1) + 1 if op.weights.element.is_packed else words
    part = k.scratch("slice", "int32_t", room) if schedule.staged else None
    height = min(schedule.rows, shape.rows)
    columns = k.scratch("columns", "int32_t", height * shape.columns * (words - 1) + 1) if schedule.gathered else None
    sums = k.scratch("sums", "int32_t", 2 * MOST_SUMS)
    y = k.result("y", op.y)
    for first, shape in parts:
        rows = Rows(shape, order, op.x.q.zero_point, x, wide, first)
        _strips(k, _Kernel(schedule, r, rows, w, table, part, columns, sums, y))
    return k.finish_call()


def _weights(k: CallBuilder, op: Conv2D, packed: Table, schedule: PairBlock) -> Buffer | Slices:
    if schedule.staged:
        return bind_slices(k, op.weights, packed, (packed.size - 1) // -(-op.y.shape[3] // 2), "halves")
    return bind_weights(k, op.weights, packed, "halves")


def _strips(k: KernelBuilder, kernel: _Kernel) -> None:
    rows, s = kernel.rows, kernel.rows.shape
    height = 1 if s.is_stretch else min(kernel.schedule.rows, s.rows)
    rows.fill_sides(k, s.strip_rows(height))
    with k.loop("image", 0, s.images) as image:
        for row, count in in_blocks(k, "strip", s.rows, height):
            row = k.let("first_row", row)
            rows.load_strip(k, image, row, count, height)
            if kernel.columns is not None:
                rows.gather(k, kernel.columns, count, kernel.run)
            pixel = (image * s.rows + row) * s.columns + rows.first
            with k.loop("pair", 0, s.channels // 2) as pair:
                _pair(k, kernel, pair, 2, count, pixel)
            if s.channels % 2:
                _pair(k, kernel, Const(s.channels // 2), 1, count, pixel)


def _pair(k: KernelBuilder, kernel: _Kernel, pair: Expr, channels: int, rows: int, pixel: Expr) -> None:
    """All pixels of a strip for the `channels` (one or two) channels of a pair."""
    s, r = kernel.rows.shape, kernel.r
    weights: AnyBuffer
    if isinstance(kernel.weights, Slices):
        assert kernel.slice is not None
        kernel.weights.fetch(k, kernel.slice, pair)
        weights = kernel.slice
    else:
        weights = k.window("words", kernel.weights, pair * kernel.slice_words)
    channel = k.let("channel", pair * 2)
    bias = k.let("bias", r.bias(kernel.table, channel))
    both = k.let("both", Call(BOTH_SUMS, (r.bias(kernel.table, channel + 1) if channels == 2 else Const(0), bias)))
    scales = [r.scale(k, kernel.table, channel + c) for c in range(channels)]
    gathered = kernel.columns is not None
    lines = kernel.rows.lines(rows, kernel.slice_words if gathered else 0)
    count = lines.run
    words, taps = (kernel.slice_words, 1) if gathered else (kernel.run, s.taps[0])
    shape = Row(count, min(kernel.schedule.pixels, count), words, lines.step, taps, kernel.rows.pitch)
    with k.loop("row", 0, lines.rows) as row, k.loop("run", 0, -(-lines.columns // count)) as run:
        start = k.let("start", minimum(run * count, lines.columns - count) if lines.columns % count else run * count)
        xs = k.window("xs", kernel.columns or kernel.rows.wide, row * lines.pitch + start * lines.step)
        multiply_row(k, shape, kernel.sums, weights, xs, (bias, both))
        place = k.let("place", (pixel + row * lines.columns + start) * s.channels + channel)
        _outputs(k, kernel, place, scales, count)


def _outputs(k: KernelBuilder, kernel: _Kernel, place: Expr, scales: list[Scale], count: int) -> None:
    """From the sums of `count` pixels to outputs of one or two channels."""
    with k.loop("i", 0, count) as i:
        low = k.let("low", kernel.sums[i * 2])
        for c, scale in enumerate(scales):
            total = low if c == 0 else k.let("total", Call(HIGH_SUM, (kernel.sums[i * 2 + 1], low)))
            k.store(kernel.y, place + i * kernel.rows.shape.channels + c, kernel.r.output(k, total, scale))


def schedules(op: Conv2D, core: Core) -> Iterable[PairBlock]:
    """Three pixels at a time; strips as high as some kilobytes of widened rows allow."""
    heights = _stretches(op) if is_pointwise(op) else _heights(op)
    staged = leaves_cache(op, core) or op.weights.element.is_packed
    pixels = min(3, pixels_of(op) if is_pointwise(op) else op.y.shape[2])
    if op.weights.shape[1] > 1 and op.weights.shape[2] * op.weights.shape[3] < SHORT_ROW:
        yield PairBlock(pixels, _gathered_rows(op), False, True)
    for rows in heights:
        yield PairBlock(pixels, rows, staged)
        yield PairBlock(pixels, rows, not staged)
    if pixels > 2:
        yield PairBlock(2, heights[0], staged)


def _heights(op: Conv2D) -> list[int]:
    """Rows of y per strip: what fits, better without a rest; then one."""
    (_, shape), *_ = parts_of(op, 1)
    rows = shape.rows
    fitting = [n for n in range(1, rows + 1) if shape.strip_rows(n) * shape.row_length * 2 <= STRIP_BYTES] or [1]
    best = max((n for n in fitting if rows % n == 0), default=1)
    return list(dict.fromkeys((best, 1)))


def _gathered_rows(op: Conv2D) -> int:
    """Rows of y per strip of gathered pixels: what fits, without a rest."""
    rows, columns = op.y.shape[1:3]
    size = columns * op.weights.shape[1] * -(-op.weights.shape[2] * op.weights.shape[3] // 2) * 4
    return max(n for n in range(1, rows + 1) if rows % n == 0 and (n == 1 or n * size <= STRETCH_BYTES))


def _stretches(op: Conv2D) -> list[int]:
    """Pixels per stretch of a pointwise layer: what fits, without a rest if that costs at most half of it."""
    pixels, depth = pixels_of(op), op.x.shape[3]
    most = min(max(STRETCH_BYTES // 2 // depth, 1), pixels)
    even = max(n for n in range(1, most + 1) if pixels % n == 0)
    best = even if 2 * even >= most else max(most // 3 * 3, 1)
    return list(dict.fromkeys((best, min(max(most // 4 // 3 * 3, 1), pixels))))


CONV2D_PAIRS = Implementation(
    "conv2d_pairs",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, is_undilated, is_ungrouped, has_enough_taps, weights_fit_pairs),
)
