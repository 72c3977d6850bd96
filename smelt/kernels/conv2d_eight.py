"""Pointwise Conv2D of images with eight channels: the weights of a channel stay in registers, for whole stretches of pixels.

The pixels of a stretch are widened to int16 once; then `smelt_thin` makes all outputs of the stretch, channel by channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.accepts import has_dual_mac, is_pointwise, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts, look_again
from smelt.kernels.feeds.blocks import in_stretches
from smelt.kernels.feeds.columns import order_of
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.widened import Order, widen
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import for_routines
from smelt.kernels.requantizer import Requantizer
from smelt.kernels.routines import THIN, THIN_ONCE
from smelt.loops.ir import Const, Expr, cast
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SMLAD, SMMLAR
from smelt.targets.types import Core

DEPTH = 8
FOUR = 4  # pixels at a time
STRETCH_BYTES = 3200


@dataclass(frozen=True)
class EightBlock:
    """Stretches of `pixels` (a multiple of four)."""

    pixels: int

    def __str__(self) -> str:
        return f"eight(pixels={self.pixels})"


def has_eight_channels(op: Conv2D, core: Core) -> bool:
    """a pointwise layer of stride 1 with 8 input channels and at least 4 pixels"""
    return is_pointwise(op) and op.x.shape[3] == DEPTH and pixels_of(op) >= FOUR


def rounds_once(op: Conv2D, core: Core) -> bool:
    """outputs that use all of int8 from their zero point on, shifts from 1 to 13, sums below 2^22"""
    return _requantizer(op).rounds_once


def _requantizer(op: Conv2D) -> Requantizer:
    return for_routines(op, op.weights.constant.reshape(op.y.shape[3], -1))


def build_eight(op: Conv2D, schedule: EightBlock) -> KernelCall:
    r, channels, pixels, order = _requantizer(op).in_bits, op.y.shape[3], schedule.pixels, Order(mixed=True)
    k = CallBuilder("conv2d_eight")
    x = k.operand("x", op.x)
    w = bind_weights(k, op.weights, op.weights.constant.reshape(channels, DEPTH)[:, order_of(1, DEPTH)])
    table, doubts = r.bind(k), bind_doubts(k, r)
    wide, y = order.scratch(k, (pixels + 1) * DEPTH), k.result("y", op.y)
    routine, work = THIN_ONCE if r.form == "once" else THIN, ((SMLAD, 4 * pixels), (SMMLAR, pixels))
    with in_stretches(k, pixels_of(op), pixels) as first:
        widen(k, order, wide, Const(0), x, first * DEPTH, pixels * DEPTH)
        with k.loop("channel", 0, channels) as channel:
            places = (At(w, channel * DEPTH), At(wide), At(y, first * channels + channel), r.constants(table, channel))
            k.routine(routine, (*places, pixels, channels, *r.numbers), work, 9 * pixels + 60)

        def sum_of(channel: Expr, bias: Expr, pixel: Expr) -> Expr:
            total = k.var("again_sum", bias)
            for place in range(DEPTH // 2):
                pair = k.let("elements", wide[pixel * (DEPTH // 2) + place])
                for half, element in enumerate((cast("int32_t", cast("int16_t", pair)), pair >> 16)):
                    k.assign(total, total + w[channel * DEPTH + (2 * place + half)] * element)
            return total

        def place_of(channel: Expr, pixel: Expr) -> Expr:
            return (first + pixel) * channels + channel

        look_again(k, r, doubts, y, pixels, place_of, sum_of)
    return k.finish_call()


def schedules(op: Conv2D, core: Core) -> Iterable[EightBlock]:
    """Stretches of some kilobytes, without a rest if that costs at most half of them; then short ones."""
    pixels = pixels_of(op)
    most = min(STRETCH_BYTES // (2 * DEPTH) - 1, pixels)
    lengths = range(FOUR, most + 1, FOUR)
    even = max((n for n in lengths if pixels % n == 0), default=0)
    best = even if 2 * even >= most else lengths[-1]
    for length in dict.fromkeys((best, lengths[len(lengths) // 4])):
        yield EightBlock(length)


CONV2D_EIGHT = Implementation(
    "conv2d_eight", Conv2D, schedules, build_eight, (has_dual_mac, is_ungrouped, has_eight_channels, rounds_once)
)
