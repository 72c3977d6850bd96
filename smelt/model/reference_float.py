"""What the operators that multiply and accumulate compute in float32, as TensorFlow Lite Micro's reference kernels do: products and
sums are rounded one by one, in the order of rows, columns and channels of the filter; the bias comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Op
from smelt.model.ops import (
    Clamp,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Pool,
    TransposeConv2D,
)

Floats = NDArray[np.float32]
Windowed = Conv2D | DepthwiseConv2D | Pool


def conv2d(op: Conv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """Cross-correlation; groups of channels follow from the depth of the weights."""
    depth, groups = weights.shape[3], x.shape[3] // weights.shape[3]
    total = np.zeros((*op.y.shape[:3], groups, len(weights) // groups), np.float32)
    filters = weights.reshape(groups, -1, *weights.shape[1:])
    for row, column, pixels in taps_of(op, x, weights.shape[1:3], op.dilation, np.float32(0)):
        parted = pixels.reshape(*pixels.shape[:3], groups, depth)
        for channel in range(depth):
            total += parted[..., channel, np.newaxis] * filters[:, :, row, column, channel]
    return finished(total.reshape(op.y.shape), bias, op.clamp)


def depthwise_conv2d(op: DepthwiseConv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """One filter per channel of y, `op.multiplier` of them per channel of x."""
    total = np.zeros(op.y.shape, np.float32)
    for row, column, pixels in taps_of(op, x, weights.shape[1:3], op.dilation, np.float32(0)):
        total += np.repeat(pixels, op.multiplier, axis=-1) * weights[0, row, column]
    return finished(total, bias, op.clamp)


def transpose_conv2d(op: TransposeConv2D, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """Every pixel of x, in order, adds a scaled copy of the filters to y, `op.stride` apart."""
    total = np.zeros(op.y.shape, np.float32)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            top, left = row * op.stride[0] - op.pad.top, column * op.stride[1] - op.pad.left
            rows, columns = (
                slice(max(-start, 0), max(min(size - start, taps), 0))
                for start, size, taps in zip((top, left), op.y.shape[1:3], weights.shape[1:3], strict=True)
            )
            part = weights[:, rows, columns]
            target = total[:, top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
            for channel in range(x.shape[3]):
                pixel = x[:, row, column, channel].reshape(-1, 1, 1, 1)
                target += pixel * part[np.newaxis, ..., channel].transpose(0, 2, 3, 1)
    return finished(total, bias, op.clamp)


def dense(op: Dense, x: Array, weights: Array, bias: Array | None = None) -> Array:
    """A matrix product; x is read as rows of `depth` elements."""
    rows = x.reshape(-1, weights.shape[1])
    total = np.zeros((len(rows), len(weights)), np.float32)
    for element in range(weights.shape[1]):
        total += rows[:, element, np.newaxis] * weights[:, element]
    return finished(total, bias, op.clamp)


def taps_of(
    op: Windowed, x: Array, size: tuple[int, int], dilation: tuple[int, int], outside: np.float32
) -> Iterator[tuple[int, int, Floats]]:
    """(row, column, pixels) for every tap of a window: what each output sees there, of y's rows and columns and x's channels."""
    padded: Any = x
    for axis, before in ((1, op.pad.top), (2, op.pad.left)):
        needed = (op.y.shape[axis] - 1) * op.stride[axis - 1] + (size[axis - 1] - 1) * dilation[axis - 1] + 1
        after = max(needed - before - x.shape[axis], 0)
        margins = [(before, after) if a == axis else (0, 0) for a in range(4)]
        padded = np.pad(padded, margins, constant_values=outside)
    for row in range(size[0]):
        for column in range(size[1]):
            first = row * dilation[0], column * dilation[1]
            stops = [f + (n - 1) * s + 1 for f, n, s in zip(first, op.y.shape[1:3], op.stride, strict=True)]
            yield row, column, padded[:, first[0] : stops[0] : op.stride[0], first[1] : stops[1] : op.stride[1]]


def finished(total: Array, bias: Array | None, clamp: Clamp) -> Array:
    return clamped(total if bias is None else total + bias, clamp)


def clamped(values: Array, clamp: Clamp) -> Array:
    """Within the limits of an activation, as minimum and maximum of C++ have it."""
    low, high = np.float32(clamp[0]), np.float32(clamp[1])
    raised = np.where(values < low, low, values)
    return np.asarray(np.where(high < raised, high, raised), np.float32)


REAL_LINEAR: dict[type[Op], Callable[..., Array]] = {
    Conv2D: conv2d,
    DepthwiseConv2D: depthwise_conv2d,
    TransposeConv2D: transpose_conv2d,
    Dense: dense,
}
