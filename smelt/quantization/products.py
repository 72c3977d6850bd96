"""Operators that multiply and accumulate, as products of matrices: patches of x times filters, in groups of channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Op
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Linear, Windowed

Floats = NDArray[Any]


def is_product(op: Op) -> bool:
    """Whether `filters_of` and `patches_of` know the op: it has constant weights, and every output sees one patch of x."""
    return isinstance(op, Conv2D | DepthwiseConv2D | Dense) and op.has_constants


def groups_of(op: Linear) -> int:
    """Into how many groups of channels x falls that know nothing of one another."""
    if isinstance(op, Dense):
        return 1
    return op.x.shape[-1] if isinstance(op, DepthwiseConv2D) else op.x.shape[-1] // op.weights.shape[-1]


def filters_of(op: Linear, weights: Array) -> Array:
    """Weights as (groups, filters of a group, elements of a filter)."""
    rows = np.moveaxis(weights, -1, 0) if isinstance(op, DepthwiseConv2D) else weights
    groups = groups_of(op)
    return np.ascontiguousarray(rows).reshape(groups, len(rows) // groups, -1)


def weights_of(op: Linear, filters: Array) -> Array:
    """What `filters_of` was given."""
    if not isinstance(op, DepthwiseConv2D):
        return filters.reshape(op.weights.shape)
    rows = filters.reshape(op.weights.shape[-1], *op.weights.shape[:-1])
    return np.ascontiguousarray(np.moveaxis(rows, 0, -1))


def patches_of(op: Linear, x: Floats) -> Floats:
    """What every output sees of x, as (groups, outputs, elements of a filter)."""
    if not isinstance(op, Windowed):
        return x.reshape(1, -1, op.weights.shape[1])
    groups, seen = groups_of(op), windows_of(op, x)
    batch, rows, columns, channels, height, width = seen.shape
    parted = seen.reshape(-1, groups, channels // groups, height, width)
    return np.ascontiguousarray(parted.transpose(1, 0, 3, 4, 2)).reshape(groups, batch * rows * columns, -1)


def windows_of(op: Windowed, x: Floats) -> Floats:
    """The elements that each output sees: (batch, rows of y, columns of y, channels, rows, columns of the filter)."""
    size, spread = op.weights.shape[1:3], op.dilation
    extent = ((size[0] - 1) * spread[0] + 1, (size[1] - 1) * spread[1] + 1)
    margins, needed = [(0, 0)] * 4, [*x.shape]
    for axis, before in ((1, op.pad.top), (2, op.pad.left)):
        needed[axis] = (op.y.shape[axis] - 1) * op.stride[axis - 1] + extent[axis - 1]
        margins[axis] = (before, max(needed[axis] - before - x.shape[axis], 0))
    padded = np.pad(x, margins)[:, : needed[1], : needed[2]]
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, (1, 2))
    spaced: Floats = windows[:, :: op.stride[0], :: op.stride[1], :, :: spread[0], :: spread[1]]
    return spaced


def sums_of(op: Linear, x: Floats, weights: Floats) -> Floats:
    """The sums of products, without a bias, of x with any number of images: in y's shape but for that number."""
    shape = (-1, *op.y.shape[1:])
    if isinstance(op, DepthwiseConv2D):
        seen = windows_of(op, np.repeat(x, op.multiplier, axis=-1) if op.multiplier > 1 else x)
        total = np.zeros(seen.shape[:4], np.float32)
        for row in range(seen.shape[4]):
            for column in range(seen.shape[5]):
                total += seen[..., row, column] * weights[0, row, column]
        return total
    parts = patches_of(op, x) @ filters_of(op, weights).transpose(0, 2, 1)
    return np.moveaxis(parts, 0, 1).reshape(shape)


def by_channel(values: Floats) -> Floats:
    """Values as (places, channels)."""
    return values.reshape(-1, values.shape[-1])
