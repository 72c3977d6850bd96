"""Products in portable C: blocks of output channels share every element of x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Table, Value, Var, cast
from smelt.model.graph import Tensor

NIBBLE = 8  # what is added to weights of int4


@dataclass(frozen=True)
class ChannelBlock:
    """How many output channels are computed side by side. Weights of int4 are `unpacked` into RAM before, or one by one."""

    channels: int
    unpacked: bool = False

    def __str__(self) -> str:
        return f"block(channels={self.channels}{', unpacked' if self.unpacked else ''})"


def channel_blocks(channels: int, *sizes: int) -> tuple[ChannelBlock, ...]:
    """The sizes that are not larger than there are channels (at least one)."""
    return tuple(ChannelBlock(size) for size in sizes if size <= channels) or (ChannelBlock(1),)


MOST_UNPACKED = 4096  # weights of int4 that are worth so many bytes of RAM, before anything is measured


def blocks_for(weights: Tensor, channels: int, most: int, sizes: tuple[int, ...]) -> tuple[ChannelBlock, ...]:
    """Blocks of `channels` channels for such weights; those of int4 lie in pairs."""
    blocks = channel_blocks(channels, *sizes)
    if not weights.element.is_packed:
        return blocks
    pairs = tuple(block for block in blocks if block.channels % 2 == 0)
    whole = tuple(ChannelBlock(block.channels, True) for block in blocks[:2])
    return (*whole, *pairs) if weights.elements <= most or not pairs else (*pairs, *whole)


def interleave(weights: NDArray[Any], block: int) -> Table:
    """`weights` (groups, channels, taps) with the channels of each block side by side, tap by tap: one moving pointer."""
    blocks = range(0, weights.shape[1], block)
    return np.concatenate([group[first : first + block].T.reshape(-1) for group in weights for first in blocks])


def interleave_pairs(weights: NDArray[np.int8], block: int) -> Table:
    """`weights` of int4 (groups, channels, taps) as bytes: tap by tap the channels of each block in pairs, the low nibble first,
    plus 8; the last of an odd number of channels is beside nothing."""
    padded = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2), (0, 0))).astype(np.int16) + NIBBLE
    pairs = (padded[:, 0::2] | padded[:, 1::2] << 4).astype(np.uint8)
    return interleave(pairs, block // 2)


def multiply_pairs(
    k: KernelBuilder, xs: AnyBuffer, ws: AnyBuffer, rounds: Value, step: int, zero: int, sums: list[Var]
) -> None:
    """`multiply` with weights of int4, two channels to a byte."""
    size = -(-len(sums) // 2)
    with k.loop("i", 0, rounds) as i:
        for element in range(step):
            value = k.let("value", xs[i * step + element] - zero)
            for pair in range(size):
                byte = k.let("pair", ws[i * (step * size) + (element * size + pair)])
                for total, nibble in zip(sums[2 * pair : 2 * pair + 2], (byte & 15, byte >> 4), strict=False):
                    k.assign(total, total + cast(total.type, value * (nibble - NIBBLE)))


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
