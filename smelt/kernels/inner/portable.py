"""Products in portable C: blocks of output channels share every element of x."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Table, Value, Var, cast


@dataclass(frozen=True)
class ChannelBlock:
    """How many output channels are computed side by side."""

    channels: int

    def __str__(self) -> str:
        return f"block(channels={self.channels})"


def channel_blocks(channels: int, *sizes: int) -> tuple[ChannelBlock, ...]:
    """The sizes that are not larger than there are channels (at least one)."""
    return tuple(ChannelBlock(size) for size in sizes if size <= channels) or (ChannelBlock(1),)


def interleave(weights: NDArray[np.int8], block: int) -> Table:
    """`weights` (groups, channels, taps) with the channels of each block side by side, tap by tap: one moving pointer."""
    blocks = range(0, weights.shape[1], block)
    return np.concatenate([group[first : first + block].T.reshape(-1) for group in weights for first in blocks])


def multiply(
    k: KernelBuilder, xs: AnyBuffer, ws: AnyBuffer, rounds: Value, step: int, zero: int, sums: list[Var]
) -> None:
    """Add `rounds` times `step` neighbours of x, less their zero point, times interleaved weights to the sums."""
    with k.loop("i", 0, rounds) as i:
        for element in range(step):
            value = k.let("value", xs[i * step + element] - zero)
            for c, total in enumerate(sums):
                product = value * ws[i * (step * len(sums)) + (element * len(sums) + c)]
                k.assign(total, total + cast(total.type, product))


def step_of(length: int) -> int:
    """How many elements to take per round, so that none remain."""
    return next(step for step in (4, 3, 2, 1) if length % step == 0)
