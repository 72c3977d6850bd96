"""What four neighbouring pixels of y look at, word beside word, so that each word of weights meets four of x; or what one looks at.

The order of words is that of `inner.quads.order_of`: whole words row by row of the kernel, then what is left of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from smelt.kernels.routines import INTERLEAVE
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import SIZES, AnyBuffer, Buffer, Expr
from smelt.loops.routine import At

FOUR = 4  # pixels, and bytes of a word


@dataclass(frozen=True)
class Under:
    """What is under a kernel: `rows` rows of `run` neighbouring elements, of which a word has `lanes`."""

    rows: int
    run: int
    lanes: int

    @property
    def whole(self) -> int:
        """Whole words of a row."""
        return self.run // self.lanes

    @property
    def rests(self) -> int:
        """Elements of all rows that are in no whole word."""
        return self.rows * (self.run % self.lanes)

    @property
    def words(self) -> int:
        return self.rows * self.whole + -(-self.rests // self.lanes)


def fill_rest(k: KernelBuilder, target: Buffer, pixels: int, under: Under) -> None:
    """The last word of each pixel, of which not all is ever written, where that is so."""
    if under.rests % under.lanes:
        k.fill(target, (under.words - 1) * FOUR * pixels, 0, FOUR * pixels)


def gather_pixels(
    k: KernelBuilder, target: Buffer, image: AnyBuffer, start: Expr, pixels: int, under: Under, apart: tuple[int, int]
) -> None:
    """`pixels` pixels, four or one, the first from element `start` of the image on, to a `target` of bytes. `apart` are the
    elements from row to row, and from pixel to pixel."""
    (length, step), size, whole = apart, SIZES[image.type], under.whole
    if whole and pixels == FOUR:
        work = under.rows * whole * 2 * FOUR + under.rows * 3 + 20
        places = At(target), At(image, start)
        k.routine(INTERLEAVE, (*places, whole, under.rows, length * size, step * size), (), work)
    elif whole:
        _copy_words(k, target, image, start, under, length)
    rests = [row * length + i for row in range(under.rows) for i in range(whole * under.lanes, under.run)]
    for number, at in enumerate(rests):
        word, lane = divmod(number, under.lanes)
        for pixel in range(pixels):
            place = ((under.rows * whole + word) * pixels + pixel) * FOUR + lane * size
            k.store(target, place, image[start + (at + pixel * step)], image.type)


def _copy_words(k: KernelBuilder, target: Buffer, image: AnyBuffer, start: Expr, under: Under, length: int) -> None:
    """The whole words of one pixel."""
    with k.loop("kernel_row", 0, under.rows) as row, k.loop("word", 0, under.whole) as word:
        value = image.load("int32_t", start + row * length + word * under.lanes)
        k.store(target, (row * under.whole + word) * FOUR, value, "int32_t")
