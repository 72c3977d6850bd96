"""What gathers, broadcasts and updates of slices compute: any type, the bits stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_moves import Broadcast, Gather, TopK, UpdateSlice


def broadcast(op: Broadcast, x: Array) -> Array:
    return np.broadcast_to(x, op.y.shape)


def gather(op: Gather, x: Array, indices: Array) -> Array:
    """The indexed axes are counted as one, in row-major order."""
    places = indices if op.coordinates else indices[..., np.newaxis]
    inside = tuple(np.clip(places[..., i].astype(np.int64), 0, size - 1) for i, size in enumerate(op.sizes))
    batches, before = prod(x.shape[: op.batch]), prod(x.shape[op.batch : op.axis])
    flat = np.ravel_multi_index(inside, op.sizes).reshape(batches, -1)
    source = x.reshape(batches, before, prod(op.sizes), prod(op.behind))
    return np.stack([taken[:, chosen] for taken, chosen in zip(source, flat, strict=True)])


def update_slice(op: UpdateSlice, x: Array, update: Array, start: Array) -> Array:
    room = np.subtract(x.shape, update.shape)
    first = np.clip(start.astype(np.int64), 0, room)
    y = x.copy()
    y[tuple(slice(a, a + n) for a, n in zip(first, update.shape, strict=True))] = update
    return y


def top_k(op: TopK, x: Array) -> tuple[Array, Array]:
    """Stable, so that the first of equal values stays in front; bits of integers turned over fall where they rise."""
    rising = -x if x.dtype.kind == "f" else ~x
    order = np.argsort(rising, axis=-1, kind="stable")[..., : op.y.shape[-1]]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


GATHERS: dict[type[Op], Callable[..., Any]] = {
    Broadcast: broadcast,
    Gather: gather,
    UpdateSlice: update_slice,
    TopK: top_k,
}
