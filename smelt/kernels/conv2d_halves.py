"""Conv2D of int16 activations by two channels at a time: their weights are widened into RAM once for all pixels that are at hand.

Pointwise layers read x where it is, all but the last pixels, behind which more may be read; those are copied. Others see rows that
are copied with their border, a strip of rows of y at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dual_mac, has_enough_taps, is_pointwise, is_undilated, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.rows import MOST_SUMS, Lines, Rows, parts_of
from smelt.kernels.feeds.widened import Order
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import Row, multiply_row
from smelt.kernels.requantize import Epilogue
from smelt.kernels.requantize48 import epilogue, sums_are_words
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, minimum
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

BLOCK = 3  # pixels at a time
UNROLL = 4
BEHIND = 4  # elements that may be read behind the last
STRIP_BYTES = 6800
STRETCH_BYTES = 3200
SHORT_ROW = 16  # weights
NATURAL = Order(mixed=False)


@dataclass(frozen=True)
class HalfBlock:
    """Two channels x `pixels` sums in registers. Strips of `rows` rows of y (none: x is read where it is); `gathered` lays what a
    pixel of y looks at side by side, for kernels of short rows."""

    pixels: int
    rows: int = 0
    gathered: bool = False

    def __str__(self) -> str:
        strips = f", rows={self.rows}" if self.rows else ""
        return f"halves(pixels={self.pixels}{strips}{', gathered' if self.gathered else ''})"


def has_near_pixels(op: Conv2D, core: Core) -> bool:
    """at least three pixels, at most 1000 channels x stride"""
    return pixels_of(op) >= BLOCK and op.weights.shape[3] * op.stride[1] <= 1000


def pack(weights: NDArray[np.int8]) -> Table:
    """`weights` (channels, runs, length) as int32 [pair of channels][run][word]: bytes 0 and 2 are two neighbours of the second
    channel, 1 and 3 of the first."""
    channels, runs, length = weights.shape
    padded = np.zeros((channels + channels % 2, runs, length + length % 2), np.int8)
    padded[:channels, :, :length] = weights
    pairs = padded.reshape(-1, 2, runs, padded.shape[2] // 2, 2)[:, ::-1].transpose(0, 2, 3, 4, 1)
    return np.ascontiguousarray(pairs).reshape(-1).view("<i4").astype(np.int32)


@dataclass(frozen=True)
class _Pixels:
    """Pixels of y from number `first` on, and where in `x` they look: `rows` rows of `words` words, `pitch` elements apart."""

    x: AnyBuffer
    lines: Lines
    words: int
    rows: int
    pitch: int
    first: Expr


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share; `words` are those of two channels in a slice, less half."""

    op: Conv2D
    block: int
    r: Epilogue
    weights: Buffer
    table: Buffer
    slice: Buffer
    words: int
    sums: Buffer
    y: Buffer

    def outputs(self, k: KernelBuilder, parts: Sequence[_Pixels]) -> None:
        """All channels of some pixels."""
        channels = self.op.y.shape[3]
        if channels > 1:
            with k.loop("pair", 0, channels // 2) as pair:
                self._pair(k, pair, 2, parts)
        if channels % 2:
            self._pair(k, Const(channels // 2), 1, parts)

    def _pair(self, k: KernelBuilder, pair: Expr, channels: int, parts: Sequence[_Pixels]) -> None:
        self._fetch(k, pair)
        channel = k.let("channel", pair * 2)
        first = k.let("bias", self.r.bias(self.table, channel))
        second = k.let("bias", self.r.bias(self.table, channel + 1)) if channels == 2 else Const(0)
        scales = [self.r.scale(k, self.table, channel + c) for c in range(channels)]
        for part in parts:
            lines, count, total = part.lines, part.lines.run, self.op.y.shape[3]
            shape = Row(count, min(self.block, count), part.words, lines.step, part.rows, part.pitch)
            with k.loop("row", 0, lines.rows) as row, k.loop("run", 0, -(-lines.columns // count)) as run:
                begin = minimum(run * count, lines.columns - count) if lines.columns % count else run * count
                start = k.let("start", begin)
                xs = k.window("xs", part.x, row * lines.pitch + start * lines.step)
                multiply_row(k, shape, self.sums, self.slice, xs, (first, second), plain=True)
                place = k.let("place", (part.first + row * lines.columns + start) * total + channel)
                with k.loop("i", 0, count) as i:
                    for c, scale in enumerate(scales):
                        k.store(self.y, place + i * total + c, self.r.output(k, self.sums[i * 2 + c], scale))

    def _fetch(self, k: KernelBuilder, pair: Expr) -> None:
        """The weights of two channels, widened."""
        ws = k.window("ws", self.weights, pair * self.words)
        for start, size in in_blocks(k, "four", self.words, UNROLL):
            for number in range(size):
                word = k.let("word", ws[start + number])
                k.store(self.slice, (start + number) * 2, Call(SXTB16, (word,)))
                k.store(self.slice, (start + number) * 2 + 1, Call(SXTB16_ROR8, (word,)))


def build_conv2d(op: Conv2D, schedule: HalfBlock) -> KernelCall:
    weights = op.weights.constant
    channels, rows, columns, depth = weights.shape
    k = CallBuilder("conv2d_halves")
    r = epilogue(op, weights.reshape(channels, -1), folded=True)
    x, w = k.operand("x", op.x), k.table("weights", pack(weights.reshape(channels, rows, -1)))
    table, words = r.bind(k), rows * -(-columns * depth // 2)
    slice, sums = k.scratch("slice", "int32_t", 2 * words + 2), k.scratch("sums", "int32_t", 2 * MOST_SUMS)
    y = k.result("y", op.y)
    kernel = _Kernel(op, schedule.pixels, r, w, table, slice, words, sums, y)
    if is_pointwise(op):
        _pointwise(k, kernel, x)
    else:
        _strips(k, kernel, schedule, x)
    return k.finish_call()


def _pointwise(k: CallBuilder, kernel: _Kernel, x: Buffer) -> None:
    pixels, depth = pixels_of(kernel.op), kernel.op.x.shape[3]
    direct = max((pixels - BLOCK) // BLOCK * BLOCK, 0)
    left = pixels - direct
    last = NATURAL.scratch(k, left * depth + BEHIND)
    k.copy(last, 0, x, direct * depth, left * depth)
    parts = [_Pixels(last, Lines(1, left, 0, depth), kernel.words, 1, 0, Const(direct))]
    if direct:
        parts.insert(0, _Pixels(x, Lines(1, direct, 0, depth), kernel.words, 1, 0, Const(0)))
    kernel.outputs(k, parts)


def _strips(k: CallBuilder, kernel: _Kernel, schedule: HalfBlock, x: Buffer) -> None:
    ((_, s),) = parts_of(kernel.op, 1)
    run, height = -(-s.length // 2), min(schedule.rows, s.rows)
    wide = NATURAL.scratch(k, s.strip_rows(height) * s.row_length + BEHIND)
    columns = k.scratch("columns", "int32_t", height * s.columns * kernel.words + 1) if schedule.gathered else None
    rows = Rows(s, NATURAL, kernel.op.x.q.zero_point, x, wide, 0)
    rows.fill_sides(k, s.strip_rows(height))
    with k.loop("image", 0, s.images) as image:
        for row, count in in_blocks(k, "strip", s.rows, height):
            first = k.let("first_row", row)
            rows.load_strip(k, image, first, count, height)
            pixel = k.let("pixel", (image * s.rows + first) * s.columns)
            if columns is None:
                part = _Pixels(wide, rows.lines(count, 0), run, s.taps[0], rows.pitch, pixel)
            else:
                rows.gather(k, columns, count, run)
                part = _Pixels(columns, rows.lines(count, kernel.words), kernel.words, 1, 0, pixel)
            kernel.outputs(k, [part])


def schedules(op: Conv2D, core: Core) -> Iterable[HalfBlock]:
    """Three pixels at a time; strips as high as some kilobytes allow."""
    if is_pointwise(op):
        yield from (HalfBlock(BLOCK), HalfBlock(2))
        return
    pixels = min(BLOCK, op.y.shape[2])
    if op.weights.shape[1] > 1 and op.weights.shape[2] * op.weights.shape[3] < SHORT_ROW:
        yield HalfBlock(min(BLOCK, op.y.shape[1] * op.y.shape[2]), _gathered_rows(op), True)
    for rows in _heights(op):
        yield HalfBlock(pixels, rows)


def _heights(op: Conv2D) -> list[int]:
    """Rows of y per strip: what fits, better without a rest; then one."""
    ((_, shape),) = parts_of(op, 1)
    rows = shape.rows
    fitting = [n for n in range(1, rows + 1) if shape.strip_rows(n) * shape.row_length * 2 <= STRIP_BYTES] or [1]
    return list(dict.fromkeys((max((n for n in fitting if rows % n == 0), default=1), 1)))


def _gathered_rows(op: Conv2D) -> int:
    """Rows of y per strip of gathered pixels: what fits, without a rest."""
    rows, columns = op.y.shape[1:3]
    size = columns * op.weights.shape[1] * -(-op.weights.shape[2] * op.weights.shape[3] // 2) * 4
    return max(n for n in range(1, rows + 1) if rows % n == 0 and (n == 1 or n * size <= STRETCH_BYTES))


CONV2D_HALVES = Implementation(
    "conv2d_halves",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, is_undilated, is_ungrouped, has_enough_taps, has_near_pixels, sums_are_words),
)
