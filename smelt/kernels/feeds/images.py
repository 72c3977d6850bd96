"""Copied rows: rows of x as they are, with the border that the padding adds; what lies outside is at the zero point."""

from __future__ import annotations

from smelt.kernels.nests import fill
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Const, Expr, Value
from smelt.model.ops import Conv2D


def copy_rows(
    k: KernelBuilder, op: Conv2D, x: Buffer, image: Buffer, length: int, batch: Expr, first: Expr, lines: tuple[Value, int]
) -> None:  # fmt: skip
    """Lines (begin, stop) of `image`, of `length` elements each: line 0 is row `first` of x, less the padding at the top."""
    _, x_rows, x_columns, depth = op.x.shape
    left, inside, zero = op.pad.left * depth, x_columns * depth, op.x.q.zero_point
    used = min(inside, length - left)
    with k.loop("line", *lines) as line:
        x_row = k.let("x_row", first + line - op.pad.top)
        start = k.let("start", line * length)
        with k.when((x_row >= 0).both(x_row < x_rows)):
            _fill(k, image, start, zero, left)
            k.copy(image, start + left, x, (batch * x_rows + x_row) * inside, used)
            _fill(k, image, start + left + used, zero, length - left - used)
        with k.otherwise():
            _fill(k, image, start, zero, length)


def _fill(k: KernelBuilder, image: Buffer, start: Expr, zero: int, count: int) -> None:
    if image.type == "int8_t":
        k.fill(image, start, zero, count)
    elif count:
        fill(k, image, start, zero, count)


ONLY = Const(0)
"""The batch where there is one image."""
