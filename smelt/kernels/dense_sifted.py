"""Dense that leaves out zeros of x: after ReLU half of x is at its zero point and contributes nothing.

Once per row, the elements above the zero point are listed, two and two, with the place of their weights; then each block of
eight units walks the list. What is zero costs neither multiplications nor reads of flash. The result is exact for any x,
**but the time depends on the data**: for 128 x 128 weights in flash it is even with `dense_pairs` where 23 (Cortex-M33), 27 (M4)
or 36 (M7) percent of x are zero; where nothing is, it takes 27, 33 or 57 percent longer.
The weights of an element lie side by side for `lane` units, so that what is left out makes whole cache lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_byte_weights, has_dual_mac
from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.pairs import fit_pairs, pack_pairs
from smelt.kernels.inner.units import start_table
from smelt.kernels.requantize import requantizer
from smelt.kernels.routines import SIFT, SIFTED, SIFTED_ONCE
from smelt.loops.ir import Intrinsic, Table
from smelt.loops.routine import At
from smelt.model.ops import Dense
from smelt.targets.intrinsics import PKHBT, SMLAD, SXTB16
from smelt.targets.types import Core

BLOCK = 8  # units whose sums fit the registers
LANES = (32, 16, 8)  # units; 32 make a line of the largest caches, and are as good elsewhere
MANY_WEIGHTS = 32768
FARTHEST = 1 << 15  # bytes from the first to the last element's weights, which half a word tells


@dataclass(frozen=True)
class Sifted:
    """The weights of an element for `lane` units lie side by side."""

    lane: int

    def __str__(self) -> str:
        return f"sifted(lane={self.lane})"


def is_rectified(op: Dense, core: Core) -> bool:
    """an x whose zero point is -128, as behind ReLU"""
    return op.x.quantization is not None and op.x.quantization.zero_points == (-128,)


def has_blocks(op: Dense, core: Core) -> bool:
    """a number of units that is a multiple of eight, and 8 to 1024 elements"""
    units, depth = op.weights.shape
    return units % BLOCK == 0 and BLOCK <= depth <= FARTHEST // max(LANES)


def pays(op: Dense, core: Core) -> bool:
    """at most 32,768 weights where two instructions start at once: with more, `dense_pairs` takes as long, and never longer"""
    return core.style.issue == 1 or op.weights.elements <= MANY_WEIGHTS


def weights_fit_pairs(op: Dense, core: Core) -> bool:
    """weights of one scale of which two fit one halfword, sums that stay below 2^23, and outputs that use all of int8"""
    r = requantizer(op, op.weights.constant, folded=True)
    return r.is_direct and fit_pairs(op.weights.constant, r)


def pack(weights: NDArray[np.int8], lane: int) -> Table:
    """int32 of two pairs of units each: [lane of units][element][pair]."""
    units, depth = weights.shape
    halves = pack_pairs(weights[:, np.newaxis, :], mixed=False)[:-1].view("<i2").reshape(units // 2, -1)
    lanes = halves[:, :depth].reshape(-1, lane // 2, depth).transpose(0, 2, 1)
    return np.ascontiguousarray(lanes).reshape(-1).view("<i4").astype(np.int32)


def build_dense(op: Dense, schedule: Sifted) -> KernelCall:
    weights, lane = op.weights.constant, schedule.lane
    units, depth = weights.shape
    r = requantizer(op, weights, folded=False)
    k = CallBuilder("dense_sifted")
    x, w, starts = k.operand("x", op.x), k.table("weights", pack(weights, lane)), k.table("starts", start_table(r))
    entries = k.scratch("list", "int32_t", depth + 3)
    y = k.result("y", op.y)
    with k.loop("row", 0, op.x.elements // depth) as row:
        k.routine(SIFT, (At(entries), At(x, row * depth), depth, lane), (), 8 * depth)
        with k.loop("lane", 0, units // lane) as number:
            unit, blocks = k.let("unit", number * lane), lane // BLOCK
            read = At(w, number * (depth * lane // 4))
            places = (At(y, row * units + unit), At(starts, unit), read, At(entries))
            listings = blocks * (depth // 3)
            routine = SIFTED_ONCE if r.form == "once" else SIFTED
            k.routine(routine, (*places, *r.direct_scale, blocks, depth), _work(listings), 4 * depth * blocks, listings)
    return k.finish_call()


def _work(entries: int) -> tuple[tuple[Intrinsic, int], ...]:
    """What blocks of units execute for a number of entries."""
    return (SMLAD, 8 * entries), (SXTB16, 4 * entries), (PKHBT, 4 * entries)


def schedules(op: Dense, core: Core) -> Iterable[Sifted]:
    return [Sifted(lane) for lane in LANES if op.weights.shape[0] % lane == 0][:2]


DENSE_SIFTED = Implementation(
    "dense_sifted",
    Dense,
    schedules,
    build_dense,
    (has_dual_mac, has_byte_weights, is_rectified, has_blocks, pays, weights_fit_pairs),
)
