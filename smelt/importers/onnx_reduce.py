"""Reductions, pools and what goes along one axis: softmax, normalisations, the place of the largest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf, prod

import numpy as np

from smelt.importers.onnx_binary import ADD, MUL, combined, into_weights
from smelt.importers.onnx_fused import byte_of, meant, pooled_means, soft_maxima
from smelt.importers.onnx_moves import axes_of
from smelt.importers.onnx_nodes import Constant
from smelt.importers.onnx_site import OnnxArm, Site
from smelt.importers.onnx_unary import reals_of
from smelt.importers.onnx_views import Decoded, Limits, Order, Promise, Stored, View, natural_order, stored_as
from smelt.importers.onnx_windows import CHANNELS_LAST, Windows, as_it_was, image, windows
from smelt.model.graph import Tensor
from smelt.model.ops import AveragePool2D, L2Pool2D, MaxPool2D, Mean, Pad, Padding, Reduce, Softmax
from smelt.model.ops_pointwise import (
    ArgExtreme,
    ArgMax,
    ArgMin,
    CumulativeSum,
    LogSoftmax,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    Sum,
)


def reduced(at: Site, x: View, axes: tuple[int, ...], kind: type[Reduce], keep: bool) -> View:
    """One value from all along axes of ONNX."""
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    places = tuple(sorted(order.index(axis) for axis in axes))
    stored = tuple(1 if place in places else size for place, size in enumerate(x.stored))

    def build(tensor: Tensor) -> Tensor:
        y = at.bench.like(tensor, stored, at.wish)
        return at.bench.add(kind(x=tensor, y=y, axes=places), at.node.where)

    plain_byte = isinstance(x.source, Decoded) and x.source.table is None
    if kind in (ReduceMax, ReduceMin) and (plain_byte or isinstance(x.source, Stored)):
        source = at.bench.move(x.source, stored, build)
    else:
        held = at.bench.held(x)
        at.demand(held.dtype == "float32" or held.quantization is None, "it reduces quantised integers")
        source = build(held)
    seen = stored_as(source, order, x.dtype)
    return seen if keep else replace(seen, shape=tuple(s for a, s in enumerate(x.shape) if a not in axes))


def reduction(at: Site, kind: type[Reduce], before: str = "", behind: str = "") -> None:
    """`before` and `behind` are functions of each element that come before and after the reduction."""
    x = at.running(0)
    axes = axes_of(at, 1, len(x.shape))
    if axes is None:
        if at.integer("noop_with_empty_axes", 0):
            axes = ()
        else:
            axes = tuple(range(len(x.shape)))
    r = reals_of(at)
    if before:
        x = x.of(r.unary(before, at.bench.real(x)))  # type: ignore[arg-type]
    y = reduced(at, x, axes, kind, bool(at.integer("keepdims", 1))) if axes else x
    at.give(y.of(r.unary(behind, at.bench.real(y))) if behind else y)  # type: ignore[arg-type]


def mean(at: Site) -> None:
    x = at.running(0)
    axes = axes_of(at, 1, len(x.shape)) or tuple(range(len(x.shape)))
    if at.integer("noop_with_empty_axes", 0) and not axes_of(at, 1, len(x.shape)):
        at.give(x)
    else:
        at.give(mean_along(at, x, axes, bool(at.integer("keepdims", 1))))


def mean_along(at: Site, x: View, axes: tuple[int, ...], keep: bool) -> View:
    """The mean of all along axes of ONNX."""
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    places = tuple(sorted(order.index(axis) for axis in axes))
    stored = tuple(1 if place in places else size for place, size in enumerate(x.stored))

    def real(limits: Limits) -> Tensor:
        found = at.bench.add(Mean(x=at.bench.real(x), y=at.fresh(stored), axes=places), at.node.where)
        return found if limits == (-inf, inf) else reals_of(at).between(found, *limits)

    promise, byte = Promise(stored, real), byte_of(x.source)
    seen = stored_as(promise if byte is None else meant(at, byte, places, promise), order, x.dtype)
    return seen if keep else replace(seen, shape=tuple(s for a, s in enumerate(x.shape) if a not in axes))


def global_pool(at: Site, kind: type[Reduce]) -> None:
    x = at.running(0)
    axes = tuple(range(2, len(x.shape)))
    at.give(mean_along(at, x, axes, True) if kind is Mean else reduced(at, x, axes, kind, True))


def arg_extreme(at: Site, kind: type[ArgExtreme]) -> None:
    x = at.running(0)
    at.demand(not at.integer("select_last_index", 0), "select_last_index is not supported")
    axis = at.axis(at.integer("axis", 0), len(x.shape))
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    where = order.index(axis)
    tensor = x.source.tensor if isinstance(x.source, Decoded) and x.source.table is None else at.bench.held(x)
    y = at.fresh((*x.stored[:where], *x.stored[where + 1 :]), "int32")
    at.bench.add(kind(x=tensor, y=y, axis=where))
    at.bench.remark("places of extremes are int32, where ONNX has int64")
    rest = tuple(a - (a > axis) for a in order if a != axis)
    seen = stored_as(y, rest, "int64")
    kept = tuple(1 if a == axis else s for a, s in enumerate(x.shape))
    at.give(replace(seen, shape=kept) if at.integer("keepdims", 1) else seen)


# Pools


def max_pool(at: Site) -> None:
    at.demand(len(at.node.outputs) < 2 or not at.node.outputs[1], "the places of maxima are not supported")
    pooled(at, lambda tensor, y, w: MaxPool2D(x=tensor, y=y, size=w.size, stride=w.stride, pad=w.pad, clamp=_range(y)))


def _range(y: Tensor) -> tuple[float, float]:
    return (-inf, inf) if y.element.is_float else y.element.range


def _windows(at: Site, x: View) -> tuple[View, Windows]:
    rank = len(x.shape)
    seen = image(at, x)
    w = windows(at, seen.shape, at.many("kernel_shape", (), rank - 2))
    at.demand(w.dilation == (1, 1), "dilated pools are not supported")
    return seen, w


def pooled(at: Site, make: Callable[[Tensor, Tensor, Windows], MaxPool2D]) -> None:
    """Maxima commute with quantisation."""
    x = at.running(0)
    seen, w = _windows(at, x)
    stored = (seen.shape[0], *w.count, seen.shape[1])

    def build(tensor: Tensor) -> Tensor:
        return at.bench.add(make(tensor, at.bench.like(tensor, stored, at.wish), w), at.node.where)

    source = seen.source
    if isinstance(source, Decoded) and source.table is not None:
        source = at.bench.real(seen)
    at.give(as_it_was(stored_as(at.bench.move(source, stored, build), CHANNELS_LAST, x.dtype), len(x.shape)))


def average_pool(at: Site) -> None:
    at.give(averaged(at, at.running(0)))


def averaged(at: Site, x: View) -> View:
    """The means of windows."""
    seen, w = _windows(at, x)
    stored = (seen.shape[0], *w.count, seen.shape[1])
    counts = bool(at.integer("count_include_pad", 0))

    def real(limits: Limits) -> Tensor:
        tensor, pad = at.bench.real(seen), w.pad
        if counts and pad:
            tensor, pad = _padded(at, tensor, w)
        y = at.fresh(stored)
        op = AveragePool2D(x=tensor, y=y, size=w.size, stride=w.stride, pad=pad, clamp=limits)
        return at.bench.add(op, at.node.where)

    promise, byte = Promise(stored, real), byte_of(seen.source)
    if byte is not None and (not w.pad or (counts and not at.integer("ceil_mode", 0))):
        promise = pooled_means(at, byte, w.size, w.stride, w.pad, promise)
    return as_it_was(stored_as(promise, CHANNELS_LAST, "float32"), len(x.shape))


def _padded(at: Site, x: Tensor, w: Windows) -> tuple[Tensor, Padding]:
    """Zeros that count, around an image; padding that does not count is left where the last window reaches beyond them."""
    axes = len(at.many("kernel_shape", ()))
    behind = at.many("pads", (0,) * 2 * axes)[axes:] if at.text("auto_pad", "NOTSET") == "NOTSET" else ()
    rows, columns = (
        (behind[0], behind[1]) if len(behind) == 2 else (0, behind[0]) if behind else (w.pad.bottom, w.pad.right)
    )
    rows, columns = min(rows, w.pad.bottom), min(columns, w.pad.right)
    before, after = (0, w.pad.top, w.pad.left, 0), (0, rows, columns, 0)
    shape = tuple(n + b + a for n, b, a in zip(x.shape, before, after, strict=True))
    y = at.bench.like(x, shape)
    padded = at.bench.add(Pad(x=x, y=y, before=before, after=after, value=0.0), at.node.where)
    return padded, Padding(0, w.pad.bottom - rows, 0, w.pad.right - columns)


def lp_pool(at: Site) -> None:
    """The root of the sum of squares: that of the mean of squares, times the root of their number."""
    at.demand(at.integer("p", 2) == 2, "only p = 2 is supported")
    x = at.running(0)
    seen, w = _windows(at, x)
    at.demand(not w.pad, "padding is not supported")
    y = at.fresh((seen.shape[0], *w.count, seen.shape[1]))
    pooled = at.bench.add(L2Pool2D(x=at.bench.real(seen), y=y, size=w.size, stride=w.stride, clamp=(-inf, inf)))
    found = reals_of(at).times(pooled, float(np.sqrt(prod(w.size))))
    at.give(as_it_was(stored_as(found, CHANNELS_LAST, "float32"), len(x.shape)))


# Along one axis


def last_axis(at: Site, x: View, axis: int) -> tuple[View, Order]:
    """A value stored with that axis last, the others as they are."""
    order = natural_order(x)
    order = (*(a for a in order if a != axis), axis)
    return at.bench.arranged(x, order), order


def softmax(at: Site, log: bool = False) -> None:
    at.give(of_axis(at, at.running(0), at.version, log))


def of_axis(at: Site, x: View, version: int, log: bool = False, unsaid: int | None = None) -> View:
    """The softmax, or its logarithm, as that version of the operator set has it; `unsaid` is the axis of operators that have
    another one where they say none."""
    if unsaid is None:
        unsaid = -1 if version >= 13 else 1
    shape, axis = x.shape, at.axis(at.integer("axis", unsaid), max(len(x.shape), 1))
    if version < 13 and any(size != 1 for size in shape[axis + 1 :]):
        x = replace(x, shape=(prod(shape[:axis]), prod(shape[axis:])))
        axis = 1
    seen, order = last_axis(at, x, axis)

    def real(limits: Limits) -> Tensor:
        tensor = at.bench.real(seen)
        y = at.fresh(seen.stored)
        op = LogSoftmax(x=tensor, y=y) if log else Softmax(x=tensor, y=y)
        found = at.bench.add(op, at.node.where)
        return found if limits == (-inf, inf) else reals_of(at).between(found, *limits)

    promise, byte = Promise(seen.stored, real), byte_of(seen.source)
    if byte is not None and not log:
        promise = soft_maxima(at, byte, promise)
    return replace(stored_as(promise, order, "float32"), shape=shape)


def cumulative_sum(at: Site) -> None:
    x = at.running(0)
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    axis = order.index(at.axis(at.integers(1)[0] if at.integers(1) else 0, len(x.shape)))
    tensor = at.bench.held(x)
    op = CumulativeSum(
        x=tensor,
        y=at.fresh(x.stored, tensor.dtype),
        axis=axis,
        exclusive=bool(at.integer("exclusive", 0)),
        reverse=bool(at.integer("reverse", 0)),
    )
    at.give(stored_as(at.bench.add(op), order, x.dtype))


# Normalisations


def batch_normalization(at: Site) -> None:
    """Factors and addends for each channel: part of the weights before it, or two steps."""
    at.demand(not at.integer("training_mode", 0), "training_mode is not supported; export in eval mode")
    scale, bias, mean_, variance = (at.constant(place).data.astype(np.float64) for place in range(1, 5))
    with np.errstate(all="ignore"):
        factors = scale / np.sqrt(variance + at.real("epsilon", 1e-5))
    at.demand(bool(np.all(np.isfinite(factors))), "its variance and epsilon make factors that are no numbers")
    addends = (bias - mean_ * factors).astype(np.float32)
    x = at.running(0)
    if len(x.shape) < 2 or factors.shape != (x.shape[1],):
        at.broken(f"{factors.size} channels for a value of shape {list(x.shape)}")
    along = (-1, *(1,) * (len(x.shape) - 2))
    taken = into_weights(at, x, factors.astype(np.float32).reshape(along), addends.reshape(along))
    if taken is not None:
        at.give(taken)
        return
    product = combined(at, x, Constant(factors.astype(np.float32).reshape(along)), MUL)
    at.give(combined(at, product, Constant(addends.reshape(along)), ADD))


def normalized(at: Site, x: View, axes: tuple[int, ...], epsilon: float, parts: bool = False) -> View:
    """(x - mean) / sqrt(variance + epsilon) along axes of ONNX; with `parts`, the mean and the inverse of the root are results."""
    order = natural_order(x)
    x = at.bench.arranged(x, order)
    r, tensor = reals_of(at), at.bench.real(x)
    places = tuple(sorted(order.index(axis) for axis in axes))
    stored = tuple(1 if place in places else size for place, size in enumerate(x.stored))

    def average(of: Tensor) -> Tensor:
        return at.bench.add(Mean(x=of, y=at.fresh(stored), axes=places))

    mean_ = average(tensor)
    centred = r.plus(tensor, mean_, subtract=True)
    root = r.unary("sqrt", r.plus(average(r.unary("square", centred)), epsilon))
    if parts and any(at.node.outputs[1:]):
        at.give(stored_as(mean_, order, "float32"), 1)
        at.give(stored_as(r.over(1.0, root), order, "float32"), 2)
    return stored_as(r.over(centred, root), order, "float32")


def layer_normalization(at: Site) -> None:
    x = at.running(0)
    first = at.axis(at.integer("axis", -1), len(x.shape))
    y: View | Constant = normalized(at, x, tuple(range(first, len(x.shape))), at.real("epsilon", 1e-5), parts=True)
    y = combined(at, y, at.any(1), MUL)
    at.give(combined(at, y, at.any(2), ADD) if at.has(2) else y)


def instance_normalization(at: Site) -> None:
    x, scale, bias = at.running(0), at.constant(1).data, at.constant(2).data
    along = (-1, *(1,) * (len(x.shape) - 2))
    y: View | Constant = normalized(at, x, tuple(range(2, len(x.shape))), at.real("epsilon", 1e-5))
    y = combined(at, y, Constant(scale.reshape(along)), MUL)
    at.give(combined(at, y, Constant(bias.reshape(along)), ADD))


def group_normalization(at: Site) -> None:
    x, scale, bias = at.running(0), at.constant(1).data, at.constant(2).data
    groups = at.integer("num_groups", 1)
    if groups < 1 or x.shape[1] % groups:
        at.broken(f"{x.shape[1]} channels in {groups} groups")
    at.demand(at.version >= 21 or scale.size == groups, "its scale has an unknown number of values")
    parted = replace(x, shape=(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    y = normalized(at, parted, tuple(range(2, len(parted.shape))), at.real("epsilon", 1e-5))
    along = (-1, *(1,) * (len(x.shape) - 2))
    repeat = x.shape[1] // scale.size
    whole: View | Constant = replace(y, shape=x.shape)
    whole = combined(at, whole, Constant(np.repeat(scale, repeat).reshape(along)), MUL)
    at.give(combined(at, whole, Constant(np.repeat(bias, repeat).reshape(along)), ADD))


REDUCTIONS: tuple[OnnxArm, ...] = (
    OnnxArm("ReduceMean", "", mean),
    OnnxArm("ReduceSum", "", partial(reduction, kind=Sum)),
    OnnxArm("ReduceMax", "", partial(reduction, kind=ReduceMax)),
    OnnxArm("ReduceMin", "", partial(reduction, kind=ReduceMin)),
    OnnxArm("ReduceProd", "", partial(reduction, kind=ReduceProduct)),
    OnnxArm("ReduceL1", "", partial(reduction, kind=Sum, before="abs")),
    OnnxArm("ReduceL2", "", partial(reduction, kind=Sum, before="square", behind="sqrt")),
    OnnxArm("ReduceSumSquare", "", partial(reduction, kind=Sum, before="square")),
    OnnxArm("ReduceLogSum", "", partial(reduction, kind=Sum, behind="log")),
    OnnxArm("ReduceLogSumExp", "", partial(reduction, kind=Sum, before="exp", behind="log")),
    OnnxArm("GlobalAveragePool", "", partial(global_pool, kind=Mean)),
    OnnxArm("GlobalMaxPool", "", partial(global_pool, kind=ReduceMax)),
    OnnxArm("ArgMax", "the first of several", partial(arg_extreme, kind=ArgMax)),
    OnnxArm("ArgMin", "the first of several", partial(arg_extreme, kind=ArgMin)),
    OnnxArm("MaxPool", "1-D and 2-D", max_pool),
    OnnxArm("AveragePool", "1-D and 2-D, with and without counting the padding", average_pool),
    OnnxArm("LpPool", "p = 2, no padding", lp_pool),
    OnnxArm("Softmax", "", softmax),
    OnnxArm("LogSoftmax", "", partial(softmax, log=True)),
    OnnxArm("CumSum", "", cumulative_sum),
    OnnxArm("BatchNormalization", "part of the weights before it where it can be", batch_normalization),
    OnnxArm("LayerNormalization", "", layer_normalization),
    OnnxArm("InstanceNormalization", "", instance_normalization),
    OnnxArm("GroupNormalization", "", group_normalization),
)
