"""Dual multiply-accumulate on int8 weights: SXTB16 unpacks four weights into two pairs, SMLAD multiplies pairs.

Weights are stored so that one word holds the next four weights of one channel, and the words of a block of channels
lie side by side in the order in which they are read. x is widened to int16 beforehand, in one of two orders:

* `mixed`, where every run of x is a multiple of four: SXTB16 gives elements (0, 2) and (1, 3), and so it does for the
weights;
* `natural` otherwise: pairs (0, 1) and (2, 3), for which the bytes of the weights change places instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d import in_blocks
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, Value, Var
from smelt.targets.intrinsics import PKHBT, PKHTB, SMLAD, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core


def has_dual_mac(op: object, core: Core) -> bool:
    """a core with the DSP extension (SMLAD, SXTB16)"""
    return core.has("smlad") and core.has("sxtb16")


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


@dataclass(frozen=True)
class Order:
    """How int16 elements lie in a buffer. Mixed ones are kept as words, so that compilers know them to be aligned."""

    mixed: bool

    def length(self, elements: int) -> int:
        """Buffer elements that `elements` (even, in mixed order) take."""
        return elements // 2 if self.mixed else elements

    def scratch(self, k: KernelBuilder, elements: int) -> Buffer:
        return k.scratch("wide", "int32_t" if self.mixed else "int16_t", self.length(elements))

    def pair(self, buffer: AnyBuffer, position: Value, number: Value) -> Expr:
        """Two elements: pair `number` after a position of the buffer."""
        if self.mixed:
            return buffer[position + number]
        return buffer.load("int32_t", position + number * 2)

    def zeros(self, value: int) -> int:
        """What a buffer element is filled with to stand for `value`."""
        return int(np.array([value, value], np.int16).view("<i4")[0]) if self.mixed else value


def widen(k: KernelBuilder, order: Order, target: AnyBuffer, at: Expr, x: AnyBuffer, first: Expr, count: int) -> None:
    """`count` int8 elements of x from `first` on, as int16 from position `at` of `target` on."""
    xs, wide = k.window("from", x, first), k.window("to", target, at)
    for start, size in in_blocks(k, "quad", count // 4, 4):
        for quad in range(size):
            number = start + quad
            word = k.let("word", xs.load("int32_t", number * 4))
            even, odd = k.let("even", Call(SXTB16, (word,))), k.let("odd", Call(SXTB16_ROR8, (word,)))
            if order.mixed:
                k.store(wide, number * 2, even)
                k.store(wide, number * 2 + 1, odd)
            else:
                k.store(wide, number * 4, Call(PKHBT, (even, odd)), "int32_t")
                k.store(wide, number * 4 + 2, Call(PKHTB, (even, odd)), "int32_t")
    for rest in range(count // 4 * 4, count):
        k.store(wide, rest, xs[rest])


def fill(k: KernelBuilder, target: AnyBuffer, at: Expr, value: int, count: int) -> None:
    """`count` elements of `target` set to a value."""
    if count:
        wide = k.window("to", target, at)
        with k.loop("i", 0, count) as i:
            k.store(wide, i, value)


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
                k.assign(total, Call(SMLAD, (pair, value, total)))
