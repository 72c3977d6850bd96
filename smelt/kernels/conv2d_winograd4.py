"""Conv2D 3x3, stride 1, with 36 products instead of 144 for sixteen outputs: Winograd's F(4x4, 3x3), exact in integers.

    outputs of a tile of 4x4 = A' ((G w G') * (B' d B)) A        with d the 6x6 elements of x under it

G has thirds and eighths in it. Here G is made of small integers, what is missing goes into A, and sums are 576 = 9 * 64 times
too large. They are only ever added and multiplied, so that they may wrap: 576 * s modulo 2^32, times the inverse of 9, is
64 * s modulo 2^32, which a shift to the right makes s, as long as s fits 26 bits. Weights and elements of x stay int16: SMLAD
multiplies pairs of input channels at each of the 36 positions.

Weights are int8 in flash. Those of a pair of output channels are transformed into RAM (a slice) for each block of tiles, or,
with `whole`, all of them once. Elements of x are taken without their sign, as x + 128, so that two can be computed with in one
word, `65536 * high + low`, by plain additions with shifts; the bias makes up for the 128.

Rows of x are copied before y is written: y may lie over x. Where rows or columns of y are no multiple of four, the last tiles start
earlier, as blocks of their own, and make some outputs twice.

Rows of the image are not needed while products are made, but for those that the next block begins with. Where a block is as wide as
the image, sums and the transformed weights of a pair of channels may lie there (`tight`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dual_mac, is_undilated, is_ungrouped
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts, look_again
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.images import copy_rows
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.tiles import Tiled, Tiles
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import for_routines, requantizer
from smelt.kernels.requantize_exact import OnceRequantizer
from smelt.kernels.requantizer import Requantizer, Scale
from smelt.kernels.routines import (
    GROUP,
    GROUP_SUMS,
    POSITIONS,
    WINOGRAD_EIGHT,
    WINOGRAD_EIGHTS,
    WINOGRAD_INPUTS,
    WINOGRAD_OUTPUTS,
    WINOGRAD_PRODUCTS,
    WINOGRAD_WEIGHTS,
    named,
)
from smelt.kernels.winograd4_sums import A_TRANSPOSED, EXTRA_BITS, INVERSE_OF_9, OUT, SIZE, TileSum
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Table, Value, Window, cast
from smelt.loops.routine import At, Passes
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SMLAD, SMMLAR
from smelt.targets.types import Core

BIAS_FACTOR = 36  # what adds 576 to all outputs of a tile, at the position in row 1, column 1
BIAS_POSITION = 7
GREATEST_SHIFT = 17  # of the routines for outputs: what they add is 32 times as large
MOST_SUM = 2 ** (31 - EXTRA_BITS)
WORTHWHILE = 12  # rows or columns that need not be a multiple of four,
MANY = 16  # with so many input channels
MOST_MADE = 4 / 3  # times as many outputs as there are: each block transforms the weights anew
ROOM = 40 * 1024  # what y and the scratch of the first guess may take
INPUT_WORK, WEIGHT_WORK, OUTPUT_WORK = (
    400,
    170,
    400,
)  # instructions for two elements of a tile; two weights; a tile of y


@dataclass(frozen=True)
class TileBlock(Tiles):
    """Blocks of `rows` x `columns` tiles of 4x4 outputs; `whole` transforms all weights at once, else a pair of output
    channels at a time, anew for each block; `tight` puts these and the sums where the rows of the image were."""

    whole: bool
    tight: bool = False

    def __str__(self) -> str:
        flags = "".join(f", {name}" for name in ("whole", "tight") if getattr(self, name))
        return f"tiles4(rows={self.rows}, columns={self.columns}{flags})"


@dataclass(frozen=True)
class _Kernel(Tiled):
    """What the parts of the kernel share."""

    schedule: TileBlock
    corner: Buffer | None
    slices: Buffer
    doubts: Buffer | None
    factors: Buffer | None

    @property
    def slice_words(self) -> int:
        """Transformed weights of a pair of output channels."""
        return 2 * POSITIONS * self.words

    def slice(self, pair: Expr) -> At:
        """Where the transformed weights of a pair of output channels start."""
        if self.schedule.tight:
            return At(self.image, _kept(self.op))
        return At(self.slices, pair * self.slice_words if self.schedule.whole else Const(0))

    def sum(self, number: Value) -> At:
        """Where the sum of that number lies."""
        if self.schedule.tight:
            return At(self.image, number * Const(4) + (_kept(self.op) + 4 * _slice_words(self.op)))
        return At(self.sums, number)


def has_tiles(op: Conv2D, core: Core) -> bool:
    """a kernel of 3x3 with stride 1, an even number of output channels, input channels in fours, rows and columns of y in fours
    or, with many channels, so large that little is made twice"""
    _, rows, columns, channels = op.y.shape
    depth, made = op.x.shape[3], -(-rows // OUT) * -(-columns // OUT) * OUT * OUT
    large = min((n for n in (rows, columns) if n % OUT), default=WORTHWHILE) >= WORTHWHILE
    worthwhile = large and depth >= MANY and made <= rows * columns * MOST_MADE
    fours = depth % 4 == 0 and (rows % OUT == columns % OUT == 0 or worthwhile)
    return op.weights.shape[1:3] == (3, 3) and op.stride == (1, 1) and fours and channels % 2 == 0


def fits_tiles(op: Conv2D, core: Core) -> bool:
    """sums of less than 2^25"""
    weights = op.weights.constant
    flat = weights.reshape(len(weights), -1)
    r = requantizer(op, flat, folded=True)
    reach = np.abs(r.columns[:, 0].astype(np.int64)) + 128 * np.abs(flat.astype(np.int64)).sum(axis=1)
    return not r.wraps and bool(reach.max() < MOST_SUM)


def pack_weights(weights: NDArray[np.int8]) -> Table:
    """`weights` (channels, 3, 3, depth) as int32 [channel][four input channels][row][column], and one more that may be read."""
    channels, depth = weights.shape[0], weights.shape[3]
    fours = weights.reshape(channels, 9, depth // 4, 4).transpose(0, 2, 1, 3)
    return np.append(np.ascontiguousarray(fours).view("<i4").reshape(-1).astype(np.int32), np.int32(0))


def with_bias(op: Conv2D) -> Requantizer:
    """A requantizer whose biases are for x + 128, times `BIAS_FACTOR`."""
    weights = op.weights.constant
    flat = weights.reshape(len(weights), -1)
    r = for_routines(op, flat)
    r = (r.grown(EXTRA_BITS) if r.saturates else requantizer(op, flat, folded=True)) or requantizer(
        op, flat, folded=True
    )
    columns = r.columns.astype(np.int64)
    columns[:, 0] = BIAS_FACTOR * (columns[:, 0] - 128 * flat.sum(axis=1, dtype=np.int64))
    r = replace(r, columns=columns.astype(np.int32))
    return r.after_bias() if isinstance(r, OnceRequantizer) else r


def build_conv2d(op: Conv2D, schedule: TileBlock) -> KernelCall:
    r, packed = with_bias(op), pack_weights(op.weights.constant)
    batch, y_rows, _, channels = op.y.shape
    depth = op.x.shape[3]
    k = CallBuilder("conv2d_winograd4", in_place=_may_overwrite(op))
    x, w, table = k.operand("x", op.x), bind_weights(k, op.weights, packed), r.bind(k)
    image = k.scratch("image", "int8_t", _image_bytes(op, schedule))
    doubts = bind_doubts(k, r)
    factors = None if doubts is None else k.table("factors", np.array(A_TRANSPOSED, np.int32))
    corner = None if is_shared(r) else k.scratch("corner", "int32_t", OUT * SIZE)
    slices = sums = image
    if not schedule.tight:
        slices = k.scratch("slices", "int32_t", (channels // 2 if schedule.whole else 1) * POSITIONS * depth + 2)
    tiles = k.scratch("tiles", "int32_t", POSITIONS * schedule.tiles * depth // 2 + GROUP)
    if not schedule.tight:
        sums = k.scratch("sums", "int32_t", _groups(schedule.tiles) * GROUP_SUMS)
    y = k.result("y", op.y)
    kernel = _Kernel(op, r, x, w, table, image, tiles, sums, y, schedule, corner, slices, doubts, factors)
    if schedule.whole:
        with k.loop("pair", 0, channels // 2) as pair:
            _slice(k, kernel, pair)
    with k.loop("batch", 0, batch) as image_index:
        for row, rows in in_blocks(k, "tile_row", y_rows // OUT, schedule.rows):
            _load_rows(k, kernel, image_index, row, rows)
            _row_of_blocks(k, kernel, image_index, row * OUT, rows)
        if y_rows % OUT:
            last = Const(y_rows - OUT)
            copy_rows(k, op, x, image, kernel.row_length, image_index, last, (0, SIZE))
            _row_of_blocks(k, kernel, image_index, last, 1)
    return k.finish_call()


def _row_of_blocks(k: KernelBuilder, kernel: _Kernel, batch: Expr, row: Expr, rows: int) -> None:
    """All columns of `rows` rows of tiles that begin with row `row` of y."""
    columns = kernel.op.y.shape[2]
    row = k.let("first_row", row)
    for column, count in in_blocks(k, "tile_column", columns // OUT, kernel.schedule.columns):
        _block(k, kernel, batch, (row, k.let("first_column", column * OUT)), (rows, count))
    if columns % OUT:
        _block(k, kernel, batch, (row, Const(columns - OUT)), (rows, 1))


def _may_overwrite(op: Conv2D) -> bool:
    """Whether rows of y, laid over x, only reach rows of x that were copied before."""
    (_, x_rows, x_columns, depth), (_, y_rows, y_columns, channels) = op.x.shape, op.y.shape
    return y_columns * channels <= x_columns * depth and y_rows <= x_rows and y_rows % OUT == 0


def _load_rows(k: KernelBuilder, kernel: _Kernel, batch: Expr, row: Expr, rows: int) -> None:
    """The rows of x under `rows` rows of tiles, with their border; the first two are there from the block before."""
    begin: Expr = Const(0)
    if not isinstance(row, Const) or row.value:
        if not kernel.schedule.tight:
            with k.when(row > 0):
                _keep_rows(k, kernel, kernel.schedule.rows)
        begin = k.let("begin", (row > 0) * 2)
    lines = (begin, OUT * rows + 2)
    copy_rows(k, kernel.op, kernel.x, kernel.image, kernel.row_length, batch, row * OUT, lines)


def _keep_rows(k: KernelBuilder, kernel: _Kernel, rows: int) -> None:
    """The last rows of the image, which the next block begins with, move to its beginning."""
    length = kernel.row_length
    k.copy(kernel.image, 0, kernel.image, OUT * rows * length, 2 * length)


def _block(k: KernelBuilder, kernel: _Kernel, batch: Expr, first: tuple[Expr, Expr], block: tuple[int, int]) -> None:
    """All outputs of a block of tiles, whose first row and column of y are `first`."""
    _transform(k, kernel, first[1], block)
    if kernel.schedule.tight:
        with k.when(first[0] < kernel.op.y.shape[1] - OUT * block[0]):
            _keep_rows(k, kernel, block[0])
    with k.loop("pair", 0, kernel.op.y.shape[3] // 2) as pair:
        if not kernel.schedule.whole:
            _slice(k, kernel, pair)
        _multiply(k, kernel, pair, block[0] * block[1])
        _outputs(k, kernel, batch, first, block, pair)


def _transform(k: KernelBuilder, kernel: _Kernel, column: Expr, block: tuple[int, int]) -> None:
    """B' d B of all tiles of a block."""
    depth, length, (rows, columns) = kernel.depth, kernel.row_length, block
    places = (At(kernel.tiles), At(kernel.image, column * depth))
    work = rows * columns * kernel.words * INPUT_WORK
    words = GROUP * kernel.words  # at a position of a group
    k.routine(
        WINOGRAD_INPUTS, (*places, rows, columns, depth, length), (), work, passes={"tiles": Passes(words, 4 * words)}
    )


def _slice(k: KernelBuilder, kernel: _Kernel, pair: Expr) -> None:
    """G w G' of a pair of output channels."""
    places = (kernel.slice(pair), At(kernel.weights, pair * (kernel.depth // 2 * 9)))
    routine = WINOGRAD_WEIGHTS[kernel.depth if kernel.depth in WINOGRAD_WEIGHTS else None]
    passes = {"slice": Passes(kernel.depth, 4 * kernel.depth)}
    k.routine(routine, (*places, kernel.depth), (), 2 * kernel.words * WEIGHT_WORK, passes=passes)


def _multiply(k: KernelBuilder, kernel: _Kernel, pair: Expr, tiles: int) -> None:
    """The sums of a pair of channels at all positions of all tiles."""
    words = kernel.words
    places = (kernel.sum(0), kernel.slice(pair), At(kernel.tiles))
    fast = WINOGRAD_EIGHT if words == 8 else WINOGRAD_EIGHTS
    products = 2 * POSITIONS * tiles * words
    k.routine(
        fast if words % 8 == 0 else WINOGRAD_PRODUCTS,
        (*places, words, tiles),
        ((SMLAD, products),),
        products,
        passes={"weights": Passes(_groups(tiles))},
    )


def _groups(tiles: int) -> int:
    return -(-tiles // GROUP)


def is_shared(r: Requantizer) -> bool:
    """Whether outputs need nothing but what the functions for all layers do."""
    if r.form == "once":
        return True
    return r.form == "fast" and r.clamp == (-128, 127) and max(r.shifts) <= GREATEST_SHIFT


def _outputs(
    k: KernelBuilder, kernel: _Kernel, batch: Expr, first: tuple[Expr, Expr], block: tuple[int, int], pair: Expr
) -> None:
    """The outputs of a pair of channels for a block of tiles."""
    _, y_rows, y_columns, channels = kernel.op.y.shape
    corner = kernel.corner
    with k.loop("half", 0, 2) as half:
        channel = k.let("channel", pair * 2 + half)
        place = ((batch * y_rows + first[0]) * y_columns + first[1]) * channels + channel
        if corner is None:
            _routine_outputs(k, kernel, place, channel, half, block)
        else:
            _own_outputs(k, kernel, corner, place, channel, half, block)


def _own_outputs(
    k: KernelBuilder, kernel: _Kernel, corner: Buffer, place: Expr, channel: Expr, half: Expr, block: tuple[int, int]
) -> None:  # fmt: skip
    """The outputs of a channel, whatever they are clamped to and however they are rounded."""
    r, (rows, count) = kernel.r, block
    _, _, y_columns, channels = kernel.op.y.shape
    bias = k.let("bias", cast("uint32_t", r.bias(kernel.table, channel)))
    scale = r.scale(k, kernel.table, channel)
    with k.loop("row", 0, rows) as row, k.loop("column", 0, count) as column:
        tile = k.let("tile", row * count + column)
        group = k.let("group", tile // GROUP)
        sums = k.window("from", kernel.sums, group * GROUP_SUMS + tile % GROUP + half * GROUP)
        ys = k.window("ys", kernel.y, place + row * (OUT * y_columns * channels) + column * (OUT * channels))
        at = BIAS_POSITION * 2 * GROUP
        k.store(sums, at, cast("uint32_t", sums[at]) + bias)
        _tile(k, kernel, corner, sums, scale, ys)


def _routine_outputs(
    k: KernelBuilder, kernel: _Kernel, place: Expr, channel: Expr, half: Expr, block: tuple[int, int]
) -> None:
    """The outputs of a channel that are not clamped to less than int8, by a function that all layers share."""
    r, (rows, count) = kernel.r, block
    _, _, y_columns, channels = kernel.op.y.shape
    places = (At(kernel.y, place), kernel.sum(half * GROUP), r.constants(kernel.table, channel))
    numbers = (rows, count, y_columns * channels, channels, *(r.numbers[-1:] if r.form == "once" else r.numbers))
    sign = "once" if r.form == "once" else "positive" if r.saturates else "signed"
    function = named(WINOGRAD_OUTPUTS, f"winograd_{sign}")
    tiles = rows * count
    k.routine(function, (*places, *numbers), ((SMMLAR, tiles * OUT * OUT),), tiles * OUTPUT_WORK)
    again = TileSum(k, (y_columns, channels), kernel.sum, kernel.schedule.tight, kernel.factors, half, block)
    made = tiles * OUT * OUT
    look_again(
        k, r, kernel.doubts, kernel.y, made, lambda _, number: place + again.beside(number), again.sum, only=channel
    )


def _tile(k: KernelBuilder, kernel: _Kernel, corner: Buffer, sums: Window, scale: Scale, ys: Window) -> None:
    """A' m A, and sixteen outputs."""
    _, _, y_columns, channels = kernel.op.y.shape
    with k.loop("j", 0, SIZE, keep=True) as j:
        m = [k.let("m", cast("uint32_t", sums[(j + i * SIZE) * (2 * GROUP)])) for i in range(SIZE)]
        for row, (value, factor) in enumerate(_four(k, m)):
            k.store(corner, j + row * SIZE, value * factor)
    with k.loop("i", 0, OUT, keep=True) as i:
        line = [k.let("m", cast("uint32_t", corner[i * SIZE + j])) for j in range(SIZE)]
        for column, (value, factor) in enumerate(_four(k, line)):
            exact = cast("int32_t", value * Const(INVERSE_OF_9)) >> (EXTRA_BITS - factor.bit_length() + 1)
            total = k.let("total", exact)
            k.store(ys, i * (y_columns * channels) + column * channels, kernel.r.output(k, total, scale))


def _four(k: KernelBuilder, m: Sequence[Expr]) -> Sequence[tuple[Expr, int]]:
    """A' of six values, and what each is still to be multiplied by."""
    p, q = k.let("p", m[1] + m[2]), k.let("q", m[1] - m[2])
    r, s = k.let("r", m[3] + m[4]), k.let("s", m[3] - m[4])
    first, last = k.let("first", m[0] + m[0] * 2 - p * 2), k.let("last", m[5] + m[5] * 2 + s)
    return [(r + first * 2, 1), (s - q * 2, 2), (r - p, 4), (last * 2 - q, 4)]


def schedules(op: Conv2D, core: Core) -> Iterable[TileBlock]:
    """Blocks with modest scratch first, and with less where rows are not cut; then larger ones."""
    blocks = _blocks(op)
    found = [TileBlock(*b, False) for b in blocks]
    fitting = [s for s in found if scratch_bytes(op, s) + op.y.bytes <= ROOM] or found[:1]
    first = fitting[-1]
    larger = [s for s in found if s.tiles > first.tiles]
    smaller = [s for s in found if s.tiles < first.tiles]
    yield first
    if _may_be_tight(op):
        yield TileBlock(first.rows, op.y.shape[2] // OUT, False, tight=True)
    yield from larger
    yield from (replace(s, whole=True) for s in found if s.tiles < found[-1].tiles)
    yield from reversed(smaller)


def _may_be_tight(op: Conv2D) -> bool:
    """Whether blocks are as wide as the image, and outputs come from routines, which take bytes for words."""
    return op.y.shape[2] % OUT == 0 and is_shared(with_bias(op))


def scratch_bytes(op: Conv2D, schedule: TileBlock) -> int:
    """What the buffers of a schedule that is not tight take."""
    depth, channels = op.x.shape[3], op.y.shape[3]
    slices = POSITIONS * depth * 4 * (channels // 2 if schedule.whole else 1)
    sums = 4 * _groups(schedule.tiles) * GROUP_SUMS
    tiles = POSITIONS * schedule.tiles * 2 * depth
    return _image_bytes(op, schedule) + slices + tiles + sums + 4 * OUT * SIZE


def _image_bytes(op: Conv2D, schedule: TileBlock) -> int:
    """The rows of x under a block; of a tight schedule at least room for what comes into their place."""
    rows = (OUT * schedule.rows + 2) * (op.y.shape[2] + 2) * op.x.shape[3]
    if not schedule.tight:
        return rows
    return max(rows, _kept(op) + 4 * (_slice_words(op) + _groups(schedule.tiles) * GROUP_SUMS))


def _kept(op: Conv2D) -> int:
    """Bytes of the rows that the next block begins with."""
    return 2 * (op.y.shape[2] + 2) * op.x.shape[3]


def _slice_words(op: Conv2D) -> int:
    """The transformed weights of a pair of output channels, and what may be read behind them."""
    return POSITIONS * op.x.shape[3] + 2


def _blocks(op: Conv2D) -> list[tuple[int, int]]:
    """(rows, columns) of tiles: parts of a row, then whole rows, smallest first."""
    rows, columns = op.y.shape[1] // OUT, op.y.shape[2] // OUT
    parts = [(1, n) for n in range(1, columns) if columns % n == 0]
    return [*parts, *((n, columns) for n in range(1, rows + 1) if rows % n == 0)]


CONV2D_WINOGRAD4 = Implementation(
    "conv2d_winograd4",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, is_undilated, is_ungrouped, has_tiles, fits_tiles),
)
