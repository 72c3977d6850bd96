"""TransposeConv2D in portable C: every output gathers the taps that reach it; no partial sums in memory."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.taps import taps_reaching
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.portable import ChannelBlock, channel_blocks, interleave, multiply, step_of
from smelt.kernels.requantize import store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, Var
from smelt.model.ops import TransposeConv2D
from smelt.targets.types import Core


def build_transpose_conv(op: TransposeConv2D, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    r = epilogue(op, weights.reshape(len(weights), -1), folded=False)
    k = CallBuilder("transpose_conv2d")
    packed = interleave(weights.reshape(1, op.y.shape[3], -1), schedule.channels)
    x, w, table, y = k.operand("x", op.x), bind_weights(k, op.weights, packed), r.bind(k), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        for first, count in in_blocks(k, "block", channels, schedule.channels):
            channel = k.let("channel", first)
            sums = [k.var("sum", r.bias(table, channel + c)) for c in range(count)]
            _accumulate(k, op, (x, w), (image, row, column), channel, sums)
            for c in range(count):
                store_outputs(k, r, table, channel + c, [sums[c]], y, [place + channel + c])
    return k.finish_call()


def _accumulate(
    k: KernelBuilder,
    op: TransposeConv2D,
    buffers: tuple[Buffer, Buffer],
    at: tuple[Expr, Expr, Expr],
    channel: Expr,
    sums: list[Var],
) -> None:
    x, w = buffers
    image, row, column = at
    _, x_rows, x_columns, depth = op.x.shape
    taps = prod(op.weights.shape[1:])
    with (
        taps_reaching(k, op, 0, row) as (kernel_row, x_row),
        taps_reaching(k, op, 1, column) as (kernel_column, x_column),
    ):
        xs = k.window("xs", x, ((image * x_rows + x_row) * x_columns + x_column) * depth)
        place = (kernel_row * op.weights.shape[2] + kernel_column) * depth
        ws = k.window("ws", w, channel * taps + place * len(sums))
        multiply(k, xs, ws, depth // step_of(depth), step_of(depth), op.x.q.zero_point, sums)


def schedules(op: TransposeConv2D, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.y.shape[3], 4, 2, 1)


TRANSPOSE_CONV_PORTABLE = Implementation("transpose_conv2d_portable", TransposeConv2D, schedules, build_transpose_conv)
