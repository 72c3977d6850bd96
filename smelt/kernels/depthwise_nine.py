"""DepthwiseConv2D with kernels of 3 x 3 by dot products of four bytes, one channel after the other.

A channel is gathered into a plane of bytes with its border. A word of a row holds four neighbours: with weights (a, b, c, 0) it
gives one output, with (0, a, b, c) the next one, and the word two bytes further on gives two more. Lines are the rows of the
image or its columns, whichever has more groups of four outputs to offer; a last group starts earlier.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_byte_weights, has_dots, is_three_by_three, is_undilated
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.axes import Axis, axes_of
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.quads import Outputs, outputs_of
from smelt.kernels.requantizer import table_of
from smelt.kernels.routines import LINES, NINE
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Table
from smelt.loops.routine import At
from smelt.model.ops import DepthwiseConv2D
from smelt.targets.intrinsics import ADD_DOT
from smelt.targets.types import Core

FOUR = 4  # outputs at a time, bytes of a word


@dataclass(frozen=True)
class NineBlock:
    """Whether lines are columns of the image."""

    transposed: bool

    def __str__(self) -> str:
        return f"nine({'columns' if self.transposed else 'rows'})"


def _fits(op: DepthwiseConv2D, transposed: bool) -> bool:
    _, along = axes_of(op, transposed)
    return along.y_size >= FOUR and along.stride in (1, 2)


def has_fours(op: DepthwiseConv2D, core: Core) -> bool:
    """at least four outputs along an axis, with stride 1 or 2"""
    return _fits(op, False) or _fits(op, True)


def ends_at_once(op: DepthwiseConv2D, core: Core) -> bool:
    """outputs that use all of int8, and sums that the routines can round"""
    return outputs_of(op, _flat(op)).end != "sums"


def _flat(op: DepthwiseConv2D) -> NDArray[np.int8]:
    return op.weights.constant.reshape(9, op.y.shape[3]).T


def pack(op: DepthwiseConv2D, transposed: bool) -> Table:
    """int32 [channel][line of the kernel]: three weights and a zero."""
    taps = (
        op.weights.constant.reshape(3, 3, -1).transpose(2, 1, 0)
        if transposed
        else op.weights.constant[0].transpose(2, 0, 1)
    )
    words = np.zeros((op.y.shape[3], 3, FOUR), np.int8)
    words[:, :, :3] = taps
    return words.view("<i4").reshape(-1).astype(np.int32)


def scales_of(outputs: Outputs) -> Table:
    """int32 [channel][number]. What narrow sums begin with is in what is added to their product, which may wrap."""
    columns = outputs.columns.copy()
    if outputs.end == "narrow":
        bias, factors, added = outputs.columns
        columns = np.stack([np.zeros_like(bias), factors, added + bias * factors])
    return table_of([*columns]).reshape(-1)


def build_nine(op: DepthwiseConv2D, schedule: NineBlock) -> KernelCall:
    outputs = outputs_of(op, _flat(op))
    lines, along = axes_of(op, schedule.transposed)
    k = CallBuilder("depthwise_nine")
    x, w = k.operand("x", op.x), k.table("weights", pack(op, schedule.transposed))
    scales = k.table("scales", scales_of(outputs))
    pitch = -(-along.seen // FOUR) * FOUR
    plane = k.scratch("plane", "int8_t", lines.seen * pitch + FOUR)
    kernel = _Kernel(outputs, lines, along, pitch, x, w, scales, plane, k.result("y", op.y))
    k.fill(plane, 0, op.x.q.zero_point, plane.size)
    images = op.x.shape[0]
    with k.loop("image", 0, images) as image:
        places = image * (op.x.elements // images), image * (op.y.elements // images)
        kernel.channels(k, op.y.shape[3], places)
    return k.finish_call()


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    outputs: Outputs
    lines: Axis
    along: Axis
    pitch: int
    x: Buffer
    weights: Buffer
    scales: Buffer
    plane: Buffer
    y: Buffer

    def channels(self, k: KernelBuilder, count: int, places: tuple[Expr, Expr]) -> None:
        """All channels of an image, which begins at these elements of x and y: by one call where nothing is left of fours."""
        x, y = places
        if self.along.x_size % FOUR == self.along.y_size % FOUR == 0:
            self._outputs(k, (Const(0), count), (x, y), (0, self.along.y_size // FOUR), self.along.x_size // FOUR)
            return
        with k.loop("channel", 0, count) as channel:
            self._gather(k, x + channel)
            for stretch in _stretches(self.along.y_size):
                self._outputs(k, (channel, 1), (x + channel, y + channel), stretch, 0)

    def _gather(self, k: KernelBuilder, first: Expr) -> None:
        """One channel of x, the first element of which is given; the padding around it stays."""
        lines, along = self.lines, self.along
        for at, words in _stretches(along.x_size):
            numbers = (words, lines.x_size, along.x_step, lines.x_step, self.pitch)
            places = At(self.plane, self._inside + at), At(self.x, first + at * along.x_step)
            k.routine(LINES, (*places, *numbers), (), lines.x_size * (7 * words + 4) + 30)
        if along.x_size < FOUR:
            with k.loop("line", 0, lines.x_size) as line:
                for at in range(along.x_size):
                    source = self.x[first + line * lines.x_step + at * along.x_step]
                    k.store(self.plane, line * self.pitch + (self._inside + at), source)

    @property
    def _inside(self) -> int:
        """Where the image begins in the plane."""
        return self.lines.pad * self.pitch + self.along.pad

    def _outputs(
        self, k: KernelBuilder, channels: tuple[Expr, int], places: tuple[Expr, Expr], stretch: tuple[int, int], words: int
    ) -> None:  # fmt: skip
        """The outputs of so many channels in a stretch of each line; where lines have `words` each channel is gathered before."""
        lines, along, columns = self.lines, self.along, self.outputs.columns
        (channel, many), (x, y), (at, groups) = channels, places, stretch
        start = at * along.stride
        tables = (
            At(self.weights, channel * 3),
            At(self.plane, start),
            At(self.x, x),
            At(self.scales, channel * len(columns)),
        )
        numbers = (lines.y_size, groups, self.pitch, self.pitch * lines.stride, along.y_step, lines.y_step)
        gathered = (words, lines.x_size, along.x_step, lines.x_step, self._inside)
        count = many * lines.y_size * groups
        others = count * (6 * along.stride + 16) + many * (lines.x_size * (7 * words + 4) + 40) + 60
        arguments = (At(self.y, y + at * along.y_step), *tables, many, *numbers, *gathered, *self.outputs.numbers)
        routine = NINE[along.stride, self.outputs.end]
        k.routine(routine, (*arguments, self.plane.size - start), ((ADD_DOT, 12 * count),), others)


def _stretches(count: int) -> Iterable[tuple[int, int]]:
    """(first, fours) of all whole fours, and of one that ends with the last where some are left."""
    if count >= FOUR:
        yield 0, count // FOUR
    if count > FOUR and count % FOUR:
        yield count - FOUR, 1


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[NineBlock]:
    """Lines along the axis on which fewer outputs are made twice."""
    fitting = [transposed for transposed in (False, True) if _fits(op, transposed)]
    return [NineBlock(transposed) for transposed in sorted(fitting, key=lambda t: _groups(op, t))]


def _groups(op: DepthwiseConv2D, transposed: bool) -> int:
    """Groups of four outputs that are made for a channel."""
    lines, along = axes_of(op, transposed)
    return lines.y_size * sum(groups for _, groups in _stretches(along.y_size))


DEPTHWISE_NINE = Implementation(
    "depthwise_nine",
    DepthwiseConv2D,
    schedules,
    build_nine,
    (has_dots, has_byte_weights, is_undilated, is_three_by_three, has_fours, ends_at_once),
)
