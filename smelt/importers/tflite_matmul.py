"""Products of matrices that are both computed."""

from __future__ import annotations

from smelt.importers.tflite_binary import broadcast
from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.rescale import linear_rescale


def batch_matmul(at: Site) -> tuple[Op, ...]:
    x, x2, y = at.x(0), at.x(1), at.y()
    at.alike(x, x2, y)
    transposed, transposed2 = at.flag(0), at.flag(1)
    if min(len(x.shape), len(x2.shape)) < 2:
        at.broken(f"operands of shapes {list(x.shape)} and {list(x2.shape)} are no matrices")
    rows, depth = reversed(x.shape[-2:]) if transposed else x.shape[-2:]
    depth2, columns = reversed(x2.shape[-2:]) if transposed2 else x2.shape[-2:]
    if depth != depth2:
        at.broken(f"operands of shapes {list(x.shape)} and {list(x2.shape)} do not go together")
    y = at.agree(y, (*broadcast(at, x.shape[:-2], x2.shape[:-2]), rows, columns))
    if x.dtype == "int16":
        zeros = {tensor.q.zero_point for tensor in (x, x2, y)}
        at.demand(zeros == {0}, "int16 operands have zero points other than 0")
    rescale = linear_rescale(x, x2, y, rounding="tflm48" if x.dtype == "int16" else "tflm")
    x2_zero = 0 if x2.quantization is None or x2.element.is_float else x2.q.zero_point
    op = BatchMatMul(
        y=y, x=x, x2=x2, rescale=rescale, x2_zero=x2_zero, transposed=transposed, transposed2=transposed2
    )  # fmt: skip
    return (op,)


MATMUL: tuple[Arm, ...] = (
    Arm("BATCH_MATMUL", "both operands may be computed", (2, 2), batch_matmul, 101, ("int8", "int16", "float32")),
)
