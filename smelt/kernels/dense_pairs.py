"""Dense where one word holds two weights of two units each (see `conv2d_pairs`): only half of the weights need unpacking, and
up to three pairs of units share every element of x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.conv2d import in_blocks
from smelt.kernels.conv2d_pairs import fit_pairs, pack_pairs
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.packed import has_dual_mac
from smelt.kernels.requantize import Requantizer, requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Table, Var
from smelt.model.ops import Dense
from smelt.targets.intrinsics import BOTH_SUMS, HIGH_SUM
from smelt.targets.types import Core


@dataclass(frozen=True)
class UnitPairs:
    """`pairs` pairs of units at a time, one to three."""

    pairs: int

    def __str__(self) -> str:
        return f"pairs(pairs={self.pairs})"


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
    table = r.bind(k)
    y = k.output("y", "int8_t", op.y.elements)
    with k.loop("row", 0, op.x.elements // depth) as row:
        xs = k.window("xs", x, row * depth)
        for first, pairs in in_blocks(k, "block", units // 2, schedule.pairs):
            unit = k.let("unit", first * 2)
            sums = _start(k, r, table, unit, pairs)
            ws = k.window("ws", w, unit * (depth // 4))
            k.products(sums, ws, xs, depth // 4, 0, "units")
            for i, (high, low) in enumerate(zip(*sums, strict=True)):
                total = k.let("total", Call(HIGH_SUM, (high, low)))
                place = row * units + unit + 2 * i
                store_outputs(k, r, table, unit + 2 * i, [low], y, [place])
                store_outputs(k, r, table, unit + 2 * i + 1, [total], y, [place + 1])
    return KernelCall(k.finish(), (op.x, packed, r.table, op.y))


def _start(
    k: KernelBuilder, r: Requantizer, table: Buffer, unit: Expr, pairs: int
) -> tuple[tuple[Var, ...], tuple[Var, ...]]:
    """(high, low) sums with the biases in them."""
    low = tuple(k.var("low", r.bias(table, unit + 2 * i)) for i in range(pairs))
    high = [k.var("high", Call(BOTH_SUMS, (r.bias(table, unit + 2 * i + 1), low[i]))) for i in range(pairs)]
    return tuple(high), low


def schedules(op: Dense, core: Core) -> Iterable[UnitPairs]:
    for pairs in range(min(3, op.weights.shape[0] // 2), 0, -1):
        yield UnitPairs(pairs)


DENSE_PAIRS = Implementation("dense_pairs", Dense, schedules, build_dense, (has_dual_mac, has_fours, weights_fit_pairs))
