"""Moves whose places or values are computed while the model runs: slices that begin there, paddings, shapes that go together."""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_gathers import Chain, indices_of
from smelt.importers.tflite_moves import ANY, pad_v2, padded, slice_, source, target
from smelt.importers.tflite_site import Arm, Site
from smelt.model.dtypes import DType
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Add, Concat, Pad, Slice
from smelt.model.ops_moves import Broadcast, UpdateSlice
from smelt.model.ops_pointwise import Compare, Select


def slice_from(at: Site) -> tuple[Op, ...]:
    """A slice of a constant size; where it begins may be computed: rows are gathered along each axis that it cuts."""
    if not at.is_running(1):
        return slice_(at)
    x, y, begin, sizes = source(at), target(at), indices_of(at, 1), at.integers(2)
    if not begin.shape == (len(sizes),) == (len(x.shape),):
        at.broken(f"begin of shape {list(begin.shape)} and size {list(sizes)} do not fit {list(x.shape)}")
    if any(size == -1 for size in sizes):
        at.refuse("it goes on to the end from a place that is computed; a constant size is supported")
    if any(not 0 < size <= whole for size, whole in zip(sizes, x.shape, strict=True)):
        at.broken(f"size {list(sizes)} reaches outside an input of shape {list(x.shape)}")
    chain, made = Chain(at, x), list[Op]()
    for axis, size in enumerate(sizes):
        if size != x.shape[axis]:
            first, places = (at.like(begin, (n,), f"{name}{axis}") for n, name in ((1, "first"), (size, "places")))
            steps = _constant(at, f"steps{axis}", np.arange(size), begin.dtype)
            made.append(Slice(y=first, x=begin, begin=(axis,), stride=(1,)))
            made.append(Add(y=places, x=first, x2=steps, clamp=places.element.range))
            chain.gather(places, (*chain.x.shape[:axis], size, *chain.x.shape[axis + 1 :]), axis)
    return (*made, *chain.end(y))


def pad_with(at: Site) -> tuple[Op, ...]:
    """Paddings of a value that may be computed: a whole image of it, which x is put into."""
    if not at.is_running(2):
        return pad_v2(at)
    x, y, filler = source(at), target(at), source(at, 2)
    if filler.elements != 1:
        at.broken(f"the padding '{filler.name}' is not one value")
    same = filler.quantization == y.quantization
    at.demand(same or y.dtype != "int8", f"the padding '{filler.name}' is quantised differently from the output")
    (pad,) = padded(at, y, 0)
    assert isinstance(pad, Pad)
    whole = at.like(pad.y, pad.y.shape, "padding")
    start = _constant(at, "start", np.array(pad.before), "int32")
    return Broadcast(y=whole, x=filler), UpdateSlice(y=pad.y, x=whole, update=x, start=start)


def broadcast_args(at: Site) -> tuple[Op, ...]:
    """The shape that two shapes have in common: where one of them has 1, what the other one has."""
    x, x2, y = at.x(0), at.x(1), at.y()
    at.alike(x, x2, y)
    if len(x.shape) != 1 or len(x2.shape) != 1:
        at.broken(f"operands of shapes {list(x.shape)} and {list(x2.shape)} are no shapes")
    y = at.agree(y, (max(x.elements, x2.elements),))
    one, is_one = _constant(at, "one", np.array([1]), x.dtype), Tensor(at.fresh(f"{y.name}_is_one"), y.shape, "bool")
    made: list[Op] = []
    longer = [_lengthened(at, shape, y.elements, made) for shape in (x, x2)]
    return (
        *made,
        Compare(y=is_one, x=longer[0], x2=one, relation="=="),
        Select(y=y, condition=is_one, x=longer[1], x2=longer[0]),
    )


def _lengthened(at: Site, shape: Tensor, axes: int, made: list[Op]) -> Tensor:
    """`shape` with ones in front."""
    if shape.elements == axes:
        return shape
    y = at.like(shape, (axes,), "long")
    made.append(Concat(y=y, xs=(_constant(at, "ones", np.ones(axes - shape.elements), shape.dtype), shape), axis=0))
    return y


def _constant(at: Site, name: str, data: Array, dtype: DType) -> Tensor:
    tensor = Tensor(at.fresh(f"{at.result().name}_{name}"), data.shape, dtype)
    return Tensor(tensor.name, tensor.shape, dtype, data=data.astype(tensor.element.numpy))


RUNNING: tuple[Arm, ...] = (
    Arm(
        "SLICE",
        "constant size; a running begin outside is taken to be the nearest inside",
        (3, 3),
        slice_from,
        types=ANY,
    ),
    Arm("PADV2", "constant paddings", (3, 3), pad_with, types=ANY),
    Arm("BROADCAST_ARGS", "", (2, 2), broadcast_args, types=("int32", "int64")),
)
