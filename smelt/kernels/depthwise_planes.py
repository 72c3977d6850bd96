"""DepthwiseConv2D one channel after the other, with dual multiply-accumulate or without.

A channel is gathered into a plane of int16 (borders included), where neighbours along a row are the halves of a word:
one SMLAD does two taps of a row. Outputs at odd positions use the same words with pairs of taps that start one later;
a tap without a partner uses one half. Weights, bias and multiplier of the channel stay in registers for the whole
plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dual_mac, is_undilated
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts, look_again
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.planes import gather_line
from smelt.kernels.feeds.widened import fill
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import Epilogue, for_routines
from smelt.kernels.requantize48 import epilogue
from smelt.kernels.requantize_exact import NearRequantizer, OnceRequantizer
from smelt.kernels.requantizer import Scale
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Var, Window, cast
from smelt.model.ops import DepthwiseConv2D
from smelt.targets.intrinsics import PKHBT, SMLABB, SMLABT, SMLAD, SMLATB, SMLATT
from smelt.targets.types import Core

MOST_TAPS = 64
PLANE_BYTES = 6144


@dataclass(frozen=True)
class PlaneBlock:
    """`pixels` neighbouring outputs at a time (even), from planes that serve `rows` rows of y."""

    pixels: int
    rows: int

    def __str__(self) -> str:
        return f"plane(pixels={self.pixels}, rows={self.rows})"


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    op: DepthwiseConv2D
    r: Epilogue
    schedule: PlaneBlock
    dual: bool
    x: Buffer
    weights: Buffer
    table: Buffer
    doubts: Buffer | None
    plane: Buffer
    y: Buffer

    @property
    def columns(self) -> int:
        return plane_columns(self.op)


def plane_columns(op: DepthwiseConv2D) -> int:
    """Columns of a plane: all that outputs look at, and even."""
    seen = (op.y.shape[2] - 1) * op.stride[1] + op.weights.shape[2]
    columns = max(seen, op.pad.left + op.x.shape[2])
    return columns + columns % 2


def plane_rows(op: DepthwiseConv2D, rows: int) -> int:
    """Rows of a plane that serves `rows` rows of y."""
    return (rows - 1) * op.stride[0] + op.weights.shape[1]


def has_few_taps(op: DepthwiseConv2D, core: Core) -> bool:
    """a kernel of at most 64 taps"""
    return op.weights.shape[1] * op.weights.shape[2] <= MOST_TAPS


def build_dual(op: DepthwiseConv2D, schedule: PlaneBlock) -> KernelCall:
    return _build(op, schedule, dual=True)


def build_single(op: DepthwiseConv2D, schedule: PlaneBlock) -> KernelCall:
    return _build(op, schedule, dual=False)


def _build(op: DepthwiseConv2D, schedule: PlaneBlock, dual: bool) -> KernelCall:
    weights = op.weights.constant.reshape(-1, op.y.shape[3]).T
    r = _epilogue(op, weights)
    k = CallBuilder("depthwise_dsp" if dual else "depthwise_planes")
    x, w, table = k.operand("x", op.x), bind_weights(k, op.weights, weights), r.bind(k)
    doubts = bind_doubts(k, r)
    size = plane_rows(op, schedule.rows) * plane_columns(op)
    plane = k.scratch("plane", "int16_t", size)
    kernel = _Kernel(op, r, schedule, dual, x, w, table, doubts, plane, k.result("y", op.y))
    _fill_sides(k, kernel)
    with k.loop("image", 0, op.y.shape[0]) as image:
        for first, rows in in_blocks(k, "strip", op.y.shape[1], schedule.rows):
            row = k.let("first_row", first)
            with k.loop("x_channel", 0, op.x.shape[3]) as x_channel:
                _gather(k, kernel, image, row, rows, x_channel)
                with k.loop("copy", 0, op.multiplier) as copy:
                    channel = k.let("channel", x_channel * op.multiplier + copy)
                    _channel(k, kernel, image, row, rows, channel)
                    _look_again(k, kernel, image, row, rows, channel)
    return k.finish_call()


def _epilogue(op: DepthwiseConv2D, weights: NDArray[np.int8]) -> Epilogue:
    """A test of every sum takes registers from the taps: a few outputs are looked at again instead."""
    r = epilogue(op, weights, folded=True)
    return for_routines(op, weights) if isinstance(r, NearRequantizer) else r


def _fill_sides(k: KernelBuilder, kernel: _Kernel) -> None:
    """The padding left and right of the image is the same for all channels."""
    op, columns = kernel.op, kernel.columns
    right = op.pad.left + op.x.shape[2]
    if op.pad.left or columns > right:
        with k.loop("plane_row", 0, plane_rows(op, kernel.schedule.rows)) as plane_row:
            fill(k, kernel.plane, plane_row * columns, op.x.q.zero_point, op.pad.left)
            fill(k, kernel.plane, plane_row * columns + right, op.x.q.zero_point, columns - right)


def _gather(k: KernelBuilder, kernel: _Kernel, image: Expr, row: Expr, rows: int, x_channel: Expr) -> None:
    """One channel of the rows of x under `rows` rows of y."""
    op = kernel.op
    _, x_rows, x_columns, x_channels = op.x.shape
    with k.loop("plane_row", 0, plane_rows(op, rows)) as plane_row:
        x_row = k.let("x_row", row * op.stride[0] + plane_row - op.pad.top)
        start = k.let("start", plane_row * kernel.columns + op.pad.left)
        with k.when((x_row >= 0).both(x_row < x_rows)):
            xs = k.window("from", kernel.x, (image * x_rows + x_row) * (x_columns * x_channels) + x_channel)
            gather_line(k, k.window("to", kernel.plane, start), xs, x_columns, x_channels)
        with k.otherwise():
            fill(k, kernel.plane, start, op.x.q.zero_point, x_columns)


def _channel(k: KernelBuilder, kernel: _Kernel, image: Expr, row: Expr, rows: int, channel: Expr) -> None:
    """All outputs of one channel of y in a strip."""
    op, r = kernel.op, kernel.r
    taps = _load_pairs(k, kernel, channel) if kernel.dual else _load_singles(k, kernel, channel)
    bias = k.let("bias", r.bias(kernel.table, channel), "int32_t" if kernel.dual else r.sum_type)
    scale = r.scale(k, kernel.table, channel)
    _, y_rows, y_columns, y_channels = op.y.shape
    with k.loop("row", 0, rows) as inner:
        ys = k.window("to_y", kernel.y, (image * y_rows + row + inner) * (y_columns * y_channels) + channel)
        line = k.window("line", kernel.plane, inner * (op.stride[0] * kernel.columns))
        for column, pixels in in_blocks(k, "column", y_columns, kernel.schedule.pixels):
            xs = k.window("xs", line, column * op.stride[1])
            _outputs(k, kernel, xs, ys, taps, (bias, scale), column, pixels)


def _look_again(k: KernelBuilder, kernel: _Kernel, image: Expr, row: Expr, rows: int, channel: Expr) -> None:
    """The doubtful ones of the outputs that `_channel` made."""
    op, r = kernel.op, kernel.r
    if not isinstance(r, OnceRequantizer):
        return
    _, y_rows, y_columns, y_channels = op.y.shape
    first = (image * y_rows + row) * y_columns

    def place(channel: Expr, number: Expr) -> Expr:
        return (first + number) * y_channels + channel

    def sum_of(channel: Expr, bias: Expr, number: Expr) -> Expr:
        _, height, width, _ = op.weights.shape
        down, across = number // y_columns * op.stride[0], number % y_columns * op.stride[1]
        total = k.var("again_sum", bias)
        with k.loop("tap_row", 0, height) as tap_row, k.loop("tap", 0, width) as tap:
            weight = kernel.weights[channel * (height * width) + tap_row * width + tap]
            k.assign(total, total + weight * kernel.plane[(down + tap_row) * kernel.columns + across + tap])
        return total

    look_again(k, r, kernel.doubts, kernel.y, rows * y_columns, place, sum_of, only=channel)


@dataclass(frozen=True)
class _Taps:
    """The taps of a row of the kernel: pairs by their first tap, and single ones."""

    pairs: Mapping[int, Expr]
    singles: Mapping[int, Expr]

    def single(self, tap: int) -> tuple[Expr, int]:
        """A word with `tap` in it, and in which half."""
        if tap in self.pairs:
            return self.pairs[tap], 0
        if tap - 1 in self.pairs:
            return self.pairs[tap - 1], 1
        return self.singles[tap], 0


def _products(op: DepthwiseConv2D, pixels: int) -> list[tuple[int, int, int]]:
    """(word, output, tap of the word's low half) of everything that is multiplied along one row of the kernel."""
    size, stride = op.weights.shape[2], op.stride[1]
    words = ((pixels - 1) * stride + size + 1) // 2
    every = ((word, pixel, 2 * word - pixel * stride) for word in range(words) for pixel in range(pixels))
    return [(word, pixel, tap) for word, pixel, tap in every if -1 <= tap < size]


def _load_pairs(k: KernelBuilder, kernel: _Kernel, channel: Expr) -> list[_Taps]:
    op = kernel.op
    _, height, width, _ = op.weights.shape
    used = {tap for _, _, tap in _products(op, min(kernel.schedule.pixels, op.y.shape[2]))}
    pairs = sorted(tap for tap in used if 0 <= tap < width - 1)
    alone = sorted(
        tap for tap in {max(tap, 0) for tap in used if tap in (-1, width - 1)} if not {tap, tap - 1} & {*pairs}
    )
    ws = k.window("ws", kernel.weights, channel * (height * width))
    rows = []
    for row in range(height):
        first = row * width
        packed = {t: k.let("taps", Call(PKHBT, (ws[first + t], ws[first + t + 1]))) for t in pairs}
        rows.append(_Taps(packed, {t: k.let("tap", ws[first + t]) for t in alone}))
    return rows


def _load_singles(k: KernelBuilder, kernel: _Kernel, channel: Expr) -> list[_Taps]:
    _, height, width, _ = kernel.op.weights.shape
    ws = k.window("ws", kernel.weights, channel * (height * width))
    return [_Taps({}, {t: k.let("tap", ws[row * width + t]) for t in range(width)}) for row in range(height)]


def _outputs(
    k: KernelBuilder, kernel: _Kernel, xs: Window, ys: Window, taps: list[_Taps], constants: tuple[Expr, Scale],
    column: Expr, pixels: int,
) -> None:  # fmt: skip
    """`pixels` neighbouring outputs."""
    op = kernel.op
    bias, scale = constants
    sums = [k.var("sum", bias) for _ in range(pixels)]
    add = _add_pairs if kernel.dual else _add_singles
    for row, row_taps in enumerate(taps):
        add(k, kernel, xs, row * kernel.columns, row_taps, sums)
    for pixel, total in enumerate(sums):
        k.store(ys, (column + pixel) * op.y.shape[3], kernel.r.output(k, total, scale))


def _add_pairs(k: KernelBuilder, kernel: _Kernel, xs: Window, start: int, taps: _Taps, sums: list[Var]) -> None:
    """One row of the kernel, two taps at a time."""
    loaded: dict[int, Expr] = {}
    for word, pixel, tap in _products(kernel.op, len(sums)):
        if word not in loaded:
            loaded[word] = k.let("word", xs.load("int32_t", start + 2 * word))
        _multiply(k, taps, tap, loaded[word], sums[pixel])


def _add_singles(k: KernelBuilder, kernel: _Kernel, xs: Window, start: int, taps: _Taps, sums: list[Var]) -> None:
    """One row of the kernel, tap by tap."""
    width, stride = kernel.op.weights.shape[2], kernel.op.stride[1]
    for element in range((len(sums) - 1) * stride + width):
        uses = [(p, element - p * stride) for p in range(len(sums)) if 0 <= element - p * stride < width]
        if uses:
            value = k.let("value", xs[start + element])
            for pixel, tap in uses:
                total = sums[pixel]
                k.assign(total, total + cast(total.type, value * taps.singles[tap]))


def _multiply(k: KernelBuilder, taps: _Taps, tap: int, word: Expr, total: Var) -> None:
    """Add a word of x times the taps that meet its halves: `tap` the low one, the next the high one."""
    if tap in taps.pairs:
        k.assign(total, Call(SMLAD, (taps.pairs[tap], word, total)))
        return
    high_half = tap < 0
    weight, half = taps.single(0 if high_half else tap)
    instruction = ((SMLABB, SMLABT), (SMLATB, SMLATT))[half][high_half]
    k.assign(total, Call(instruction, (weight, word, total)))


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[PlaneBlock]:
    """Whole planes where they are small, then strips; four pixels share more loads, two leave more registers, which
    is better where loads run beside arithmetic."""
    heights = []
    for rows in (op.y.shape[1], 16, 8, 4, 1):
        if rows <= op.y.shape[1] and rows not in heights:
            heights.append(rows)
    small = [rows for rows in heights if 2 * plane_rows(op, rows) * plane_columns(op) <= PLANE_BYTES] or heights[-1:]
    for rows in small[:3]:
        for pixels in (2, 4) if core.style.issue == 2 else (4, 2):
            yield PlaneBlock(pixels, rows)


DEPTHWISE_DSP = Implementation(
    "depthwise_dsp", DepthwiseConv2D, schedules, build_dual, (has_dual_mac, is_undilated, has_few_taps)
)
DEPTHWISE_PLANES = Implementation(
    "depthwise_planes", DepthwiseConv2D, schedules, build_single, (is_undilated, has_few_taps)
)
