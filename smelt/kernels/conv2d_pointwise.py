"""Pointwise Conv2D by one routine for all layers: two channels x three pixels, whole stretches of pixels per call.

The pixels of a stretch are widened to int16, words of three neighbouring pixels side by side; then, for each pair of channels,
`smelt_groups` makes all outputs of the stretch. Weights are stored as `conv2d_pairs` does. Where a rest of pixels or channels would
remain, the last stretch or pair starts earlier and makes a few outputs twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d_dsp import is_pointwise, is_ungrouped
from smelt.kernels.conv2d_pairs import MOST_SUM, fit_pairs, pack_pairs
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import has_dual_mac
from smelt.kernels.requantize import Requantizer, requantizer
from smelt.kernels.routines import GROUPS, Form, named
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Scratch, Table, Window, minimum
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import PKHBT, SMLAD, SMMLAR, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

GROUP = 3  # pixels
STRETCH_BYTES = 3200
SHARE = 5  # large layers may take this part of x and y for widened pixels
OTHERS = 70  # instructions for a group, besides its products


@dataclass(frozen=True)
class GroupBlock:
    """Stretches of `pixels` (a multiple of three); `form` is the order of instructions.

    `staged` copies the weights of a pair of channels to RAM for the time of a stretch.
    """

    pixels: int
    form: Form
    staged: bool = False

    def __str__(self) -> str:
        return f"groups(pixels={self.pixels}, {self.form}{', staged' if self.staged else ''})"


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    op: Conv2D
    schedule: GroupBlock
    r: Requantizer
    x: Buffer
    weights: Buffer
    table: Buffer
    wide: Buffer
    slice: Buffer | None
    y: Buffer

    @property
    def depth(self) -> int:
        return self.op.x.shape[3]

    @property
    def words(self) -> int:
        """Words of widened x, and of weights of a pair of channels, for a pixel."""
        return -(-self.depth // 2)


def is_simple(op: Conv2D, core: Core) -> bool:
    """a pointwise layer of stride 1, at least two channels and three pixels"""
    return is_pointwise(op) and op.y.shape[3] >= 2 and _pixels(op) >= GROUP


def fits_routine(op: Conv2D, core: Core) -> bool:
    """weights of which two fit one halfword, sums that stay below 2^23, outputs that use all of int8 from their zero point on"""
    flat = op.weights.constant.reshape(len(op.weights.constant), -1)
    r = requantizer(op, flat, folded=True)
    shifted = (
        len(flat) % 2 == 1 and flat.min() == -128
    )  # the last pair of an odd number is not one that fit_pairs looks at
    return r.saturates and r.widest_offset < MOST_SUM and not shifted and fit_pairs(flat, r)


def _pixels(op: Conv2D) -> int:
    return op.y.elements // op.y.shape[3]


def ordered(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """`weights` (channels, depth) in the order in which SXTB16 widens x: quads as 0, 2, 1, 3, a rest as it is."""
    depth = weights.shape[1]
    order = [quad + i for quad in range(0, depth // 4 * 4, 4) for i in (0, 2, 1, 3)]
    return weights[:, [*order, *range(depth // 4 * 4, depth)]]


def _pair_starts(channels: int) -> list[int]:
    """The first channel of each pair; the last pair overlaps its neighbour where the number is odd."""
    return [min(first, channels - 2) for first in range(0, channels, 2)]


def _pack(weights: NDArray[np.int8]) -> Table:
    """Words of pairs of channels, and one more that may be read."""
    channels = [c for first in _pair_starts(len(weights)) for c in (first, first + 1)]
    return pack_pairs(ordered(weights)[channels][:, np.newaxis, :], mixed=False)


def build_pointwise(op: Conv2D, schedule: GroupBlock) -> KernelCall:
    weights = op.weights.constant.reshape(op.y.shape[3], -1)
    r = requantizer(op, weights, folded=True)
    packed = _pack(weights)
    k = KernelBuilder("conv2d_pointwise")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int32_t", packed.size)
    table = r.bind(k)
    wide = k.scratch("wide", "int32_t", schedule.pixels * -(-weights.shape[1] // 2) + GROUP)
    part = k.scratch("slice", "int32_t", -(-weights.shape[1] // 2) + 1) if schedule.staged else None
    kernel = _Kernel(op, schedule, r, x, w, table, wide, part, k.output("y", "int8_t", op.y.elements))
    pixels = _pixels(op)
    with k.loop("stretch", 0, -(-pixels // schedule.pixels)) as stretch:
        first = k.let("first", minimum(stretch * schedule.pixels, pixels - schedule.pixels))
        _widen(k, kernel, first)
        with k.loop("pair", 0, -(-op.y.shape[3] // 2)) as pair:
            _pair(k, kernel, first, pair)
    scratch = [Scratch(4 * buffer.size) for buffer in (wide, part) if buffer is not None]
    return KernelCall(k.finish(), (op.x, packed, r.table, *scratch, op.y))


def _widen(k: KernelBuilder, kernel: _Kernel, first: Expr) -> None:
    """The pixels of a stretch as int16, words of the three pixels of a group side by side."""
    depth = kernel.depth
    with k.loop("group", 0, kernel.schedule.pixels // GROUP) as group:
        xs = k.window("from", kernel.x, (first + group * GROUP) * depth)
        to = k.window("to", kernel.wide, group * (GROUP * kernel.words))
        with k.loop("quad", 0, depth // 4) as quad:
            _widen_quad(k, depth, xs, to, quad)
        for rest in range(depth // 4 * 4, depth, 2):
            for pixel in range(GROUP):
                at = pixel * depth + rest
                value = Call(PKHBT, (xs[at], xs[at + 1])) if rest + 1 < depth else xs[at]
                k.store(to, rest // 2 * GROUP + pixel, value)


def _widen_quad(k: KernelBuilder, depth: int, xs: Window, to: Window, quad: Expr) -> None:
    words = [k.let("word", xs.load("int32_t", quad * 4 + pixel * depth)) for pixel in range(GROUP)]
    for half, unpack in enumerate((SXTB16, SXTB16_ROR8)):
        for pixel, word in enumerate(words):
            k.store(to, quad * (2 * GROUP) + half * GROUP + pixel, Call(unpack, (word,)))


def _pair(k: KernelBuilder, kernel: _Kernel, first: Expr, pair: Expr) -> None:
    """All outputs of a stretch for two channels."""
    r, words, channels = kernel.r, kernel.words, kernel.op.y.shape[3]
    groups, columns = kernel.schedule.pixels // GROUP, r.columns.shape[1]
    channel = k.let("channel", minimum(pair * 2, channels - 2))
    used = At(kernel.weights, pair * words)
    if kernel.slice is not None:
        k.copy(kernel.slice, 0, kernel.weights, pair * words, words + 1)
        used = At(kernel.slice)
    places = (used, At(kernel.wide), At(kernel.y, first * channels + channel), At(kernel.table, channel * columns))
    shift = -1 if r.shift is None else r.shift
    work = ((SMLAD, 6 * groups * words), (SXTB16, groups * words), (SMMLAR, 6 * groups))
    numbers = (words, groups, channels, r.y_zero, shift)
    function = named(GROUPS, f"groups_{kernel.schedule.form}")
    turns = groups * words if used.buffer.role == "constant" else 0
    k.routine(function, (*places, *numbers), work, groups * (5 * words + OTHERS), turns)


def schedules(op: Conv2D, core: Core) -> Iterable[GroupBlock]:
    """Stretches of some kilobytes, chosen so that few outputs are made twice; then shorter and longer ones.

    Where instructions and constants share a bus, weights in RAM leave it to the instructions.
    """
    staged = core.style.one_code_bus
    form: Form = core.style.inner
    for pixels in _stretches(op):
        yield GroupBlock(pixels, form, staged)
    yield GroupBlock(_stretches(op)[0], form, not staged)


def _stretches(op: Conv2D) -> list[int]:
    usual = max(STRETCH_BYTES, (op.x.elements + op.y.elements) // SHARE)
    best = _stretch(op, usual)
    return list(dict.fromkeys((best, _stretch(op, usual // 4), _stretch(op, 2 * usual), _stretch(op, 4 * usual))))


def _stretch(op: Conv2D, size: int) -> int:
    """The best number of pixels of which the widened ones take at most `size` bytes."""
    pixels, words = _pixels(op), -(-op.x.shape[3] // 2)
    lengths = range(GROUP, min(max(size // (4 * words), GROUP), pixels) + 1, GROUP)
    return min(lengths, key=lambda n: (-(-pixels // n)) * (n * words * 7 + 300))


CONV2D_POINTWISE = Implementation(
    "conv2d_pointwise", Conv2D, schedules, build_pointwise, (has_dual_mac, is_ungrouped, is_simple, fits_routine)
)
