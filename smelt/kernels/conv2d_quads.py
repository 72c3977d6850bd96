"""Conv2D in quads (see `inner.quads`): four neighbouring pixels of a row of y, or one where rows are shorter, by all channels.

Words of x are read where they are, or gathered first, word beside word, so that cores that go through their pixels in step do not
ask for the same bank of memory. What lies outside of the image is at the zero point: rows are then copied with their border.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import (
    has_dots,
    has_quads,
    is_pointwise,
    is_undilated,
    is_ungrouped,
    pixels_of,
)
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks, in_stretches
from smelt.kernels.feeds.images import copy_rows
from smelt.kernels.feeds.interleaved import FOUR, Under, fill_rest, gather_pixels
from smelt.kernels.feeds.taps import clips
from smelt.kernels.implementation import Blocks, Implementation, KernelCall
from smelt.kernels.inner.quads import Outputs, Quads, bind_quads, order_of, outputs_of, pack
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Buffer, Expr, Table
from smelt.loops.routine import At
from smelt.model.ops import Conv2D
from smelt.targets.types import Core

IMAGE_BYTES = 8192  # of rows that are copied with their border
BANKS = 64  # bytes after which memories that serve several cores begin anew
WORTHWHILE = 48  # channels for which pixels are gathered


@dataclass(frozen=True)
class QuadBlock:
    """Whether pixels are gathered, and the rows of y for which rows of x are copied with their border: 0, none are."""

    gathered: bool
    rows: int = 0

    def __str__(self) -> str:
        return f"quads({'gathered' if self.gathered else 'direct'}{f', rows={self.rows}' if self.rows else ''})"


def build_conv2d(op: Conv2D, schedule: QuadBlock) -> KernelCall:
    return _built(op, schedule, outputs_of(op, _flat(op)))


def _built(op: Conv2D, schedule: QuadBlock, outputs: Outputs) -> KernelCall:
    shaped = _in_a_row(op)
    under = _under(shaped)
    pixels = FOUR if shaped.y.shape[2] >= FOUR else 1
    k = CallBuilder("conv2d_quads")
    x = k.operand("x", op.x)
    tables = bind_quads(k, _packed(op, outputs), outputs, pixels)
    image = k.scratch("image", x.type, _lines(shaped, schedule.rows) * _length(shaped)) if schedule.rows else None
    columns = k.scratch("columns", "int8_t", under.words * pixels * FOUR) if schedule.gathered else None
    words, rows = (under.words, 1) if schedule.gathered else (under.whole, under.rows)
    quads = Quads(outputs, *tables, k.result("y", op.y), words, rows)
    kernel = _Kernel(shaped, schedule, pixels, x, image, columns, quads)
    if columns is not None:
        fill_rest(k, columns, pixels, under)
    with k.loop("batch", 0, shaped.y.shape[0]) as batch:
        kernel.strips(k, batch)
    return k.finish_call()


def _flat(op: Conv2D) -> NDArray[np.int8]:
    """Weights as (channels, elements)."""
    return op.weights.constant.reshape(op.y.shape[3], -1)


def _packed(op: Conv2D, outputs: Outputs) -> Table:
    under = _under(_in_a_row(op))
    return pack(_flat(op), order_of(under.rows, under.run, under.lanes), outputs.words)


def _numbers(op: Conv2D) -> Outputs | None:
    outputs = outputs_of(op, _flat(op))
    return outputs if outputs.r is None else None


def _tables(op: Conv2D, schedule: QuadBlock, outputs: Outputs) -> tuple[Table, ...]:
    return _packed(op, outputs), outputs.table


def _in_a_row(op: Conv2D) -> Conv2D:
    """The same computation; the pixels of a pointwise layer are one row."""
    if not is_pointwise(op):
        return op
    x, y = (replace(t, shape=(1, 1, pixels_of(op), t.shape[3])) for t in (op.x, op.y))
    return replace(op, x=x, y=y)


def _under(op: Conv2D) -> Under:
    """What an output looks at."""
    return Under(op.weights.shape[1], op.weights.shape[2] * op.x.shape[3], FOUR // _size(op))


def _size(op: Conv2D) -> int:
    """Bytes of an element of x."""
    return op.x.element.bits // 8


def _lines(op: Conv2D, rows: int) -> int:
    """Rows of x under so many rows of y."""
    return (rows - 1) * op.stride[0] + op.weights.shape[1]


def _length(op: Conv2D) -> int:
    """Elements of a row that is copied: what outputs look at."""
    return ((op.y.shape[2] - 1) * op.stride[1] + op.weights.shape[2]) * op.x.shape[3]


@dataclass(frozen=True)
class _Kernel:
    """What the parts of the kernel share."""

    op: Conv2D
    schedule: QuadBlock
    pixels: int
    x: Buffer
    image: Buffer | None
    columns: Buffer | None
    quads: Quads

    def strips(self, k: KernelBuilder, batch: Expr) -> None:
        """All rows of y of an image, by way of rows that are copied, where some are."""
        op, image = self.op, self.image
        y_rows = op.y.shape[1]
        if image is None:
            length = op.x.shape[2] * op.x.shape[3]
            self._rows(k, (self.x, length, batch * (op.x.shape[1] * length)), batch * y_rows, y_rows)
            return
        for first, rows in in_blocks(k, "strip", y_rows, self.schedule.rows):
            length = _length(op)
            copy_rows(k, op, self.x, image, length, batch, first * op.stride[0], (0, _lines(op, rows)))
            self._rows(k, (image, length, None), batch * y_rows + first, rows)

    def _rows(self, k: KernelBuilder, source: tuple[Buffer, int, Expr | None], first: Expr, rows: int) -> None:
        """So many rows of y from row `first` on; `source` is what they look at, its length of a row, and where that begins."""
        op, (image, length, begin) = self.op, source
        columns, step = op.y.shape[2], op.stride[1] * op.x.shape[3]
        with k.loop("row", 0, rows) as row:
            line = row * (op.stride[0] * length)
            with in_stretches(k, columns, self.pixels) as column:
                start = k.let("start", (line if begin is None else begin + line) + column * step)
                place = k.let("place", ((first + row) * columns + column) * op.y.shape[3])
                self._pixels(k, image, start, (length, step), place)

    def _pixels(self, k: KernelBuilder, image: Buffer, start: Expr, apart: tuple[int, int], place: Expr) -> None:
        """Four pixels, or one, from element `start` of the image on."""
        if self.columns is None:
            length, step = (distance * _size(self.op) for distance in apart)
            self.quads.store(k, At(image, start), (length, step, FOUR), place, self.pixels)
        else:
            gather_pixels(k, self.columns, image, start, self.pixels, _under(self.op), apart)
            self.quads.store(k, At(self.columns), (0, FOUR, FOUR * FOUR), place, self.pixels)
        self.quads.finish(k, place, self.pixels)


def schedules(op: Conv2D, core: Core) -> Iterable[QuadBlock]:
    """Gathered where neighbouring pixels lie in the same bank, or rows end within a word; of strips the largest that are small."""
    shaped = _in_a_row(op)
    under = _under(shaped)
    banked = shaped.x.shape[3] * shaped.stride[1] * _size(shaped) % BANKS == 0 and shaped.y.shape[2] >= FOUR
    gathered = banked and shaped.y.shape[3] >= WORTHWHILE
    ways = (True,) if under.rests else (gathered, not gathered)
    for way in ways:
        for rows in _strips(shaped):
            yield QuadBlock(way, rows)


def _strips(op: Conv2D) -> tuple[int, ...]:
    """Rows of y for which rows of x are copied."""
    if not clips(op):
        return (0,)
    fitting = [n for n in range(op.y.shape[1], 0, -1) if _lines(op, n) * _length(op) * _size(op) <= IMAGE_BYTES]
    return tuple(dict.fromkeys((*fitting[:1], 1)))


CONV2D_QUADS = Implementation(
    "conv2d_quads", Conv2D, schedules, build_conv2d, (has_dots, is_undilated, is_ungrouped, has_quads),
    blocks=Blocks(_numbers, _built, _tables),
)  # fmt: skip
