"""What multiplies and accumulates in integer networks: convolutions, products with matrices, and pools that add up windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from smelt.importers.onnx_bench import Refusal
from smelt.importers.onnx_dense import rows_of
from smelt.importers.onnx_integer_ops import integers_of, narrow, stored
from smelt.importers.onnx_integer_values import (
    PLAIN,
    POOLED,
    REQUANTISED,
    Numbers,
    Sums,
    missing,
    of_sums,
    stored_range,
)
from smelt.importers.onnx_moves import axes_of
from smelt.importers.onnx_site import Site
from smelt.importers.onnx_views import Decoded, View, plain, stored_as
from smelt.importers.onnx_windows import CHANNELS_LAST, as_it_was, image, windows
from smelt.model.dtypes import DType
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import AveragePool2D, Conv2D, Dense, DepthwiseConv2D, Padding
from smelt.model.rescale import Rescale

INT32 = 2**31
NIBBLES = (-8, 7)
Make = Callable[[Tensor, Rescale], Op]


def weights_of(at: Site, place: int) -> Numbers:
    """Whole numbers of at most 8 bits."""
    numbers = integers_of(at, place)
    low, high = int(numbers.min(initial=0)), int(numbers.max(initial=0))
    if low < -128 or high > 127:
        raise missing(REQUANTISED, f"weights of 8 bits, -128 to 127; these reach from {low} to {high}")
    return numbers


def weight_type(at: Site, numbers: Numbers, x: Tensor) -> DType:
    """Weights of 4 and of 2 bits lie packed, two in a byte; the file may say how many bits they have."""
    few = at.integer("weight_bits", 8) <= 4 or bool(NIBBLES[0] <= numbers.min() and numbers.max() <= NIBBLES[1])
    fits = bool(NIBBLES[0] <= numbers.min() and numbers.max() <= NIBBLES[1])
    return "int4" if few and fits and x.dtype == "int8" else "int8"


def bias_of(at: Site, place: int, units: int) -> Numbers:
    """What is added to the sums of each channel."""
    if not at.has(place) or at.constant(place).data.size == 0:
        return np.zeros(units, np.int64)
    numbers = integers_of(at, place).reshape(-1)
    if numbers.size not in (1, units):
        at.broken(f"a bias of {numbers.size} numbers for {units} channels")
    if np.abs(numbers).max() >= INT32:
        raise missing(REQUANTISED, "a bias of 32 bits")
    return np.broadcast_to(numbers, (units,))


def summed(at: Site, weights: Numbers, bias: Numbers, x: Decoded, zeros: bool, make: Make) -> Sums:
    """The sums of (channels, taps) of weights; `zeros` says that some taps may see padding."""
    low, high = stored_range(x)
    low, high = (min(low, 0), max(high, 0)) if zeros else (low, high)
    more, less = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    least, most = bias + more * low + less * high, bias + more * high + less * low
    if least.min() < -INT32 or most.max() >= INT32:
        raise Refusal("its sums do not fit 32 bits")
    return Sums(least, most, make, x.tensor.q.zero_point)


def conv(at: Site) -> None:
    view, _ = stored(at, 0)
    seen, numbers = image(at, view), weights_of(at, 1)
    rank, groups = len(view.shape), at.integer("group", 1)
    if numbers.ndim != rank:
        at.broken(f"weights of shape {list(numbers.shape)} do not fit an input with {rank} axes")
    channels, depth = numbers.shape[:2]
    if groups < 1 or seen.shape[1] != depth * groups or channels % groups:
        at.broken(f"weights of shape {list(numbers.shape)} do not fit an input of shape {list(view.shape)}")
    w, bias = windows(at, seen.shape, numbers.shape[2:]), bias_of(at, 2, channels)
    filters = numbers if rank == 4 else numbers[:, :, np.newaxis]
    single = depth == 1 and groups > 1
    kind = DepthwiseConv2D if single else Conv2D
    source = seen.source
    assert isinstance(source, Decoded)
    settings: dict[str, Any] = {"stride": w.stride, "dilation": w.dilation, "pad": w.pad}
    lying = filters.transpose(1, 2, 3, 0) if single else filters.transpose(0, 2, 3, 1)
    make = _with_weights(at, source.tensor, lying, bias, lambda operands: kind(**operands, **settings))
    sums = summed(at, numbers.reshape(channels, -1), bias, source, bool(w.pad), make)
    made = of_sums(sums, (seen.shape[0], *w.count, channels), at.node.where, at.wish)
    at.give(as_it_was(stored_as(made, CHANNELS_LAST, "float32"), rank))


def _with_weights(at: Site, x: Tensor, lying: Numbers, bias: Numbers, build: Callable[[dict[str, Any]], Op]) -> Make:
    """Make an op of constants as they lie in memory."""

    def make(y: Tensor, rescale: Rescale) -> Op:
        weights = at.bench.constant(f"{at.wish}.weights", lying, weight_type(at, lying, x), PLAIN)
        added = at.bench.constant(f"{at.wish}.bias", bias, "int32", PLAIN) if bias.any() else None
        return build({"x": x, "weights": weights, "bias": added, "y": y, "rescale": rescale})

    return make


def gemm(at: Site) -> None:
    if at.integer("transA", 0) or at.real("alpha", 1.0) != 1 or at.real("beta", 1.0) != 1:
        raise missing("Flatten -> Gemm (alpha = beta = 1)", "a product without transA, alpha and beta")
    _multiplied(at, bool(at.integer("transB", 0)), bias=True)


def matmul(at: Site) -> None:
    _multiplied(at, False, bias=False)


def _multiplied(at: Site, transposed: bool, bias: bool) -> None:
    view, _ = stored(at, 0)
    numbers = weights_of(at, 1)
    if numbers.ndim != 2 or not view.shape:
        raise missing("Flatten -> Gemm or MatMul", f"weights with two axes; these are {list(numbers.shape)}")
    rows = numbers if transposed else numbers.T
    units, depth = rows.shape
    if view.shape[-1] != depth:
        at.broken(f"weights of shape {list(numbers.shape)} do not fit an input of shape {list(view.shape)}")
    seen, columns = rows_of(at, view)
    if columns is not None:
        moved = np.empty_like(rows)
        moved[:, columns] = rows
        rows = moved
    source = seen.source
    assert isinstance(source, Decoded)
    added = bias_of(at, 2, units) if bias else np.zeros(units, np.int64)
    make = _with_weights(at, source.tensor, rows, added, lambda operands: Dense(**operands))
    sums = summed(at, rows, added, source, False, make)
    at.give(plain(of_sums(sums, (*view.shape[:-1], units), at.node.where, at.wish), "float32"))


# Pools that add up


def average_pool(at: Site) -> None:
    """The sum of each window, over their size: files multiply by that size afterwards, and divide by a power of two."""
    view, _ = stored(at, 0, POOLED)
    size = at.many("kernel_shape", (), len(view.shape) - 2)
    seen = image(at, view)
    w = windows(at, seen.shape, size)
    if w.dilation != (1, 1):
        at.refuse("dilated pools are not supported")
    if w.pad and not at.integer("count_include_pad", 0):
        raise missing(POOLED, "windows that all have the same number of elements: its padding does not count")
    if at.integer("ceil_mode", 0) and _reaches_beyond(at, seen, w.count, w.size, w.stride, w.pad):
        raise missing(POOLED, "windows that are all whole: its last ones reach beyond the image (ceil_mode)")
    _pooled(at, view, seen, w.count, w.size, w.stride, w.pad, prod(size))


def _reaches_beyond(
    at: Site, seen: View, count: tuple[int, int], size: tuple[int, int], stride: tuple[int, int], pad: Padding
) -> bool:
    pads = at.many("pads", (0,) * 4)
    given = (pads[2], pads[3]) if len(pads) == 4 else (0, pads[-1])
    ends = ((count[axis] - 1) * stride[axis] + size[axis] for axis in (0, 1))
    first = (pad.top, pad.left)
    return any(end - first[axis] - seen.shape[axis + 2] > given[axis] for axis, end in enumerate(ends))


def _pooled(
    at: Site,
    view: View,
    seen: View,
    count: tuple[int, int],
    size: tuple[int, int],
    stride: tuple[int, int],
    pad: Padding,
    divisor: int,
) -> View:
    """Give the sums of windows, over a divisor."""
    source, channels = seen.source, seen.shape[1]
    assert isinstance(source, Decoded)
    x = source.tensor
    taps = np.ones((channels, prod(size)), np.int64)

    def make(y: Tensor, rescale: Rescale) -> Op:
        if x.dtype == "int8":
            one = rescale.of(np.zeros(1, np.intp))
            return AveragePool2D(x=x, y=y, size=size, stride=stride, pad=pad, clamp=rescale.clamp, rescale=one)
        ones: Array = np.ones((1, *size, channels), np.int8)
        weights = at.bench.constant(f"{at.wish}.weights", ones, "int8", PLAIN)
        return DepthwiseConv2D(x=x, weights=weights, bias=None, y=y, rescale=rescale, stride=stride, pad=pad)

    sums = summed(at, taps, np.zeros(channels, np.int64), source, bool(pad), make)
    made = of_sums(sums, (seen.shape[0], *count, channels), at.node.where, at.wish, POOLED, divisor)
    found = as_it_was(stored_as(made, CHANNELS_LAST, "float32"), len(view.shape))
    at.give(found)
    return found


def global_pool(at: Site) -> None:
    view, _ = stored(at, 0, POOLED)
    seen = image(at, view)
    size = seen.shape[2], seen.shape[3]
    _pooled(at, view, seen, (1, 1), size, (1, 1), Padding(), prod(size))


def reduced(at: Site, mean: bool) -> None:
    """The sum, or the mean, of whole images."""
    view, source = stored(at, 0, POOLED)
    rank = len(view.shape)
    axes = axes_of(at, 1, rank)
    if rank not in (3, 4) or axes != tuple(range(2, rank)):
        raise missing(POOLED, f"all rows and columns of an image as its axes; these are {list(axes or ())}")
    narrow(at, source, 0, POOLED)
    seen = image(at, view)
    size = seen.shape[2], seen.shape[3]
    found = _pooled(at, view, seen, (1, 1), size, (1, 1), Padding(), prod(size) if mean else 1)
    if not at.integer("keepdims", 1):
        at.give(replace(found, shape=found.shape[:2]))
