"""Conv2D in float32: blocks of pixels and channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.real_rows import Rows
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import (
    FloatBlock,
    Outputs,
    float_blocks,
    multiply,
    real_or_half_weights,
    side_by_side,
    weight_table,
    zeros,
)
from smelt.loops.ir import AnyBuffer, Expr, Var
from smelt.model.graph import Tensor
from smelt.model.ops import Conv2D
from smelt.targets.types import Core


def flat(op: Conv2D) -> Conv2D:
    """A convolution of 1 x 1 as one of a single row of pixels: the same bytes; others as they are."""
    if op.weights.shape[1:3] != (1, 1) or op.stride != (1, 1) or op.pad:
        return op
    return replace(op, x=_in_a_row(op.x), y=_in_a_row(op.y))


def _in_a_row(tensor: Tensor) -> Tensor:
    channels = tensor.shape[3]
    return replace(tensor, shape=(1, 1, tensor.elements // channels, channels))


def group_size(op: Conv2D) -> int:
    """Output channels per group."""
    return op.y.shape[3] * op.weights.shape[3] // op.x.shape[3]


def build_conv2d(op: Conv2D, schedule: FloatBlock) -> KernelCall:
    x, y_tensor = op.x, op.y
    op = flat(op)
    weights, groups = op.weights.constant, op.x.shape[3] // op.weights.shape[3]
    k = CallBuilder("conv2d_floats")
    rows = Rows.bound(k, op, x)
    w = weight_table(k, "weights", side_by_side(weights.reshape(groups, group_size(op), -1), schedule.channels))
    outputs, y = Outputs.bound(k, op.bias, op.clamp), k.result("y", y_tensor)
    batch, y_rows, y_columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, y_rows) as row:
        rows.copy(k, image, row)
        for column, pixels in in_blocks(k, "columns", y_columns, schedule.pixels):
            first = k.let("first_column", column)
            places = [
                k.let("place", ((image * y_rows + row) * y_columns + (first + p)) * channels) for p in range(pixels)
            ]
            with k.loop("group", 0, groups) as group:
                for start, count in in_blocks(k, "block", group_size(op), schedule.channels):
                    channel = k.let("channel", group * group_size(op) + start)
                    sums = zeros(k, pixels, count)
                    _accumulate(k, op, rows, w, (image, row, first, group), channel, sums, schedule.fused)
                    outputs.store(k, y, places, channel, sums)
    return k.finish_call()


def _accumulate(
    k: CallBuilder,
    op: Conv2D,
    rows: Rows,
    w: AnyBuffer,
    at: tuple[Expr, Expr, Expr, Expr],
    channel: Expr,
    sums: list[list[Var]],
    fused: bool,
) -> None:
    """Add all taps to the sums of the channels from `channel` on of the pixels at (image, row, column, group)."""
    image, row, column, group = at
    _, height, width, depth = op.weights.shape
    x_channels, count = op.x.shape[3], len(sums[0])
    run = width * depth if depth == x_channels and op.dilation[1] == 1 else depth
    with (
        rows.each(k, image, row) as (kernel_row, source, start),
        k.loop("kernel_column", 0, width * depth // run) as tap,
    ):
        place = k.let("tap", (kernel_row * width + tap) * depth)
        ws = k.window("ws", w, channel * (height * width * depth) + place * count)
        inside = start + tap * (op.dilation[1] * x_channels) + group * depth
        xs = [
            k.window("xs", source, inside + (column + pixel) * (op.stride[1] * x_channels))
            for pixel in range(len(sums))
        ]
        multiply(k, xs, ws, run, sums, fused)


def schedules(op: Conv2D, core: Core) -> Iterable[FloatBlock]:
    return float_blocks(flat(op).y.shape[2], group_size(op), core)


CONV2D_FLOATS = Implementation("conv2d_floats", Conv2D, schedules, build_conv2d, (real_or_half_weights,))
