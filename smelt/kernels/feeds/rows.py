"""Widened rows: the rows of x under the kernel as int16, borders included. Every output reads its window straight from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from smelt.kernels.accepts import is_pointwise, pixels_of
from smelt.kernels.feeds.widened import Order, fill, widen
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, minimum
from smelt.model.ops import Conv2D

MOST_SUMS = 48  # pixels whose sums wait for their outputs


@dataclass(frozen=True)
class Shape:
    """A convolution as the kernel sees it: rows of x of `columns` pixels, kernels of `taps[0]` runs of `length`
    elements."""

    images: int
    x_rows: int
    x_columns: int
    depth: int
    taps: tuple[int, int]
    stride: tuple[int, int]
    top: int
    left: int
    rows: int
    columns: int
    channels: int

    @property
    def length(self) -> int:
        return self.taps[1] * self.depth

    @property
    def is_stretch(self) -> bool:
        """Whether rows are independent stretches of pixels."""
        return self.taps == (1, 1) and self.stride == (1, 1) and self.rows == self.x_rows

    @property
    def row_pixels(self) -> int:
        """Pixels of a widened row: all that the outputs of a row look at, padding included."""
        return max((self.columns - 1) * self.stride[1] + self.taps[1], self.left + self.x_columns)

    @property
    def row_length(self) -> int:
        """Elements of a widened row, even so that rows stay aligned."""
        return self.row_pixels * self.depth + self.row_pixels * self.depth % 2

    @property
    def row_step(self) -> int:
        """Widened rows from a row of y to the next: what a kernel of one row skips is left out."""
        return 1 if self.taps[0] == 1 else self.stride[0]

    @property
    def looks_outside(self) -> bool:
        """Whether kernels reach beyond the first or the last row of x."""
        return self.top > 0 or (self.rows - 1) * self.stride[0] + self.taps[0] > self.x_rows

    def strip_rows(self, rows: int) -> int:
        """Rows of x under a strip of `rows` rows of y."""
        return 1 if self.is_stretch else (rows - 1) * self.row_step + self.taps[0]


def parts_of(op: Conv2D, stretch: int) -> list[tuple[int, Shape]]:
    """The convolution in parts, each with the first pixel of x and y that it works on.

    Pointwise layers are stretches of so many pixels, whatever the rows of the image; the last one may be shorter.
    """
    _, taps_rows, taps_columns, depth = op.weights.shape
    batch, rows, columns, channels = op.y.shape
    if not is_pointwise(op):
        x_rows, x_columns = op.x.shape[1:3]
        taps, pad = (taps_rows, taps_columns), (op.pad.top, op.pad.left)
        return [(0, Shape(batch, x_rows, x_columns, depth, taps, op.stride, *pad, rows, columns, channels))]
    pixels = pixels_of(op)
    stretch = min(stretch, pixels)
    full, rest = pixels // stretch, pixels % stretch
    whole = Shape(1, full, stretch, depth, (1, 1), (1, 1), 0, 0, full, stretch, channels)
    short = replace(whole, x_rows=1, rows=1, x_columns=rest, columns=rest)
    return [(0, whole), *([(full * stretch, short)] if rest else [])]


@dataclass(frozen=True)
class Rows:
    """Widened rows of `x` in `wide`, and what lies around the image. `first` is the first pixel of x that they are of."""

    shape: Shape
    order: Order
    zero: int
    x: Buffer
    wide: AnyBuffer
    first: int

    @property
    def pitch(self) -> int:
        """Positions of `wide` from row to row."""
        return self.order.length(self.shape.row_length)

    def fill_sides(self, k: KernelBuilder, rows: int) -> None:
        """The padding left and right of the image in `rows` rows, which stays as it is."""
        s, order = self.shape, self.order
        left, right = s.left * s.depth, (s.row_pixels - s.left - s.x_columns) * s.depth
        if left or right:
            with k.loop("kernel_row", 0, rows) as kernel_row:
                start = kernel_row * self.pitch
                fill(k, self.wide, start, order.zeros(self.zero), order.length(left))
                behind = start + order.length(left + s.x_columns * s.depth)
                fill(k, self.wide, behind, order.zeros(self.zero), order.length(right))

    def load(self, k: KernelBuilder, image: Expr, row: Expr) -> None:
        """The rows under a row of y: those that the row above had already move up, the others are widened."""
        s = self.shape
        kept = max(s.taps[0] - s.stride[0], 0) if s.rows > 1 else 0
        if kept:
            self._keep(k, "kernel_row", row, kept, s.stride[0])
        begin = minimum(row, 1) * kept if kept else Const(0)
        with k.loop("kernel_row", begin, s.taps[0]) as kernel_row:
            self._load_row(k, image, row * s.stride[0] + kernel_row - s.top, kernel_row)

    def load_strip(self, k: KernelBuilder, image: Expr, row: Expr, rows: int, height: int) -> None:
        """The rows under a strip of `rows` rows of y, where strips have `height` but for the last."""
        s = self.shape
        kept = max(s.taps[0] - s.stride[0], 0) if s.rows > height else 0
        begin: Expr = Const(0)
        if kept:
            self._keep(k, "kept", row, kept, height * s.stride[0])
            begin = k.let("begin", (row > 0) * kept)
        with k.loop("wide_row", begin, s.strip_rows(rows)) as wide_row:
            self._load_row(k, image, row * s.stride[0] + wide_row * (s.stride[0] // s.row_step) - s.top, wide_row)

    def _keep(self, k: KernelBuilder, name: str, row: Expr, kept: int, step: int) -> None:
        with k.when(row > 0), k.loop(name, 0, kept) as i:
            k.copy(self.wide, i * self.pitch, self.wide, (i + step) * self.pitch, self.pitch)

    def _load_row(self, k: KernelBuilder, image: Expr, source: Expr, target: Expr) -> None:
        """Row `source` of x, which may lie outside of the image, as row `target`."""
        s, order = self.shape, self.order
        x_row, elements = k.let("x_row", source), s.x_columns * s.depth
        start = k.let("start", target * self.pitch + order.length(s.left * s.depth))
        with k.when((x_row >= 0).both(x_row < s.x_rows) if s.looks_outside else Const(1)):
            place = ((image * s.x_rows + x_row) * s.x_columns + self.first) * s.depth
            widen(k, order, self.wide, start, self.x, place, elements)
        if s.looks_outside:
            with k.otherwise():
                fill(k, self.wide, start, order.zeros(self.zero), order.length(elements))

    def gather(self, k: KernelBuilder, columns: Buffer, rows: int, run: int) -> None:
        """For each pixel of a strip of `rows` rows the elements that it looks at, side by side; `run` words for a row of the
        kernel."""
        s, order = self.shape, self.order
        with k.loop("row", 0, rows) as row, k.loop("column", 0, s.columns) as column:
            place = k.let("place", row * (self.pitch * s.stride[0]) + column * order.length(s.stride[1] * s.depth))
            to = k.let("to", (row * s.columns + column) * (s.taps[0] * run))
            with k.loop("kernel_row", 0, s.taps[0]) as kernel_row:
                xs = k.window("xs", self.wide, place + kernel_row * self.pitch)
                target = k.window("target", columns, to + kernel_row * run)
                for word in range(run):
                    k.store(target, word, order.pair(xs, Const(0), word))

    def lines(self, rows: int, gathered: int) -> Lines:
        """The lines of `rows` rows of y; `gathered` words are those of a pixel whose elements lie side by side, else 0."""
        s = self.shape
        if gathered:
            return Lines(1, rows * s.columns, 0, gathered)
        pitch, step = self.pitch * s.row_step, self.order.length(s.stride[1] * s.depth)
        if pitch == s.columns * step:  # rows of y follow each other without a gap
            return Lines(1, rows * s.columns, 0, step)
        return Lines(rows, s.columns, pitch, step)


@dataclass(frozen=True)
class Lines:
    """Where the pixels of a strip lie in a buffer of x: `rows` lines of `columns`, `pitch` and `step` elements apart."""

    rows: int
    columns: int
    pitch: int
    step: int

    @property
    def run(self) -> int:
        """Pixels of the even runs into which a line is divided, for which there is room; the last may overlap the one before."""
        return -(-self.columns // -(-self.columns // MOST_SUMS))
