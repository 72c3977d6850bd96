"""Conv2D in portable C: blocks of output channels share every element of the image; borders are clipped loops."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.taps import clips, taps_inside, taps_range
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.portable import (
    MOST_UNPACKED,
    ChannelBlock,
    blocks_for,
    interleave,
    interleave_pairs,
    multiply,
    multiply_pairs,
    step_of,
)
from smelt.kernels.requantize import store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, Var
from smelt.model.ops import Conv2D
from smelt.targets.types import Core


def group_size(op: Conv2D) -> int:
    """Output channels per group."""
    return op.y.shape[3] * op.weights.shape[3] // op.x.shape[3]


def build_conv2d(op: Conv2D, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    groups = op.x.shape[3] // op.weights.shape[3]
    r = epilogue(op, weights.reshape(len(weights), -1), folded=not clips(op))
    k = CallBuilder("conv2d")
    x, w, table, y = k.operand("x", op.x), _weights(k, op, groups, schedule), r.bind(k), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        with k.loop("group", 0, groups) as group:
            for first, count in in_blocks(k, "block", group_size(op), schedule.channels):
                channel = k.let("channel", group * group_size(op) + first)
                sums = [k.var("sum", r.bias(table, channel + c)) for c in range(count)]
                start = _start(op, w.type == "uint8_t", group, first, channel)
                _accumulate(k, op, (x, w), (image, row, column, group), start, sums)
                for c in range(count):
                    store_outputs(k, r, table, channel + c, [sums[c]], y, [place + channel + c])
    return k.finish_call()


def _weights(k: CallBuilder, op: Conv2D, groups: int, schedule: ChannelBlock) -> Buffer:
    weights = op.weights.constant.reshape(groups, group_size(op), -1)
    if op.weights.element.is_packed and not schedule.unpacked:
        return k.table("weights", interleave_pairs(weights, schedule.channels))
    return bind_weights(k, op.weights, interleave(weights, schedule.channels))


def _start(op: Conv2D, in_pairs: bool, group: Expr, first: Expr, channel: Expr) -> Expr:
    """Where the weights of the block begin that begins with `channel`, number `first` of its group."""
    taps = prod(op.weights.shape[1:])
    return group * (-(-group_size(op) // 2) * taps) + first * taps // 2 if in_pairs else channel * taps


def _accumulate(
    k: KernelBuilder, op: Conv2D, buffers: tuple[Buffer, Buffer], at: tuple[Expr, ...], weights: Expr, sums: list[Var]
) -> None:
    """Add all taps inside the image at (image, row, column, group) to the sums of the channels whose weights begin at `weights`."""
    x, w = buffers
    image, row, column, group = at
    depth, in_pairs = op.weights.shape[3], w.type == "uint8_t"
    add, width = (multiply_pairs, -(-len(sums) // 2)) if in_pairs else (multiply, len(sums))
    step, zero = step_of(depth), op.x.q.zero_point if clips(op) else 0
    with taps_inside(k, op, 0, row) as (kernel_row, x_row):
        if depth == op.x.shape[3] and op.dilation[1] == 1:
            # Neighbouring columns of the kernel are neighbours in memory, in x and in the weights: one run for all.
            first, stop = taps_range(k, op, 1, column)
            start = (image * op.x.shape[1] + x_row) * op.x.shape[2] + column * op.stride[1] - op.pad.left + first
            place = (kernel_row * op.weights.shape[2] + first) * depth
            xs, ws = k.window("xs", x, start * depth), k.window("ws", w, weights + place * width)
            add(k, xs, ws, (stop - first) * (depth // step), step, zero, sums)
        else:
            with taps_inside(k, op, 1, column) as (kernel_column, x_column):
                start = (image * op.x.shape[1] + x_row) * op.x.shape[2] + x_column
                place = (kernel_row * op.weights.shape[2] + kernel_column) * depth
                xs = k.window("xs", x, start * op.x.shape[3] + group * depth)
                ws = k.window("ws", w, weights + place * width)
                add(k, xs, ws, depth // step, step, zero, sums)


def schedules(op: Conv2D, core: Core) -> Iterable[ChannelBlock]:
    return blocks_for(op.weights, group_size(op), MOST_UNPACKED, (4, 2, 1, 8))


CONV2D_PORTABLE = Implementation("conv2d_portable", Conv2D, schedules, build_conv2d)
