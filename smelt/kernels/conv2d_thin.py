"""Pointwise Conv2D of images with eight channels: the weights of a channel stay in registers, for whole stretches of pixels.

The pixels of a stretch are widened to int16 once; then `smelt_thin` makes all outputs of the stretch, channel by channel. The last
stretch starts earlier where a rest of pixels would remain, and makes a few outputs twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.conv2d_dsp import is_pointwise, is_ungrouped
from smelt.kernels.conv2d_pointwise import STRETCH_BYTES, GroupBlock, ordered
from smelt.kernels.depthwise_planes import MOST_SUM, SHIFTS
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import Order, has_dual_mac, widen
from smelt.kernels.requantize import Requantizer, requantizer
from smelt.kernels.routines import THIN, named
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Const, Scratch, minimum
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import SMLAD, SMMLAR
from smelt.targets.types import Core

DEPTH = 8
FOUR = 4  # pixels at a time


def is_thin(op: Conv2D, core: Core) -> bool:
    """a pointwise layer of stride 1 with 8 input channels and at least 4 pixels"""
    return is_pointwise(op) and op.x.shape[3] == DEPTH and _pixels(op) >= FOUR


def fits_routine(op: Conv2D, core: Core) -> bool:
    """outputs that use all of int8 from their zero point on, shifts from 1 to 13, sums below 2^22"""
    r = _requantizer(op)
    return r.saturates and all(s in SHIFTS for s in r.shifts) and r.widest_bias < MOST_SUM


def _requantizer(op: Conv2D) -> Requantizer:
    return requantizer(op, op.weights.constant.reshape(op.y.shape[3], -1), folded=True)


def _pixels(op: Conv2D) -> int:
    return op.y.elements // op.y.shape[3]


def build_thin(op: Conv2D, schedule: GroupBlock) -> KernelCall:
    weights = ordered(op.weights.constant.reshape(op.y.shape[3], DEPTH)).reshape(-1).copy()
    r = _requantizer(op)
    channels, pixels, order = op.y.shape[3], schedule.pixels, Order(mixed=True)
    k = KernelBuilder("conv2d_thin")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int8_t", weights.size)
    table = r.bind(k)
    wide = order.scratch(k, (pixels + 1) * DEPTH)
    y = k.output("y", "int8_t", op.y.elements)
    with k.loop("stretch", 0, -(-_pixels(op) // pixels)) as stretch:
        first = k.let("first", minimum(stretch * pixels, _pixels(op) - pixels))
        widen(k, order, wide, Const(0), x, first * DEPTH, pixels * DEPTH)
        with k.loop("channel", 0, channels) as channel:
            columns = r.columns.shape[1]
            places = (
                At(w, channel * DEPTH),
                At(wide),
                At(y, first * channels + channel),
                At(table, channel * columns),
            )
            shift = -1 if r.shift is None else r.shift
            work = ((SMLAD, 4 * pixels), (SMMLAR, pixels))
            k.routine(
                named(THIN, f"thin_{schedule.form}"),
                (*places, pixels, channels, r.y_zero, shift),
                work,
                9 * pixels + 60,
            )
    return KernelCall(k.finish(), (op.x, weights, r.table, Scratch(4 * wide.size), op.y))


def schedules(op: Conv2D, core: Core) -> Iterable[GroupBlock]:
    """Stretches of some kilobytes, without a rest if that costs at most half of them; then short ones."""
    pixels = _pixels(op)
    most = min(STRETCH_BYTES // (2 * DEPTH) - 1, pixels)
    lengths = range(FOUR, most + 1, FOUR)
    even = max((n for n in lengths if pixels % n == 0), default=0)
    best = even if 2 * even >= most else lengths[-1]
    for length in dict.fromkeys((best, lengths[len(lengths) // 4])):
        yield GroupBlock(length, "grouped" if core.style.loads_overlap else "paired")


CONV2D_THIN = Implementation(
    "conv2d_thin", Conv2D, schedules, build_thin, (has_dual_mac, is_ungrouped, is_thin, fits_routine)
)
