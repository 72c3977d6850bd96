"""What the operators that only move elements compute: any type, the bits stay as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops import Concat, Pad, Reshape, Slice, Transpose


def pad(op: Pad, x: Array) -> Array:
    return np.pad(x, list(zip(op.before, op.after, strict=True)), constant_values=op.value)


def reshape(op: Reshape, x: Array) -> Array:
    return x


def concat(op: Concat, *xs: Array) -> Array:
    return np.concatenate(xs, axis=op.axis)


def slice_(op: Slice, x: Array) -> Array:
    begin, stride, extents = op.begin, op.stride, op.y.shape
    indices = (b + s * np.arange(n) for b, s, n in zip(begin, stride, extents, strict=True))
    return np.asarray(x[np.ix_(*indices)])


def transpose(op: Transpose, x: Array) -> Array:
    return x.transpose(op.permutation)


MOVES: dict[type[Op], Callable[..., Array]] = {
    Pad: pad,
    Reshape: reshape,
    Concat: concat,
    Slice: slice_,
    Transpose: transpose,
}
