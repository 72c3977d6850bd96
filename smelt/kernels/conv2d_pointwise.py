"""Pointwise Conv2D by columns of groups: the pixels of a stretch are widened to int16, three side by side; then one routine for all
layers makes all outputs of the stretch, two channels at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.accepts import has_dual_mac, is_pointwise, is_ungrouped, pixels_of
from smelt.kernels.calls import CallBuilder
from smelt.kernels.doubts import bind_doubts
from smelt.kernels.feeds.blocks import in_stretches
from smelt.kernels.feeds.columns import GROUP, widen_pixels, words_of
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
from smelt.model.ops import Conv2D
from smelt.targets.types import Core

STRETCH_BYTES = 3200
SHARE = 5  # large layers may take this part of x and y for widened pixels


def is_simple(op: Conv2D, core: Core) -> bool:
    """a pointwise layer of stride 1"""
    return is_pointwise(op)


def build_pointwise(op: Conv2D, schedule: GroupBlock) -> KernelCall:
    r, pixels = requantizer_of(op), schedule.pixels
    k = CallBuilder("conv2d_pointwise")
    x, w, table = k.operand("x", op.x), bind_pairs(k, op, schedule.staged), r.bind(k)
    doubts = bind_doubts(k, r)
    wide, part = bind_columns(k, op, pixels, "wide"), bind_slice(k, op, schedule.staged)
    groups = Groups(op, r, pixels, w, table, wide, part, k.result("y", op.y), doubts)
    with in_stretches(k, pixels_of(op), pixels) as first:
        widen_pixels(k, op, x, wide, pixels, first)
        groups.outputs(k, first)
    return k.finish_call()


def schedules(op: Conv2D, core: Core) -> Iterable[GroupBlock]:
    """Stretches of some kilobytes, chosen so that few outputs are made twice; then shorter and longer ones.

    Where instructions and constants share a bus, weights in RAM leave it to the instructions; those of int4 are unpacked there.
    """
    staged = core.style.one_code_bus or op.weights.element.is_packed
    for pixels in _stretches(op):
        yield GroupBlock(pixels, staged)
    yield GroupBlock(_stretches(op)[0], not staged)


def _stretches(op: Conv2D) -> list[int]:
    usual = max(STRETCH_BYTES, (op.x.elements + op.y.elements) // SHARE)
    best = _stretch(op, usual)
    return list(dict.fromkeys((best, _stretch(op, usual // 4), _stretch(op, 2 * usual), _stretch(op, 4 * usual))))


def _stretch(op: Conv2D, size: int) -> int:
    """The best number of pixels of which the widened ones take at most `size` bytes."""
    pixels, words = pixels_of(op), words_of(op)
    lengths = range(GROUP, min(max(size // (4 * words), GROUP), pixels) + 1, GROUP)
    return min(lengths, key=lambda n: (-(-pixels // n)) * (n * words * 7 + 300))


CONV2D_POINTWISE = Implementation(
    "conv2d_pointwise",
    Conv2D,
    schedules,
    build_pointwise,
    (has_dual_mac, is_ungrouped, is_simple, has_groups, fits_groups),
)
