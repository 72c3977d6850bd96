"""Dense where one word holds two weights of two units each (see `conv2d_pairs`): only half of the weights need unpacking, and
up to three pairs of units share every element of x.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d import in_blocks
from smelt.kernels.conv2d_pairs import fit_pairs, pack_pairs
from smelt.kernels.dense_outputs import PairOutputs, bind_outputs, direct_scale, is_direct
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import has_dual_mac
from smelt.kernels.requantize import requantizer
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Const, Expr, Span, Table
from smelt.model.ops import Dense
from smelt.targets.intrinsics import SMLAD, SXTB16
from smelt.targets.types import Core

PAIRED = 3  # pairs of the routine `units_paired`


@dataclass(frozen=True)
class UnitPairs:
    """`pairs` pairs of units at a time, one to three; `paired` is an order of instructions, for three."""

    pairs: int
    paired: bool = False

    def __str__(self) -> str:
        return f"pairs(pairs={self.pairs}{', paired' if self.paired else ''})"


def has_fours(op: Dense, core: Core) -> bool:
    """a depth that is a multiple of four, and an even number of units"""
    return op.weights.shape[1] % 4 == 0 and op.weights.shape[0] % 2 == 0


def weights_fit_pairs(op: Dense, core: Core) -> bool:
    """weights of which two fit one halfword, and sums that stay below 2^23"""
    return fit_pairs(op.weights.constant, requantizer(op, op.weights.constant, folded=True))


def pack(weights: NDArray[np.int8], block: int) -> Table:
    """int32, for each block of pairs of units [four][elements (0, 2), (1, 3)][pair], and one more four that may be read."""
    units, depth = weights.shape
    words = pack_pairs(weights.reshape(units, 1, depth), mixed=True)[:-1].reshape(units // 2, depth // 4, 2)
    parts = [words[i : i + block].transpose(1, 2, 0).reshape(-1) for i in range(0, len(words), block)]
    return np.concatenate([*parts, np.zeros(2 * block, np.int32)])


def build_dense(op: Dense, schedule: UnitPairs) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    r = requantizer(op, weights, folded=True)
    packed = pack(weights, schedule.pairs)
    k = KernelBuilder("dense_pairs")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int32_t", packed.size)
    outputs = bind_outputs(k, r, units)
    y = k.output("y", "int8_t", op.y.elements)
    with k.loop("row", 0, op.x.elements // depth) as row:
        xs = k.window("xs", x, row * depth)
        for first, pairs in in_blocks(k, "block", units // 2, schedule.pairs):
            unit = k.let("unit", first * 2)
            ws = k.window("ws", w, unit * (depth // 4))
            if schedule.paired and pairs == PAIRED:
                _paired(k, outputs, unit, (ws, xs, y), row * units)
                continue
            for i, pair in enumerate(_grouped(k, outputs, unit, pairs, (ws, xs), depth)):
                outputs.store(k, unit + 2 * i, pair, y, row * units)
    return KernelCall(k.finish(), (op.x, packed, *outputs.arguments, op.y))


def _grouped(
    k: KernelBuilder, outputs: PairOutputs, unit: Expr, pairs: int, operands: tuple[AnyBuffer, AnyBuffer], depth: int
) -> Sequence[tuple[Expr, Expr]]:
    """The sums of `pairs` pairs of units, as (low, both)."""
    starts = [outputs.start(unit + 2 * i) for i in range(pairs)]
    low = tuple(k.var("low", start) for start, _ in starts)
    high = tuple(k.var("high", start) for _, start in starts)
    k.products((high, low), *operands, depth // 4, 0, "units")
    return list(zip(low, high, strict=True))


def _paired(
    k: KernelBuilder, outputs: PairOutputs, unit: Expr, places: tuple[AnyBuffer, AnyBuffer, AnyBuffer], row: Expr
) -> None:
    """Six outputs of three pairs."""
    ws, xs, y = places
    words = (ws.root.size - 2 * PAIRED) // outputs.starts.size
    spans = (
        Span(y, row + unit, 2 * PAIRED), Span(outputs.starts, unit, 2 * PAIRED),
        Span(ws, Const(0), words * 2 * PAIRED + 2), Span(xs, Const(0), 4 * words), Const(words),
    )  # fmt: skip
    work = ((SMLAD, 12 * words), (SXTB16, 8 * words))
    k.routine("units_paired", (*spans, *direct_scale(outputs.r)), work, 7 * words, words)


def schedules(op: Dense, core: Core) -> Iterable[UnitPairs]:
    units, depth = op.weights.shape
    fits = units >= 2 * PAIRED and depth % 8 == 0
    if core.name != "cortex_m4" and fits and is_direct(requantizer(op, op.weights.constant, folded=True)):
        yield UnitPairs(PAIRED, paired=True)
    for pairs in range(min(3, units // 2), 0, -1):
        yield UnitPairs(pairs)


DENSE_PAIRS = Implementation("dense_pairs", Dense, schedules, build_dense, (has_dual_mac, has_fours, weights_fit_pairs))
