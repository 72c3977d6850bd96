"""Dense where one word holds two weights of two units each (see `inner.pairs`): only half of the weights need unpacking, and
up to three pairs of units share every element of x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_byte_weights, has_dual_mac
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import fit_pairs, pack_pairs
from smelt.kernels.inner.units import PairOutputs, bind_outputs
from smelt.kernels.requantize import requantizer
from smelt.kernels.routines import UNIT_OUTPUTS, UNIT_OUTPUTS_ONCE, UNITS
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, Intrinsic, Table
from smelt.loops.routine import At
from smelt.model.ops import Dense
from smelt.targets.intrinsics import SMLAD, SXTB16
from smelt.targets.types import Core

MOST_PAIRS = 3  # at a time
MOST_BLOCKS = 8  # of pairs, whose sums wait for their outputs
OTHERS = 25  # instructions of a routine for a block of pairs
OUTPUT = 7  # for an output that it makes
CALL = 50  # and for a call


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
    k = CallBuilder("dense_pairs")
    x, w, outputs = k.operand("x", op.x), k.table("weights", packed), bind_outputs(k, r)
    full, rest = units // 2 // schedule.pairs, units // 2 % schedule.pairs
    whole = r.is_direct
    sums = None if whole else k.scratch("sums", "int32_t", 2 * max(_run(full) * schedule.pairs, rest))
    y = k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // depth) as row:
        kernel = _Kernel(outputs, w, k.window("xs", x, row * depth), y, sums, depth // 4, row * units)
        if whole:
            _outputs(k, kernel, 0, full, schedule.pairs)
        else:
            for first, blocks in in_blocks(k, "run", full, _run(full)):
                _sums(k, kernel, k.let("unit", first * (2 * schedule.pairs)), blocks, schedule.pairs)
        if rest:
            unit = 2 * schedule.pairs * full
            _outputs(k, kernel, unit, 1, rest) if whole else _sums(k, kernel, Const(unit), 1, rest)
    return k.finish_call()


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share: `words` are those of a row of x, `row` is where outputs start."""

    outputs: PairOutputs
    weights: Buffer
    x: AnyBuffer
    y: Buffer
    sums: Buffer | None
    words: int
    row: Expr

    def places(self, unit: Expr) -> tuple[At, At, At]:
        """What a routine reads for the units from `unit` on."""
        return At(self.outputs.starts, unit), At(self.weights, unit * self.words), At(self.x)


def _run(blocks: int) -> int:
    """How many blocks' sums are made at once."""
    return max(
        (n for n in range(MOST_BLOCKS // 2, MOST_BLOCKS + 1) if blocks % n == 0), default=min(blocks, MOST_BLOCKS)
    )


def _sums(k: KernelBuilder, kernel: _Kernel, unit: Expr, blocks: int, pairs: int) -> None:
    """The outputs of `blocks` blocks of `pairs` pairs of units, by way of their sums."""
    sums, words, count = kernel.sums, kernel.words, blocks * pairs
    assert sums is not None
    others = blocks * (words * (2 * pairs + 2) + OTHERS) + CALL
    arguments = (At(sums), *kernel.places(unit), words, blocks)
    k.routine(UNITS[pairs], arguments, _work(words, blocks, pairs), others, 2 * blocks * words)
    with k.loop("pair", 0, count) as pair:
        place = k.let("place", unit + pair * 2)
        low, both = k.let("low", sums[pair * 2]), k.let("both", sums[pair * 2 + 1])
        kernel.outputs.store(k, place, (low, both), kernel.y, kernel.row)


def _outputs(k: KernelBuilder, kernel: _Kernel, unit: int, blocks: int, pairs: int) -> None:
    """The outputs of `blocks` blocks of `pairs` pairs of units that share their scale."""
    words = kernel.words
    others = blocks * (words * (2 * pairs + 2) + OTHERS + OUTPUT * 2 * pairs) + CALL
    places = (At(kernel.y, kernel.row + unit), *kernel.places(Const(unit)))
    r = kernel.outputs.r
    routine = (UNIT_OUTPUTS_ONCE if r.form == "once" else UNIT_OUTPUTS)[pairs]
    arguments = (*places, words, *r.direct_scale, blocks)
    k.routine(routine, arguments, _work(words, blocks, pairs), others, 2 * blocks * words)


def _work(words: int, blocks: int, pairs: int) -> tuple[tuple[Intrinsic, int], ...]:
    """What blocks of pairs execute for rows of so many words."""
    return (SMLAD, 4 * pairs * blocks * words), (SXTB16, 2 * (pairs + 1) * blocks * words)


def schedules(op: Dense, core: Core) -> Iterable[UnitPairs]:
    return [UnitPairs(pairs) for pairs in range(min(MOST_PAIRS, op.weights.shape[0] // 2), 0, -1)]


DENSE_PAIRS = Implementation(
    "dense_pairs", Dense, schedules, build_dense, (has_dual_mac, has_byte_weights, has_fours, weights_fit_pairs)
)
