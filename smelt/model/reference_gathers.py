"""What gathers, broadcasts and updates of slices compute: any type, the bits stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_moves import Broadcast, Gather, UpdateSlice


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


GATHERS: dict[type[Op], Callable[..., Array]] = {
    Broadcast: broadcast,
    Gather: gather,
    UpdateSlice: update_slice,
}
