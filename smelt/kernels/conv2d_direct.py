"""Conv2D with next to no scratch: pixels are made from x as it is, one or three neighbours at a time.

Elements of x are widened on their way to the multipliers. Weights lie in pairs of channels (see `inner.pairs`). What lies outside
of the image is left out: the zero point is taken off the elements, and outputs that see the same part of the kernel have a call of
their own. Pixels of pointwise layers may be made apart and copied, so that y may lie where x is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import (
    has_byte_weights,
    has_dual_mac,
    is_pointwise,
    is_undilated,
    is_ungrouped,
    pixels_of,
)
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts, look_again
from smelt.kernels.feeds.blocks import in_stretches
from smelt.kernels.feeds.taps import Stretch, stretches
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import MOST_SUM, fit_pairs, pack_pairs
from smelt.kernels.requantize import for_routines
from smelt.kernels.requantizer import Requantizer
from smelt.kernels.routines import PIXELS, PIXELS_ONCE
from smelt.kernels.thumb.pixels import BITS, EXTRA
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Const, Expr, Table
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import HIGH_SUM, SADD16, SMLAD, SMMLAR, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

FOUR = 4  # elements of a word of x
THREE = 3  # pixels
MOST_PARTS = 16  # of the outputs, that see different parts of the kernel
WORD_BYTES = 8  # of weights for a word of x
OTHERS, ROW, CALL = 70, 20, 60  # instructions for a pair besides its products, for each row of a pair, for a call


@dataclass(frozen=True)
class PixelBlock:
    """So many neighbours at a time, one or three; they are made `apart` from y, into which they are copied."""

    pixels: int
    apart: bool = False

    def __str__(self) -> str:
        return f"direct(pixels={self.pixels}{', apart' if self.apart else ''})"


def in_fours(op: Conv2D, core: Core) -> bool:
    """input channels in fours, an even number of output channels"""
    return op.x.shape[3] % FOUR == op.y.shape[3] % 2 == 0


def sees_the_image(op: Conv2D, core: Core) -> bool:
    """outputs that all see something of the image, and at most 16 different parts of the kernel"""
    parts = _parts(_in_a_row(op))
    return all(rows.taps and columns.taps for rows, columns in parts) and len(parts) <= MOST_PARTS


def fits_pixels(op: Conv2D, core: Core) -> bool:
    """weights of which two fit one halfword, sums that stay below 2^23, outputs that use all of int8 and are shifted"""
    flat = _flat(op)
    r = for_routines(op, flat)
    if r.form == "once":
        return r.saturates and r.grown(BITS) is not None and fit_pairs(flat, r)
    usual = r.form == "fast" and r.clamp == (-128, 127) and min(r.shifts) > 0
    return usual and r.widest_offset < MOST_SUM and fit_pairs(flat, r)


def _flat(op: Conv2D) -> NDArray[np.int8]:
    return op.weights.constant.reshape(op.y.shape[3], -1)


def pack(op: Conv2D) -> Table:
    """int32 [pair of channels][row and column][word of x][elements 0 and 2, 1 and 3], and what may be read behind them."""
    return np.append(pack_pairs(_flat(op)[:, np.newaxis, :], mixed=True), np.int32(0))


def scales_of(r: Requantizer) -> Table:
    """int32 [pair of channels][low sum and both; multiplier, offset, shift of each channel]."""
    bias, whole = r.columns[:, 0].astype(np.int64), r.columns[:, 1].astype(np.int64)
    shift = r.columns[:, 2].astype(np.int64) if r.shift is None else np.full(len(bias), r.shift)
    starts = bias.copy()
    starts[1::2] = bias[1::2] * 256 + bias[0::2]
    if r.form == "once":
        scales = np.stack([whole, r.columns[:, 2], shift], axis=1)
    else:
        offsets = ((2 * r.y_zero + 1) << shift) >> 1
        scales = np.stack([(whole & 0xFFFFFFFF) >> 1, offsets, shift + EXTRA], axis=1)
    return np.concatenate([starts.reshape(-1, 2), scales.reshape(-1, 6)], axis=1).astype(np.int32).reshape(-1)


def build_direct(op: Conv2D, schedule: PixelBlock) -> KernelCall:
    given = for_routines(op, _flat(op), folded=False)
    r = given.grown(BITS) or given
    k = CallBuilder("conv2d_direct")
    x, w, scales = k.operand("x", op.x), k.table("weights", pack(op)), k.table("scales", scales_of(r))
    doubts = bind_doubts(k, r)
    apart = k.scratch("apart", "int8_t", schedule.pixels * op.y.shape[3]) if schedule.apart else None
    kernel = _Kernel(_in_a_row(op), r, schedule, x, w, scales, doubts, apart, k.result("y", op.y))
    for rows, columns in _parts(kernel.op):
        kernel.part(k, rows, columns)
    return k.finish_call()


def _in_a_row(op: Conv2D) -> Conv2D:
    """The same computation; the pixels of a pointwise layer are one row."""
    if not is_pointwise(op):
        return op
    x, y = (replace(t, shape=(1, 1, pixels_of(op), t.shape[3])) for t in (op.x, op.y))
    return replace(op, x=x, y=y)


def _parts(op: Conv2D) -> list[tuple[Stretch, Stretch]]:
    """Rows and columns of y that see the same part of the kernel."""
    return [*product(stretches(op, 0), stretches(op, 1))]


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    op: Conv2D
    r: Requantizer
    schedule: PixelBlock
    x: Buffer
    weights: Buffer
    scales: Buffer
    doubts: Buffer | None
    apart: Buffer | None
    y: Buffer

    def part(self, k: KernelBuilder, rows: Stretch, columns: Stretch) -> None:
        """The pixels that see the same part of the kernel."""
        op = self.op
        _, x_rows, x_columns, depth = op.x.shape
        batch, y_rows, y_columns, channels = op.y.shape
        with k.loop("image", 0, batch) as image, k.loop("row", 0, rows.count) as row:
            x_row = row * op.stride[0] + (rows.first * op.stride[0] - op.pad.top + rows.tap)
            for column, pixels in self._blocks(k, columns.count):
                x_column = column * op.stride[1] + (columns.first * op.stride[1] - op.pad.left + columns.tap)
                x_pixel = (image * x_rows + x_row) * x_columns + x_column
                y_pixel = (image * y_rows + (row + rows.first)) * y_columns + (column + columns.first)
                self._pixels(k, (x_pixel * depth, y_pixel * channels), (rows, columns), pixels)

    def _blocks(self, k: KernelBuilder, count: int) -> Iterator[tuple[Expr, int]]:
        """First columns of blocks, and how many pixels these have. A last block may start earlier and make pixels twice, but not
        where y may be over x."""
        pixels = self.schedule.pixels if count >= THREE else 1
        full = count // pixels * pixels
        if full < count and self.apart is None:
            with in_stretches(k, count, pixels) as column:
                yield column, pixels
            return
        with k.loop("block", 0, count // pixels) as block:
            yield block * pixels, pixels
        if full < count:
            with k.loop("rest", full, count) as column:
                yield column, 1

    def _pixels(
        self, k: KernelBuilder, at: tuple[Expr, Expr], part: tuple[Stretch, Stretch], pixels: int
    ) -> None:  # fmt: skip
        """So many neighbours, from elements `at` of x and y on."""
        op, (rows, columns) = self.op, part
        _, taps_rows, taps_columns, depth = op.weights.shape
        words, channels = depth // FOUR, op.y.shape[3]
        first = (rows.tap * taps_columns + columns.tap) * words
        skipped, more = (taps_columns - columns.taps) * words, (taps_rows - rows.taps) * taps_columns * words
        result = At(self.y, at[1]) if self.apart is None else At(self.apart)
        places = (result, At(self.weights, first * 2), At(self.x, at[0]), At(self.scales))
        seen = (columns.taps * words, rows.taps, op.x.shape[2] * depth, skipped * WORD_BYTES)
        numbers = (*seen, channels // 2, more * WORD_BYTES, op.stride[1] * depth, channels, _zeros(op))
        products = channels // 2 * rows.taps * columns.taps * words
        work = ((SMLAD, 4 * pixels * products), (SXTB16, (2 + 2 * pixels) * products), (SMMLAR, pixels * channels))
        others = (2 + 2 * pixels) * products + channels // 2 * (OTHERS + ROW * rows.taps) + CALL
        routines = PIXELS_ONCE if self.r.form == "once" else PIXELS
        k.routine(routines[pixels], (*places, *numbers), work, others, products)
        begin = at[1] if self.apart is None else Const(0)

        def place_of(channel: Expr, pixel: Expr) -> Expr:
            return begin + pixel * channels + channel

        look_again(k, self.r, self.doubts, result.buffer, pixels, place_of, _Again(k, self, at[0], part).sum)
        if self.apart is not None:
            k.copy(self.y, at[1], self.apart, 0, pixels * channels)


@dataclass(frozen=True)
class _Again:
    """The sums of neighbours that begin with element `first` of x and see the same part of the kernel."""

    k: KernelBuilder
    kernel: _Kernel
    first: Expr
    part: tuple[Stretch, Stretch]

    def sum(self, channel: Expr, bias: Expr, pixel: Expr) -> Expr:
        k, op, (rows, columns) = self.k, self.kernel.op, self.part
        _, taps_rows, taps_columns, depth = op.weights.shape
        words, pair = depth // FOUR, k.let("of_pair", channel >> 1)
        low, both, zeros = k.var("again_low", 0), k.var("again_both", 0), Const(_zeros(op))
        with k.loop("tap_row", 0, rows.taps) as row, k.loop("word", 0, columns.taps * words) as word:
            x_at = self.first + pixel * (op.stride[1] * depth) + row * (op.x.shape[2] * depth) + word * FOUR
            value = k.let("elements", self.kernel.x.load("int32_t", x_at))
            tap = pair * (taps_rows * taps_columns) + (row + rows.tap) * taps_columns + columns.tap
            for half, unpack in enumerate((SXTB16, SXTB16_ROR8)):
                both_weights = k.let("weights_of_pair", self.kernel.weights[(tap * words + word) * 2 + half])
                above = k.let("above_zero", Call(SADD16, (Call(unpack, (value,)), zeros)))
                k.assign(low, Call(SMLAD, (Call(SXTB16, (both_weights,)), above, low)))
                k.assign(both, Call(SMLAD, (both_weights, above, both)))
        return k.let("again_sum", bias + low + (Call(HIGH_SUM, (both, low)) - low) * (channel - pair * 2))


def _zeros(op: Conv2D) -> int:
    """What is added to two elements of x."""
    zero = op.x.q.zero_point
    return int(np.array([-zero, -zero], np.int16).view("<i4")[0])


def schedules(op: Conv2D, core: Core) -> Iterable[PixelBlock]:
    """Three pixels, then one; pointwise layers leave y where x is."""
    if max(columns.count for _, columns in _parts(_in_a_row(op))) >= THREE:
        yield PixelBlock(THREE, apart=is_pointwise(op) and op.y.shape[3] <= op.x.shape[3])
    yield PixelBlock(1)


CONV2D_DIRECT = Implementation(
    "conv2d_direct",
    Conv2D,
    schedules,
    build_direct,
    (has_dual_mac, has_byte_weights, is_undilated, is_ungrouped, in_fours, sees_the_image, fits_pixels),
)
