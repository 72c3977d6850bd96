"""Images of one column, as time series are: every way to compute an op over their rows is also one over the same bytes as one row.

Kernels run along rows, so the turned op keeps their inner loops long; it needs more scratch, as a row is then the whole image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import wraps

import numpy as np

from smelt.kernels.implementation import Implementation, KernelCall, Predicate, Schedule
from smelt.model.graph import Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.targets.types import Core

Spatial = Conv2D | DepthwiseConv2D


def has_one_column(op: Spatial, core: Core) -> bool:
    """x and y have one column, x and the filter several rows, and a column of the filter lies on the image"""
    tap, off = divmod(op.pad.left, op.dilation[1])
    on_image = off == 0 and tap < op.weights.shape[2]
    return on_image and op.x.shape[2] == op.y.shape[2] == 1 < min(op.x.shape[1], op.weights.shape[1])


def turn(op: Spatial) -> Spatial:
    """`op`, of one column, with rows and columns exchanged: the same elements in the same order, since an axis of size 1 moves.

    Of the filter's columns only the one that lies on the image is left.
    """
    pad, tap = op.pad, op.pad.left // op.dilation[1]
    weights = op.weights.constant[:, :, tap : tap + 1]
    return replace(
        op,
        x=_turned(op.x),
        y=_turned(op.y),
        weights=_with_data(op.weights, np.ascontiguousarray(weights.swapaxes(1, 2))),
        stride=(1, op.stride[0]),
        dilation=(1, op.dilation[0]),
        pad=Padding(0, 0, pad.top, pad.bottom),
    )


def _turned(tensor: Tensor) -> Tensor:
    batch, rows, columns, channels = tensor.shape
    return replace(tensor, shape=(batch, columns, rows, channels))


def _with_data(tensor: Tensor, data: np.ndarray) -> Tensor:
    return replace(tensor, shape=data.shape, data=data)


def turned(way: Implementation) -> Implementation:
    """An implementation that does what `way` does, on the turned op."""

    def schedules(op: Spatial, core: Core) -> Iterable[Schedule]:
        return way.schedules(turn(op), core)

    def build(op: Spatial, schedule: Schedule) -> KernelCall:
        other = turn(op)
        call = way.build(other, schedule)
        own = {other.x: op.x, other.y: op.y}
        return replace(call, arguments=tuple(own.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments))

    accepts = (has_one_column, *(_of_the_turned(p) for p in way.accepts))
    return replace(way, name=f"{way.name}_turned", schedules=schedules, build=build, accepts=accepts)


def _of_the_turned(predicate: Predicate) -> Predicate:
    @wraps(predicate)
    def accepts(op: Spatial, core: Core) -> bool:
        return not has_one_column(op, core) or predicate(turn(op), core)

    return accepts
