"""A share of an op: some rows, pixels or channels of its result, which are computed apart from the others.

A share of an op is an op. How an op is cut is a `View` of it: along an axis of its images; where each pixel is computed from the
pixel at its place, along all pixels, as if they lay in one row; or along nothing but its channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smelt.model.graph import Op, Tensor
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D, Linear, Pool, Windowed
from smelt.model.slabs import Rows, band_axis, needed, row_bytes, slab
from smelt.nouns import Noun
from smelt.planner.borders import Border, bordered
from smelt.planner.tiles import Rectangle

PIXELS = 2
"""The axis of the pixels where all lie in one row."""


@dataclass(frozen=True, eq=False)
class View(Noun):
    """`whole`, seen as `op`, whose tensors have the same elements in the same order, but that x may lie with its `border`. It is
    cut along `axis`; None: its channels alone are divided, or its inputs where there are `sums` for parts of them."""

    whole: Op
    op: Op
    axis: int | None
    border: Border | None = None
    sums: Tensor | None = None

    @property
    def length(self) -> int:
        """Of the result along the axis."""
        return 1 if self.axis is None else self.op.ys[0].shape[self.axis]

    @property
    def channels(self) -> int:
        """Of the result, as far as they can be divided; 1 where they cannot."""
        return self.op.ys[0].shape[-1] if divides_channels(self.op) else 1

    @property
    def name(self) -> str:
        """What it is cut into, for people."""
        if self.axis is None:
            return "channels" if self.sums is None else "inputs"
        if self.border is not None:
            return "rows with their border"
        return "rows" if self.op is self.whole and self.axis == 1 else "pixels"

    @property
    def activations(self) -> tuple[Tensor, ...]:
        """What its shares read parts of, in order."""
        return self.whole.activations if self.border is None else (self.border.whole,)


@dataclass(frozen=True, eq=False)
class Share(Noun):
    """`op` computes `rows` and `channels` of a view, from `xs` of its operands, one for each in order, and goes to `y`."""

    op: Op
    rows: Rows
    channels: Rows
    xs: tuple[Rectangle, ...]
    y: Rectangle


def views(op: Op) -> Iterator[View]:
    """The ways to see an op that can be divided, the finest first."""
    if len(op.ys) != 1 or any(t.element.bits < 8 for t in (*op.activations, *op.ys)) or not op.activations:
        return
    flat = _flat(op)
    if flat is not None:
        yield View(op, flat, PIXELS)
    axis = band_axis(op)
    if isinstance(op, Conv2D) and op.has_constants and (found := bordered(op)) is not None:
        seen, border = found
        yield View(op, seen, axis, border)
    again = flat is not None and axis == PIXELS  # an image of one row
    if axis is not None and not again and len(set(op.activations)) == len(op.activations):
        yield View(op, op, axis)
    if flat is None and axis is None:
        yield View(op, op, None)


def divides_channels(op: Op) -> bool:
    """Whether blocks of its channels are ops: of convolutions and dense layers whose weights are known, and pools."""
    if isinstance(op, Pool):
        rescale = getattr(op, "rescale", None)
        return rescale is None or rescale.multipliers.size == 1
    if isinstance(op, DepthwiseConv2D):
        return op.has_constants and op.multiplier == 1
    if isinstance(op, Conv2D):
        return op.has_constants and op.weights.shape[-1] == op.x.shape[-1]
    return isinstance(op, Dense) and op.has_constants


def follows_channels(op: Op) -> bool:
    """Whether each channel of the result is computed from the same channel of the operand."""
    return isinstance(op, DepthwiseConv2D | Pool)


def share(view: View, rows: Rows, channels: Rows) -> Share:
    """Some rows, along its axis, and channels of a view; all channels where those are not divided."""
    op, axis = view.op, view.axis
    reads = {x: Rows(0, 1) for x in op.activations} if axis is None else needed(op, rows, axis)
    # windows may leave the last rows of an image out: those do not come either
    whole = axis is None or (rows.count == view.length and all(r.count == x.shape[axis] for x, r in reads.items()))
    cut = op if whole or axis is None else slab(op, rows, axis)
    some = channels.count < view.channels
    of_x = channels if some and follows_channels(op) else None
    xs = tuple(rectangle(x, axis, reads[x], of_x) for x in op.activations)
    y = rectangle(op.ys[0], axis, rows, channels if some else None)
    return Share(_of_channels(cut, channels) if some else cut, rows, channels, xs, y)


def rectangle(tensor: Tensor, axis: int | None, rows: Rows, channels: Rows | None = None) -> Rectangle:
    """The bytes of rows along an axis, of all channels or of some."""
    size = tensor.bytes if axis is None else row_bytes(tensor, axis)
    if channels is None:
        return Rectangle(rows.first * size, rows.count * size, 1, rows.count * size)
    element, depth = tensor.element.bits // 8, tensor.shape[-1] * tensor.element.bits // 8
    lines, line = size // depth * rows.count, channels.count * element
    return Rectangle(rows.first * size + channels.first * element, line, lines, depth if lines > 1 else line)


def _flat(op: Op) -> Op | None:
    """The op with all its pixels in one row; None where a pixel is computed from others."""
    (y,) = op.ys
    if isinstance(op, Windowed):
        still = op.stride == (1, 1) and op.pad == type(op.pad)() and op.weights.shape[1:3] == (1, 1)
        if not (still and op.has_constants and op.x.shape[0] == 1):
            return None
        shapes = {t: (1, 1, t.shape[1] * t.shape[2], t.shape[3]) for t in (op.x, y)}
    elif op.of_one_value and len(op.activations) == 1 and op.activations[0].shape == y.shape:
        shapes = {t: (1, 1, t.elements, 1) for t in (*op.activations, y)}
    elif len(y.shape) == 4 and y.shape[0] == 1 and band_axis(op) is not None and _by_pixels(op):
        shapes = {t: (1, 1, t.shape[1] * t.shape[2], t.shape[3]) for t in (*op.activations, y)}
    else:
        return None
    return op.substitute({t: Tensor(t.name, shape, t.dtype, t.quantization) for t, shape in shapes.items()})


def _by_pixels(op: Op) -> bool:
    """Whether an op has operands of the shape of its result only."""
    return len(op.activations) == len(op.inputs) > 1 and all(x.shape == op.ys[0].shape for x in op.inputs)


def _of_channels(op: Op, channels: Rows) -> Op:
    """The op that computes some channels of y, from all channels of x or from the same ones."""
    (y,), follows = op.ys, follows_channels(op)
    names = [y, *(op.activations if follows else ())]
    axes: dict[Tensor, int] = {}
    if isinstance(op, Linear):
        names += [op.weights, *([op.bias] if op.bias is not None else ())]
        axes[op.weights] = op.channel_axis % len(op.weights.shape)
    changed: Any = op.substitute({t: _cut(t, channels, axes.get(t, len(t.shape) - 1)) for t in names})
    if isinstance(op, Linear):
        changed = replace(changed, rescale=changed.rescale.of(np.arange(channels.first, channels.stop)))
    assert isinstance(changed, Op)
    return changed


def _cut(tensor: Tensor, channels: Rows, axis: int) -> Tensor:
    """Some channels of a tensor; its quantisation, which the rescaling has taken in, stays only where it is one for all."""
    shape = (*tensor.shape[:axis], channels.count, *tensor.shape[axis + 1 :])
    q = tensor.quantization if tensor.quantization and len(tensor.quantization.scales) == 1 else None
    data = None
    if tensor.data is not None:
        data = np.ascontiguousarray(tensor.data.take(range(channels.first, channels.stop), axis))
    return Tensor(f"{tensor.name}[c{channels.first}:{channels.stop}]", shape, tensor.dtype, q, data)
