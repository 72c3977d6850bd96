"""The border of an image: what a convolution sees around it. Where rows lie with their border in the memory that cores share,
nobody copies them to look at them: the convolution has no padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.model.ops import Conv2D, Padding
from smelt.model.slabs import Rows, band_axis, row_bytes
from smelt.nouns import Noun
from smelt.planner.tiles import COLUMNS, ROWS, Rectangle


@dataclass(frozen=True, eq=False)
class Border(Noun):
    """`whole` are the rows of `x` with `top` rows before them and `left` bytes before each, and what follows; outside of `x` every
    byte is `value`."""

    x: Tensor
    whole: Tensor
    top: int
    left: int
    value: int

    @property
    def row(self) -> int:
        """Bytes of a row with its border."""
        return row_bytes(self.whole, ROWS)

    @property
    def inner(self) -> int:
        """Bytes of a row of the image."""
        return row_bytes(self.x, ROWS)

    def place(self, first: int) -> int:
        """Where the row of the image that begins at byte `first` begins, in bytes of the whole."""
        return (first // self.inner + self.top) * self.row + self.left

    def inside(self, rows: Rows) -> Rows:
        """Which rows of the image lie in some rows of the whole."""
        return Rows(rows.first - self.top, rows.stop - self.top).within(self.x.shape[ROWS])

    def outside(self, rows: Rows) -> Iterator[Rectangle]:
        """What lies outside of the image in some rows of the whole, in bytes from the beginning of the first of these."""
        real, whole = self.inside(rows), rows.count * self.row
        if real.count == 0:
            yield Rectangle(0, whole, 1, whole)
            return
        begin = (real.first + self.top - rows.first) * self.row + self.left
        end = begin + (real.count - 1) * self.row + self.inner
        between = self.row - self.inner
        found = (
            Rectangle(0, begin, 1, begin),
            Rectangle(begin + self.inner, between, real.count - 1, self.row),
            Rectangle(end, whole - end, 1, whole - end),
        )
        yield from (r for r in found if r.bytes)


@dataclass(frozen=True, eq=False)
class Fill(Noun):
    """The first core writes `value` to bytes of a buffer: `rectangle` counts from its beginning."""

    buffer: Scratch
    rectangle: Rectangle
    value: int

    def in_full(self) -> str:
        return f"{self.rectangle.bytes} bytes become {self.value}"


def bordered(op: Conv2D) -> tuple[Conv2D, Border] | None:
    """A convolution that computes the same from rows with their border; None where it sees none, or one whose bytes differ."""
    x, zero = op.x, op.rescale.x_zero
    values = set(zero.to_bytes(x.element.bits // 8, "little", signed=True))
    if x.element.is_float or len(values) > 1 or band_axis(op) != ROWS:
        return None
    rows, columns = (_seen(op, axis) for axis in (ROWS, COLUMNS))
    if (rows, columns) == x.shape[ROWS : COLUMNS + 1]:
        return None
    whole = Tensor(f"{x.name} with its border", (1, rows, columns, x.shape[-1]), x.dtype, x.quantization)
    border = Border(x, whole, op.pad.top, op.pad.left * row_bytes(x, ROWS) // x.shape[COLUMNS], values.pop())
    return replace(op, x=whole, pad=Padding()), border


def _seen(op: Conv2D, axis: int) -> int:
    """The length of an axis with what is before and behind it that outputs look at."""
    before = (op.pad.top, op.pad.left)[axis - ROWS]
    spread = (op.weights.shape[axis] - 1) * op.dilation[axis - ROWS]
    end = (op.y.shape[axis] - 1) * op.stride[axis - ROWS] + spread + 1
    return max(end, before + op.x.shape[axis])
