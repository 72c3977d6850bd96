"""DepthwiseConv2D of an image with one channel: every channel of y reads it, which is what Conv2D does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.model.ops import Conv2D, DepthwiseConv2D
from smelt.targets.types import Core


def has_one_channel(op: DepthwiseConv2D, core: Core) -> bool:
    """an image with one channel"""
    return op.x.shape[3] == 1


def as_conv2d(op: DepthwiseConv2D) -> Conv2D:
    """The same computation: weights (1, rows, columns, channels) become (channels, rows, columns, 1)."""
    data = np.ascontiguousarray(op.weights.constant.transpose(3, 1, 2, 0))
    weights = replace(op.weights, shape=data.shape, data=data)
    return Conv2D(
        x=op.x,
        weights=weights,
        bias=op.bias,
        y=op.y,
        stride=op.stride,
        dilation=op.dilation,
        pad=op.pad,
        rescale=op.rescale,
    )


def through(conv2d: Implementation, name: str) -> Implementation:
    """`conv2d` for depthwise convolutions with one channel."""

    def schedules(op: DepthwiseConv2D, core: Core) -> Iterable[Schedule]:
        return conv2d.schedules(as_conv2d(op), core) if op.x.shape[3] == 1 else ()

    def build(op: DepthwiseConv2D, schedule: Schedule) -> KernelCall:
        return conv2d.build(as_conv2d(op), schedule)

    accepts: tuple[Any, ...] = tuple(a for a in conv2d.accepts if a.__name__ != "is_ungrouped")
    return Implementation(name, DepthwiseConv2D, schedules, build, (has_one_channel, *accepts))
