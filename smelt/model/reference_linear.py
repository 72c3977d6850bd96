"""What the operators that multiply and accumulate compute: convolutions and the dense layer.

Sums are exact: products of int8 numbers are integers far below what a float holds, so BLAS may add them in any order,
and the bias is added in int64. Where a sum leaves int32 (no sane model does) `requantize` wraps it as 32-bit C does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Op
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Linear, Total, TransposeConv2D

Floats = NDArray[Any]


def conv2d(op: Conv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """Cross-correlation; groups of channels follow from the depth of the weights."""
    channels, rows, columns, depth = weights.shape
    groups = x.shape[-1] // depth
    centred = _centre(op, x, rows * columns * depth)
    flat = _filters(op, weights, centred).reshape(groups, channels // groups, -1)
    parts = [_patches(op, part) @ flat[g].T for g, part in enumerate(np.split(centred, groups, axis=-1))]
    return _finish(op, np.concatenate(parts, axis=-1), bias)


def depthwise_conv2d(op: DepthwiseConv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """One filter per channel of y, `op.multiplier` of them per channel of x."""
    centred = np.repeat(_centre(op, x, weights[0, :, :, 0].size), op.multiplier, axis=-1)
    taps = _windows(op, centred)
    acc = np.zeros((*taps.shape[:3], weights.shape[-1]), centred.dtype)
    for row in range(weights.shape[1]):
        for column in range(weights.shape[2]):
            acc += taps[..., row, column] * _filters(op, weights[0, row, column], centred)
    return _finish(op, acc, bias)


def transpose_conv2d(op: TransposeConv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """Every element of x adds a scaled copy of the filters to y, `op.stride` apart."""
    channels, rows, columns, depth = weights.shape
    centred = _centre(op, x, rows * columns * depth)
    (down, right), (_, height, width, _) = op.stride, x.shape
    full_rows = max((height - 1) * down + rows, op.pad.top + op.y.shape[1])
    full_columns = max((width - 1) * right + columns, op.pad.left + op.y.shape[2])
    full = np.zeros((x.shape[0], full_rows, full_columns, channels), centred.dtype)
    for row in range(rows):
        for column in range(columns):
            target = full[:, row : row + height * down : down, column : column + width * right : right]
            target[:, :height, :width] += centred @ weights[:, row, column].T.astype(centred.dtype)
    top, left = op.pad.top, op.pad.left
    return _finish(op, full[:, top : top + op.y.shape[1], left : left + op.y.shape[2]], bias)


def dense(op: Dense, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """A matrix product; x is read as rows of `depth` elements."""
    depth = weights.shape[1]
    centred = _centre(op, x, depth).reshape(-1, depth)
    return _finish(op, centred @ _filters(op, weights, centred).T, bias)


def total(op: Total, x: Array) -> Array:
    """Sums in parts: the zero point of x is taken off all at once."""
    layer, weights = op.of, op.of.weights.constant.astype(np.int64)
    acc = x.astype(np.int64).sum(axis=0)[: len(weights)] - layer.rescale.x_zero * weights.sum(axis=1)
    return _finish(layer, acc, None if layer.bias is None else layer.bias.constant)


def _centre(op: Linear, x: Array, depth: int) -> Floats:
    """x minus its zero point, as floats that hold a sum of `depth` products exactly (each below 2**15, of int16 below 2**23)."""
    exact = np.dtype(
        np.float32 if depth <= 2**9 and x.dtype != np.int16 and not op.rescale.weights_zero else np.float64
    )
    return (x.astype(np.int32) - op.rescale.x_zero).astype(exact)


def _filters(op: Linear, weights: Array, centred: Floats) -> Floats:
    """Weights less their zero point, in the type of `centred`."""
    return np.asarray(weights.astype(centred.dtype) - centred.dtype.type(op.rescale.weights_zero))


def _windows(op: Conv2D | DepthwiseConv2D, centred: Floats) -> Floats:
    """The elements that each output sees: (batch, rows of y, columns of y, channels, rows, columns of the filter)."""
    size, spread = op.weights.shape[1:3], op.dilation
    extent = tuple((k - 1) * d + 1 for k, d in zip(size, spread, strict=True))
    padded = centred
    for axis, before in ((1, op.pad.top), (2, op.pad.left)):
        needed = (op.y.shape[axis] - 1) * op.stride[axis - 1] + extent[axis - 1]
        after = max(needed - before - centred.shape[axis], 0)
        padded = np.pad(padded, [(before, after) if a == axis else (0, 0) for a in range(4)])
        padded = padded.take(range(needed), axis=axis)
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, (1, 2))
    spaced: Floats = windows[:, :: op.stride[0], :: op.stride[1], :, :: spread[0], :: spread[1]]
    return spaced


def _patches(op: Conv2D, centred: Floats) -> Floats:
    """`_windows` with each output's elements in the order of the weights: (batch, rows, columns, elements)."""
    if op.weights.shape[1:3] == (1, 1) and op.stride == (1, 1) and not op.pad:
        return centred
    windows = _windows(op, centred).transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def _finish(op: Linear, acc: Floats, bias: Array | None) -> Array:
    total = acc.astype(np.int64)
    if bias is not None:
        total += bias.astype(np.int64)
    return op.rescale.apply(total).astype(op.y.element.numpy).reshape(op.y.shape)


LINEAR: dict[type[Op], Callable[..., Array]] = {
    Conv2D: conv2d,
    DepthwiseConv2D: depthwise_conv2d,
    TransposeConv2D: transpose_conv2d,
    Dense: dense,
    Total: total,
}
