"""Padding moves into the ops that pad for themselves."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, MaxPool2D, Pad, Padding
from smelt.passes.rewrite import readers


def fuse_pad(graph: Graph) -> Graph:
    """Let convolutions and maximum pools pad for themselves where a `Pad` of rows and columns stands before them.

    Only where *every* reader of the padded image can, so that the `Pad` goes away. Exact, because
    - convolutions pad with the zero point of their operand: the `Pad` must have that value and keep the quantisation;
    - a maximum pool ignores its padding: the `Pad` must not be able to raise a maximum, that is, be at most the pool's
      lower clamp or the least value that can occur in the image, and every window must touch the image.
    Average pools keep their `Pad`: it counts in the average, their own padding does not.
    """
    made = {op.y: op for op in graph.ops}
    pads = {op.y: op for op in graph.ops if isinstance(op, Pad) and _pads_image(op)}
    uses = readers(graph)
    good = dict.fromkeys(pads, 0)
    for op in graph.ops:
        pad = _pad_of(op, pads)
        if pad is not None and _can_take(op, pad, made):
            good[pad.y] += 1
    gone = {y: pad for y, pad in pads.items() if good[y] == uses[y] > 0}
    ops = [_take(op, gone) for op in graph.ops if op.y not in gone]
    return replace(graph, ops=tuple(ops))


def _pads_image(op: Pad) -> bool:
    """Whether only rows and columns of images are padded, and nothing else changes."""
    amounts = tuple(zip(op.before, op.after, strict=True))
    return (
        len(op.x.shape) == 4
        and amounts[0] == amounts[3] == (0, 0)
        and min(op.before + op.after) >= 0
        and op.x.dtype in ("int8", "int16")
        and op.x.quantization == op.y.quantization
    )


def _pad_of(op: Op, pads: dict[Tensor, Pad]) -> Pad | None:
    """The `Pad` that made the image that `op` reads, and reads in no other way."""
    if not isinstance(op, Conv2D | DepthwiseConv2D | MaxPool2D):
        return None
    return pads.get(op.x) if op.inputs.count(op.x) == 1 else None


def _can_take(op: Op, pad: Pad, made: dict[Tensor, Op]) -> bool:
    if isinstance(op, MaxPool2D):
        total = _sum(op.pad, pad)
        touches = max(total.top, total.bottom) < op.size[0] and max(total.left, total.right) < op.size[1]
        return touches and pad.value <= max(op.clamp[0], _least(made.get(pad.x), pad.x))
    return pad.value == pad.x.q.zero_point


def _least(producer: Op | None, y: Tensor) -> int:
    """The least value that can occur in y, which `producer` makes."""
    clamp: tuple[int, int] = getattr(producer, "clamp", y.element.range)
    return clamp[0]


def _sum(own: Padding, pad: Pad) -> Padding:
    (_, top, left, _), (_, bottom, right, _) = pad.before, pad.after
    return Padding(own.top + top, own.bottom + bottom, own.left + left, own.right + right)


def _take(op: Op, gone: dict[Tensor, Pad]) -> Op:
    pad = _pad_of(op, gone)
    if pad is None:
        return op
    assert isinstance(op, Conv2D | DepthwiseConv2D | MaxPool2D)
    return replace(op, x=pad.x, pad=_sum(op.pad, pad))
