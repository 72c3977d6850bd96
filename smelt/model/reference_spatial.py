"""What pooling and resizing compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.arithmetic import Integers
from smelt.model.graph import Array, Op
from smelt.model.ops import AveragePool2D, MaxPool2D, Pool, ResizeBilinear, ResizeNearest
from smelt.model.parameters import AxisWeights, average_counts, bilinear_parameters, nearest_parameters


def average_pool2d(op: AveragePool2D, x: Array) -> Array:
    if op.rescale is not None:
        summed = np.sum(_windows(op, x.astype(np.int64) - op.rescale.x_zero, 0), axis=(-2, -1))
        return np.asarray(np.clip(op.rescale.apply(summed), *op.clamp), op.y.element.numpy)
    total = np.sum(_windows(op, x.astype(np.int64), 0), axis=(-2, -1))
    count = average_counts(op)[..., np.newaxis]
    magnitude = (np.abs(total) + count // 2) // count
    return np.asarray(np.clip(np.sign(total) * magnitude, *op.clamp), op.y.element.numpy)


def max_pool2d(op: MaxPool2D, x: Array) -> Array:
    return np.asarray(np.clip(_windows(op, x, op.x.element.low).max(axis=(-2, -1)), *op.clamp), x.dtype)


def _windows(op: Pool, x: Array, value: int) -> Array:
    """(batch, rows of y, columns of y, channels, rows, columns of the window); outside the image is `value`."""
    padded = x
    for axis, before in ((1, op.pad.top), (2, op.pad.left)):
        needed = (op.y.shape[axis] - 1) * op.stride[axis - 1] + op.size[axis - 1]
        after = max(needed - before - x.shape[axis], 0)
        margins = [(before, after) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(padded, margins, constant_values=value).take(range(needed), axis=axis)
    windows = np.lib.stride_tricks.sliding_window_view(padded, op.size, (1, 2))
    return windows[:, :: op.stride[0], :: op.stride[1]]


def resize_nearest(op: ResizeNearest, x: Array) -> Array:
    p = nearest_parameters(op)
    return x[:, p.rows][:, :, p.columns]


def resize_bilinear(op: ResizeBilinear, x: Array) -> Array:
    p = bilinear_parameters(op)
    total: Integers = _interpolate(_interpolate(x.astype(np.int64), p.rows, 1), p.columns, 2)
    # Halves away from zero; what C's cast to int8 cuts off does not occur, corners being int8 themselves.
    return np.asarray(np.sign(total) * ((np.abs(total) + (1 << 19)) >> 20), np.int8)


def _interpolate(x: Integers, weights: AxisWeights, axis: int) -> Integers:
    fraction = weights.fraction.astype(np.int64).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    lower, upper = x.take(weights.lower, axis), x.take(weights.upper, axis)
    return np.asarray(lower * (1024 - fraction) + upper * fraction)


SPATIAL: dict[type[Op], Callable[..., Array]] = {
    AveragePool2D: average_pool2d,
    MaxPool2D: max_pool2d,
    ResizeNearest: resize_nearest,
    ResizeBilinear: resize_bilinear,
}
