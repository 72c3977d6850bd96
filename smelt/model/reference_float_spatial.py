"""What pools and resizing compute in float32, as TensorFlow Lite Micro's reference kernels do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Op
from smelt.model.ops import AveragePool2D, L2Pool2D, MaxPool2D, Pool, ResizeBilinear
from smelt.model.reference_float import clamped, taps_of

Floats = NDArray[np.float32]


def average_pool2d(op: AveragePool2D, x: Array) -> Array:
    return clamped(_window_sums(op, x) / _window_sums(op, np.ones_like(x)), op.clamp)


def l2_pool2d(op: L2Pool2D, x: Array) -> Array:
    return clamped(np.sqrt(_window_sums(op, x * x) / _window_sums(op, np.ones_like(x))), op.clamp)


def _window_sums(op: Pool, x: Array) -> Floats:
    total = np.zeros(op.y.shape, np.float32)
    for _, _, pixels in taps_of(op, x, op.size, (1, 1), np.float32(0)):
        total = total + pixels
    return total


def max_pool2d(op: MaxPool2D, x: Array) -> Array:
    most = np.full(op.y.shape, np.finfo(np.float32).min, np.float32)
    for _, _, pixels in taps_of(op, x, op.size, (1, 1), np.finfo(np.float32).min):
        most = np.where(most < pixels, pixels, most)
    return clamped(most, op.clamp)


def interpolated(op: ResizeBilinear, axis: int) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """For each row or column (axis 1 or 2) of y the two of x that it lies between, and the share of the second."""
    inputs, outputs = op.x.shape[axis], op.y.shape[axis]
    aligned = op.align_corners and outputs > 1
    scale = np.float32(inputs - 1) / np.float32(outputs - 1) if aligned else np.float32(inputs) / np.float32(outputs)
    place = np.arange(outputs, dtype=np.float32)
    half = np.float32(0.5)
    place = (place + half) * scale - half if op.half_pixel_centers else place * scale
    lower = np.maximum(np.floor(place), 0).astype(np.int32)
    upper = np.minimum(np.ceil(place), inputs - 1).astype(np.int32)
    return lower, upper, (place - lower.astype(np.float32)).astype(np.float32)


def resize_bilinear(op: ResizeBilinear, x: Array) -> Array:
    (top, bottom, down), (left, right, across) = (interpolated(op, axis) for axis in (1, 2))
    down, across = down.reshape(-1, 1, 1), across.reshape(-1, 1)
    up, back = np.float32(1) - down, np.float32(1) - across

    def corner(rows: Any, columns: Any) -> Array:
        return np.asarray(x[:, rows][:, :, columns])

    total = corner(top, left) * up * back + corner(bottom, left) * down * back
    return np.asarray(total + corner(top, right) * up * across + corner(bottom, right) * down * across)


REAL_SPATIAL: dict[type[Op], Callable[..., Array]] = {
    AveragePool2D: average_pool2d,
    MaxPool2D: max_pool2d,
    L2Pool2D: l2_pool2d,
    ResizeBilinear: resize_bilinear,
}
