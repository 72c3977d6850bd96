"""Conv2D where one word holds two weights of two channels each, so that only half of the weights need unpacking.

A halfword is 256 * (weight of one channel) + (weight of the other). SMLAD with the word itself adds up 256 * high + low,
SMLAD with SXTB16 of it adds up low alone; the difference is exact as long as sums stay below 2^23, which the weights show.

The rows of x under a strip of rows of y are widened to int16 once; then, for each pair of channels, all pixels of the strip
are made, so that the weights come from flash once per strip: out of the cache, or out of a copy in RAM where they are
too many for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d import in_blocks
from smelt.kernels.conv2d_dsp import Shape, fill_sides, is_pointwise, is_undilated, is_ungrouped
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import Order, fill, has_dual_mac, widen
from smelt.kernels.requantize import Requantizer, Scale, requantizer
from smelt.kernels.routines import products
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import SIZES, AnyBuffer, Buffer, Call, Const, Expr, Scratch, Table, minimum
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import BOTH_SUMS, HIGH_SUM, SMLAD, SXTB16
from smelt.targets.types import Core

MOST_SUM = 2**23
MOST_STEP = 1000  # elements between neighbouring pixels that an instruction can reach
STRIP_BYTES = 6800
STRETCH_BYTES = 3200
SHORT_ROW = 16  # weights
MOST_SUMS = 48  # pixels whose sums wait for their outputs
OTHERS = 20  # instructions of a routine for a block of pixels
CALL = 50  # and for a call


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

    shape: Shape
    order: Order
    schedule: PairBlock
    zero: int
    r: Requantizer
    x: Buffer
    weights: Buffer
    table: Buffer
    wide: Buffer
    slice: Buffer | None
    columns: Buffer | None
    sums: Buffer
    y: Buffer

    @property
    def run(self) -> int:
        """Words of weights of a pair of channels in one row of the kernel."""
        return -(-self.shape.length // 2)

    @property
    def slice_words(self) -> int:
        return self.shape.taps[0] * self.run


def has_enough_taps(op: Conv2D, core: Core) -> bool:
    """at least 8 weights for each output channel"""
    return op.weights.elements // op.y.shape[3] >= 8


def weights_fit_pairs(op: Conv2D, core: Core) -> bool:
    """weights of which two fit one halfword, sums that stay below 2^23, and at most 1000 channels x stride"""
    weights = op.weights.constant
    if weights.shape[3] * op.stride[1] > MOST_STEP:
        return False
    flat = weights.reshape(len(weights), -1)
    return fit_pairs(flat, requantizer(op, flat, folded=True))


def fit_pairs(flat: NDArray[np.int8], r: Requantizer) -> bool:
    """Whether `flat` (channels, taps) can be stored in pairs, and the sums told apart."""
    if r.wraps or _high_bytes(flat).min() < -128:
        return False
    wide, bias = flat.astype(np.int64), r.columns[:, 0].astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    greatest, least = bias + 127 * positive - 128 * negative, bias + 127 * negative - 128 * positive
    return bool(np.max(greatest) < MOST_SUM and np.min(least) >= -MOST_SUM and np.max(np.abs(bias)) < MOST_SUM)


def _even(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """`weights` (channels, ...) with a channel of zeros at the end, if needed for an even number."""
    return np.concatenate([weights, np.zeros_like(weights[: len(weights) % 2])])


def _high_bytes(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """The upper bytes of the halfwords, without what a negative lower byte borrows."""
    even = _even(weights)
    return even[1::2].astype(np.int16) - (even[0::2] < 0)


def pack_pairs(weights: NDArray[np.int8], mixed: bool) -> Table:
    """`weights` (channels, runs, length) as int32 [pair of channels][run][word], and one more word that may be read."""
    halves = _high_bytes(weights).astype(np.int32) * 256 + (_even(weights)[0::2].astype(np.int32) & 255)
    pairs, runs, length = halves.shape
    padded = np.zeros((pairs, runs, length + length % 2), np.int16)
    padded[:, :, :length] = halves
    if mixed:
        padded = padded.reshape(pairs, runs, -1, 4)[..., [0, 2, 1, 3]]
    return np.append(padded.reshape(-1).view("<i4").astype(np.int32), np.int32(0))


def build_conv2d(op: Conv2D, schedule: PairBlock) -> KernelCall:
    weights = op.weights.constant
    channels, taps_rows, taps_columns, depth = weights.shape
    order = Order(mixed=depth % 4 == 0)
    r = requantizer(op, weights.reshape(channels, -1), folded=True)
    packed = pack_pairs(weights.reshape(channels, taps_rows, taps_columns * depth), order.mixed)
    parts = _parts(op, schedule)
    shape = parts[0][1]
    k = KernelBuilder("conv2d_pairs")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int32_t", packed.size)
    table = r.bind(k)
    # Behind the rows there is room for what a run of odd length, or the word too many, reads.
    wide = order.scratch(k, strip_rows(shape, schedule.rows) * shape.row_length + 4)
    words = taps_rows * -(-shape.length // 2) + 1
    part = k.scratch("slice", "int32_t", words) if schedule.staged else None
    height = min(schedule.rows, shape.rows)
    columns = k.scratch("columns", "int32_t", height * shape.columns * (words - 1) + 1) if schedule.gathered else None
    sums = k.scratch("sums", "int32_t", 2 * MOST_SUMS)
    y = k.output("y", "int8_t", op.y.elements)
    for first, shape in parts:
        kernel = _Kernel(shape, order, schedule, op.x.q.zero_point, r, x, w, table, wide, part, columns, sums, y)
        _strips(k, kernel, first)
    scratch = [
        Scratch(wide.size * (4 if order.mixed else 2)),
        *(Scratch(4 * b.size) for b in (part, columns, sums) if b),
    ]
    return KernelCall(k.finish(), (op.x, packed, r.table, *scratch, op.y))


def _parts(op: Conv2D, schedule: PairBlock) -> list[tuple[int, Shape]]:
    """The convolution in parts, each with its first pixel: stretches of a pointwise layer are rows, the last one shorter."""
    _, taps_rows, taps_columns, depth = op.weights.shape
    batch, rows, columns, channels = op.y.shape
    if not is_pointwise(op):
        x_rows, x_columns = op.x.shape[1:3]
        taps, pad = (taps_rows, taps_columns), (op.pad.top, op.pad.left)
        return [(0, Shape(batch, x_rows, x_columns, depth, taps, op.stride, *pad, rows, columns, channels))]
    pixels = batch * rows * columns
    stretch = min(schedule.rows, pixels)
    full, rest = pixels // stretch, pixels % stretch
    whole = Shape(1, full, stretch, depth, (1, 1), (1, 1), 0, 0, full, stretch, channels)
    short = replace(whole, x_rows=1, rows=1, x_columns=rest, columns=rest)
    return [(0, whole), *([(full * stretch, short)] if rest else [])]


@dataclass(frozen=True)
class _Lines:
    """Where the pixels of a strip lie in a buffer of x: `rows` lines of `columns`, `pitch` and `step` elements apart."""

    rows: int
    columns: int
    pitch: int
    step: int


def _lines(s: Shape, order: Order, rows: int, gathered: int) -> _Lines:
    """The lines of `rows` rows of y; `gathered` words are those of a pixel whose elements lie side by side, else 0."""
    if gathered:
        return _Lines(1, rows * s.columns, 0, gathered)
    pitch, step = order.length(s.row_length) * _row_step(s), order.length(s.stride[1] * s.depth)
    if pitch == s.columns * step:  # rows of y follow each other without a gap
        return _Lines(1, rows * s.columns, 0, step)
    return _Lines(rows, s.columns, pitch, step)


def run_length(pixels: int) -> int:
    """Pixels of the even runs into which a line is divided, so that there is room for sums; the last may overlap its neighbour."""
    return -(-pixels // -(-pixels // MOST_SUMS))


def strip_rows(shape: Shape, rows: int) -> int:
    """Rows of x under a strip of `rows` rows of y."""
    return 1 if shape.is_stretch else (rows - 1) * _row_step(shape) + shape.taps[0]


def _row_step(shape: Shape) -> int:
    """Rows of `wide` from a row of y to the next: what a kernel of one row skips is left out."""
    return 1 if shape.taps[0] == 1 else shape.stride[0]


def _strips(k: KernelBuilder, kernel: _Kernel, first: int) -> None:
    s = kernel.shape
    height = 1 if s.is_stretch else min(kernel.schedule.rows, s.rows)
    fill_sides(k, s, kernel.order, kernel.wide, kernel.zero, strip_rows(s, height))
    with k.loop("image", 0, s.images) as image:
        for row, rows in in_blocks(k, "strip", s.rows, height):
            row = k.let("first_row", row)
            _load_rows(k, kernel, (image, row), rows, height, first)
            if kernel.columns is not None:
                _gather(k, kernel, kernel.columns, rows)
            pixel = (image * s.rows + row) * s.columns + first
            with k.loop("pair", 0, s.channels // 2) as pair:
                _pair(k, kernel, pair, 2, rows, pixel)
            if s.channels % 2:
                _pair(k, kernel, Const(s.channels // 2), 1, rows, pixel)


def _load_rows(k: KernelBuilder, kernel: _Kernel, at: tuple[Expr, Expr], rows: int, height: int, first: int) -> None:
    """Bring the rows under a strip into `wide`: those that the strip above had already move up, the others are widened."""
    s, order, wide = kernel.shape, kernel.order, kernel.wide
    image, row = at
    length = order.length(s.row_length)
    kept = max(s.taps[0] - s.stride[0], 0) if s.rows > height else 0
    begin: Expr = Const(0)
    if kept:
        with k.when(row > 0), k.loop("kept", 0, kept) as i:
            k.copy(wide, i * length, wide, (i + height * s.stride[0]) * length, length)
        begin = k.let("begin", (row > 0) * kept)
    with k.loop("wide_row", begin, strip_rows(s, rows)) as wide_row:
        x_row = k.let("x_row", row * s.stride[0] + wide_row * (s.stride[0] // _row_step(s)) - s.top)
        start = k.let("start", wide_row * length + order.length(s.left * s.depth))
        elements = s.x_columns * s.depth
        outside = (s.top > 0) or (s.rows - 1) * s.stride[0] + s.taps[0] > s.x_rows
        with k.when((x_row >= 0).both(x_row < s.x_rows) if outside else Const(1)):
            source = ((image * s.x_rows + x_row) * s.x_columns + first) * s.depth
            widen(k, order, wide, start, kernel.x, source, elements)
        if outside:
            with k.otherwise():
                fill(k, wide, start, order.zeros(kernel.zero), order.length(elements))


def _gather(k: KernelBuilder, kernel: _Kernel, columns: Buffer, rows: int) -> None:
    """For each pixel of a strip the elements that it looks at, side by side."""
    s, order = kernel.shape, kernel.order
    length = order.length(s.row_length)
    with k.loop("row", 0, rows) as row, k.loop("column", 0, s.columns) as column:
        place = k.let("place", row * (length * s.stride[0]) + column * order.length(s.stride[1] * s.depth))
        to = k.let("to", (row * s.columns + column) * kernel.slice_words)
        with k.loop("kernel_row", 0, s.taps[0]) as kernel_row:
            xs = k.window("xs", kernel.wide, place + kernel_row * length)
            target = k.window("target", columns, to + kernel_row * kernel.run)
            for word in range(kernel.run):
                k.store(target, word, order.pair(xs, Const(0), word))


def _pair(k: KernelBuilder, kernel: _Kernel, pair: Expr, channels: int, rows: int, pixel: Expr) -> None:
    """All pixels of a strip for the `channels` (one or two) channels of a pair."""
    s, order, r = kernel.shape, kernel.order, kernel.r
    first = pair * kernel.slice_words
    weights: AnyBuffer
    if kernel.slice is not None:
        k.copy(kernel.slice, 0, kernel.weights, first, kernel.slice_words)
        weights = kernel.slice
    else:
        weights = k.window("words", kernel.weights, first)
    channel = k.let("channel", pair * 2)
    bias = k.let("bias", r.bias(kernel.table, channel))
    both = k.let("both", Call(BOTH_SUMS, (r.bias(kernel.table, channel + 1) if channels == 2 else Const(0), bias)))
    scales = [r.scale(k, kernel.table, channel + c) for c in range(channels)]
    gathered = kernel.columns is not None
    lines = _lines(s, order, rows, kernel.slice_words if gathered else 0)
    count = run_length(lines.columns)
    words, taps = (kernel.slice_words, 1) if gathered else (kernel.run, s.taps[0])
    shape = Row(count, min(kernel.schedule.pixels, count), words, lines.step, taps, order.length(s.row_length))
    with k.loop("row", 0, lines.rows) as row, k.loop("run", 0, -(-lines.columns // count)) as run:
        start = k.let("start", minimum(run * count, lines.columns - count) if lines.columns % count else run * count)
        xs = k.window("xs", kernel.columns or kernel.wide, row * lines.pitch + start * lines.step)
        multiply_row(k, shape, kernel.sums, weights, xs, (bias, both))
        place = k.let("place", (pixel + row * lines.columns + start) * s.channels + channel)
        _outputs(k, kernel, place, scales, count)


def _outputs(k: KernelBuilder, kernel: _Kernel, place: Expr, scales: list[Scale], count: int) -> None:
    """From the sums of `count` pixels to outputs of one or two channels."""
    with k.loop("i", 0, count) as i:
        low = k.let("low", kernel.sums[i * 2])
        for c, scale in enumerate(scales):
            total = low if c == 0 else k.let("total", Call(HIGH_SUM, (kernel.sums[i * 2 + 1], low)))
            k.store(kernel.y, place + i * kernel.shape.channels + c, kernel.r.output(k, total, scale))


@dataclass(frozen=True)
class Row:
    """`pixels` neighbours, `step` elements of x apart, whose sums are made at once, `block` at a time. Each sees `rows` rows of
    `words` words, which lie `pitch` elements apart."""

    pixels: int
    block: int
    words: int
    step: int
    rows: int
    pitch: int


def multiply_row(
    k: KernelBuilder,
    row: Row,
    sums: AnyBuffer,
    weights: AnyBuffer,
    x: AnyBuffer,
    starts: tuple[Expr, Expr],
    plain: bool = False,
) -> None:
    """The sums of low channel and both (`plain`: of second and first channel) of each pixel, from `starts` on."""
    size = SIZES[x.type]
    numbers = (row.words, row.step * size, row.rows, row.pitch * size, row.pixels)
    words = row.rows * row.words
    blocks = -(-row.pixels // row.block)
    work = ((SMLAD, 2 * row.block * blocks * words), *(() if plain else ((SXTB16, blocks * words),)))
    others, turns = (
        blocks * (words * (row.block + 2) + OTHERS) + CALL,
        blocks * words if weights.role == "constant" else 0,
    )
    k.routine(products(row.block, plain), (At(sums), At(weights), At(x), *starts, *numbers), work, others, turns)


def schedules(op: Conv2D, core: Core) -> Iterable[PairBlock]:
    """Three pixels at a time; strips as high as some kilobytes of widened rows allow."""
    heights = _stretches(op) if is_pointwise(op) else _heights(op)
    staged = leaves_cache(op, core)
    pixels = min(3, op.y.elements // op.y.shape[3] if is_pointwise(op) else op.y.shape[2])
    if op.weights.shape[1] > 1 and op.weights.shape[2] * op.weights.shape[3] < SHORT_ROW:
        yield PairBlock(pixels, _gathered_rows(op), False, True)
    for rows in heights:
        yield PairBlock(pixels, rows, staged)
        yield PairBlock(pixels, rows, not staged)
    if pixels > 2:
        yield PairBlock(2, heights[0], staged)


def leaves_cache(op: Conv2D, core: Core) -> bool:
    """Whether the weights of two channels are no longer near the core when the next pixels need them."""
    most = core.style.cached_bytes
    return most is not None and op.weights.elements // op.y.shape[3] * 2 > most


def _heights(op: Conv2D) -> list[int]:
    """Rows of y per strip: what fits, better without a rest; then one."""
    (_, shape), *_ = _parts(op, PairBlock(1, 1, False))
    rows = shape.rows
    fitting = [n for n in range(1, rows + 1) if strip_rows(shape, n) * shape.row_length * 2 <= STRIP_BYTES] or [1]
    best = max((n for n in fitting if rows % n == 0), default=1)
    return list(dict.fromkeys((best, 1)))


def _gathered_rows(op: Conv2D) -> int:
    """Rows of y per strip of gathered pixels: what fits, without a rest."""
    rows, columns = op.y.shape[1:3]
    size = columns * op.weights.shape[1] * -(-op.weights.shape[2] * op.weights.shape[3] // 2) * 4
    return max(n for n in range(1, rows + 1) if rows % n == 0 and (n == 1 or n * size <= STRETCH_BYTES))


def _stretches(op: Conv2D) -> list[int]:
    """Pixels per stretch of a pointwise layer: what fits, without a rest if that costs at most half of it."""
    pixels, depth = op.y.elements // op.y.shape[3], op.x.shape[3]
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
