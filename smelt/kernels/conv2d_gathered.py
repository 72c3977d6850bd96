"""Conv2D of any kernel and stride by the routine of pointwise layers: what pixels look at is gathered, word beside word.

The rows of x under a stretch of pixels are copied with their border; then, for each group of three pixels, everything under the
kernel is widened to int16, words of the three pixels side by side; then `smelt_groups` makes, for each pair of channels, all
outputs of the stretch. `staged` copies the weights of a pair to RAM for the time of a stretch, for chips whose cache is smaller
than they are. The last stretch starts earlier where a rest would remain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d_dsp import is_undilated, is_ungrouped
from smelt.kernels.conv2d_pairs import has_enough_taps, leaves_cache, pack_pairs
from smelt.kernels.conv2d_pointwise import GROUP, OTHERS, fits_routine
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import has_dual_mac
from smelt.kernels.requantize import Requantizer, requantizer
from smelt.kernels.routines import GROUPS, Form, named
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Scratch, Table, Window, maximum, minimum
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import PKHBT, SMLAD, SMMLAR, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

STRETCH_BYTES = 6200
WORTHWHILE = 33  # pixels for which more may be spent
MOST_BYTES = 19200


@dataclass(frozen=True)
class GatheredBlock:
    """Stretches of `pixels` (a multiple of three); `form` is the order of instructions."""

    pixels: int
    staged: bool
    form: Form

    def __str__(self) -> str:
        return f"gathered(pixels={self.pixels}, {self.form}{', staged' if self.staged else ''})"


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    op: Conv2D
    schedule: GatheredBlock
    r: Requantizer
    x: Buffer
    weights: Buffer
    table: Buffer
    image: Buffer
    columns: Buffer
    slice: Buffer | None
    y: Buffer

    @property
    def words(self) -> int:
        """Words under the kernel."""
        return -(-self.op.weights.elements // self.op.y.shape[3] // 2)

    @property
    def run(self) -> int:
        """Neighbours under a row of the kernel."""
        return self.op.weights.shape[2] * self.op.weights.shape[3]

    @property
    def row_length(self) -> int:
        """Elements of a row of `image`."""
        return _row_length(self.op)


def is_single(op: Conv2D, core: Core) -> bool:
    """one image, at least two channels and three pixels"""
    return op.y.shape[0] == 1 and op.y.shape[3] >= 2 and _pixels(op) >= GROUP


def _pixels(op: Conv2D) -> int:
    return op.y.elements // op.y.shape[3]


def _row_length(op: Conv2D) -> int:
    pixels = (op.y.shape[2] - 1) * op.stride[1] + op.weights.shape[2]
    return -(-pixels * op.x.shape[3] // 4) * 4


def _y_rows(op: Conv2D, pixels: int) -> int:
    """Rows of y that a stretch may touch."""
    if pixels % op.y.shape[2] == 0 and _pixels(op) % pixels == 0:
        return pixels // op.y.shape[2]
    return min((pixels + op.y.shape[2] - 2) // op.y.shape[2] + 1, op.y.shape[1])


def _x_rows(op: Conv2D, pixels: int) -> int:
    """Rows of x under them."""
    return (_y_rows(op, pixels) - 1) * op.stride[0] + op.weights.shape[1]


def _order(rows: int, run: int) -> list[int]:
    """Taps in the order in which they are gathered: quads of each row as 0, 2, 1, 3, then the rests of all rows."""
    whole = run // 4 * 4
    quads = [row * run + quad + i for row in range(rows) for quad in range(0, whole, 4) for i in (0, 2, 1, 3)]
    return [*quads, *(row * run + i for row in range(rows) for i in range(whole, run))]


def _pack(weights: NDArray[np.int8]) -> Table:
    """Words of pairs of channels in the order of gathered taps; the last pair overlaps its neighbour for an odd number."""
    channels, rows, columns, depth = weights.shape
    flat = weights.reshape(channels, -1)[:, _order(rows, columns * depth)]
    starts = [min(first, channels - 2) for first in range(0, channels, 2)]
    return pack_pairs(flat[[c for first in starts for c in (first, first + 1)]][:, np.newaxis, :], mixed=False)


def build_conv2d(op: Conv2D, schedule: GatheredBlock) -> KernelCall:
    weights, pixels = op.weights.constant, _pixels(op)
    r = requantizer(op, weights.reshape(len(weights), -1), folded=True)
    packed, words = _pack(weights), -(-weights[0].size // 2)
    k = KernelBuilder("conv2d_gathered")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int32_t", packed.size)
    table = r.bind(k)
    image = k.scratch("image", "int8_t", _x_rows(op, schedule.pixels) * _row_length(op))
    columns = k.scratch("columns", "int32_t", schedule.pixels * words + GROUP)
    part = k.scratch("slice", "int32_t", words + 1) if schedule.staged else None
    kernel = _Kernel(op, schedule, r, x, w, table, image, columns, part, k.output("y", "int8_t", op.y.elements))
    with k.loop("stretch", 0, -(-pixels // schedule.pixels)) as stretch:
        first = k.let("first", minimum(stretch * schedule.pixels, pixels - schedule.pixels))
        first_row = k.let("first_row", first // op.y.shape[2])
        _load_rows(k, kernel, first_row)
        _gather(k, kernel, first, first_row)
        with k.loop("pair", 0, -(-op.y.shape[3] // 2)) as pair:
            _pair(k, kernel, first, pair)
    scratch = [Scratch(image.size), *(Scratch(4 * b.size) for b in (columns, part) if b)]
    return KernelCall(k.finish(), (op.x, packed, r.table, *scratch, op.y))


def _load_rows(k: KernelBuilder, kernel: _Kernel, first_row: Expr) -> None:
    """The rows of x under a stretch, with their border."""
    op, image, length = kernel.op, kernel.image, kernel.row_length
    _, x_rows, x_columns, depth = op.x.shape
    left, inside, zero = op.pad.left * depth, x_columns * depth, op.x.q.zero_point
    used = min(inside, length - left)
    with k.loop("line", 0, _x_rows(op, kernel.schedule.pixels)) as line:
        x_row = k.let("x_row", first_row * op.stride[0] + line - op.pad.top)
        start = k.let("start", line * length)
        with k.when((x_row >= 0).both(x_row < x_rows)):
            k.fill(image, start, zero, left)
            k.copy(image, start + left, kernel.x, x_row * inside, used)
            k.fill(image, start + left + used, zero, length - left - used)
        with k.otherwise():
            k.fill(image, start, zero, length)


def _gather(k: KernelBuilder, kernel: _Kernel, first: Expr, first_row: Expr) -> None:
    """What the pixels of a stretch look at, words of the three pixels of a group side by side."""
    with k.loop("group", 0, kernel.schedule.pixels // GROUP) as group:
        place = k.let("place", first + group * GROUP)
        to = k.window("to", kernel.columns, group * (GROUP * kernel.words))
        _gather_group(k, kernel, _pixels_of(k, kernel, place, first_row), to)


def _pixels_of(k: KernelBuilder, kernel: _Kernel, place: Expr, first_row: Expr) -> list[Window]:
    """Where the kernel lies on the three pixels from `place` on: in one row where rows are whole groups."""
    op = kernel.op
    step = op.stride[1] * op.x.shape[3]
    if op.y.shape[2] % GROUP == 0:
        start = k.let("start", _start(k, kernel, place, first_row, GROUP - 1))
        return [k.window("from", kernel.image, start + pixel * step) for pixel in range(GROUP)]
    return [k.window("from", kernel.image, _start(k, kernel, place + pixel, first_row, 0)) for pixel in range(GROUP)]


def _start(k: KernelBuilder, kernel: _Kernel, place: Expr, first_row: Expr, following: int) -> Expr:
    """The first element of `image` under the kernel at a pixel that has `following` others behind it in its row."""
    op = kernel.op
    columns = op.y.shape[2]
    row = k.let("row", place // columns)
    below = maximum(minimum(row - first_row, _y_rows(op, kernel.schedule.pixels) - 1), 0)
    column = minimum(place % columns, columns - 1 - following) if following else place % columns
    return below * (op.stride[0] * kernel.row_length) + column * (op.stride[1] * op.x.shape[3])


def _gather_group(k: KernelBuilder, kernel: _Kernel, xs: Sequence[Window], to: Window) -> None:
    """All rows of the kernel for three pixels."""
    rows, quads, length = kernel.op.weights.shape[1], kernel.run // 4, kernel.row_length
    if quads:
        with k.loop("kernel_row", 0, rows, keep=True) as row, k.loop("quad", 0, quads) as quad:
            words = [k.let("word", x.load("int32_t", row * length + quad * 4)) for x in xs]
            target = k.window("target", to, (row * quads + quad) * (2 * GROUP))
            for half, unpack in enumerate((SXTB16, SXTB16_ROR8)):
                for pixel, word in enumerate(words):
                    k.store(target, half * GROUP + pixel, Call(unpack, (word,)))
    rests = [row * length + i for row in range(rows) for i in range(quads * 4, kernel.run)]
    for number in range(0, len(rests), 2):
        for pixel, x in enumerate(xs):
            low, *high = (x[at] for at in rests[number : number + 2])
            value = Call(PKHBT, (low, *high)) if high else low
            k.store(to, (rows * 2 * quads + number // 2) * GROUP + pixel, value)


def _pair(k: KernelBuilder, kernel: _Kernel, first: Expr, pair: Expr) -> None:
    """All outputs of a stretch for two channels."""
    r, words, channels = kernel.r, kernel.words, kernel.op.y.shape[3]
    groups, columns = kernel.schedule.pixels // GROUP, r.columns.shape[1]
    channel = k.let("channel", minimum(pair * 2, channels - 2))
    weights: AnyBuffer = kernel.weights
    begin: Expr = pair * words
    if kernel.slice is not None:
        k.copy(kernel.slice, 0, kernel.weights, begin, words + 1)
        weights, begin = kernel.slice, Const(0)
    places = (
        At(weights, begin),
        At(kernel.columns),
        At(kernel.y, first * channels + channel),
        At(kernel.table, channel * columns),
    )
    shift = -1 if r.shift is None else r.shift
    work = ((SMLAD, 6 * groups * words), (SXTB16, groups * words), (SMMLAR, 6 * groups))
    numbers = (words, groups, channels, r.y_zero, shift)
    function = named(GROUPS, f"groups_{kernel.schedule.form}")
    turns = groups * words if weights.role == "constant" else 0
    k.routine(function, (*places, *numbers), work, groups * (5 * words + OTHERS), turns)


def schedules(op: Conv2D, core: Core) -> Iterable[GatheredBlock]:
    """Stretches of some kilobytes, chosen so that few outputs are made twice; longer and shorter ones."""
    form: Form = core.style.inner
    staged = leaves_cache(op, core)
    words = -(-op.weights.elements // op.y.shape[3] // 2)
    usual = max(STRETCH_BYTES, min(WORTHWHILE * 4 * words, MOST_BYTES))
    for pixels in dict.fromkeys(_stretch(op, most) for most in (usual, 2 * usual, usual // 3)):
        yield GatheredBlock(pixels, staged, form)
        yield GatheredBlock(pixels, not staged, form)


def _stretch(op: Conv2D, most: int) -> int:
    """The number of pixels, with `most` bytes of gathered ones, that takes the least time."""
    words, pixels = -(-op.weights.elements // op.y.shape[3] // 2), _pixels(op)
    lengths = [n for n in range(GROUP, max(min(most // (4 * words), pixels), GROUP) + 1, GROUP)]
    pairs = op.y.shape[3] // 2

    def cost(n: int) -> int:
        rows = _x_rows(op, n) * (250 + _row_length(op) // 2)
        return -(-pixels // n) * (n * words * (4 * pairs + 4) + pairs * (100 + 3 * words) + rows)

    return min(lengths, key=cost)


CONV2D_GATHERED = Implementation(
    "conv2d_gathered",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, is_undilated, is_ungrouped, has_enough_taps, is_single, fits_routine),
)
