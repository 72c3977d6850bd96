"""Quads: four channels whose weights lie side by side, word by word, multiplied with four pixels or with one.

A word is four elements under the kernel: first the whole words of each row of the kernel, then what is left of all rows, one behind
the other. Weights of four or two bits stay packed, two channels or all four in a word. Outputs are made where the sums are, from
sums that are limited to those between which outputs change (see `slopes`): by a product of 32 bits (`narrow`) or two of them
(`split`), or else by TensorFlow Lite Micro's two roundings (`twice`). Other sums are stored, and any epilogue makes outputs of
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantize import constant_bias, ranges, requantizer, sums_wrap
from smelt.kernels.requantizer import Integers, Requantizer, table_of
from smelt.kernels.routines import QUAD_WEIGHTS, QUADS
from smelt.kernels.slopes import Slopes, find_slopes
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, Table
from smelt.loops.routine import At, Routine
from smelt.model.ops import FULL, Linear
from smelt.targets.intrinsics import ADD_DOT

QUAD = 4  # channels, pixels, elements of a word
BLOCK, ROW, WORD = (
    20,
    8,
    9,
)  # instructions of a routine for a quad, for a row of it, and for the words of it besides products
OUTPUT, CALL = 4, 60  # and for an output, and for a call

STEPPED = ("tflm", "ties_even", "floor")  # roundings whose outputs are steps
End = Literal["sums", "narrow", "split", "twice"]
Words = Literal["", "_16", "_w4", "_w2"]
"""Of weights: four bytes, two of int16, or narrow ones (see the header of the routines)."""
BITS: Mapping[Words, int] = {"_w4": 4, "_w2": 2}


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


def pack(weights: NDArray[np.int8], order: tuple[int, ...], words: Words) -> Table:
    """int32 [quad][word][channel] of weights (channels, elements); of narrow ones [quad][word][pair], or [quad][word]."""
    places = np.array(order)
    ordered = np.where(places < 0, np.int8(0), weights[:, places])
    if words == "_16":
        ordered = ordered.astype(np.int16)
    whole = np.ascontiguousarray(ordered).view("<u4")[quads_of(len(weights))].transpose(0, 2, 1)
    if words in BITS:
        whole = _narrowed(whole, BITS[words])
    return np.ascontiguousarray(whole).view(np.int32).reshape(-1)


def _narrowed(words: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    """Words (..., channel) of bytes that need no more bits, as many in one as it takes."""
    each = 8 // bits
    fields = (words & np.uint32(((1 << bits) - 1) * 0x01010101)).reshape(*words.shape[:-1], QUAD // each, each)
    return np.asarray(np.bitwise_or.reduce(fields << (bits * np.arange(each, dtype=np.uint32)), axis=-1))


def words_of(op: Linear) -> Words:
    """What words of weights are: as narrow as they came, or narrower where that holds them."""
    if op.x.dtype == "int16":
        return "_16"
    if not op.weights.element.is_packed:
        return ""
    weights = op.weights.constant
    return "_w2" if weights.min() >= -2 and weights.max() <= 1 else "_w4"


@dataclass(frozen=True, eq=False)
class Outputs:
    """How the sums of quads end. `columns` (numbers, channels) is what a routine reads for each channel, `bits` those of the lower
    part of all slopes, `words` what words of weights are. `r` makes outputs of sums that are stored."""

    end: End
    columns: Integers
    bits: int = 0
    words: Words = ""
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
    form = _slopes(op, weights)
    if form is not None:
        columns = np.stack([folded_bias(op, weights) - form.origins, *_given(form.widths), *form.columns])
        return Outputs("split" if form.bits else "narrow", columns, form.bits, words_of(op))
    r, words = requantizer(op, weights, folded=True), words_of(op)
    twice = None if words else twice_of(op, r)
    return twice or Outputs("sums", r.columns[:, 0].astype(np.int64)[np.newaxis], words=words, r=r)


def folded_bias(op: Linear, weights: NDArray[np.int8]) -> Integers:
    """What sums of x * weight begin with, for `weights` as (channels, elements)."""
    return np.asarray(constant_bias(op) - op.rescale.x_zero * weights.sum(axis=1, dtype=np.int64))


def sums_of(op: Linear, weights: NDArray[np.int8]) -> tuple[Integers, Integers] | None:
    """The least and the greatest sum of each channel; None where sums may leave 32 bits on the way, or outputs are no int8."""
    if op.y.dtype != "int8" or op.rescale.rounding not in STEPPED:
        return None
    low, high, partial = ranges(weights.astype(np.int64), constant_bias(op), op.rescale.x_zero, op.x.element.range)
    return None if sums_wrap(low, high, partial) else (low, high)


def _slopes(op: Linear, weights: NDArray[np.int8]) -> Slopes | None:
    """With one product where that is enough."""
    sums = sums_of(op, weights)
    if sums is None:
        return None
    return find_slopes(op.rescale, *sums) or find_slopes(op.rescale, *sums, split=True)


def _given(numbers: Integers | None) -> tuple[Integers, ...]:
    return () if numbers is None else (numbers,)


def twice_of(op: Linear, r: Requantizer) -> Outputs | None:
    """TensorFlow Lite Micro's, where nothing can overflow and all shifts go to the right: see `requantize`."""
    if op.rescale.rounding != "tflm" or op.x.dtype != "int8" or op.rescale.clamp != FULL:
        return None
    if r.form != "fast" or min(r.shifts) < 1:
        return None
    bias, multipliers = r.columns[:, 0].astype(np.int64), r.columns[:, 1].astype(np.int64)
    shifts = np.full_like(bias, r.shift) if r.shift is not None else r.columns[:, 2].astype(np.int64)
    return Outputs("twice", np.stack([bias, multipliers, (2 * r.y_zero + 1) << (shifts - 1), shifts]))


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
        w = At(self.weights, first * QUAD_WEIGHTS[self.outputs.words] * self.words * self.rows)
        scales = At(self.scales, first * QUAD * numbers)
        pitch, step, along = seen
        apart = (pitch, step, along, blocks, count) if pixels == QUAD else (pitch, blocks)
        arguments = (y, w, x, scales, self.words, self.rows, *apart, self.outputs.bits)
        k.routine(routine, arguments, ((ADD_DOT, work),), others)

    def _cost(self, blocks: int, pixels: int) -> tuple[Routine, int, int]:
        """The routine, its products and its other instructions."""
        words = self.words * self.rows
        others = WORD * words + BLOCK + ROW * self.rows + OUTPUT * QUAD * pixels
        return (
            QUADS[pixels, self.outputs.end, self.outputs.words],
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
