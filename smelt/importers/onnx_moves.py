"""Operators that only move elements. Reshaping and transposing move none: they change how a value is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from smelt.importers.onnx_fold import reshaped_to, slices_of, split_sizes
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_views import View, natural_order, plain, stored_as, transposed_axes
from smelt.model.graph import Array, Tensor
from smelt.model.ops import Slice
from smelt.model.ops_moves import Broadcast, Gather


def reshape(at: Site) -> None:
    x = at.running(0)
    wanted = at.many("shape", ()) if len(at.node.inputs) < 2 else at.integers(1)
    at.give(replace(x, shape=reshaped_to(x.shape, wanted, at.integer("allowzero", 0))))


def flatten(at: Site) -> None:
    x = at.running(0)
    axis = at.integer("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        at.broken(f"axis {axis} of a value with {len(x.shape)} axes")
    axis += len(x.shape) if axis < 0 else 0
    at.give(replace(x, shape=(prod(x.shape[:axis]), prod(x.shape[axis:]))))


def axes_of(at: Site, place: int, rank: int) -> tuple[int, ...] | None:
    """Axes as an operand, or as an attribute in older versions, counted from the front; None where there are none."""
    axes = at.integers(place) if at.has(place) else at.many("axes", ())
    found = tuple(sorted(at.axis(axis, rank) for axis in axes))
    if len(set(found)) != len(found):
        at.broken(f"it names an axis twice: {list(axes)}")
    return found or None


def squeeze(at: Site) -> None:
    x = at.running(0)
    axes = axes_of(at, 1, len(x.shape)) or tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    if any(x.shape[axis] != 1 for axis in axes):
        at.broken(f"it drops axes {list(axes)} of a value of shape {list(x.shape)}")
    at.give(replace(x, shape=tuple(size for axis, size in enumerate(x.shape) if axis not in axes)))


def unsqueeze(at: Site) -> None:
    x = at.running(0)
    count = len(at.integers(1)) if at.has(1) else len(at.many("axes", ()))
    rank = len(x.shape) + count
    axes = axes_of(at, 1, rank) or ()
    rest = iter(x.shape)
    at.give(replace(x, shape=tuple(1 if axis in axes else next(rest) for axis in range(rank))))


def transpose(at: Site) -> None:
    x = at.running(0)
    permutation = at.many("perm", tuple(reversed(range(len(x.shape)))), len(x.shape))
    if sorted(permutation) != list(range(len(x.shape))):
        at.broken(f"{list(permutation)} is no permutation of {len(x.shape)} axes")
    at.give(transposed(at, x, permutation))


def transposed(at: Site, x: View, permutation: Sequence[int]) -> View:
    """The same source, seen with its axes in another order."""
    if x.shape != tuple(x.stored[axis] for axis in x.order):
        x = at.bench.arranged(x, natural_order(x))
    return transposed_axes(x, tuple(permutation))


# Parts


def sliced(at: Site, x: View, parts: Sequence[slice]) -> View:
    """Some of every axis."""
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    ranges = [range(*part.indices(size)) for part, size in zip(parts, x.shape, strict=True)]
    if any(len(r) == 0 for r in ranges):
        at.refuse("its result is empty")
    stored = tuple(len(ranges[axis]) for axis in order)
    begin, stride = tuple(ranges[axis].start for axis in order), tuple(ranges[axis].step for axis in order)

    def build(tensor: Tensor) -> Tensor:
        y = at.bench.like(tensor, stored, at.wish)
        return at.bench.add(Slice(x=tensor, y=y, begin=begin, stride=stride), at.node.where)

    if stored == x.stored and all(s > 0 for s in stride):
        return x
    return stored_as(at.bench.move(x.source, stored, build), order, x.dtype)


def slice_(at: Site) -> None:
    x = at.running(0)
    operands: list[Array] = []
    if len(at.node.inputs) > 2:
        places = range(1, len(at.node.inputs))
        found = (at.integers(place) if at.has(place) else () for place in places)
        operands = [np.zeros(0), *(np.array(numbers, np.int64) for numbers in found)]
    at.give(sliced(at, x, slices_of(at, x.shape, operands)))


def split(at: Site) -> None:
    x = at.running(0)
    axis = at.axis(at.integer("axis", 0), len(x.shape))
    wanted = at.integers(1) if at.has(1) else at.many("split", ()) or None
    start = 0
    for place, size in enumerate(split_sizes(at, x.shape[axis], wanted)):
        parts = [slice(None)] * len(x.shape)
        parts[axis] = slice(start, start + size)
        if at.node.outputs[place]:
            at.give(sliced(at, x, parts), place)
        start += size


def gathered(at: Site, x: View, axis: int, indices: Array) -> View:
    """Some places of an axis, in any order: `indices` are not negative."""
    flat = indices.reshape(-1)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    steps = np.unique(np.diff(flat))
    if len(flat) == 1 or (len(steps) == 1 and steps[0]):
        step = int(steps[0]) if len(flat) > 1 else 1
        parts = [slice(None)] * len(x.shape)
        end = int(flat[-1]) + (1 if step > 0 else -1)
        parts[axis] = slice(int(flat[0]), None if end < 0 else end, step)
        return replace(sliced(at, x, parts), shape=shape)
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    where = order.index(axis)
    stored = (*x.stored[:where], len(flat), *x.stored[where + 1 :])

    def build(tensor: Tensor) -> Tensor:
        table = at.bench.constant(f"{at.wish}.indices", flat.astype(np.int32), "int32")
        y = at.bench.like(tensor, stored, at.wish)
        return at.bench.add(Gather(x=tensor, indices=table, y=y, axis=where), at.node.where)

    seen = stored_as(at.bench.move(x.source, stored, build), order, x.dtype)
    return replace(seen, shape=shape)


def gather(at: Site) -> None:
    indices = at.any(1)
    if isinstance(indices, View):
        _looked_up(at, indices)
        return
    x = at.running(0)
    axis = at.axis(at.integer("axis", 0), len(x.shape))
    if indices.data.dtype.kind not in "iu":
        at.broken(f"its indices are of {indices.data.dtype}")
    places = indices.data.astype(np.int64)
    if places.size == 0 or places.min() < -x.shape[axis] or places.max() >= x.shape[axis]:
        at.broken(f"its indices leave an axis of {x.shape[axis]}")
    at.give(gathered(at, x, axis, np.where(places < 0, places + x.shape[axis], places)))


def _looked_up(at: Site, indices: View) -> None:
    """Places that are computed: rows of a table, say."""
    table = at.view(0)
    axis = at.axis(at.integer("axis", 0), len(table.shape))
    own = tuple(range(len(table.shape)))
    x = at.bench.held(at.bench.arranged(table, own))
    wanted = at.bench.held(at.bench.arranged(indices, tuple(range(len(indices.shape)))))
    at.demand(wanted.dtype in ("int32", "int64"), f"its indices are {wanted.dtype}")
    shape = (*table.shape[:axis], *indices.shape, *table.shape[axis + 1 :])
    y = at.bench.like(x, shape, at.wish)
    at.give(plain(at.bench.add(Gather(x=x, indices=wanted, y=y, axis=axis)), table.dtype))


# Repetitions


def expand(at: Site) -> None:
    x, wanted = at.running(0), at.integers(1)
    shape = at.broadcast(x.shape, wanted)
    x = replace(x, shape=(1,) * (len(shape) - len(x.shape)) + x.shape)
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    stored = tuple(shape[axis] for axis in order)

    def build(tensor: Tensor) -> Tensor:
        y = at.bench.like(tensor, stored, at.wish)
        return at.bench.add(Broadcast(x=tensor, y=y), at.node.where)

    at.give(x if shape == x.shape else stored_as(at.bench.move(x.source, stored, build), order, x.dtype))


def tile(at: Site) -> None:
    x, repeats = at.running(0), at.integers(1)
    if len(repeats) != len(x.shape) or min(repeats, default=1) < 1:
        at.refuse(f"it repeats a value of shape {list(x.shape)} {list(repeats)} times")
    at.bounded([size * count for size, count in zip(x.shape, repeats, strict=True)])
    for axis, count in enumerate(repeats):
        if count > 1:
            x = gathered(at, x, axis, np.tile(np.arange(x.shape[axis]), count))
    at.give(x)


# Blocks


def depth_to_space(at: Site) -> None:
    x, block = at.running(0), at.integer("blocksize", 0)
    batch, channels, rows, columns = _four(at, x)
    if block < 1 or channels % (block * block):
        at.broken(f"{channels} channels in blocks of {block}")
    depth = channels // (block * block)
    if at.text("mode", "DCR") == "DCR":
        x = transposed(at, replace(x, shape=(batch, block, block, depth, rows, columns)), (0, 3, 4, 1, 5, 2))
    else:
        x = transposed(at, replace(x, shape=(batch, depth, block, block, rows, columns)), (0, 1, 4, 2, 5, 3))
    at.give(replace(x, shape=(batch, depth, rows * block, columns * block)))


def space_to_depth(at: Site) -> None:
    x, block = at.running(0), at.integer("blocksize", 0)
    batch, channels, rows, columns = _four(at, x)
    if block < 1 or rows % block or columns % block:
        at.broken(f"{rows} x {columns} pixels in blocks of {block}")
    split_ = replace(x, shape=(batch, channels, rows // block, block, columns // block, block))
    by_block = at.text("mode", "DCR") == "DCR"
    x = transposed(at, split_, (0, 3, 5, 1, 2, 4) if by_block else (0, 1, 3, 5, 2, 4))
    at.give(replace(x, shape=(batch, channels * block * block, rows // block, columns // block)))


def _four(at: Site, x: View) -> tuple[int, int, int, int]:
    if len(x.shape) != 4:
        at.broken(f"an image of shape {list(x.shape)}")
    batch, channels, rows, columns = x.shape
    return batch, channels, rows, columns


MOVES: tuple[OnnxArm, ...] = (
    OnnxArm("Reshape", "constant shape", reshape),
    OnnxArm("Flatten", "", flatten),
    OnnxArm("Squeeze", "constant axes", squeeze),
    OnnxArm("Unsqueeze", "constant axes", unsqueeze),
    OnnxArm("Transpose", "seen, not moved, where what reads it allows", transpose),
    OnnxArm("Slice", "constant places", slice_),
    OnnxArm("Split", "constant sizes", split),
    OnnxArm("Gather", "", gather),
    OnnxArm("Expand", "constant shape", expand),
    OnnxArm("Tile", "constant repeats", tile),
    OnnxArm("DepthToSpace", "", depth_to_space),
    OnnxArm("SpaceToDepth", "", space_to_depth),
)
