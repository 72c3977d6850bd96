"""Planes: one channel of x, gathered so that neighbours along a line are neighbours in memory, as int16."""

from __future__ import annotations

from smelt.kernels.feeds.blocks import in_blocks
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Window


def gather_line(k: KernelBuilder, to: Window, xs: Window, count: int, step: int) -> None:
    """`count` elements of x, `step` apart, side by side."""
    for first, size in in_blocks(k, "column", count, 4):
        for c in range(size):
            k.store(to, first + c, xs[(first + c) * step])
