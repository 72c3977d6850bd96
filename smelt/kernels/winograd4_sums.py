"""What the sums of a tile of Winograd's F(4x4, 3x3) are: one output at a time, as `conv2d_winograd4` looks at it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smelt.kernels.routines import GROUP, GROUP_SUMS
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Value, cast
from smelt.loops.routine import At

SIZE, OUT = 6, 4  # elements of x under a tile, outputs of a tile, in either direction
INVERSE_OF_9 = 954437177
EXTRA_BITS = 6  # 576 = 9 * 2^6
A_TRANSPOSED = ((6, -4, -4, 1, 1, 0), (0, -4, 4, 2, -2, 0), (0, -4, -4, 4, 4, 0), (0, -4, 4, 8, -8, 24))
"""A' as it makes sums 576 times too large, all of it at once."""


@dataclass(frozen=True)
class TileSum:
    """Where outputs of a channel are in a block of tiles, and the sum of one, from the sums of its tile, which have the bias."""

    k: KernelBuilder
    shape: tuple[int, int]  # columns and channels of y
    sum_at: Callable[[Value], At]
    in_bytes: bool
    factors: Buffer | None
    half: Expr
    block: tuple[int, int]

    def beside(self, number: Expr) -> Expr:
        """How far the output of that number lies behind the first."""
        y_columns, channels = self.shape
        tile, row, column = self._split(number)
        rows, columns = tile // self.block[1] * OUT + row, tile % self.block[1] * OUT + column
        return (rows * y_columns + columns) * channels

    def _split(self, number: Expr) -> tuple[Expr, Expr, Expr]:
        """(tile, row, column)."""
        return number // (OUT * OUT), number // OUT % OUT, number % OUT

    def sum(self, channel: Expr, bias: Expr, number: Expr) -> Expr:
        """A' m A, row `i` of A' times all sums times row `j`; `bias` is what is still to be added."""
        k, (tile, row, column) = self.k, self._split(number)
        first = self.half * GROUP + tile // GROUP * GROUP_SUMS + tile % GROUP
        total = k.var("again_sum", Const(0, "uint32_t"))
        factors = self.factors
        assert factors is not None
        with k.loop("i", 0, SIZE) as i, k.loop("j", 0, SIZE) as j:
            at = self.sum_at(first + (i * SIZE + j) * (2 * GROUP))
            m = at.buffer.load("int32_t", at.index) if self.in_bytes else at.buffer[at.index]
            factor = k.let("factor", factors[row * SIZE + i] * factors[column * SIZE + j])
            k.assign(total, total + cast("uint32_t", m) * cast("uint32_t", factor))
        exact = cast("int32_t", total * Const(INVERSE_OF_9, "uint32_t")) >> EXTRA_BITS
        return k.let("again_total", exact + bias)
