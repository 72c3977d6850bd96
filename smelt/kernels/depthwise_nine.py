"""DepthwiseConv2D with kernels of 3 x 3 by dot products of four bytes, one channel after the other.

A channel is gathered into a plane of bytes with its border. A word of a row holds four neighbours: with weights (a, b, c, 0) it
gives one output, with (0, a, b, c) the next one. With stride 1 words of four rows give two outputs and two below; with stride 2
those of three rows four in a line. Lines are the rows of the image or its columns, whichever needs fewer groups of four; last
groups start earlier where these are not whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dots, is_three_by_three, is_undilated
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.axes import Axis, axes_of
from smelt.kernels.implementation import Blocks, Implementation, KernelCall
from smelt.kernels.inner.quads import Outputs, folded_bias, sums_of, twice_of
from smelt.kernels.requantize import requantizer
from smelt.kernels.requantizer import table_of
from smelt.kernels.routines import LINES, NINE
from smelt.kernels.slopes import find_slopes
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Table
from smelt.loops.routine import At
from smelt.model.ops import FULL, DepthwiseConv2D
from smelt.targets.intrinsics import ADD_DOT
from smelt.targets.types import Core

FOUR = 4  # outputs at a time, bytes of a word


@dataclass(frozen=True)
class NineBlock:
    """Whether lines are columns of the image."""

    transposed: bool

    def __str__(self) -> str:
        return f"nine({'columns' if self.transposed else 'rows'})"


def _group(op: DepthwiseConv2D, transposed: bool) -> tuple[int, int] | None:
    """Lines and outputs of each of a group; None where there is no routine."""
    lines, along = axes_of(op, transposed)
    group = (2, 2) if along.stride == 1 else (1, FOUR)
    possible = along.stride == 2 or lines.stride == along.stride == 1
    return group if possible and lines.y_size >= group[0] and along.y_size >= group[1] else None


def has_groups(op: DepthwiseConv2D, core: Core) -> bool:
    """two by two outputs and stride 1, or four along an axis with stride 2"""
    return bool(_group(op, False) or _group(op, True))


def ends_at_once(op: DepthwiseConv2D, core: Core) -> bool:
    """outputs that use all of int8, and sums that the routines can round"""
    return _outputs(op) is not None


def _outputs(op: DepthwiseConv2D) -> Outputs | None:
    """By one product, by two, or as TensorFlow Lite Micro rounds. What sums begin with is in what is added to their product."""
    weights, p = _flat(op), op.rescale
    sums = sums_of(op, weights) if p.clamp == FULL else None
    if sums is not None:
        origins = folded_bias(op, weights)
        form = find_slopes(p, *sums, origins) or find_slopes(p, *sums, origins, split=True)
        if form is not None:
            return Outputs("split" if form.bits else "narrow", np.stack([*form.columns, form.shifts]), form.bits)
    return twice_of(op, requantizer(op, weights, folded=True))


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


def _scales(outputs: Outputs) -> Table:
    """int32 [channel][number]."""
    return table_of([*outputs.columns]).reshape(-1)


def build_nine(op: DepthwiseConv2D, schedule: NineBlock) -> KernelCall:
    outputs = _outputs(op)
    assert outputs is not None, "asked by `ends_at_once`"
    return _built(op, schedule, outputs)


def _tables(op: DepthwiseConv2D, schedule: NineBlock, outputs: Outputs) -> tuple[Table, ...]:
    return pack(op, schedule.transposed), _scales(outputs)


def _built(op: DepthwiseConv2D, schedule: NineBlock, outputs: Outputs) -> KernelCall:
    lines, along = axes_of(op, schedule.transposed)
    k = CallBuilder("depthwise_nine")
    x, w = k.operand("x", op.x), k.table("weights", pack(op, schedule.transposed))
    scales = k.table("scales", _scales(outputs))
    pitch = -(-along.seen // FOUR) * FOUR
    plane = k.scratch("plane", "int8_t", lines.seen * pitch + FOUR)
    kernel = _Kernel(
        outputs,
        _group(op, schedule.transposed) or (1, FOUR),
        lines,
        along,
        pitch,
        x,
        w,
        scales,
        plane,
        k.result("y", op.y),
    )
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
    group: tuple[int, int]
    lines: Axis
    along: Axis
    pitch: int
    x: Buffer
    weights: Buffer
    scales: Buffer
    plane: Buffer
    y: Buffer

    def channels(self, k: KernelBuilder, count: int, places: tuple[Expr, Expr]) -> None:
        """All channels of an image, which begins at these elements of x and y: by one call where nothing is left of groups."""
        x, y = places
        stretches = [
            *product(_stretches(self.lines.y_size, self.group[0]), _stretches(self.along.y_size, self.group[1]))
        ]
        if self.along.x_size % FOUR == 0 and len(stretches) == 1:
            self._outputs(k, (Const(0), count), (x, y), stretches[0], self.along.x_size // FOUR)
            return
        with k.loop("channel", 0, count) as channel:
            self._gather(k, x + channel)
            for stretch in stretches:
                self._outputs(k, (channel, 1), (x + channel, y + channel), stretch, 0)

    def _gather(self, k: KernelBuilder, first: Expr) -> None:
        """One channel of x, the first element of which is given; the padding around it stays."""
        lines, along = self.lines, self.along
        for at, words in _stretches(along.x_size, FOUR):
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
        self, k: KernelBuilder, channels: tuple[Expr, int], places: tuple[Expr, Expr], stretch: tuple[Stretch, Stretch],
        words: int,
    ) -> None:  # fmt: skip
        """The outputs of so many channels in stretches of lines and along them; where lines have `words` each channel is gathered
        before."""
        lines, along, columns = self.lines, self.along, self.outputs.columns
        (channel, many), (x, y), ((line, rows), (at, groups)) = channels, places, stretch
        start = line * lines.stride * self.pitch + at * along.stride
        tables = (
            At(self.weights, channel * 3),
            At(self.plane, start),
            At(self.x, x),
            At(self.scales, channel * len(columns)),
        )
        numbers = (rows, groups, self.pitch, self.group[0] * lines.stride * self.pitch, along.y_step, lines.y_step)
        gathered = (words, lines.x_size, along.x_step, lines.x_step, self._inside)
        count = many * rows * groups
        others = count * (4 + 8 * along.stride + FOUR) + many * (lines.x_size * (7 * words + 4) + 40) + 60
        y_start = At(self.y, y + (at * along.y_step + line * lines.y_step))
        arguments: tuple[At | Expr | int, ...] = (
            y_start,
            *tables,
            many,
            *numbers,
            *gathered,
            self.outputs.bits,
            self.plane.size - start,
        )
        k.routine(NINE[along.stride, self.outputs.end], arguments, ((ADD_DOT, 12 * count),), others)


Stretch = tuple[int, int]
"""The first of things that are in groups, and the number of groups."""


def _stretches(count: int, size: int) -> tuple[Stretch, ...]:
    """All whole groups of so many, and one that ends with the last where some are left."""
    full = ((0, count // size),) if count >= size else ()
    return (*full, (count - size, 1)) if count > size and count % size else full


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[NineBlock]:
    """Lines along the axis on which fewer outputs are made twice."""
    fitting = [transposed for transposed in (False, True) if _group(op, transposed)]
    return [NineBlock(transposed) for transposed in sorted(fitting, key=lambda t: _groups(op, t))]


def _groups(op: DepthwiseConv2D, transposed: bool) -> int:
    """Groups of outputs that are made for a channel."""
    (lines, along), group = axes_of(op, transposed), _group(op, transposed)
    if group is None:
        return 0
    down, across = (sum(n for _, n in _stretches(a.y_size, g)) for a, g in zip((lines, along), group, strict=True))
    return down * across


DEPTHWISE_NINE = Implementation(
    "depthwise_nine",
    DepthwiseConv2D,
    schedules,
    build_nine,
    (has_dots, is_undilated, is_three_by_three, has_groups, ends_at_once),
    blocks=Blocks(_outputs, _built, _tables),
)
