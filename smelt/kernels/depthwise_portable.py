"""DepthwiseConv2D in portable C: neighbouring channels side by side, borders as clipped loops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.taps import taps_inside
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.portable import ChannelBlock, channel_blocks
from smelt.kernels.requantize import Epilogue, store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, cast
from smelt.model.ops import DepthwiseConv2D
from smelt.targets.types import Core


@dataclass(frozen=True)
class _Buffers:
    x: Buffer
    weights: Buffer
    table: Buffer
    y: Buffer


def build_depthwise(op: DepthwiseConv2D, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    r = epilogue(op, weights.reshape(-1, weights.shape[3]).T, folded=False)
    k = CallBuilder("depthwise")
    x, w = k.operand("x", op.x), bind_weights(k, op.weights, op.weights.constant)
    buffers = _Buffers(x, w, r.bind(k), k.result("y", op.y))
    batch, rows, columns, _ = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        at = (image, row, column)
        if op.multiplier == 1:
            for first, count in in_blocks(k, "block", op.y.shape[3], schedule.channels):
                channel = k.let("channel", first)
                _outputs(k, op, r, buffers, at, [(channel + c, channel + c) for c in range(count)])
        else:
            with k.loop("x_channel", 0, op.x.shape[3]) as x_channel:
                for first, count in in_blocks(k, "block", op.multiplier, schedule.channels):
                    channel = k.let("channel", x_channel * op.multiplier + first)
                    _outputs(k, op, r, buffers, at, [(x_channel, channel + c) for c in range(count)])
    return k.finish_call()


def _outputs(
    k: KernelBuilder,
    op: DepthwiseConv2D,
    r: Epilogue,
    buffers: _Buffers,
    at: tuple[Expr, Expr, Expr],
    channels: list[tuple[Expr, Expr]],
) -> None:
    """The outputs at (image, row, column) for pairs of (channel of x, channel of y)."""
    image, row, column = at
    x, w = buffers.x, buffers.weights
    _, x_rows, x_columns, x_channels = op.x.shape
    _, rows, columns, y_channels = op.y.shape
    sums = [k.var("sum", r.bias(buffers.table, y_channel)) for _, y_channel in channels]
    with taps_inside(k, op, 0, row) as (kernel_row, x_row), taps_inside(k, op, 1, column) as (kernel_column, x_column):
        start = k.let("start", ((image * x_rows + x_row) * x_columns + x_column) * x_channels)
        tap = k.let("tap", (kernel_row * op.weights.shape[2] + kernel_column) * y_channels)
        for total, (x_channel, y_channel) in zip(sums, channels, strict=True):
            value = x[start + x_channel] - op.x.q.zero_point
            k.assign(total, total + cast(total.type, value * w[tap + y_channel]))
    place = k.let("place", ((image * rows + row) * columns + column) * y_channels)
    for total, (_, y_channel) in zip(sums, channels, strict=True):
        store_outputs(k, r, buffers.table, y_channel, [total], buffers.y, [place + y_channel])


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.x.shape[3] if op.multiplier == 1 else op.multiplier, 4, 2, 1)


DEPTHWISE_PORTABLE = Implementation("depthwise_portable", DepthwiseConv2D, schedules, build_depthwise)
