"""Weights with a zero point (legacy uint8, or int8 of FULLY_CONNECTED) as weights without: exact, for the kernels that there are.

What is left of a weight when its zero point is taken off may need nine bits. Then it becomes a sum of two weights of eight bits,
each of which meets the same value of x: of a copy of its channel that is appended, or, where every channel has a filter of its own,
of a copy of the whole column beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smelt.importers.tflite_site import Site
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.ops import Concat, Conv2D, Dense, DepthwiseConv2D, Padding, Reshape, TransposeConv2D
from smelt.model.ops_moves import Broadcast, Gather

Integers = NDArray[np.int64]
Linear = Conv2D | DepthwiseConv2D | Dense | TransposeConv2D


def without_zero_points(at: Site, ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """`ops`, those with such weights as several; as they are where there are complaints about the operator."""
    if at.complaints:
        return ops
    return tuple(part for op in ops for part in (_centred(at, op) if _has_zero_point(op) else (op,)))


def _has_zero_point(op: Op) -> bool:
    linear = isinstance(op, Linear) and op.weights.is_constant and op.weights.quantization is not None
    return linear and isinstance(op, Linear) and op.weights.dtype in ("int8", "int4") and any(op.weights.q.zero_points)


def _centred(at: Site, op: Op) -> tuple[Op, ...]:
    assert isinstance(op, Linear)
    parts = _bytes_of(op.weights.constant.astype(np.int64) - op.weights.q.zero_point)
    if isinstance(op, DepthwiseConv2D):
        return tuple(_by_columns(at, op, parts))
    grouped = isinstance(op, Conv2D) and op.weights.shape[3] != op.x.shape[3]
    if grouped and len(parts) > 1:
        at.refuse(f"weights '{op.weights.name}' of groups of channels have a zero point that is too far from 0")
    return tuple(_by_channels(at, op, parts))


def _bytes_of(weights: Integers) -> list[Integers]:
    """Weights of eight bits whose sum is `weights`; the first are as much of them as possible."""
    parts = [np.clip(weights, -127, 127)]
    while (rest := weights - sum(parts)).any():
        parts.append(np.clip(rest, -127, 127))
    return parts


def _by_channels(at: Site, op: Conv2D | Dense | TransposeConv2D, parts: list[Integers]) -> Iterator[Op]:
    """x with copies of those channels behind it for which the first part is not enough."""
    x = op.x
    if len(parts) > 1 and isinstance(op, Dense):
        x = at.like(x, (op.x.elements // op.weights.shape[1], op.weights.shape[1]), "rows")
        yield Reshape(y=x, x=op.x)
    xs, weights = [x], [parts[0]]
    for part in parts[1:]:
        channels = np.flatnonzero(part.reshape(-1, part.shape[-1]).any(axis=0)).astype(np.int32)
        copies = at.like(x, (*x.shape[:-1], channels.size), "copies")
        places = Tensor(at.fresh(f"{copies.name}_places"), channels.shape, "int32", data=channels)
        yield Gather(y=copies, x=x, indices=places, axis=len(x.shape) - 1)
        xs.append(copies)
        weights.append(part[..., channels])
    if len(xs) > 1:
        x = at.like(x, (*x.shape[:-1], sum(t.shape[-1] for t in xs)), "extended")
        yield Concat(y=x, xs=tuple(xs), axis=len(x.shape) - 1)
    yield replace(op, x=x, weights=_weights(at, op, np.concatenate(weights, axis=-1)))


def _by_columns(at: Site, op: DepthwiseConv2D, parts: list[Integers]) -> Iterator[Op]:
    """x with every column as often as there are parts, which are the columns of wider filters."""
    n, x = len(parts), op.x
    if n == 1:
        yield replace(op, weights=_weights(at, op, parts[0]))
        return
    if op.dilation[1] != 1:
        at.refuse(f"dilated weights '{op.weights.name}' have a zero point that is too far from 0")
    batch, rows, columns, channels = x.shape
    apart, repeated = (
        at.like(x, (batch, rows, columns, 1, channels), "apart"),
        at.like(x, (batch, rows, columns, n, channels), "copies"),
    )
    wide = at.like(x, (batch, rows, columns * n, channels), "wide")
    yield from (Reshape(y=apart, x=x), Broadcast(y=repeated, x=apart), Reshape(y=wide, x=repeated))
    one, height, width, of_y = op.weights.shape
    weights = np.stack(parts, axis=3).reshape(one, height, width * n, of_y)
    pad = Padding(op.pad.top, op.pad.bottom, op.pad.left * n, op.pad.right * n)
    yield replace(op, x=wide, weights=_weights(at, op, weights), stride=(op.stride[0], op.stride[1] * n), pad=pad)


def _weights(at: Site, op: Linear, data: Integers) -> Tensor:
    scales = op.weights.q.scales
    quantization = Quantization(scales, (0,) * len(scales), op.weights.q.axis)
    return Tensor(at.fresh(f"{op.weights.name}_centred"), data.shape, "int8", quantization, data.astype(np.int8))
