"""Operators that only move elements: Pad, Concat, Slice, Transpose, and Reshape where its result cannot be an alias."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.nests import fill, merged, move, row_major
from smelt.loops.ir import AnyBuffer, Expr, expression
from smelt.model.graph import Op
from smelt.model.ops import Concat, Pad, Reshape, Slice, Transpose
from smelt.targets.intrinsics import MAX_BYTES
from smelt.targets.types import Core


def movable(op: Op, core: Core) -> bool:
    """all tensors have the same element type, of whole bytes"""
    return {t.dtype for t in op.inputs} == {op.y.dtype} and not op.y.element.is_packed


def build_reshape(op: Reshape, schedule: Plain) -> KernelCall:
    k = CallBuilder("copy")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    k.copy(y, 0, x, 0, op.y.elements)
    return k.finish_call()


def build_transpose(op: Transpose, schedule: Plain) -> KernelCall:
    k = CallBuilder("transpose")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    strides = row_major(op.x.shape)
    move(k, y, x, merged(op.y.shape, row_major(op.y.shape), tuple(strides[axis] for axis in op.permutation)), (0, 0))
    return k.finish_call()


def build_slice(op: Slice, schedule: Plain) -> KernelCall:
    k = CallBuilder("slice")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    strides = row_major(op.x.shape)
    steps = tuple(stride * by for stride, by in zip(strides, op.stride, strict=True))
    start = sum(stride * first for stride, first in zip(strides, op.begin, strict=True))
    move(k, y, x, merged(op.y.shape, row_major(op.y.shape), steps), (0, start))
    return k.finish_call()


SHORT = 64  # bytes, of which a call of memcpy takes a good part of the time


@dataclass(frozen=True)
class Runs:
    """How runs of bytes are moved: those of at most `words` bytes word by word, others by memcpy."""

    words: int

    def __str__(self) -> str:
        return f"words={self.words}"


def runs(op: Op, core: Core) -> Iterable[Runs]:
    """Words at any address, where the core and the elements are made for it."""
    return (Runs(SHORT), Runs(0)) if core.has(MAX_BYTES.name) and op.y.element.bits == 8 else (Runs(0),)


def build_concat(op: Concat, schedule: Runs) -> KernelCall:
    """Along any axis a concatenation is one of rows: each operand gives a run of elements to every row."""
    k = CallBuilder("concat")
    axis = op.axis % len(op.y.shape)
    rows, width = prod(op.y.shape[:axis]), prod(op.y.shape[axis:])
    xs = [k.operand("x", x) for x in op.xs]
    y = k.result("y", op.y)
    with k.loop("row", 0, rows) as row:
        start = 0
        for x in xs:
            run = x.size // rows
            move(k, y, x, merged((run,), (1,), (1,)), (row * width + start, row * run), schedule.words)
            start += run
    return k.finish_call()


def build_pad(op: Pad, schedule: Plain) -> KernelCall:
    k = CallBuilder("pad")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    _pad(k, op, y, x, 0, expression(0), expression(0))
    return k.finish_call()


def _pad(k: CallBuilder, op: Pad, y: AnyBuffer, x: AnyBuffer, axis: int, to: Expr, source: Expr) -> None:
    """The part of y from `to` on that spans the axes from `axis` on."""
    if not any(op.before[axis:]) and not any(op.after[axis:]):
        move(k, y, x, merged((prod(op.x.shape[axis:]),), (1,), (1,)), (to, source))
        return
    inner, inner_x = prod(op.y.shape[axis + 1 :]), prod(op.x.shape[axis + 1 :])
    before, n, after = op.before[axis], op.x.shape[axis], op.after[axis]
    fill(k, y, to, op.value, before * inner)
    start = to + before * inner
    if any(op.before[axis + 1 :]) or any(op.after[axis + 1 :]):
        with k.loop("i", 0, n) as i:
            _pad(k, op, y, x, axis + 1, start + i * inner, source + i * inner_x)
    else:
        move(k, y, x, merged((n * inner,), (1,), (1,)), (start, source))
    fill(k, y, start + n * inner, op.value, after * inner)


COPY = Implementation("copy", Reshape, plain, build_reshape, (movable,))
TRANSPOSE = Implementation("transpose", Transpose, plain, build_transpose, (movable,))
SLICE = Implementation("slice", Slice, plain, build_slice, (movable,))
CONCAT = Implementation("concat", Concat, runs, build_concat, (movable,))
PAD = Implementation("pad", Pad, plain, build_pad, (movable,))
