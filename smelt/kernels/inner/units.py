"""The sums of pairs of units: what they start with, and how they become outputs.

Where all units share multiplier and shift, as they do unless weights are quantised for each unit, these are constants in the code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantizer import Requantizer, Scale
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Table
from smelt.targets.intrinsics import HIGH_SUM


@dataclass(frozen=True, eq=False)
class PairOutputs:
    """`starts` has, for each pair of units, the first sum of the low unit and of both; `table` is None for shared scales."""

    r: Requantizer
    starts: Buffer
    table: Buffer | None

    def start(self, unit: Expr) -> tuple[Expr, Expr]:
        """The first sums of the pair that begins with `unit`: (low, both)."""
        return self.starts[unit], self.starts[unit + 1]

    def store(self, k: KernelBuilder, unit: Expr, sums: tuple[Expr, Expr], y: Buffer, row: Expr) -> None:
        """Write the outputs of the pair that begins with `unit`, whose sums are (low, both)."""
        low, both = sums
        total = k.let("total", Call(HIGH_SUM, (both, low)))
        k.store(y, row + unit, self.r.output(k, low, self._scale(k, unit)))
        k.store(y, row + unit + 1, self.r.output(k, total, self._scale(k, unit + 1)))

    def _scale(self, k: KernelBuilder, unit: Expr) -> Scale:
        if self.table is not None:
            return self.r.scale(k, self.table, unit)
        multiplier, offset, shift = self.r.direct_scale
        return Scale(multiplier, shift, offset)


def bind_outputs(k: CallBuilder, r: Requantizer) -> PairOutputs:
    """The tables of a kernel for an even number of units."""
    starts = k.table("starts", start_table(r))
    return PairOutputs(r, starts, None if r.is_shared else r.bind(k))


def start_table(r: Requantizer) -> Table:
    """int32 (units,): for each pair the start of the low sum, and of both together."""
    starts = r.columns[:, 0].astype(np.int64)
    starts[1::2] = starts[1::2] * 256 + starts[0::2]
    return starts.astype(np.int32)
