"""Dense with weights of int4 and dual multiply-accumulate: a halfword has the weights of four units for one element of x.

SMLAD with a word of two such halfwords adds up all four units, each at its place; with the upper nibbles masked away it adds up
those below. The differences are the sums of single units, shifted to the left. Nibbles are weights plus 8, all but the uppermost,
which has its sign; so eight times the sum of x is taken off the others. The uppermost sum must stay below 2^19: a row is
multiplied in stretches where the weights do not show that it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dual_mac
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.widened import last_elements
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, Var, cast
from smelt.model.ops import Dense
from smelt.targets.intrinsics import SMLAD, SXTB16, SXTB16_ROR8
from smelt.targets.types import Core

UNITS = 4  # of a word
BIAS = 8
MASKS = (0x000F000F, 0x00FF00FF, 0x0FFF0FFF)
MOST_TOP = 2**19
MOST_DEPTH = 4096  # the third sum stays below 2^23
LONGEST = 504  # elements of a stretch, whatever the weights
ONES = 0x00010001


@dataclass(frozen=True)
class NibbleBlock:
    """`words` words, of four units each, for every pair of elements of x; `unroll` times four elements per round."""

    words: int
    unroll: int

    def __str__(self) -> str:
        return f"nibbles(words={self.words}, unroll={self.unroll})"


def has_packed_weights(op: Dense, core: Core) -> bool:
    """weights of int4"""
    return op.weights.element.is_packed


def sums_fit(op: Dense, core: Core) -> bool:
    """sums of 32 bits"""
    return not requantizer(op, op.weights.constant, folded=True).wraps


def pack(weights: NDArray[np.int8], block: int) -> Table:
    """int32 for each block of words [pair of elements][word]; pairs are (0, 2) and (1, 3) of four elements. A last word that is
    not all of four units is a block of its own."""
    units, depth = weights.shape
    padded = np.zeros((-(-units // UNITS) * UNITS, -(-depth // 4) * 4), np.int16)
    padded[:units, :depth] = weights
    fours = padded.reshape(-1, UNITS, padded.shape[1])
    halves = fours[:, 3] << 12 | (fours[:, 2] + BIAS) << 8 | (fours[:, 1] + BIAS) << 4 | (fours[:, 0] + BIAS)
    words = np.ascontiguousarray(halves.reshape(len(halves), -1, 4)[..., [0, 2, 1, 3]].reshape(len(halves), -1)).view(
        "<i4"
    )
    firsts = [*range(0, units // UNITS, block), units // UNITS]
    parts = [words[i:j].T.reshape(-1) for i, j in zip(firsts, [*firsts[1:], len(words)], strict=True)]
    return np.concatenate(parts).astype(np.int32)


def longest_stretch(weights: NDArray[np.int8]) -> int:
    """Elements whose products may be added up before the units are told apart: all, where the uppermost sums show it."""
    depth, top = weights.shape[1], np.abs(weights[UNITS - 1 :: UNITS].astype(np.int64)).sum(axis=1)
    return depth if int(top.max(initial=0)) * 128 < MOST_TOP and depth <= MOST_DEPTH else LONGEST


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share: a row of x of `depth` elements, the weights."""

    x: AnyBuffer
    weights: Buffer
    depth: int
    longest: int
    unroll: int

    @property
    def whole(self) -> int:
        """Whole fours of elements."""
        return self.depth // 4

    @property
    def pairs(self) -> int:
        """Words of weights of four units."""
        return -(-self.depth // 4) * 2

    def fours(self, k: KernelBuilder, first: Expr, count: int, rest: bool) -> Iterator[tuple[Expr, Expr, Expr]]:
        """In loops: (number of a four, its elements 0 and 2, its elements 1 and 3), and those behind the last whole four."""
        for start, size in in_blocks(k, "four", count, self.unroll):
            for number in range(size):
                place = first + (start + number)
                word = k.let("word", self.x.load("int32_t", place * 4))
                yield place, k.let("even", Call(SXTB16, (word,))), k.let("odd", Call(SXTB16_ROR8, (word,)))
        if rest and self.depth % 4:
            yield Const(self.whole), *last_elements(k, self.x, self.depth)

    def sum_of_x(self, k: KernelBuilder) -> Expr:
        total = k.var("elements", 0)
        for _, even, odd in self.fours(k, Const(0), self.whole, True):
            for pair in (even, odd):
                k.assign(total, Call(SMLAD, (pair, Const(ONES), total)))
        return total

    def add_products(self, k: KernelBuilder, word: Expr, sums: Sequence[Var]) -> None:
        """Those of units from word `word` on."""
        ws = k.window("ws", self.weights, word * self.pairs)
        if self.longest >= self.depth:
            self._add_stretch(k, ws, (Const(0), self.whole, True), sums)
            return
        for start, size in in_blocks(k, "stretch", self.whole, self.longest // 4):
            self._add_stretch(k, ws, (start, size, False), sums)
        if self.depth % 4:
            self._add_stretch(k, ws, (Const(self.whole), 0, True), sums)

    def _add_stretch(
        self, k: KernelBuilder, ws: AnyBuffer, stretch: tuple[Expr, int, bool], sums: Sequence[Var]
    ) -> None:
        parts = [k.var("part", 0) for _ in sums]
        words = -(-len(sums) // UNITS)
        for place, *pairs in self.fours(k, *stretch):
            for half, pair in enumerate(pairs):
                for number in range(words):
                    word = k.let("weights", ws[(place * 2 + half) * words + number])
                    of_units = (*(word & mask for mask in MASKS), word)
                    for part, weights in zip(parts[number * UNITS :], of_units, strict=False):
                        k.assign(part, Call(SMLAD, (weights, pair, part)))
        for unit, (total, part) in enumerate(zip(sums, parts, strict=True)):
            place_of_unit = unit % UNITS
            own = _difference(part, parts[unit - 1]) >> 4 * place_of_unit if place_of_unit else part
            k.assign(total, total + own)


def _difference(a: Expr, b: Expr) -> Expr:
    return cast("int32_t", cast("uint32_t", a) - cast("uint32_t", b))


def build_dense(op: Dense, schedule: NibbleBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    r = requantizer(op, weights, folded=True)
    k = CallBuilder("dense_nibbles")
    x, w, table = k.operand("x", op.x), k.table("weights", pack(weights, schedule.words)), r.bind(k)
    y = k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // depth) as row:
        kernel = _Kernel(k.window("xs", x, row * depth), w, depth, longest_stretch(weights), schedule.unroll)
        eights = k.let("eights", kernel.sum_of_x(k) * BIAS)
        for first, count in _blocks(k, units, schedule.words):
            unit = k.let("unit", first * UNITS)
            sums = [
                k.var("sum", r.bias(table, unit + c) - (0 if c % UNITS == UNITS - 1 else eights)) for c in range(count)
            ]
            kernel.add_products(k, first, sums)
            for c, total in enumerate(sums):
                store_outputs(k, r, table, unit + c, [total], y, [row * units + unit + c])
    return k.finish_call()


def _blocks(k: KernelBuilder, units: int, words: int) -> Iterator[tuple[Expr, int]]:
    """(first word, units) of blocks of so many words; the units of a last word that is not full alone."""
    for first, count in in_blocks(k, "block", units // UNITS, words):
        yield first, count * UNITS
    if units % UNITS:
        yield Const(units // UNITS), units % UNITS


def schedules(op: Dense, core: Core) -> Iterable[NibbleBlock]:
    words = max(op.weights.shape[0] // UNITS, 1)
    sizes = [(1, 2), (2, 2), (1, 4), (2, 1), (1, 1)]
    return dict.fromkeys(NibbleBlock(min(size, words), unroll) for size, unroll in sizes)


DENSE_NIBBLES = Implementation(
    "dense_nibbles", Dense, schedules, build_dense, (has_dual_mac, has_packed_weights, sums_fit)
)
