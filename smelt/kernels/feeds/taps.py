"""Taps: the loops over a kernel that leave out what lies outside of the image. Nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Const, Expr, maximum, minimum
from smelt.model.ops import Conv2D, DepthwiseConv2D, TransposeConv2D


def clips(op: Conv2D) -> bool:
    """Whether some outputs see less than a whole kernel, so that the zero point cannot be part of the bias."""
    needed = [(op.y.shape[1 + a] - 1) * op.stride[a] + (op.weights.shape[1 + a] - 1) * op.dilation[a] for a in (0, 1)]
    return bool(op.pad) or needed[0] >= op.x.shape[1] or needed[1] >= op.x.shape[2]


@dataclass(frozen=True)
class Stretch:
    """Neighbouring outputs along an axis, from `first` on, that see the same taps, from `tap` on."""

    first: int
    count: int
    tap: int
    taps: int


def stretches(op: Conv2D, axis: int) -> tuple[Stretch, ...]:
    """All outputs of an undilated kernel along `axis`; those that see nothing of the image have no taps."""
    before, stride = (op.pad.top, op.pad.left)[axis], op.stride[axis]
    size, taps = op.x.shape[1 + axis], op.weights.shape[1 + axis]

    def seen(at: int) -> tuple[int, int]:
        first = min(max(before - at * stride, 0), taps)
        return first, max(min(size + before - at * stride, taps) - first, 0)

    groups = ((key, list(some)) for key, some in groupby(range(op.y.shape[1 + axis]), seen))
    return tuple(Stretch(some[0], len(some), *key) for key, some in groups)


def taps_range(k: KernelBuilder, op: Conv2D | DepthwiseConv2D, axis: int, at: Expr) -> tuple[Expr, Expr]:
    """The taps (first, stop) of an undilated kernel along `axis` (0 rows, 1 columns) that are inside the image."""
    before = (op.pad.top, op.pad.left)[axis]
    size, taps = op.x.shape[1 + axis], op.weights.shape[1 + axis]
    outputs, stride = op.y.shape[1 + axis], op.stride[axis]
    first: Expr = Const(0)
    stop: Expr = Const(taps)
    if before:
        first = k.let("first", maximum(before - at * stride, 0))
    if (outputs - 1) * stride - before + taps > size:
        stop = k.let("stop", minimum(size + before - at * stride, taps))
    return first, stop


@contextmanager
def taps_inside(k: KernelBuilder, op: Conv2D | DepthwiseConv2D, axis: int, at: Expr) -> Iterator[tuple[Expr, Expr]]:
    """A loop over the taps along `axis` that are inside the image: (tap, row or column of x)."""
    before, size = (op.pad.top, op.pad.left)[axis], op.x.shape[1 + axis]
    name = ("kernel_row", "kernel_column")[axis]
    spread = op.dilation[axis]
    if spread == 1:
        with k.loop(name, *taps_range(k, op, axis, at)) as tap:
            yield tap, at * op.stride[axis] + tap - before
        return
    with k.loop(name, 0, op.weights.shape[1 + axis]) as tap:
        position = k.let(("x_row", "x_column")[axis], at * op.stride[axis] + tap * spread - before)
        with k.when((position >= 0).both(position < size)):
            yield tap, position


@contextmanager
def taps_reaching(k: KernelBuilder, op: TransposeConv2D, axis: int, at: Expr) -> Iterator[tuple[Expr, Expr]]:
    """A loop over the taps along `axis` that bring an element of x to output `at`: (tap, row or column of x).

    Element i of x reaches i * stride + tap, so the taps in question are `stride` apart and x runs backwards.
    """
    before, stride = (op.pad.top, op.pad.left)[axis], op.stride[axis]
    size, taps = op.x.shape[1 + axis], op.weights.shape[1 + axis]
    name = ("row", "column")[axis]
    first = k.let(f"first_{name}", (at + before) % stride if stride > 1 else 0)
    last = k.let(f"last_{name}", (at + before) // stride)
    with k.loop(f"step_{name}", 0, -(-taps // stride)) as step:
        tap = k.let(f"kernel_{name}", first + step * stride)
        position = k.let(f"x_{name}", last - step)
        with k.when((tap < taps).both(position >= 0).both(position < size)):
            yield tap, position
