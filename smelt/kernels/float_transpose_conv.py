"""TransposeConv2D in float32: every output gathers the taps that reach it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.taps import taps_reaching
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
from smelt.model.ops import TransposeConv2D
from smelt.targets.types import Core


def build_transpose_conv(op: TransposeConv2D, schedule: FloatBlock) -> KernelCall:
    weights = op.weights.constant
    _, height, width, depth = weights.shape
    k = CallBuilder("transpose_conv2d_floats")
    x = k.operand("x", op.x)
    w = weight_table(k, "weights", side_by_side(weights.reshape(len(weights), -1)[np.newaxis], schedule.channels))
    outputs, y = Outputs.bound(k, op.bias, op.clamp), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    _, x_rows, x_columns, _ = op.x.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        for start, count in in_blocks(k, "block", channels, schedule.channels):
            channel = k.let("channel", start)
            sums = zeros(k, 1, count)
            with (
                taps_reaching(k, op, 0, row) as (kernel_row, x_row),
                taps_reaching(k, op, 1, column) as (kernel_column, x_column),
            ):
                xs = k.window("xs", x, ((image * x_rows + x_row) * x_columns + x_column) * depth)
                tap = (kernel_row * width + kernel_column) * depth
                ws = k.window("ws", w, channel * (height * width * depth) + tap * count)
                multiply(k, [xs], ws, depth, sums, schedule.fused)
            outputs.store(k, y, [place], channel, sums)
    return k.finish_call()


def schedules(op: TransposeConv2D, core: Core) -> Iterable[FloatBlock]:
    return tuple(b for b in float_blocks(1, op.y.shape[3], core) if b.pixels == 1)


TRANSPOSE_CONV_FLOATS = Implementation(
    "transpose_conv2d_floats", TransposeConv2D, schedules, build_transpose_conv, (real_or_half_weights,)
)
