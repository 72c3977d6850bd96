"""Conv2D in portable C: blocks of output channels share every element of the image; borders are clipped loops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, Table, Value, Var, cast, maximum, minimum
from smelt.model.ops import Conv2D, DepthwiseConv2D
from smelt.targets.types import Core


@dataclass(frozen=True)
class ChannelBlock:
    """How many output channels are computed side by side."""

    channels: int

    def __str__(self) -> str:
        return f"block(channels={self.channels})"


def channel_blocks(channels: int, *sizes: int) -> tuple[ChannelBlock, ...]:
    """The sizes that are not larger than there are channels (at least one)."""
    return tuple(ChannelBlock(size) for size in sizes if size <= channels) or (ChannelBlock(1),)


def in_blocks(k: KernelBuilder, name: str, count: int, size: int) -> Iterator[tuple[Expr, int]]:
    """`count` things in blocks: (first index, how many), once inside a loop over full blocks and once for what is
    left."""
    full = count // size
    if full:
        with k.loop(name, 0, full) as block:
            yield block * size, size
    if count % size:
        yield Const(full * size), count % size


def group_size(op: Conv2D) -> int:
    """Output channels per group."""
    return op.y.shape[3] * op.weights.shape[3] // op.x.shape[3]


def interleave(weights: NDArray[np.int8], block: int) -> Table:
    """`weights` (groups, channels, taps) with the channels of each block side by side, tap by tap: one moving pointer."""
    blocks = range(0, weights.shape[1], block)
    return np.concatenate([group[first : first + block].T.reshape(-1) for group in weights for first in blocks])


def multiply(
    k: KernelBuilder, xs: AnyBuffer, ws: AnyBuffer, rounds: Value, step: int, zero: int, sums: list[Var]
) -> None:
    """Add `rounds` times `step` neighbours of x, less their zero point, times interleaved weights to the sums."""
    with k.loop("i", 0, rounds) as i:
        for element in range(step):
            value = k.let("value", xs[i * step + element] - zero)
            for c, total in enumerate(sums):
                product = value * ws[i * (step * len(sums)) + (element * len(sums) + c)]
                k.assign(total, total + cast(total.type, product))


def step_of(length: int) -> int:
    """How many elements to take per round, so that none remain."""
    return next(step for step in (4, 3, 2, 1) if length % step == 0)


def build_conv2d(op: Conv2D, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    groups = op.x.shape[3] // op.weights.shape[3]
    r = requantizer(op, weights.reshape(len(weights), -1), folded=not _clips(op))
    k = KernelBuilder("conv2d")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int8_t", weights.size)
    table = r.bind(k)
    y = k.output("y", "int8_t", op.y.elements)
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        with k.loop("group", 0, groups) as group:
            for first, count in in_blocks(k, "block", group_size(op), schedule.channels):
                channel = k.let("channel", group * group_size(op) + first)
                sums = [k.var("sum", r.bias(table, channel + c)) for c in range(count)]
                _accumulate(k, op, (x, w), (image, row, column, group), channel, sums)
                for c in range(count):
                    store_outputs(k, r, table, channel + c, [sums[c]], y, [place + channel + c])
    packed = interleave(weights.reshape(groups, group_size(op), -1), schedule.channels)
    return KernelCall(k.finish(), (op.x, packed, r.table, op.y))


def _clips(op: Conv2D) -> bool:
    """Whether some outputs see less than a whole kernel, so that the zero point cannot be part of the bias."""
    needed = [(op.y.shape[1 + a] - 1) * op.stride[a] + (op.weights.shape[1 + a] - 1) * op.dilation[a] for a in (0, 1)]
    return bool(op.pad) or needed[0] >= op.x.shape[1] or needed[1] >= op.x.shape[2]


def _accumulate(
    k: KernelBuilder, op: Conv2D, buffers: tuple[Buffer, Buffer], at: tuple[Expr, ...], channel: Expr, sums: list[Var]
) -> None:
    """Add all taps inside the image at (image, row, column, group) to the sums of the channels from `channel` on."""
    x, w = buffers
    image, row, column, group = at
    depth, taps = op.weights.shape[3], prod(op.weights.shape[1:])
    step, zero = step_of(depth), op.x.q.zero_point if _clips(op) else 0
    with taps_inside(k, op, 0, row) as (kernel_row, x_row):
        if depth == op.x.shape[3] and op.dilation[1] == 1:
            # Neighbouring columns of the kernel are neighbours in memory, in x and in the weights: one run for all.
            first, stop = taps_range(k, op, 1, column)
            start = (image * op.x.shape[1] + x_row) * op.x.shape[2] + column * op.stride[1] - op.pad.left + first
            place = (kernel_row * op.weights.shape[2] + first) * depth
            xs, ws = k.window("xs", x, start * depth), k.window("ws", w, channel * taps + place * len(sums))
            multiply(k, xs, ws, (stop - first) * (depth // step), step, zero, sums)
        else:
            with taps_inside(k, op, 1, column) as (kernel_column, x_column):
                start = (image * op.x.shape[1] + x_row) * op.x.shape[2] + x_column
                place = (kernel_row * op.weights.shape[2] + kernel_column) * depth
                xs = k.window("xs", x, start * op.x.shape[3] + group * depth)
                ws = k.window("ws", w, channel * taps + place * len(sums))
                multiply(k, xs, ws, depth // step, step, zero, sums)


def taps_range(k: KernelBuilder, op: Conv2D | DepthwiseConv2D, axis: int, at: Expr) -> tuple[Expr, Expr]:
    """The taps (first, stop) of an undilated kernel along `axis` (0 rows, 1 columns) that are inside the image."""
    before = (op.pad.top, op.pad.left)[axis]
    size, taps = op.x.shape[1 + axis], op.weights.shape[1 + axis]
    outputs, stride = op.y.shape[1 + axis], op.stride[axis]
    first: Expr = Const(0)
    stop: Expr = Const(taps)
    if before:
        first = k.let("first", maximum(before - at * stride, 0))
    if (outputs - 1) * stride - before + taps > size:
        stop = k.let("stop", minimum(size + before - at * stride, taps))
    return first, stop


@contextmanager
def taps_inside(k: KernelBuilder, op: Conv2D | DepthwiseConv2D, axis: int, at: Expr) -> Iterator[tuple[Expr, Expr]]:
    """A loop over the taps along `axis` that are inside the image: (tap, row or column of x)."""
    before, size = (op.pad.top, op.pad.left)[axis], op.x.shape[1 + axis]
    name = ("kernel_row", "kernel_column")[axis]
    spread = op.dilation[axis]
    if spread == 1:
        with k.loop(name, *taps_range(k, op, axis, at)) as tap:
            yield tap, at * op.stride[axis] + tap - before
        return
    with k.loop(name, 0, op.weights.shape[1 + axis]) as tap:
        position = k.let(("x_row", "x_column")[axis], at * op.stride[axis] + tap * spread - before)
        with k.when((position >= 0).both(position < size)):
            yield tap, position


def schedules(op: Conv2D, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(group_size(op), 4, 2, 1, 8)


CONV2D_PORTABLE = Implementation("conv2d_portable", Conv2D, schedules, build_conv2d)
