"""Products of two matrices that are both computed, or of stacks of them."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.model.graph import Op, Tensor
from smelt.model.rescale import Rescale


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchMatMul(Op):
    """y = x @ x2, (..., rows, depth) times (..., depth, columns), with NumPy's broadcasting of what is in front.

    Where `transposed`, x is (..., depth, rows); where `transposed2`, x2 is (..., columns, depth). `x2_zero` is the zero point of
    x2.
    """

    x: Tensor
    x2: Tensor
    rescale: Rescale
    x2_zero: int = 0
    transposed: bool = False
    transposed2: bool = False

    @property
    def depth(self) -> int:
        return self.x.shape[-2 if self.transposed else -1]

    @property
    def macs(self) -> int:
        return self.y.elements * self.depth
