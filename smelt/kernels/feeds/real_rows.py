"""The rows of an image that a row of outputs sees, for kernels in float32: where the image lies, or, where windows reach beyond its
columns, copied to scratch between zeros, so that every window is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.taps import taps_inside
from smelt.loops.ir import AnyBuffer, Buffer, Expr
from smelt.model.graph import Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D

Spatial = Conv2D | DepthwiseConv2D


def columns_needed(op: Spatial) -> int:
    """Columns from the first that a window sees to the last one."""
    return (op.y.shape[2] - 1) * op.stride[1] + (op.weights.shape[2] - 1) * op.dilation[1] + 1


@dataclass(frozen=True, eq=False)
class Rows:
    """`x`, and `copies` of the rows that one row of outputs sees, where they are needed."""

    op: Spatial
    x: Buffer
    copies: AnyBuffer | None

    @staticmethod
    def bound(k: CallBuilder, op: Spatial, tensor: Tensor) -> Rows:
        """With the input of the kernel, which is `tensor`, and scratch if need be, whose zeros are written here."""
        x = k.operand("x", tensor)
        if op.pad.left == 0 and columns_needed(op) <= op.x.shape[2]:
            return Rows(op, x, None)
        rows = Rows(op, x, k.scratch("rows", "float", op.weights.shape[1] * columns_needed(op) * op.x.shape[3]))
        rows._clear(k)
        return rows

    @property
    def _length(self) -> int:
        return columns_needed(self.op) * self.op.x.shape[3]

    @property
    def _copied(self) -> int:
        """Elements of a row of x that windows see."""
        return min(self.op.x.shape[2], columns_needed(self.op) - self.op.pad.left) * self.op.x.shape[3]

    def _clear(self, k: CallBuilder) -> None:
        assert self.copies is not None
        before = self.op.pad.left * self.op.x.shape[3]
        after = self._length - before - self._copied
        with k.loop("kernel_row", 0, self.op.weights.shape[1]) as row:
            if before:
                k.fill(self.copies, row * self._length, 0, before)
            if after:
                k.fill(self.copies, row * self._length + (before + self._copied), 0, after)

    def copy(self, k: CallBuilder, image: Expr, row: Expr) -> None:
        """Copy what the outputs of `row` see; nothing where they can see it in x."""
        if self.copies is None:
            return
        op, (_, rows, columns, channels) = self.op, self.op.x.shape
        with taps_inside(k, op, 0, row) as (kernel_row, x_row):
            source = ((image * rows + x_row) * columns) * channels
            k.copy(self.copies, kernel_row * self._length + op.pad.left * channels, self.x, source, self._copied)

    @contextmanager
    def each(self, k: CallBuilder, image: Expr, row: Expr) -> Iterator[tuple[Expr, AnyBuffer, Expr]]:
        """A loop over the rows of the filter that are on the image: (row of the filter, buffer, where the first column lies that
        the first window sees)."""
        _, rows, columns, channels = self.op.x.shape
        with taps_inside(k, self.op, 0, row) as (kernel_row, x_row):
            if self.copies is None:
                yield kernel_row, self.x, ((image * rows + x_row) * columns) * channels
            else:
                yield kernel_row, self.copies, kernel_row * self._length
