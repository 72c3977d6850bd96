"""A tile of an op is an op: `slab` cuts the rows out of an operator that compute some rows of its result.

Images are (1, rows, columns, channels), so that rows lie one behind another in memory. Where an image has one row only, as a
sequence does, columns take their part: `band_axis` says which axis it is. A slab computes its rows bit for bit as the whole op
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from smelt.model.graph import Op, Tensor
from smelt.model.ops import Binary, Concat, Pad, Padding, Pool, Windowed
from smelt.model.ops_features import LogMel, OrderedSums
from smelt.model.ops_pointwise import ChannelLookup


@dataclass(frozen=True, order=True)
class Rows:
    """Those from `first` up to, but without, `stop`."""

    first: int
    stop: int

    @property
    def count(self) -> int:
        return self.stop - self.first

    def within(self, length: int) -> Rows:
        """Those of them that an image of `length` rows has."""
        return Rows(min(max(self.first, 0), length), max(min(self.stop, length), 0))


@dataclass(frozen=True)
class Window:
    """What rows of x a row of y is computed from: `size` of them, `dilation` apart, from `stride` * row - `before` on."""

    size: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def reach(self, rows: Rows) -> Rows:
        """The rows for rows of y, those of the padding among them."""
        last = (rows.stop - 1) * self.stride - self.before + (self.size - 1) * self.dilation
        return Rows(rows.first * self.stride - self.before, last + 1)


def band_axis(op: Op) -> int | None:
    """The axis along which an op can be cut; None where it cannot."""
    tensors = (op.y, *op.activations)
    if len(op.ys) != 1 or not all(len(t.shape) == 4 and t.shape[0] == 1 and t.element.bits >= 8 for t in tensors):
        return None
    axis = 2 if all(t.shape[1] == 1 for t in tensors) else 1
    windows = _windows(op, axis)
    whole = windows is not None and all(w.before <= (w.size - 1) * w.dilation for w in windows.values())
    return axis if op.y.shape[axis] > 1 and (whole or isinstance(op, Pad)) else None


def needed(op: Op, rows: Rows, axis: int) -> dict[Tensor, Rows]:
    """The rows of each operand that is no constant from which `rows` of y are computed."""
    windows = _windows(op, axis)
    assert windows is not None, "an op that cannot be cut has no slabs"
    return {x: window.reach(rows).within(x.shape[axis]) for x, window in windows.items()}


def slab(op: Op, rows: Rows, axis: int) -> Op:
    """The op that computes `rows` of y from those that it needs of its operands, which are tensors of their own."""
    windows = _windows(op, axis)
    assert windows is not None, "an op that cannot be cut has no slabs"
    parts: dict[Tensor, Tensor] = {x: part(x, r, axis) for x, r in needed(op, rows, axis).items()}
    changed = op.substitute({**parts, op.y: part(op.y, rows, axis)})
    (reach, length) = next((w.reach(rows), x.shape[axis]) for x, w in windows.items())
    return _padded(changed, max(-reach.first, 0), max(reach.stop - length, 0), axis)


def part(tensor: Tensor, rows: Rows, axis: int) -> Tensor:
    """Rows of a tensor, as a tensor."""
    shape = (*tensor.shape[:axis], rows.count, *tensor.shape[axis + 1 :])
    return Tensor(f"{tensor.name}[{rows.first}:{rows.stop}]", shape, tensor.dtype, tensor.quantization)


def row_bytes(tensor: Tensor, axis: int) -> int:
    """What a row takes up in memory."""
    return tensor.bytes // tensor.shape[axis]


def _windows(op: Op, axis: int) -> Mapping[Tensor, Window] | None:
    """How each operand that is no constant is read; None where that is not by windows of rows."""
    n = axis - 1
    match op:
        case Windowed() if op.has_constants:
            before = (op.pad.top, op.pad.left)[n]
            return {op.x: Window(op.weights.shape[axis], op.stride[n], op.dilation[n], before)}
        case Pool():
            return {op.x: Window(op.size[n], op.stride[n], 1, (op.pad.top, op.pad.left)[n])}
        case Pad() if op.before[0] == op.after[0] == 0:
            return {op.x: Window(before=op.before[axis])}
        case Concat() if op.axis % 4 > axis:
            return {x: Window() for x in op.activations} if len(op.activations) == len(op.xs) else None
        case ChannelLookup() | OrderedSums():
            return {op.x: Window()}
        case LogMel() if op.gain is None:
            return {op.x: Window(op.span)}
        case Binary() if all(_fits(x, op.y, axis) for x in op.inputs):
            return {x: Window() for x in op.activations}
    if op.of_one_value and len(op.activations) == 1 and op.activations[0].shape == op.y.shape:
        return {op.activations[0]: Window()}
    return None


def _fits(x: Tensor, y: Tensor, axis: int) -> bool:
    """Whether rows of an operand are those of y, or a constant is the same for all of them."""
    if not x.is_constant:
        return x.shape == y.shape
    own = len(x.shape) - (len(y.shape) - axis)
    return own < 0 or x.shape[own] == 1


def _padded(op: Any, before: int, after: int, axis: int) -> Op:
    """The op with so much padding around its rows."""
    match op:
        case Windowed() | Pool():
            names = ("top", "bottom") if axis == 1 else ("left", "right")
            sides = dict(zip(names, (before, after), strict=True))
            pad: Padding = replace(op.pad, **sides)
            return replace(op, pad=pad)
        case Pad():
            return replace(op, before=_set(op.before, axis, before), after=_set(op.after, axis, after))
    assert isinstance(op, Op)
    return op


def _set(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    return (*values[:axis], value, *values[axis + 1 :])
