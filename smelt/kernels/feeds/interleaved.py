"""What four neighbouring pixels of y look at, word beside word, so that each word of weights meets four of x; or what one looks at.

The order of words is that of `inner.quads.order_of`: whole words row by row of the kernel, then what is left of all rows.
"""

from __future__ import annotations

from smelt.kernels.routines import INTERLEAVE
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Expr
from smelt.loops.routine import At

FOUR = 4  # pixels, and bytes of a word


def words_under(rows: int, run: int) -> int:
    """Words under a kernel of so many rows of `run` elements."""
    return rows * (run // FOUR) + -(-rows * (run % FOUR) // FOUR)


def fill_rest(k: KernelBuilder, target: Buffer, pixels: int, rows: int, run: int) -> None:
    """The last word of each pixel, of which not all is ever written, where that is so."""
    if rows * (run % FOUR) % FOUR:
        k.fill(target, (words_under(rows, run) - 1) * FOUR * pixels, 0, FOUR * pixels)


def gather_pixels(
    k: KernelBuilder, target: Buffer, image: AnyBuffer, start: Expr, pixels: int, shape: tuple[int, int, int, int]
) -> None:
    """`pixels` pixels, four or one, the first from element `start` of the image on. `shape`: rows of the kernel, elements of each,
    from row to row, and from pixel to pixel."""
    rows, run, length, step = shape
    whole = run // FOUR
    if whole and pixels == FOUR:
        work = rows * whole * 2 * FOUR + rows * 3 + 20
        k.routine(INTERLEAVE, (At(target), At(image, start), whole, rows, length, step), (), work)
    elif whole:
        with k.loop("kernel_row", 0, rows) as row:
            k.copy(target, row * (whole * FOUR), image, start + row * length, whole * FOUR)
    rests = [row * length + i for row in range(rows) for i in range(whole * FOUR, run)]
    for number, at in enumerate(rests):
        word, byte = divmod(number, FOUR)
        for pixel in range(pixels):
            place = ((rows * whole + word) * pixels + pixel) * FOUR + byte
            k.store(target, place, image[start + (at + pixel * step)])
