"""Resizing of images, nearest and bilinear. Where a pixel comes from is a formula of its position, not a table."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.exact import Integers, find_affine
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.movement import Runs, runs
from smelt.kernels.nests import merged, move
from smelt.loops.ir import Expr, cast, expression, maximum, minimum
from smelt.model.ops import Resize, ResizeBilinear, ResizeNearest
from smelt.model.parameters import AxisWeights, bilinear_parameters, nearest_parameters
from smelt.targets.types import Core

ONE = 1024  # the weights' unit


def any_image(op: Resize, core: Core) -> bool:
    """x and y are images of four axes and of the same element type, of whole bytes"""
    return op.x.dtype == op.y.dtype and not op.y.element.is_packed and len(op.x.shape) == len(op.y.shape) == 4


def int8_image(op: Resize, core: Core) -> bool:
    """x and y are int8 images of four axes"""
    return op.x.dtype == op.y.dtype == "int8" and len(op.x.shape) == len(op.y.shape) == 4


def _indexed(k: CallBuilder, name: str, wanted: Integers, position: Expr) -> Expr:
    """``wanted[position]``: as a product and a shift where that gives every entry, else from a table."""
    positions, last = np.arange(len(wanted), dtype=np.int64), int(wanted.max())
    if last == int(wanted.min()):
        return expression(last)
    slope = (last - int(wanted[0])) / (len(wanted) - 1)
    for ratio in ((last + 1) / len(wanted), slope):
        form = find_affine((positions,), wanted, (-1, last + 1), (ratio,), range(20))
        if form is not None:
            return form.of(position)
    # The limits change nothing, but show that what comes out of the table is an index.
    if last < 256:
        return minimum(k.table(name, wanted.astype(np.uint8))[position], last)
    return maximum(minimum(k.table(name, wanted.astype(np.int32))[position], last), 0)


def build_nearest(op: ResizeNearest, schedule: Runs) -> KernelCall:
    k = CallBuilder("resize_nearest")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    p = nearest_parameters(op)
    batch, rows, columns, channels = op.y.shape
    _, x_rows, x_columns, _ = op.x.shape
    with k.loop("image", 0, batch) as n, k.loop("row", 0, rows) as r:
        start = (n * x_rows + _indexed(k, "rows", p.rows.astype(np.int64), r)) * x_columns
        first = k.let("first", start)
        with k.loop("column", 0, columns) as c:
            pixel = first + _indexed(k, "columns", p.columns.astype(np.int64), c)
            target = ((n * rows + r) * columns + c) * channels
            move(k, y, x, merged((channels,), (1,), (1,)), (target, k.let("from", pixel * channels)), schedule.words)
    return k.finish_call()


def _axis(k: CallBuilder, weights: AxisWeights, inputs: int, name: str, position: Expr) -> tuple[Expr, Expr, Expr]:
    """(lower, upper, fraction) at `position`, computed as `AxisWeights` were: a line in 1024ths of a pixel, cut off."""
    line = weights.fraction.astype(np.int64) + weights.lower.astype(np.int64) * ONE
    step = int(line[1] - line[0]) if len(line) > 1 else 0
    if not np.array_equal(line, line[0] + step * np.arange(len(line))):
        raise ValueError("the positions of a bilinear resize are not on a line")
    place = k.let(f"{name}_place", position * step + int(line[0]))
    lower = k.let(f"lower_{name}", minimum(maximum(place >> 10, 0), inputs - 1))
    upper = k.let(f"upper_{name}", minimum(maximum((place + (ONE - 1)) >> 10, 0), inputs - 1))
    return lower, upper, k.let(f"{name}_fraction", place - lower * ONE)


def _largest_sum(rows: AxisWeights, columns: AxisWeights) -> int:
    """The largest magnitude that a partial sum of weighted corners can have."""
    fractions = (w.fraction.astype(np.int64) for w in (rows, columns))
    row, column = (int((np.abs(ONE - f) + np.abs(f)).max()) for f in fractions)
    return row * column * 128


def build_bilinear(op: ResizeBilinear, schedule: Plain) -> KernelCall:
    k = CallBuilder("resize_bilinear")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    p = bilinear_parameters(op)
    batch, rows, columns, channels = op.y.shape
    _, x_rows, x_columns, _ = op.x.shape
    wide = _largest_sum(p.rows, p.columns) + (1 << 19) >= 2**31
    with k.loop("image", 0, batch) as n, k.loop("row", 0, rows) as r:
        top, bottom, down = _axis(k, p.rows, x_rows, "row", r)
        with k.loop("column", 0, columns) as c:
            left, right, across = _axis(k, p.columns, x_columns, "column", c)
            corners = [((n * x_rows + row) * x_columns + column) * channels
                       for row in (top, bottom) for column in (left, right)]  # fmt: skip
            corners = [k.let("corner", corner) for corner in corners]
            weights = [a * b for a in (ONE - down, down) for b in (ONE - across, across)]
            weights = [k.let("weight", cast("int64_t", w) if wide else w) for w in weights]
            target = ((n * rows + r) * columns + c) * channels
            with k.loop("channel", 0, channels) as i:
                total = expression(0)
                for corner, weight in zip(corners, weights, strict=True):
                    total = weight * x[corner + i] + total
                total = k.let("total", total)
                k.store(y, target + i, (total + (total >> 31) + (1 << 19)) >> 20)
    return k.finish_call()


RESIZE_NEAREST = Implementation("resize_nearest", ResizeNearest, runs, build_nearest, (any_image,))
RESIZE_BILINEAR = Implementation("resize_bilinear", ResizeBilinear, plain, build_bilinear, (int8_image,))
