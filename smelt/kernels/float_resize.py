"""Bilinear resizing in float32: rows and columns are looked up with their shares."""

from __future__ import annotations

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.inner.floats import real_operands
from smelt.loops.ir import Expr, maximum, minimum, real
from smelt.model.ops import ResizeBilinear
from smelt.model.reference_float_spatial import interpolated


def build_bilinear(op: ResizeBilinear, schedule: Plain) -> KernelCall:
    k = CallBuilder("resize_bilinear_floats")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    _, x_rows, x_columns, _ = op.x.shape
    tables = []
    for axis, name in ((1, "row"), (2, "column")):
        lower, upper, share = interpolated(op, axis)
        tables.append(
            (k.table(f"lower_{name}", lower), k.table(f"upper_{name}", upper), k.table(f"{name}_share", share))
        )
    (tops, bottoms, downs), (lefts, rights, acrosses) = tables

    def inside(index: Expr, size: int) -> Expr:
        return maximum(minimum(index, size - 1), 0)  # changes nothing, but shows that it is an index

    with k.loop("image", 0, batch) as n, k.loop("row", 0, rows) as r:
        top, bottom = (k.let("x_row", (n * x_rows + inside(t[r], x_rows)) * x_columns) for t in (tops, bottoms))
        down = k.let("down", downs[r])
        with k.loop("column", 0, columns) as c:
            left, right = (k.let("x_column", inside(t[c], x_columns)) for t in (lefts, rights))
            across = k.let("across", acrosses[c])
            corners = [(a + b) * channels for b in (left, right) for a in (top, bottom)]
            corners = [k.let("corner", corner) for corner in corners]
            up, back = k.let("up", real(1.0) - down), k.let("back", real(1.0) - across)
            target = k.let("target", ((n * rows + r) * columns + c) * channels)
            with k.loop("channel", 0, channels) as i:
                a, b, d, e = (k.let("value", x[corner + i]) for corner in corners)
                total = a * up * back + b * down * back + d * up * across + e * down * across
                k.store(y, target + i, total)
    return k.finish_call()


RESIZE_BILINEAR_FLOATS = Implementation(
    "resize_bilinear_floats", ResizeBilinear, plain, build_bilinear, (real_operands,)
)
