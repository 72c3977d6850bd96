"""Dual multiply-accumulate on int8 weights: SXTB16 unpacks four weights into two pairs, SMLAD multiplies pairs.

Weights are stored so that one word holds the next four weights of one channel, and the words of a block of channels
lie side by side in the order in which they are read. x is widened to int16 beforehand (see `feeds.widened`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.widened import Order
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Call, Const, Expr, Table, Var
from smelt.targets.intrinsics import SMLAD, SMLALD, SXTB16, SXTB16_ROR8


def quads(length: int) -> int:
    """Words that `length` weights take."""
    return -(-length // 4)


def pack_weights(weights: NDArray[np.int8], block: int, mixed: bool) -> Table:
    """`weights` (channels, runs, length) as int32: for each block of channels [run][quad][channel], zeros at the end
    of runs."""
    channels, runs, length = weights.shape
    padded = np.zeros((channels, runs, quads(length) * 4), np.int8)
    padded[:, :, :length] = weights
    words = padded.reshape(channels, runs, -1, 4)
    if not mixed:
        words = words[..., [0, 2, 1, 3]]
    parts = [words[first : first + block].transpose(1, 2, 0, 3).reshape(-1) for first in range(0, channels, block)]
    return np.concatenate(parts).view("<i4").astype(np.int32)


def dot(
    k: KernelBuilder,
    order: Order,
    x: AnyBuffer,
    steps: list[int],
    w: AnyBuffer,
    length: int,
    sums: list[list[Var]],
    unroll: int,
) -> None:
    """Add `length` products to each of sums[channel][pixel]; pixel p reads x from position steps[p] on."""
    for start, size in in_blocks(k, "quad", length // 4, unroll):
        for quad in range(size):
            _quad(k, order, x, steps, w, start + quad, sums, 2)
    if length % 4:
        _quad(k, order, x, steps, w, length // 4 + Const(0), sums, 1 if length % 4 <= 2 else 2)


def _quad(
    k: KernelBuilder,
    order: Order,
    x: AnyBuffer,
    steps: list[int],
    w: AnyBuffer,
    quad: Expr,
    sums: list[list[Var]],
    halves: int,
) -> None:
    """Four weights of every channel (or two, where `halves` is one) with the elements of every pixel."""
    words = [k.let("word", w[quad * len(sums) + channel]) for channel in range(len(sums))]
    for half in range(halves):
        unpack = (SXTB16, SXTB16_ROR8)[half]
        weights = [k.let("pair", Call(unpack, (word,))) for word in words]
        for pixel, step in enumerate(steps):
            value = k.let("value", order.pair(x, Const(step), quad * 2 + half))
            for channel, pair in enumerate(weights):
                total = sums[channel][pixel]
                k.assign(total, Call(SMLALD if total.type == "int64_t" else SMLAD, (pair, value, total)))
