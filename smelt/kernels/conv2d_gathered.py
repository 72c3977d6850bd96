"""Conv2D of any kernel and stride by columns of groups: what pixels look at is gathered, word beside word.

The rows of x under a stretch of pixels are copied with their border; then, for each group of three pixels, everything under the
kernel is widened to int16; then the routine of pointwise layers makes, for each pair of channels, all outputs of the stretch.
"""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.accepts import has_dual_mac, has_enough_taps, is_undilated, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts
from smelt.kernels.feeds.blocks import in_stretches
from smelt.kernels.feeds.columns import GROUP, Gathered, gather, words_of
from smelt.kernels.feeds.images import ONLY, copy_rows
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.groups import (
    GroupBlock,
    Groups,
    bind_columns,
    bind_pairs,
    bind_slice,
    fits_groups,
    has_groups,
    requantizer_of,
)
from smelt.kernels.inner.pairs import leaves_cache
from smelt.model.ops import Conv2D
from smelt.targets.types import Core

STRETCH_BYTES = 6200
WORTHWHILE = 33  # pixels for which more may be spent
MOST_BYTES = 19200
LEAN_BYTES = 1024  # where scratch is scarce


def is_single(op: Conv2D, core: Core) -> bool:
    """one image"""
    return op.y.shape[0] == 1


def build_conv2d(op: Conv2D, schedule: GroupBlock) -> KernelCall:
    r, pixels, g = requantizer_of(op), schedule.pixels, Gathered(op, schedule.pixels)
    k = CallBuilder("conv2d_gathered")
    x, w, table = k.operand("x", op.x), bind_pairs(k, op, schedule.staged), r.bind(k)
    doubts = bind_doubts(k, r)
    image = k.scratch("image", "int8_t", g.x_rows * g.row_length)
    columns, part = bind_columns(k, op, pixels, "columns"), bind_slice(k, op, schedule.staged)
    groups = Groups(op, r, pixels, w, table, columns, part, k.result("y", op.y), doubts)
    with in_stretches(k, pixels_of(op), pixels) as first:
        first_row = k.let("first_row", first // op.y.shape[2])
        copy_rows(k, op, x, image, g.row_length, ONLY, first_row * op.stride[0], (0, g.x_rows))
        gather(k, g, image, columns, first, first_row)
        groups.outputs(k, first)
    return k.finish_call()


def schedules(op: Conv2D, core: Core) -> Iterable[GroupBlock]:
    """Stretches of some kilobytes, chosen so that few outputs are made twice; longer and shorter ones, at last a lean one."""
    staged = leaves_cache(op, core) or op.weights.element.is_packed
    usual = max(STRETCH_BYTES, min(WORTHWHILE * 4 * words_of(op), MOST_BYTES))
    for pixels in dict.fromkeys(_stretch(op, most) for most in (usual, 2 * usual, usual // 3)):
        yield GroupBlock(pixels, staged)
        yield GroupBlock(pixels, not staged)
    if (lean := _stretch(op, LEAN_BYTES)) < _stretch(op, usual // 3):
        yield GroupBlock(lean, op.weights.element.is_packed)


def _stretch(op: Conv2D, most: int) -> int:
    """The number of pixels, with `most` bytes of gathered ones, that takes the least time."""
    words, pixels = words_of(op), pixels_of(op)
    lengths = [n for n in range(GROUP, max(min(most // (4 * words), pixels), GROUP) + 1, GROUP)]
    pairs = op.y.shape[3] // 2

    def cost(n: int) -> int:
        g = Gathered(op, n)
        rows = g.x_rows * (250 + g.row_length // 2)
        return -(-pixels // n) * (n * words * (4 * pairs + 4) + pairs * (100 + 3 * words) + rows)

    return min(lengths, key=cost)


CONV2D_GATHERED = Implementation(
    "conv2d_gathered",
    Conv2D,
    schedules,
    build_conv2d,
    (has_dual_mac, is_undilated, is_ungrouped, has_enough_taps, is_single, has_groups, fits_groups),
)
