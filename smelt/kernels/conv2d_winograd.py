"""Conv2D 3x3, stride 1, with 16 products instead of 36 for four outputs: Winograd's F(2x2, 3x3), exact in integers.

    outputs of a tile of 2x2 = A' ((G w G') * (B' d B)) A        with d the 4x4 elements of x under it

G has halves in it: the weights are transformed with 2 G, so that sums are four times too large, and a shift, which loses
nothing, follows A. Transformed weights are int16 in flash, 3.6 times the size of the weights; SMLAD multiplies pairs of
input channels at each of the 16 positions.

One block of tiles after the other: its rows of x with their border as int8, all of its elements transformed, then, for each
pair of output channels and each position, the products of all of its tiles, and the outputs of the pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_byte_weights, has_dual_mac, is_undilated, is_ungrouped
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.images import copy_rows
from smelt.kernels.feeds.tiles import Tiled, Tiles
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import Row, multiply_row
from smelt.kernels.requantize import requantizer
from smelt.kernels.requantizer import Scale
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, Window
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SADD16, SSUB16, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

POSITIONS = 16
TWICE_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
GREATEST_INPUT = 4 * 128  # of a transformed element
ROOM = 40 * 1024  # what x, y and scratch may take together


@dataclass(frozen=True)
class TileBlock(Tiles):
    """Blocks of `rows` x `columns` tiles of 2x2 outputs, of which three are multiplied at a time; `staged` copies the weights
    of a position to RAM for the time of a block."""

    staged: bool

    def __str__(self) -> str:
        return f"tiles(rows={self.rows}, columns={self.columns}{', staged' if self.staged else ''})"


@dataclass(frozen=True)
class _Kernel(Tiled):
    """What the parts of the kernel share."""

    schedule: TileBlock
    slice: Buffer | None


def is_three_by_three(op: Conv2D, core: Core) -> bool:
    """a kernel of 3x3 with stride 1, and an even number of rows, columns and output channels, four or more input channels
    in fours"""
    _, rows, columns, channels = op.y.shape
    even = rows % 2 == columns % 2 == channels % 2 == op.x.shape[3] % 4 == 0
    return op.weights.shape[1:3] == (3, 3) and op.stride == (1, 1) and even


def fits_winograd(op: Conv2D, core: Core) -> bool:
    """sums of transformed products that stay inside 32 bits"""
    weights = op.weights.constant
    r = requantizer(op, weights.reshape(len(weights), -1), folded=True)
    sums = np.abs(_transformed(weights)).sum(axis=-1).max() * GREATEST_INPUT
    return not r.wraps and bool(9 * sums + 4 * np.abs(r.columns[:, 0].astype(np.int64)).max() < 2**31)


def _transformed(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """`weights` (channels, 3, 3, depth) as (channels, 4, 4, depth), four times as large as they should be."""
    return np.asarray(np.einsum("ai,kijc,bj->kabc", TWICE_G, weights.astype(np.int64), TWICE_G), np.int64)


def pack_weights(weights: NDArray[np.int8]) -> Table:
    """int32 [pair of channels][position][word][channel], elements (0, 2) and (1, 3) of fours together; one word pair more."""
    channels, depth = weights.shape[0], weights.shape[3]
    values = _transformed(weights).astype(np.int16).reshape(channels // 2, 2, POSITIONS, depth // 4, 4)
    words = np.ascontiguousarray(values[..., [0, 2, 1, 3]]).view("<i4").reshape(channels // 2, 2, POSITIONS, depth // 2)
    return np.append(words.transpose(0, 2, 3, 1).reshape(-1).astype(np.int32), np.zeros(2, np.int32))


def build_conv2d(op: Conv2D, schedule: TileBlock) -> KernelCall:
    weights = op.weights.constant
    r = requantizer(op, weights.reshape(len(weights), -1), folded=True)
    packed = pack_weights(weights)
    depth, columns = op.x.shape[3], op.y.shape[2]
    k = CallBuilder("conv2d_winograd")
    x, w, table = k.operand("x", op.x), k.table("weights", packed), r.bind(k)
    image = k.scratch("image", "int8_t", (2 * schedule.rows + 2) * (columns + 2) * depth)
    tiles = k.scratch("tiles", "int32_t", POSITIONS * schedule.tiles * depth // 2 + 1)
    sums = k.scratch("sums", "int32_t", POSITIONS * 2 * schedule.tiles)
    part = k.scratch("slice", "int32_t", depth + 2) if schedule.staged else None
    y = k.result("y", op.y)
    kernel = _Kernel(op, r, x, w, table, image, tiles, sums, y, schedule, part)
    with k.loop("batch", 0, op.y.shape[0]) as batch:
        for row, rows in in_blocks(k, "tile_row", op.y.shape[1] // 2, schedule.rows):
            row = k.let("first_row", row)
            copy_rows(k, op, x, image, kernel.row_length, batch, row * 2, (0, 2 * rows + 2))
            for column, count in in_blocks(k, "tile_column", columns // 2, schedule.columns):
                column = k.let("first_column", column)
                _transform(k, kernel, column, rows, count)
                with k.loop("pair", 0, op.y.shape[3] // 2) as pair:
                    _multiply(k, kernel, pair, rows * count)
                    _outputs(k, kernel, batch, (row, column), (rows, count), pair)
    return k.finish_call()


def _transform(k: KernelBuilder, kernel: _Kernel, column: Expr, rows: int, count: int) -> None:
    """B' d B of all tiles of a block, to [position][tile][word]."""
    depth, length = kernel.depth, kernel.row_length
    with k.loop("row", 0, rows) as row, k.loop("column", 0, count) as tile:
        place = k.let("place", row * (2 * length) + (column + tile) * (2 * depth))
        to = k.let("to", (row * count + tile) * kernel.words)
        with k.loop("quad", 0, depth // 4) as quad:
            xs = k.window("xs", kernel.image, place + quad * 4)
            target = k.window("target", kernel.tiles, to + quad * 2)
            _transform_quad(k, kernel, xs, target, rows * count)


def _transform_quad(k: KernelBuilder, kernel: _Kernel, xs: Window, target: Window, tiles: int) -> None:
    """Four channels of one tile. Column by column first, so that few values are alive, then along the rows."""
    for half, unpack in enumerate((SXTB16, SXTB16_ROR8)):
        lines: list[Sequence[Expr]] = []
        for j in range(4):
            d = [
                k.let("d", Call(unpack, (xs.load("int32_t", i * kernel.row_length + j * kernel.depth),)))
                for i in range(4)
            ]
            lines.append(_four(k, d))
        for i in range(4):
            for j, value in enumerate(_four(k, [line[i] for line in lines])):
                k.store(target, (4 * i + j) * (tiles * kernel.words) + half, value)


def _four(k: KernelBuilder, d: Sequence[Expr]) -> Sequence[Expr]:
    """B' of four values."""
    pairs = ((SSUB16, d[0], d[2]), (SADD16, d[1], d[2]), (SSUB16, d[2], d[1]), (SSUB16, d[1], d[3]))
    return [k.let("v", Call(operation, (a, b))) for operation, a, b in pairs]


def _multiply(k: KernelBuilder, kernel: _Kernel, pair: Expr, tiles: int) -> None:
    """The sums of a pair of channels at all positions, to [position][tile][channel], the second channel first."""
    words = kernel.words
    with k.loop("position", 0, POSITIONS) as position:
        first = (pair * POSITIONS + position) * (2 * words)
        weights: AnyBuffer
        if kernel.slice is not None:
            k.copy(kernel.slice, 0, kernel.weights, first, 2 * words)
            weights = kernel.slice
        else:
            weights = k.window("words", kernel.weights, first)
        values = k.window("values", kernel.tiles, position * (tiles * words))
        results = k.window("results", kernel.sums, position * (2 * tiles))
        row = Row(tiles, min(3, tiles), words, words, 1, 0)
        multiply_row(k, row, results, weights, values, (Const(0), Const(0)), plain=True)


def _outputs(
    k: KernelBuilder, kernel: _Kernel, batch: Expr, first: tuple[Expr, Expr], block: tuple[int, int], pair: Expr
) -> None:
    """The outputs of a pair of channels for a block of tiles."""
    op, r = kernel.op, kernel.r
    rows, count = block
    _, y_rows, y_columns, channels = op.y.shape
    with k.loop("half", 0, 2) as half:
        channel = k.let("channel", pair * 2 + half)
        bias = k.let("bias", r.bias(kernel.table, channel) * 4)
        scale = r.scale(k, kernel.table, channel)
        with k.loop("row", 0, rows) as row, k.loop("column", 0, count) as column:
            sums = k.window("from", kernel.sums, (row * count + column) * 2 - half + 1)
            line = (batch * y_rows + (first[0] + row) * 2) * y_columns
            pixel = k.let("pixel", line + (first[1] + column) * 2)
            ys = k.window("ys", kernel.y, pixel * channels + channel)
            _tile(k, kernel, sums, 2 * rows * count, bias, scale, ys)


def _tile(k: KernelBuilder, kernel: _Kernel, sums: Window, step: int, bias: Expr, scale: Scale, ys: Window) -> None:
    """A' m A, and four outputs."""
    _, _, columns, channels = kernel.op.y.shape
    lines = []
    for j in range(4):
        m = [k.let("m", sums[(4 * i + j) * step]) for i in range(4)]
        lines.append(_two(k, m))
    for i in range(2):
        line = [lines[0][i] + bias, lines[1][i], lines[2][i], lines[3][i] - bias]
        for j, value in enumerate(_two(k, line)):
            total = k.let("total", value >> 2)
            k.store(ys, (i * columns + j) * channels, kernel.r.output(k, total, scale))


def _two(k: KernelBuilder, m: Sequence[Expr]) -> Sequence[Expr]:
    """A' of four values."""
    return [k.let("a", m[0] + m[1] + m[2]), k.let("b", m[1] - m[2] - m[3])]


def schedules(op: Conv2D, core: Core) -> Iterable[TileBlock]:
    """The largest block that fits the room beside x and y, then smaller ones."""
    for rows, columns in _blocks(op)[:2]:
        yield TileBlock(rows, columns, False)
        yield TileBlock(rows, columns, True)


def _blocks(op: Conv2D) -> list[tuple[int, int]]:
    """(rows, columns) of tiles: whole rows if one fits, else parts of one; largest first."""
    rows, columns, depth = op.y.shape[1] // 2, op.y.shape[2] // 2, op.x.shape[3]
    room = ROOM - op.x.bytes - op.y.bytes
    whole = [(n, columns) for n in range(rows, 0, -1) if rows % n == 0]
    parts = [(1, n) for n in range(columns - 1, 0, -1) if columns % n == 0]
    fitting = [b for b in (*whole, *parts) if _scratch(*b, op.y.shape[2], depth) <= room]
    return fitting or [(1, 1)]


def _scratch(rows: int, columns: int, y_columns: int, depth: int) -> int:
    tiles = rows * columns
    return (2 * rows + 2) * (y_columns + 2) * depth + POSITIONS * tiles * (2 * depth + 8) + 4 * depth


CONV2D_WINOGRAD = Implementation(
    "conv2d_winograd",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, has_byte_weights, is_undilated, is_ungrouped, is_three_by_three, fits_winograd),
    spends_flash=True,
)
