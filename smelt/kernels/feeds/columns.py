"""Columns: what a pixel of y looks at, widened to int16 word behind word, those of three neighbouring pixels side by side.

Pointwise layers take pixels as they lie in x; others look through the kernel at rows that were copied with their border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smelt.kernels.accepts import pixels_of
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Call, Expr, Window, maximum, minimum
from smelt.model.ops import Conv2D
from smelt.targets.intrinsics import PKHBT, SXTB16, SXTB16_ROR8

GROUP = 3  # pixels


def words_of(op: Conv2D) -> int:
    """Words under the kernel."""
    return -(-op.weights.elements // op.y.shape[3] // 2)


def order_of(rows: int, run: int) -> list[int]:
    """Elements under a kernel in the order in which they are widened: quads of each row as 0, 2, 1, 3, then the rests of all
    rows."""
    whole = run // 4 * 4
    quads = [row * run + quad + i for row in range(rows) for quad in range(0, whole, 4) for i in (0, 2, 1, 3)]
    return [*quads, *(row * run + i for row in range(rows) for i in range(whole, run))]


def widen_pixels(k: KernelBuilder, op: Conv2D, x: Buffer, target: Buffer, pixels: int, first: Expr) -> None:
    """The `pixels` pixels from `first` on of a pointwise layer."""
    depth = op.x.shape[3]
    with k.loop("group", 0, pixels // GROUP) as group:
        xs = k.window("from", x, (first + group * GROUP) * depth)
        to = k.window("to", target, group * (GROUP * words_of(op)))
        with k.loop("quad", 0, depth // 4) as quad:
            words = [k.let("word", xs.load("int32_t", quad * 4 + pixel * depth)) for pixel in range(GROUP)]
            _unpack(k, to, quad * (2 * GROUP), words)
        for rest in range(depth // 4 * 4, depth, 2):
            for pixel in range(GROUP):
                at = pixel * depth + rest
                value = Call(PKHBT, (xs[at], xs[at + 1])) if rest + 1 < depth else xs[at]
                k.store(to, rest // 2 * GROUP + pixel, value)


def _unpack(k: KernelBuilder, to: Window, place: Expr | int, words: Sequence[Expr]) -> None:
    """Four elements of each of three pixels."""
    for half, unpack in enumerate((SXTB16, SXTB16_ROR8)):
        for pixel, word in enumerate(words):
            k.store(to, place + (half * GROUP + pixel), Call(unpack, (word,)))


@dataclass(frozen=True)
class Gathered:
    """A convolution whose stretches of `pixels` pixels are gathered."""

    op: Conv2D
    pixels: int

    @property
    def run(self) -> int:
        """Neighbours under a row of the kernel."""
        return self.op.weights.shape[2] * self.op.weights.shape[3]

    @property
    def row_length(self) -> int:
        """Elements of a copied row."""
        seen = (self.op.y.shape[2] - 1) * self.op.stride[1] + self.op.weights.shape[2]
        return -(-seen * self.op.x.shape[3] // 4) * 4

    @property
    def y_rows(self) -> int:
        """Rows of y that a stretch may touch."""
        op = self.op
        if self.pixels % op.y.shape[2] == 0 and pixels_of(op) % self.pixels == 0:
            return self.pixels // op.y.shape[2]
        return min((self.pixels + op.y.shape[2] - 2) // op.y.shape[2] + 1, op.y.shape[1])

    @property
    def x_rows(self) -> int:
        """Rows of x under them."""
        return (self.y_rows - 1) * self.op.stride[0] + self.op.weights.shape[1]


def gather(k: KernelBuilder, g: Gathered, image: Buffer, target: Buffer, first: Expr, first_row: Expr) -> None:
    """What the pixels of a stretch look at; row 0 of `image` is the first one under row `first_row` of y."""
    with k.loop("group", 0, g.pixels // GROUP) as group:
        place = k.let("place", first + group * GROUP)
        to = k.window("to", target, group * (GROUP * words_of(g.op)))
        _gather_group(k, g, _pixels_of(k, g, image, place, first_row), to)


def _pixels_of(k: KernelBuilder, g: Gathered, image: Buffer, place: Expr, first_row: Expr) -> list[Window]:
    """Where the kernel lies on the three pixels from `place` on: in one row where rows are whole groups."""
    op = g.op
    step = op.stride[1] * op.x.shape[3]
    if op.y.shape[2] % GROUP == 0:
        start = k.let("start", _start(k, g, place, first_row, GROUP - 1))
        return [k.window("from", image, start + pixel * step) for pixel in range(GROUP)]
    return [k.window("from", image, _start(k, g, place + pixel, first_row, 0)) for pixel in range(GROUP)]


def _start(k: KernelBuilder, g: Gathered, place: Expr, first_row: Expr, following: int) -> Expr:
    """The first element of the image under the kernel at a pixel that has `following` others behind it in its row."""
    op = g.op
    columns = op.y.shape[2]
    row = k.let("row", place // columns)
    below = maximum(minimum(row - first_row, g.y_rows - 1), 0)
    column = minimum(place % columns, columns - 1 - following) if following else place % columns
    return below * (op.stride[0] * g.row_length) + column * (op.stride[1] * op.x.shape[3])


def _gather_group(k: KernelBuilder, g: Gathered, xs: Sequence[Window], to: Window) -> None:
    """All rows of the kernel for three pixels."""
    rows, quads, length = g.op.weights.shape[1], g.run // 4, g.row_length
    if quads:
        with k.loop("kernel_row", 0, rows, keep=True) as row, k.loop("quad", 0, quads) as quad:
            words = [k.let("word", x.load("int32_t", row * length + quad * 4)) for x in xs]
            _unpack(k, k.window("target", to, (row * quads + quad) * (2 * GROUP)), 0, words)
    rests = [row * length + i for row in range(rows) for i in range(quads * 4, g.run)]
    for number in range(0, len(rests), 2):
        for pixel, x in enumerate(xs):
            low, *high = (x[at] for at in rests[number : number + 2])
            value = Call(PKHBT, (low, *high)) if high else low
            k.store(to, (rows * 2 * quads + number // 2) * GROUP + pixel, value)
