"""Concatenation, padding and resizing: moves whose constants depend on how values are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite

import numpy as np

from smelt.importers.onnx_linear import stored_limits
from smelt.importers.onnx_moves import gathered, sliced
from smelt.importers.onnx_quant import integers, stored
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_views import (
    Decoded,
    Limits,
    Order,
    Promise,
    Shape,
    Source,
    Stored,
    Target,
    View,
    natural_order,
    stored_as,
)
from smelt.importers.onnx_windows import CHANNELS_LAST
from smelt.model.graph import Array, Tensor
from smelt.model.ops import Concat, Pad, ResizeBilinear, ResizeNearest
from smelt.model.parameters import nearest_parameters

# Concatenation


def concat(at: Site) -> None:
    views = [at.view(place) for place in range(len(at.node.inputs))]
    at.give(joined(at, views, at.axis(at.integer("axis", 1), len(views[0].shape))))


def joined(at: Site, views: Sequence[View], axis: int) -> View:
    """Values one behind the other along an axis of ONNX."""
    first = views[0]
    for view in views[1:]:
        if [s for a, s in enumerate(view.shape) if a != axis] != [s for a, s in enumerate(first.shape) if a != axis]:
            at.broken(f"values of shapes {list(first.shape)} and {list(view.shape)} do not fit along axis {axis}")
    at.demand(len({view.dtype for view in views}) == 1, "it joins values of several types")
    order = _order(views)
    views = [at.bench.arranged(view, order) for view in views]
    where = order.index(axis)
    shape = list(views[0].stored)
    shape[where] = sum(view.stored[where] for view in views)
    return stored_as(_joined(at, views, where, tuple(shape)), order, first.dtype)


def _order(views: Sequence[View]) -> Order:
    orders = [
        natural_order(view) for view in views if not (isinstance(view.source, Tensor) and view.source.is_constant)
    ]
    own = tuple(range(len(views[0].shape)))
    return next((order for order in orders if order != own), own)


def _joined(at: Site, views: Sequence[View], axis: int, shape: Shape) -> Source:
    def join(tensors: Sequence[Tensor]) -> Tensor:
        y = at.bench.like(tensors[0], shape, at.wish)
        return at.bench.add(Concat(xs=tuple(tensors), y=y, axis=axis), at.node.where)

    sources = [view.source for view in views]
    if all(isinstance(s, Stored) for s in sources) or views[0].dtype != "float32":
        held = [at.bench.held(view) for view in views]
        at.demand(len({(t.dtype, t.quantization) for t in held}) == 1, "it joins integers of several scales")
        return join(held)
    plain = [s.tensor for s in sources if isinstance(s, Decoded) and s.table is None]
    if len(plain) == len(sources) and len({(t.dtype, t.quantization) for t in plain}) == 1:
        return Decoded(join(plain))

    def real(limits: Limits) -> Tensor:
        from smelt.importers.onnx_unary import reals_of

        found = join([at.bench.real(view) for view in views])
        return found if limits == (-inf, inf) else reals_of(at).between(found, *limits)

    def quantised(target: Target, limits: Limits) -> Tensor:
        low, high = stored_limits(target, limits)
        narrowed = replace(target, low=low, high=high)
        return join([integers(at, view, narrowed) for view in views])

    return Promise(shape, real, quantised, types=("int8", "int16"))


# Padding


def pad(at: Site) -> None:
    x = at.running(0)
    rank = len(x.shape)
    before, after = _margins(at, rank)
    value = _value(at)
    at.demand(isfinite(value), "it pads with what is no finite number")
    parts = [slice(-min(b, 0), size + min(a, 0)) for b, a, size in zip(before, after, x.shape, strict=True)]
    if any(part.stop <= part.start for part in parts):
        at.refuse("nothing is left of its operand")
    if any(b < 0 or a < 0 for b, a in zip(before, after, strict=True)):
        x = sliced(at, x, parts)
    at.bounded([size + max(b, 0) + max(a, 0) for b, a, size in zip(before, after, x.shape, strict=True)])
    before, after = tuple(max(b, 0) for b in before), tuple(max(a, 0) for a in after)
    mode = at.text("mode", "constant")
    if mode == "constant":
        at.give(padded(at, x, before, after, value))
        return
    known = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    at.demand(mode in known, f"the mode {mode} is not supported")
    for axis, (b, a) in enumerate(zip(before, after, strict=True)):
        if b or a:
            where = np.pad(np.arange(x.shape[axis]), (b, a), mode=known[mode])  # type: ignore[call-overload]
            x = gathered(at, x, axis, where)
    at.give(x)


def _margins(at: Site, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All begins, then all ends; where axes are named, of those."""
    pads = at.integers(1) if at.version >= 11 else at.many("pads", at.many("paddings", ()))
    axes = tuple(at.axis(axis, rank) for axis in at.integers(3)) if at.has(3) else tuple(range(rank))
    if len(pads) != 2 * len(axes):
        at.broken(f"{len(pads)} paddings for {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    return tuple(before), tuple(after)


def _value(at: Site) -> float:
    return (at.number(2) if at.has(2) else 0.0) if at.version >= 11 else at.real("value", 0.0)


def padded(at: Site, x: View, before: Sequence[int], after: Sequence[int], value: float) -> View:
    """A value with that number around it: as stored, what a quantiser makes of the number."""
    if not any((*before, *after)):
        return x
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    first, last = tuple(before[axis] for axis in order), tuple(after[axis] for axis in order)
    shape = tuple(n + b + a for n, b, a in zip(x.stored, first, last, strict=True))

    def around(tensor: Tensor, value: float) -> Tensor:
        y = at.bench.like(tensor, shape, at.wish)
        number = float(value) if y.element.is_float else int(value)
        return at.bench.add(Pad(x=tensor, y=y, before=first, after=last, value=number), at.node.where)

    return stored_as(_padded(at, x, shape, around, value), order, x.dtype)


def _padded(at: Site, x: View, shape: Shape, around: object, value: float) -> Source:
    assert callable(around)
    match x.source:
        case Decoded(table=None) as source:
            byte = _as_stored(source, value)
            if byte is not None:
                return replace(source, tensor=around(source.tensor, byte))
        case Promise() as source:
            quantised = source.quantised

            promised = source.real

            def integers_(target: Target, limits: Limits) -> Tensor:
                assert quantised is not None
                number = stored(np.asarray([np.clip(value, *limits)], np.float32), target)
                found: Tensor = around(quantised(target, limits), int(number[0]))
                return found

            def real(limits: Limits) -> Tensor:
                found: Tensor = around(promised(limits), float(np.clip(value, *limits)))
                return found

            return Promise(shape, real, None if quantised is None else integers_, source.limits, source.types)
        case Stored() as source:
            offset = -128 if x.dtype.startswith("u") else 0
            return Stored(shape, source.target, lambda target: around(source.make(target), int(value) + offset))
    found: Tensor = around(at.bench.held(x), value)
    return found


def _as_stored(source: Decoded, value: float) -> int | None:
    """The stored integer that stands for exactly that number; None where none does."""
    q = source.tensor.q
    byte = np.rint(np.float32(value) / np.float32(q.scale)) + q.zero_point
    low, high = source.tensor.element.range
    if not low <= byte <= high or np.float32(byte - q.zero_point) * np.float32(q.scale) != np.float32(value):
        return None
    return int(byte)


# Resizing


def resize(at: Site) -> None:
    x = at.running(0)
    sizes, scales = _sizes(at, x)
    changed = [
        axis for axis, (old, new) in enumerate(zip(x.shape, sizes, strict=True)) if old != new or scales[axis] != 1
    ]
    mode, how = at.text("mode", "nearest"), _coordinates(at)
    at.demand(not at.integer("antialias", 0), "antialias is not supported")
    at.demand(how != "tf_crop_and_resize", "tf_crop_and_resize is not supported")
    if mode == "nearest":
        at.give(_nearest(at, x, sizes, scales, changed, how))
    elif mode == "linear":
        at.give(_bilinear(at, x, sizes, scales, changed, how))
    else:
        at.refuse(f"the mode {mode} is not supported; nearest and linear are")


def _coordinates(at: Site) -> str:
    if at.node.op == "Upsample" or at.version < 11:
        return "asymmetric"
    return at.text("coordinate_transformation_mode", "half_pixel")


def _sizes(at: Site, x: View) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape of the result, and what each axis is scaled by."""
    rank = len(x.shape)
    first = 1 if at.node.op == "Upsample" or at.version < 11 else 2
    axes = tuple(at.axis(a, rank) for a in at.many("axes", tuple(range(rank))))
    sizes, scales = list(x.shape), [1.0] * rank
    given = at.node.attributes.get("scales")
    if at.has(3) and at.constant(3).data.size:
        wanted = at.integers(3)
        at.demand(at.text("keep_aspect_ratio_policy", "stretch") == "stretch", "only the policy stretch is supported")
        if len(wanted) != len(axes):
            at.broken(f"{len(wanted)} sizes for {len(axes)} axes")
        for axis, size in zip(axes, wanted, strict=True):
            sizes[axis], scales[axis] = size, size / x.shape[axis]
    else:
        factors = (
            tuple(map(float, given))
            if isinstance(given, tuple)
            else tuple(at.constant(first).data.reshape(-1).tolist())
        )
        if len(factors) != len(axes):
            at.broken(f"{len(factors)} scales for {len(axes)} axes")
        for axis, factor in zip(axes, factors, strict=True):
            scales[axis] = float(np.float32(factor))
            sizes[axis] = int(np.floor(x.shape[axis] * scales[axis])) if 0 < scales[axis] < 1 << 30 else 0
    if min(sizes) < 1 or not all(0 < scale < inf for scale in scales):
        at.refuse(f"its result would have the shape {sizes}")
    return at.bounded(sizes), tuple(scales)


def _origin(how: str, old: int, new: int, scale: float) -> Array:
    """Where along an axis of x every place of y comes from."""
    place = np.arange(new, dtype=np.float64)
    match how:
        case "asymmetric":
            return place / scale
        case "align_corners":
            return place * ((old - 1) / (new - 1)) if new > 1 else place * 0
        case "pytorch_half_pixel" if new == 1:
            return place * 0
        case "half_pixel_symmetric":
            adjusted = new / (scale * old)
            return (old / 2) * (1 - adjusted) + (place + 0.5) / scale - 0.5
    return (place + 0.5) / scale - 0.5


def _nearest(
    at: Site, x: View, sizes: tuple[int, ...], scales: tuple[float, ...], changed: list[int], how: str
) -> View:
    """By places of rows and columns; one step where they are those of a resized image."""
    rounding = "floor" if at.version < 11 or at.node.op == "Upsample" else at.text("nearest_mode", "round_prefer_floor")
    places = {}
    for axis in changed:
        origin = _origin(how, x.shape[axis], sizes[axis], scales[axis])
        found = {
            "floor": np.floor(origin),
            "ceil": np.ceil(origin),
            "round_prefer_ceil": np.floor(origin + 0.5),
        }.get(rounding, np.ceil(origin - 0.5))
        places[axis] = np.clip(found, 0, x.shape[axis] - 1).astype(np.int64)
    image = _as_image(at, x, sizes, places)
    if image is not None:
        return image
    for axis, where in places.items():
        x = gathered(at, x, axis, where)
    return x


def _as_image(at: Site, x: View, sizes: tuple[int, ...], places: dict[int, Array]) -> View | None:
    if len(x.shape) != 4 or not set(places) <= {2, 3}:
        return None
    seen = at.bench.arranged(x, CHANNELS_LAST)
    stored_shape = tuple(sizes[axis] for axis in CHANNELS_LAST)
    sample = ResizeNearest(x=Tensor("x", seen.stored, "int8"), y=Tensor("y", stored_shape, "int8"))
    p = nearest_parameters(sample)
    own = {axis: np.arange(sizes[axis]) for axis in (2, 3)} | places
    if not (np.array_equal(p.rows, own[2]) and np.array_equal(p.columns, own[3])):
        return None

    def build(tensor: Tensor) -> Tensor:
        y = at.bench.like(tensor, stored_shape, at.wish)
        return at.bench.add(ResizeNearest(x=tensor, y=y), at.node.where)

    return stored_as(at.bench.move(seen.source, stored_shape, build), CHANNELS_LAST, x.dtype)


def _bilinear(
    at: Site, x: View, sizes: tuple[int, ...], scales: tuple[float, ...], changed: list[int], how: str
) -> View:
    rank = len(x.shape)
    at.demand(rank in (3, 4) and set(changed) <= {2, 3}, "only rows and columns of images can be interpolated")
    exact = all(abs(scales[axis] - sizes[axis] / x.shape[axis]) < 1e-6 for axis in changed)
    at.demand(exact or how == "align_corners", "its scales do not divide the sizes; give it the sizes")
    if how == "pytorch_half_pixel" and all(sizes[axis] > 1 for axis in changed):
        how = "half_pixel"
    single = any(sizes[axis] == 1 < x.shape[axis] for axis in changed)
    at.demand(how != "align_corners" or not single, "align_corners of a single row or column is not supported")
    if how == "half_pixel_symmetric":
        how = "half_pixel"
    at.demand(how in ("half_pixel", "align_corners", "asymmetric"), f"{how} is not supported")
    four = x if rank == 4 else replace(x, shape=(*x.shape[:2], 1, x.shape[2]))
    wanted = sizes if rank == 4 else (*sizes[:2], 1, sizes[2])
    seen = at.bench.arranged(four, CHANNELS_LAST)
    y = at.fresh(tuple(wanted[axis] for axis in CHANNELS_LAST))
    op = ResizeBilinear(
        x=at.bench.real(seen),
        y=y,
        align_corners=how == "align_corners",
        half_pixel_centers=how == "half_pixel",
    )
    return replace(stored_as(at.bench.add(op), CHANNELS_LAST, "float32"), shape=sizes)


JOINS: tuple[OnnxArm, ...] = (
    OnnxArm("Concat", "", concat),
    OnnxArm("Pad", "constant, reflect, edge, wrap; constant margins", pad),
    OnnxArm("Resize", "nearest; linear of images", resize),
    OnnxArm("Upsample", "nearest; linear of images", resize),
)
