"""Products and outputs of groups of three pixels by two channels at a time, in one routine for all layers.

The routine sees columns (see `feeds.columns`) and weights in pairs (see `inner.pairs`). Where a rest of pixels or channels would
remain, the last stretch or pair starts earlier and makes a few outputs twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smelt.kernels.accepts import pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import look_again
from smelt.kernels.feeds.columns import GROUP, order_of, words_of
from smelt.kernels.feeds.nibbles import Slices, bind_slices, bind_weights, even
from smelt.kernels.inner.pairs import MOST_SUM, fit_pairs, pack_pairs
from smelt.kernels.requantize import for_routines
from smelt.kernels.requantize_exact import OnceRequantizer
from smelt.kernels.requantizer import Requantizer
from smelt.kernels.routines import GROUPS, GROUPS_ONCE
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Table, minimum
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import HIGH_SUM, SMLAD, SMMLAR, SXTB16
from smelt.targets.types import Core

BITS = 8  # by which the routine lets sums grow
OTHERS = 70  # instructions for a group, besides its products


def has_groups(op: Conv2D, core: Core) -> bool:
    """at least two channels and three pixels"""
    return op.y.shape[3] >= 2 and pixels_of(op) >= GROUP


def fits_groups(op: Conv2D, core: Core) -> bool:
    """weights of which two fit one halfword, sums that stay below 2^23, outputs that use all of int8 from their zero point on"""
    flat = op.weights.constant.reshape(len(op.weights.constant), -1)
    r = for_routines(op, flat)
    # The last pair of an odd number is not one that fit_pairs looks at.
    shifted = len(flat) % 2 == 1 and flat.min() == -128
    if isinstance(r, OnceRequantizer):
        # What is unpacked slice by slice cannot be looked at again.
        fits = r.grown(BITS) is not None and not (r.proved.doubtful and op.weights.element.is_packed)
    else:
        fits = r.saturates and r.widest_offset < MOST_SUM
    return r.saturates and fits and not shifted and fit_pairs(flat, r)


def pack(op: Conv2D) -> Table:
    """Words of pairs of channels in the order of widened elements, and one more that may be read; the last pair overlaps its
    neighbour for an odd number."""
    channels, rows, columns, depth = op.weights.constant.shape
    flat = op.weights.constant.reshape(channels, -1)[:, order_of(rows, columns * depth)]
    starts = [min(first, channels - 2) for first in range(0, channels, 2)]
    return pack_pairs(flat[[c for first in starts for c in (first, first + 1)]][:, np.newaxis, :], mixed=False)


@dataclass(frozen=True)
class GroupBlock:
    """Stretches of `pixels` (a multiple of three); `staged` copies the weights of a pair of channels to RAM for the time of a
    stretch, for chips whose cache is smaller than they are."""

    pixels: int
    staged: bool

    def __str__(self) -> str:
        return f"groups(pixels={self.pixels}{', staged' if self.staged else ''})"


@dataclass(frozen=True)
class Groups:
    """The buffers of a stretch of `pixels` pixels. `slice` takes the weights of a pair for the time of a stretch."""

    op: Conv2D
    r: Requantizer
    pixels: int
    weights: Buffer | Slices
    table: Buffer
    columns: Buffer
    slice: Buffer | None
    y: Buffer
    doubts: Buffer | None

    def outputs(self, k: KernelBuilder, first: Expr) -> None:
        """All outputs of the stretch that begins with pixel `first`."""
        with k.loop("pair", 0, -(-self.op.y.shape[3] // 2)) as pair:
            self._pair(k, first, pair)
        channels = self.op.y.shape[3]

        def place_of(channel: Expr, pixel: Expr) -> Expr:
            return (first + pixel) * channels + channel

        def sum_of(channel: Expr, bias: Expr, pixel: Expr) -> Expr:
            return self._sum(k, channel, bias, pixel)

        look_again(k, self.r, self.doubts, self.y, self.pixels, place_of, sum_of)

    def _sum(self, k: KernelBuilder, channel: Expr, bias: Expr, pixel: Expr) -> Expr:
        """That of one pixel, from its bias on, in plain steps."""
        words, channels = words_of(self.op), self.op.y.shape[3]
        table = self.weights.table if isinstance(self.weights, Slices) else self.weights
        pair = k.let("of_pair", channel >> 1)
        start = k.let("from_pixel", pixel // GROUP * (GROUP * words) + pixel % GROUP)
        low, both = k.var("again_low", 0), k.var("again_both", 0)
        with k.loop("word", 0, words) as word:
            pairs = k.let("word_of_pair", table[pair * words + word])
            value = k.let("elements", self.columns[start + word * GROUP])
            k.assign(low, Call(SMLAD, (Call(SXTB16, (pairs,)), value, low)))
            k.assign(both, Call(SMLAD, (pairs, value, both)))
        upper = channel - minimum(pair * 2, channels - 2)
        return k.let("again_sum", bias + low + (Call(HIGH_SUM, (both, low)) - low) * upper)

    def _pair(self, k: KernelBuilder, first: Expr, pair: Expr) -> None:
        r, words, channels, groups = self.r, words_of(self.op), self.op.y.shape[3], self.pixels // GROUP
        channel = k.let("channel", minimum(pair * 2, channels - 2))
        if isinstance(self.weights, Slices):
            assert self.slice is not None
            self.weights.fetch(k, self.slice, pair, more=1)
            weights = At(self.slice)
        else:
            weights = At(self.weights, pair * words)
        places = (weights, At(self.columns), At(self.y, first * channels + channel), r.constants(self.table, channel))
        work = ((SMLAD, 6 * groups * words), (SXTB16, groups * words), (SMMLAR, 6 * groups))
        turns = groups * words if weights.buffer.role == "constant" else 0
        numbers = r.numbers[-1:] if r.form == "once" else r.numbers
        routine = GROUPS_ONCE if r.form == "once" else GROUPS
        k.routine(routine, (*places, words, groups, channels, *numbers), work, groups * (5 * words + OTHERS), turns)


def requantizer_of(op: Conv2D) -> Requantizer:
    """For the routine, which lets sums grow."""
    r = for_routines(op, op.weights.constant.reshape(op.y.shape[3], -1))
    return r.grown(BITS) or r


def bind_columns(k: CallBuilder, op: Conv2D, pixels: int, name: str) -> Buffer:
    """Scratch for the columns of a stretch, and what the routine may read behind them."""
    return k.scratch(name, "int32_t", pixels * words_of(op) + GROUP)


def bind_pairs(k: CallBuilder, op: Conv2D, staged: bool) -> Buffer | Slices:
    """The weights, slice by slice where they are `staged`."""
    if staged:
        return bind_slices(k, op.weights, pack(op), words_of(op), "halves")
    return bind_weights(k, op.weights, pack(op), "halves")


def bind_slice(k: CallBuilder, op: Conv2D, staged: bool) -> Buffer | None:
    """Room for a slice, and for the word behind it that may be read."""
    if not staged:
        return None
    words = words_of(op)
    return k.scratch("slice", "int32_t", (even(words) if op.weights.element.is_packed else words) + 1)
