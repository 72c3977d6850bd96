"""ONE_HOT and TOPK_V2."""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_gathers import indices_of
from smelt.importers.tflite_moves import ANY, one_integer, source, target
from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Reshape
from smelt.model.ops_moves import TopK
from smelt.model.ops_pointwise import Compare, Select


def one_hot(at: Site) -> tuple[Op, ...]:
    """Each index is compared with the places along the new axis, and chooses between two values."""
    indices, depth, y = indices_of(at, 0), one_integer(at, 1), target(at)
    on, off = source(at, 2), source(at, 3)
    if on.elements != 1 or off.elements != 1:
        at.broken("its on and off values are not one element each")
    axes = len(indices.shape) + 1
    axis = at.axis(at.integer(0), axes)
    shape = (*indices.shape[:axis], depth, *indices.shape[axis:])
    places = np.arange(max(depth, 0), dtype=indices.element.numpy).reshape(
        *(depth if a == axis else 1 for a in range(axes))
    )
    wide = Tensor(
        at.fresh(f"{y.name}_indices"), tuple(1 if a == axis else n for a, n in enumerate(shape)), indices.dtype
    )
    hot = Tensor(at.fresh(f"{y.name}_hot"), shape, "bool")
    along = Tensor(at.fresh(f"{y.name}_places"), places.shape, indices.dtype, data=places)
    return (
        Reshape(y=wide, x=indices),
        Compare(y=hot, x=wide, x2=along, relation="=="),
        Select(y=at.agree(y, shape), condition=hot, x=on, x2=off),
    )


def top_k(at: Site) -> tuple[Op, ...]:
    x, y, count = source(at), target(at), one_integer(at, 1)
    indices = at.result(1)
    if not x.shape or not 0 < count <= x.shape[-1]:
        at.broken(f"an input of shape {list(x.shape)} has no {count} greatest values")
    if indices.dtype != "int32":
        at.refuse(f"its indices '{indices.name}' are {indices.dtype}; int32 is supported")
    shape = (*x.shape[:-1], count)
    return (TopK(y=at.agree(y, shape), x=x, indices=at.agree(indices, shape)),)


CHOOSING: tuple[Arm, ...] = (
    Arm(
        "ONE_HOT",
        "constant depth; an index outside it gives the off value alone",
        (4, 4),
        one_hot,
        61,
        ANY,
        oracle="LiteRT",
    ),
    Arm("TOPK_V2", "constant count; indices of int32", (2, 2), top_k, 34, ANY, outputs=(2, 2), oracle="LiteRT"),
)
