"""DepthwiseConv2D with kernels of 3 x 3, one channel after the other, by one routine for all layers.

A channel is gathered into a plane of int16, borders included, in lines of a fixed pitch; `smelt_plane` makes all its outputs. Lines
are the rows of the image or its columns, whichever leaves less to do twice where outputs are made in fours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.accepts import has_dual_mac, is_three_by_three, is_undilated
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts, look_again
from smelt.kernels.feeds.axes import Axis, axes_of
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.feeds.planes import gather_line
from smelt.kernels.feeds.widened import fill
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import for_routines
from smelt.kernels.requantizer import Requantizer
from smelt.kernels.routines import PLANE_PITCH as PITCH
from smelt.kernels.routines import PLANES, PLANES_ONCE
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr
from smelt.loops.routine import At
from smelt.model.ops import DepthwiseConv2D
from smelt.targets.intrinsics import SMLAD, SMMLAR
from smelt.targets.types import Core

MOST_LINES = 58
FOUR = 4  # outputs at a time
MOST_WASTE = 1.15  # outputs that are made, by those that are wanted
NO_WASTE = 1.0  # where unaligned words, which the last outputs of a line take then, cost more


@dataclass(frozen=True)
class LineBlock:
    """Whether lines are columns of the image."""

    transposed: bool

    def __str__(self) -> str:
        return f"lines({'columns' if self.transposed else 'rows'})"


def _fits(op: DepthwiseConv2D, transposed: bool, core: Core) -> bool:
    lines, along = axes_of(op, transposed)
    made = -(-along.y_size // FOUR) * FOUR
    most = MOST_WASTE if core.style.cheap_unaligned else NO_WASTE
    return made <= most * along.y_size and along.stride in (1, 2) and along.seen < PITCH and lines.seen <= MOST_LINES


def fits_planes(op: DepthwiseConv2D, core: Core) -> bool:
    """outputs along one axis that are (almost) a multiple of 4, at most 49, at most 56 along the other, stride 1 or 2"""
    return _fits(op, False, core) or _fits(op, True, core)


def rounds_once(op: DepthwiseConv2D, core: Core) -> bool:
    """outputs that use all of int8 from their zero point on, shifts from 1 to 13, sums below 2^22"""
    return _requantizer(op).rounds_once


def _requantizer(op: DepthwiseConv2D) -> Requantizer:
    return for_routines(op, op.weights.constant.reshape(-1, op.y.shape[3]).T)


def build_lines(op: DepthwiseConv2D, schedule: LineBlock) -> KernelCall:
    r = _requantizer(op).in_bits
    lines, along = axes_of(op, schedule.transposed)
    k = CallBuilder("depthwise_lines")
    x = k.operand("x", op.x)
    w, table = bind_weights(k, op.weights, op.weights.constant.reshape(9, -1).T), r.bind(k)
    doubts = bind_doubts(k, r)
    plane = k.scratch("plane", "int16_t", lines.seen * PITCH)
    y = k.result("y", op.y)
    fill(k, plane, Const(0), op.x.q.zero_point, plane.size)
    with k.loop("image", 0, op.y.shape[0]) as image, k.loop("channel", 0, op.y.shape[3]) as channel:
        _gather(k, x, plane, image * (op.x.elements // op.x.shape[0]) + channel, (lines, along))
        first = image * (op.y.elements // op.y.shape[0]) + channel
        places = (At(w, channel * 9), At(plane), At(y, first), r.constants(table, channel))
        pitch = 2 * PITCH * lines.stride
        numbers = (lines.tap_step, along.tap_step, lines.y_size, pitch, along.y_size, along.y_step, lines.y_step)
        outputs = lines.y_size * along.y_size
        work = ((SMLAD, 6 * outputs), (SMMLAR, outputs))
        routine = (PLANES_ONCE if r.form == "once" else PLANES)[along.stride]
        k.routine(
            routine,
            (*places, *numbers, *r.numbers),
            work,
            9 * outputs + 100,
        )
        again = _Again(k, w, plane, first - channel, (lines, along))
        look_again(k, r, doubts, y, outputs, again.place, again.sum, only=channel)
    return k.finish_call()


@dataclass(frozen=True)
class _Again:
    """Where an output of a channel is in y, and its sum from the plane."""

    k: KernelBuilder
    weights: Buffer
    plane: Buffer
    first: Expr
    axes: tuple[Axis, Axis]

    def place(self, channel: Expr, number: Expr) -> Expr:
        lines, along = self.axes
        return self.first + channel + number // along.y_size * lines.y_step + number % along.y_size * along.y_step

    def sum(self, channel: Expr, bias: Expr, number: Expr) -> Expr:
        lines, along = self.axes
        at = number // along.y_size * (lines.stride * PITCH) + number % along.y_size * along.stride
        total = self.k.var("again_sum", bias)
        for tap in range(9):
            down, across = divmod(tap, 3)
            weight = self.weights[channel * 9 + (down * lines.tap_step + across * along.tap_step)]
            self.k.assign(total, total + weight * self.plane[at + (down * PITCH + across)])
        return total


def _gather(k: KernelBuilder, x: Buffer, plane: Buffer, first: Expr, axes: tuple[Axis, Axis]) -> None:
    """One channel of x; the padding around it stays."""
    lines, along = axes
    with k.loop("line", 0, lines.x_size) as line:
        xs = k.window("from", x, first + line * lines.x_step)
        to = k.window("to", plane, line * PITCH + (lines.pad * PITCH + along.pad))
        gather_line(k, to, xs, along.x_size, along.x_step)


def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[LineBlock]:
    """Lines along the axis that wastes less of its fours."""
    fitting = [transposed for transposed in (False, True) if _fits(op, transposed, core)]
    for transposed in sorted(fitting, key=lambda t: _made(op, t)):
        yield LineBlock(transposed)


def _made(op: DepthwiseConv2D, transposed: bool) -> int:
    """Outputs that are made for a channel, some of them twice, and what a line costs besides."""
    lines, along = axes_of(op, transposed)
    return lines.y_size * (-(-along.y_size // FOUR) * FOUR + 1)


DEPTHWISE_LINES = Implementation(
    "depthwise_lines",
    DepthwiseConv2D,
    schedules,
    build_lines,
    (has_dual_mac, is_undilated, is_three_by_three, fits_planes, rounds_once),
)
