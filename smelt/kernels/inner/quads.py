"""Quads: four channels whose weights lie side by side, word by word, multiplied with four pixels or with one.

A word is four elements under the kernel: first the whole words of each row of the kernel, then what is left of all rows, one behind
the other. Outputs are made where the sums are, by one product and one shift: of 32 bits where an integer network's numbers are that
small (`narrow`), or where sums are limited first to those between the least and the greatest output (`clamped`); of 64 where `once`
proves it for all sums; or by TensorFlow Lite Micro's two roundings (`twice`). Other sums are stored, and any epilogue makes outputs
of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.once import find_once
from smelt.kernels.requantize import constant_bias, ranges, requantizer, sums_wrap
from smelt.kernels.requantizer import INT32, Integers, Requantizer, table_of
from smelt.kernels.routines import QUADS, QUADS_16
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, Table
from smelt.loops.routine import At, Routine
from smelt.model.ops import FULL, Linear
from smelt.model.rescale import Rescale
from smelt.targets.intrinsics import ADD_DOT

QUAD = 4  # channels, pixels, elements of a word
SHIFTS = range(32)
CLAMPED_SHIFTS = range(24)  # 256 << 23 stays inside 32 bits
BLOCK, ROW, WORD = (
    20,
    8,
    9,
)  # instructions of a routine for a quad, for a row of it, and for the words of it besides products
OUTPUT, CALL = 4, 60  # and for an output, and for a call

End = Literal["sums", "narrow", "clamped", "once", "twice"]


def order_of(rows: int, run: int, lanes: int) -> tuple[int, ...]:
    """Places of the elements under a kernel in the order of words of `lanes`; -1 fills the last one up."""
    whole = run // lanes * lanes
    words = [row * run + i for row in range(rows) for i in range(whole)]
    rests = [row * run + i for row in range(rows) for i in range(whole, run)]
    return (*words, *rests, *[-1] * (-len(rests) % lanes))


def quads_of(channels: int) -> NDArray[np.intp]:
    """The channels of each quad; a last one starts earlier where their number is no multiple of four."""
    starts = [*range(0, channels - QUAD + 1, QUAD), *([channels - QUAD] if channels % QUAD else [])]
    return np.array(starts)[:, np.newaxis] + np.arange(QUAD)


def pack(weights: NDArray[np.int8], order: tuple[int, ...], lanes: int) -> Table:
    """int32 [quad][word][channel] of weights (channels, elements), so many of which are a word."""
    places = np.array(order)
    ordered = np.where(places < 0, np.int8(0), weights[:, places])
    words = np.ascontiguousarray(ordered, np.int8 if lanes == QUAD else np.int16).view("<i4")
    return words[quads_of(len(weights))].transpose(0, 2, 1).astype(np.int32).reshape(-1)


@dataclass(frozen=True, eq=False)
class Outputs:
    """How the sums of quads end. `columns` (numbers, channels) is what a routine reads for each channel; `numbers` what it is
    passed; `r` makes outputs of sums that are stored."""

    end: End
    columns: Integers
    numbers: tuple[int, ...]
    r: Requantizer | None = None

    @property
    def table(self) -> Table:
        """int32 [quad][number][channel]."""
        return table_of([*self.columns])[quads_of(self.columns.shape[1])].transpose(0, 2, 1).reshape(-1)

    def of(self, channels: range) -> Outputs:
        """Those of some channels, of which no sums are stored."""
        return replace(self, columns=self.columns[:, channels.start : channels.stop])


def outputs_of(op: Linear, weights: NDArray[np.int8]) -> Outputs:
    """For `weights` as (channels, elements); their sums are of x * weight."""
    return _direct(op, weights) or _sums(requantizer(op, weights, folded=True))


def _sums(r: Requantizer) -> Outputs:
    return Outputs("sums", r.columns[:, 0].astype(np.int64)[np.newaxis], (), r)


def _direct(op: Linear, weights: NDArray[np.int8]) -> Outputs | None:
    """Where a routine makes outputs itself."""
    p, wide, given = op.rescale, weights.astype(np.int64), constant_bias(op)
    if op.y.dtype != "int8" or p.clamp != FULL or p.rounding == "real":
        return None
    low, high, partial = ranges(wide, given, p.x_zero, op.x.element.range)
    if sums_wrap(low, high, partial):
        return None
    folded = given - p.x_zero * wide.sum(axis=1)
    if p.rounding == "floor":
        floor = _Floor.of(p, folded, low, high)
        return floor.narrow() or floor.clamped()
    if op.x.dtype != "int8":
        return None
    return _twice(requantizer(op, weights, folded=True)) if p.rounding == "tflm" else _once(p, folded, (low, high))


@dataclass(frozen=True, eq=False)
class _Floor:
    """An integer network's outputs of sums from `low` to `high`: (sum * factor + added) >> shift, within int8. Sums begin with
    `bias`."""

    factors: Integers
    added: Integers
    shift: int
    bias: Integers
    low: Integers
    high: Integers

    @staticmethod
    def of(p: Rescale, bias: Integers, low: Integers, high: Integers) -> _Floor:
        shift = 31 - int(p.shifts[0])
        factors = p.multipliers.astype(np.int64)
        zero = p.y_zero << shift
        added = np.full_like(factors, zero) if p.addends is None else p.addends + zero
        return _Floor(factors, added, shift, bias, low, high)

    def narrow(self) -> Outputs | None:
        """Where products, and what is added to them, stay below 32 bits."""
        reach = np.abs(self.factors) * np.maximum(np.abs(self.low), np.abs(self.high)) + np.abs(self.added)
        if self.shift not in SHIFTS or np.max(reach) >= INT32:
            return None
        return Outputs("narrow", np.stack([self.bias, self.factors, self.added]), (self.shift,))

    def clamped(self) -> Outputs | None:
        """Where outputs do not skip the least and the greatest of int8: sums beyond those that give these are taken for them, and
        what becomes of the others fits 32 bits, though products may wrap."""
        one = 1 << self.shift
        if self.shift not in CLAMPED_SHIFTS or np.max(np.abs(self.factors)) > one:
            return None
        factors = np.where(self.factors == 0, 1, self.factors)
        first, last = (FULL[0] << self.shift) - self.added, (FULL[1] + 1 << self.shift) - 1 - self.added
        ends = (
            np.where(factors > 0, -(-first // factors), -(-last // factors)),
            np.where(factors > 0, last // factors, first // factors),
        )
        varies = (self.factors != 0) & (ends[0] <= self.high) & (ends[1] >= self.low)
        same = np.clip((self.low * self.factors + self.added) >> self.shift, *FULL) << self.shift
        least, most = (np.where(varies, np.clip(end, self.low, self.high), 0) for end in ends)
        numbers = [self.bias, np.where(varies, self.factors, 0), np.where(varies, self.added, same), least, most]
        return Outputs("clamped", np.stack(numbers), (self.shift,))


def _twice(r: Requantizer) -> Outputs | None:
    """TensorFlow Lite Micro's, where nothing can overflow and all shifts go to the right: see `requantize`."""
    if r.form != "fast" or min(r.shifts) < 1:
        return None
    bias, multipliers = r.columns[:, 0].astype(np.int64), r.columns[:, 1].astype(np.int64)
    shifts = np.full_like(bias, r.shift) if r.shift is not None else r.columns[:, 2].astype(np.int64)
    return Outputs("twice", np.stack([bias, multipliers, (2 * r.y_zero + 1) << (shifts - 1), shifts]), ())


def _once(p: Rescale, bias: Integers, sums: tuple[Integers, Integers]) -> Outputs | None:
    form = find_once(p, *sums)
    if form is None or form.doubtful:
        return None
    starts = np.where(form.multipliers == 0, 0, bias + form.added)
    return Outputs("once", np.stack([starts, form.multipliers, form.offsets]), (form.up, form.shift))


@dataclass(frozen=True, eq=False)
class Quads:
    """What the parts of a kernel share: a pixel is `words` words under each of `rows` rows of the kernel."""

    outputs: Outputs
    weights: Buffer
    scales: Buffer
    channels: Buffer | None  # of the epilogue, where sums are stored
    sums: Buffer | None
    y: Buffer
    words: int
    rows: int
    lanes: int

    def store(self, k: KernelBuilder, x: At, seen: tuple[int, int, int], place: Expr, pixels: int) -> None:
        """The outputs of all channels of so many pixels, four or one, from element `place` of y on. `seen` are the bytes from
        row to row of x, from pixel to pixel, and from word to word."""
        count = self.outputs.columns.shape[1]
        self._call(k, x, seen, (0, count // QUAD), place, pixels)
        if count % QUAD:
            self._call(k, x, seen, (count // QUAD, 1), place, pixels)

    def _call(
        self, k: KernelBuilder, x: At, seen: tuple[int, int, int], quads: tuple[int, int], place: Expr, pixels: int
    ) -> None:
        first, blocks = quads
        count, numbers = self.outputs.columns.shape[1], len(self.outputs.columns)
        channel = min(first * QUAD, count - QUAD)
        routine, work, others = self._cost(blocks, pixels)
        y = At(self.y, place + channel) if self.sums is None else At(self.sums, channel)
        w = At(self.weights, first * QUAD * self.words * self.rows)
        scales = At(self.scales, first * QUAD * numbers)
        pitch, step, along = seen
        apart = (pitch, step, along, blocks, count) if pixels == QUAD else (pitch, blocks)
        arguments = (y, w, x, scales, self.words, self.rows, *apart, *self.outputs.numbers)
        k.routine(routine, arguments, ((ADD_DOT, work),), others)

    def _cost(self, blocks: int, pixels: int) -> tuple[Routine, int, int]:
        """The routine, its products and its other instructions."""
        words = self.words * self.rows
        others = WORD * words + BLOCK + ROW * self.rows + OUTPUT * QUAD * pixels
        return (
            (QUADS | QUADS_16)[pixels, self.outputs.end, self.lanes],
            QUAD * pixels * words * blocks,
            others * blocks + CALL,
        )

    def finish(self, k: KernelBuilder, place: Expr, pixels: int) -> None:
        """Outputs of sums that were stored, if they were."""
        r, count = self.outputs.r, self.outputs.columns.shape[1]
        if self.sums is None or self.channels is None or r is None:
            return
        with k.loop("channel", 0, count) as channel:
            scale = r.scale(k, self.channels, channel)
            for pixel in range(pixels):
                total = k.let("total", self.sums[channel + pixel * count])
                k.store(self.y, place + channel + pixel * count, r.output(k, total, scale))


def bind_quads(
    k: CallBuilder, packed: Table, outputs: Outputs, pixels: int
) -> tuple[Buffer, Buffer, Buffer | None, Buffer | None]:
    """Tables of weights and of scales, and where sums are stored the table of the epilogue and the scratch for them."""
    weights, scales = k.table("weights", packed), k.table("scales", outputs.table)
    if outputs.r is None:
        return weights, scales, None, None
    return weights, scales, outputs.r.bind(k), k.scratch("sums", "int32_t", pixels * outputs.columns.shape[1])
