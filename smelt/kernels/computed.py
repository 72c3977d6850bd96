"""Convolutions and dense layers whose weights or bias are computed, as their input is: nothing can be packed or folded beforehand.

In portable C, for every type: blocks of output channels share every element of the image; borders are clipped loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.dense_as_conv2d import through_conv2d
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.taps import taps_inside
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import limited
from smelt.kernels.inner.portable import ChannelBlock, channel_blocks
from smelt.kernels.requantize import Epilogue, store_outputs
from smelt.kernels.requantize48 import epilogue_of_computed
from smelt.loops.ir import Buffer, Expr, Type, Var, cast, real
from smelt.model.ops import Conv2D, DepthwiseConv2D, Linear
from smelt.targets.types import Core


@dataclass(frozen=True, eq=False)
class _Layer:
    """The operands of a layer in the kernel. Where it computes in reals there is no epilogue; a bias that is a constant is in the
    epilogue's table."""

    op: Linear
    x: Buffer
    weights: Buffer
    bias: Buffer | None
    epilogue: tuple[Epilogue, Buffer] | None
    y: Buffer

    @staticmethod
    def bound(k: CallBuilder, op: Linear) -> _Layer:
        is_real = op.y.element.is_float
        x, known = k.operand("x", op.x), op.weights.data
        weights = k.operand("weights", op.weights) if known is None else bind_weights(k, op.weights, known)
        of_channels = op.bias is not None and (is_real or not op.bias.is_constant)
        bias = k.operand("bias", op.bias) if of_channels and op.bias is not None else None
        r = None if is_real else epilogue_of_computed(op)
        return _Layer(op, x, weights, bias, None if r is None else (r, r.bind(k)), k.result("y", op.y))

    @property
    def sum_type(self) -> Type:
        return "float" if self.epilogue is None else self.epilogue[0].sum_type

    def sums(self, k: CallBuilder, channel: Expr, count: int) -> list[Var]:
        """What the sums of so many channels begin with: the bias, which comes last where sums are of reals."""
        if self.epilogue is None:
            return [k.var("sum", real(0.0)) for _ in range(count)]
        r, table = self.epilogue
        if self.bias is None:
            return [k.var("sum", r.bias(table, channel + c)) for c in range(count)]
        return [k.var("sum", cast(r.sum_type, self.bias[channel + c])) for c in range(count)]

    def value(self, k: CallBuilder, x: Expr) -> Expr:
        """An element of x less its zero point."""
        return k.let("value", x - self.op.rescale.x_zero if self.op.rescale.x_zero else x)

    def add(self, k: CallBuilder, total: Var, value: Expr, weight: Expr) -> None:
        product = k.let(
            "product", value * (weight - self.op.rescale.weights_zero if self.op.rescale.weights_zero else weight)
        )
        k.assign(total, total + cast(total.type, product))

    def store(self, k: CallBuilder, channel: Expr, sums: Sequence[Var], place: Expr) -> None:
        """The outputs of the channels from `channel` on, at the pixel whose first output is at `place`."""
        for c, total in enumerate(sums):
            if self.epilogue is None:
                value = total if self.bias is None else total + self.bias[channel + c]
                k.store(self.y, place + channel + c, limited(k, value, self.op.clamp))
            else:
                store_outputs(k, *self.epilogue, channel + c, [total], self.y, [place + channel + c])


def build_conv2d(op: Conv2D, schedule: ChannelBlock) -> KernelCall:
    k = CallBuilder("conv2d_computed")
    layer = _Layer.bound(k, op)
    groups = op.x.shape[3] // op.weights.shape[3]
    size = op.y.shape[3] // groups
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        with k.loop("group", 0, groups) as group:
            for first, count in in_blocks(k, "block", size, schedule.channels):
                channel = k.let("channel", group * size + first)
                sums = layer.sums(k, channel, count)
                _add_taps(k, layer, op, (image, row, column, group), channel, sums)
                layer.store(k, channel, sums, place)
    return k.finish_call()


def _add_taps(
    k: CallBuilder, layer: _Layer, op: Conv2D, at: tuple[Expr, ...], channel: Expr, sums: Sequence[Var]
) -> None:
    image, row, column, group = at
    width, depth = op.weights.shape[2:]
    _, x_rows, x_columns, x_channels = op.x.shape
    taps = prod(op.weights.shape[1:])
    with taps_inside(k, op, 0, row) as (kernel_row, x_row), taps_inside(k, op, 1, column) as (kernel_column, x_column):
        start = ((image * x_rows + x_row) * x_columns + x_column) * x_channels + group * depth
        xs = k.window("xs", layer.x, start)
        ws = k.window("ws", layer.weights, channel * taps + (kernel_row * width + kernel_column) * depth)
        with k.loop("i", 0, depth) as i:
            value = layer.value(k, xs[i])
            for c, total in enumerate(sums):
                layer.add(k, total, value, ws[i + c * taps])


def build_depthwise(op: DepthwiseConv2D, schedule: ChannelBlock) -> KernelCall:
    k = CallBuilder("depthwise_computed")
    layer = _Layer.bound(k, op)
    batch, rows, columns, channels = op.y.shape
    _, x_rows, x_columns, x_channels = op.x.shape
    with k.loop("image", 0, batch) as image, k.loop("row", 0, rows) as row, k.loop("column", 0, columns) as column:
        place = k.let("place", ((image * rows + row) * columns + column) * channels)
        with k.loop("x_channel", 0, x_channels) as x_channel:
            for first, count in in_blocks(k, "block", op.multiplier, schedule.channels):
                channel = k.let("channel", x_channel * op.multiplier + first)
                sums = layer.sums(k, channel, count)
                with taps_inside(k, op, 0, row) as (tap_row, x_row), taps_inside(k, op, 1, column) as (tap, x_column):
                    pixel = ((image * x_rows + x_row) * x_columns + x_column) * x_channels
                    value = layer.value(k, layer.x[pixel + x_channel])
                    ws = k.window("ws", layer.weights, (tap_row * op.weights.shape[2] + tap) * channels + channel)
                    for c, total in enumerate(sums):
                        layer.add(k, total, value, ws[c])
                layer.store(k, channel, sums, place)
    return k.finish_call()


def schedules(op: Conv2D, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.y.shape[3] * op.weights.shape[3] // op.x.shape[3], 4, 2, 1)


def depthwise_schedules(op: DepthwiseConv2D, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.multiplier, 4, 2, 1)


CONV2D_COMPUTED = Implementation("conv2d_computed", Conv2D, schedules, build_conv2d, computed=True)

COMPUTED: tuple[Implementation, ...] = (
    CONV2D_COMPUTED,
    Implementation("depthwise_computed", DepthwiseConv2D, depthwise_schedules, build_depthwise, computed=True),
    replace(through_conv2d(CONV2D_COMPUTED, "dense_computed", ()), computed=True),
)
