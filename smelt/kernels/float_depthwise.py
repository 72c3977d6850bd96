"""DepthwiseConv2D in float32: neighbouring pixels share the weights of a row of the filter, and each element of x that they see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.real_rows import Rows
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import (
    FloatBlock,
    Outputs,
    add_products,
    real_or_half_weights,
    side_by_side,
    weight_table,
    weights_from,
    zeros,
)
from smelt.loops.ir import AnyBuffer, Expr, Var
from smelt.model.ops import DepthwiseConv2D
from smelt.targets.types import Core

BLOCKS = ((4, 2), (4, 1), (2, 2), (2, 4), (1, 4), (1, 1))  # pixels, channels
WIDEST = 8  # columns of a filter that are written out


def build_depthwise(op: DepthwiseConv2D, schedule: FloatBlock) -> KernelCall:
    weights = op.weights.constant
    k = CallBuilder("depthwise_floats")
    rows = Rows.bound(k, op, op.x)
    flat = weights.reshape(-1, weights.shape[3]).T
    own = flat[np.newaxis] if op.multiplier == 1 else flat.reshape(op.x.shape[3], op.multiplier, -1)
    w = weight_table(k, "weights", side_by_side(own, schedule.channels))
    outputs, y = Outputs.bound(k, op.bias, op.clamp), k.result("y", op.y)
    batch, y_rows, y_columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, y_rows) as row:
        rows.copy(k, image, row)
        for column, pixels in in_blocks(k, "columns", y_columns, schedule.pixels):
            first = k.let("first_column", column)
            places = [
                k.let("place", ((image * y_rows + row) * y_columns + (first + p)) * channels) for p in range(pixels)
            ]
            for x_channels, channel in _channels(k, op, schedule.channels):
                sums = zeros(k, pixels, len(x_channels))
                _accumulate(k, op, rows, w, (image, row, first), x_channels, channel, sums, schedule.fused)
                outputs.store(k, y, places, channel, sums)
    return k.finish_call()


def _channels(k: CallBuilder, op: DepthwiseConv2D, block: int) -> Iterator[tuple[list[Expr], Expr]]:
    """Blocks of channels: the channel of x for each, and the first channel of y."""
    if op.multiplier == 1:
        for start, count in in_blocks(k, "block", op.y.shape[3], block):
            channel = k.let("channel", start)
            yield [channel + c for c in range(count)], channel
        return
    with k.loop("x_channel", 0, op.x.shape[3]) as x_channel:
        for start, count in in_blocks(k, "block", op.multiplier, block):
            yield [x_channel] * count, k.let("channel", x_channel * op.multiplier + start)


def _accumulate(
    k: CallBuilder,
    op: DepthwiseConv2D,
    rows: Rows,
    w: AnyBuffer,
    at: tuple[Expr, Expr, Expr],
    x_channels: list[Expr],
    channel: Expr,
    sums: list[list[Var]],
    fused: bool,
) -> None:
    """Add all taps to the sums of the channels from `channel` on of the pixels at (image, row, column)."""
    image, row, column = at
    height, width = op.weights.shape[1:3]
    count, stride, spread = len(x_channels), op.stride[1], op.dilation[1]
    with rows.each(k, image, row) as (kernel_row, source, start):
        begin = k.window("xs", source, start + column * (stride * op.x.shape[3]))
        ws = k.window("ws", w, channel * (height * width) + kernel_row * (width * count))
        written = width if width <= WIDEST else 1
        with k.loop("kernel_column", 0, width // written) as tap:
            weights = [
                [k.let("w", w) for w in weights_from(k, ws, (tap * written + t) * count, count)] for t in range(written)
            ]
            seen: dict[int, list[tuple[int, int]]] = {}
            for pixel, t in product(range(len(sums)), range(written)):
                seen.setdefault(pixel * stride + t * spread, []).append((pixel, t))
            for position, (c, x_channel) in product(sorted(seen), enumerate(x_channels)):
                value = k.let("value", begin[(tap * spread + position) * op.x.shape[3] + x_channel])
                totals = [sums[pixel][c] for pixel, _ in seen[position]]
                add_products(k, totals, value, [weights[t][c] for _, t in seen[position]], fused)


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[FloatBlock]:
    fused = core.floats is not None and core.floats.fused
    channels = op.y.shape[3] if op.multiplier == 1 else op.multiplier
    clipped = dict.fromkeys((min(p, op.y.shape[2]), min(c, channels)) for p, c in BLOCKS)
    return tuple(FloatBlock(p, c, fused) for p, c in clipped)


DEPTHWISE_FLOATS = Implementation(
    "depthwise_floats", DepthwiseConv2D, schedules, build_depthwise, (real_or_half_weights,)
)
