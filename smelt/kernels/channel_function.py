"""Functions of one byte that differ by channel: the tables of a few channels are computed, then looked up for all elements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from smelt.kernels.binary import add_compute, mul_compute
from smelt.kernels.binary_scaled import prelu_compute
from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import Compute
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.loops.ir import AnyBuffer, Buffer, Expr, expression
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Add, Lookup, Mul
from smelt.model.ops_pointwise import ByteSteps, ChannelFunction, Prelu
from smelt.model.reference import tables_by_channel
from smelt.targets.types import Core

VALUES = 256


@dataclass(frozen=True)
class Channels:
    """The tables of `channels` at a time."""

    channels: int

    def __str__(self) -> str:
        return f"channels={self.channels}"


def schedules(op: ChannelFunction, core: Core) -> Iterable[Channels]:
    return tuple(Channels(n) for n in (4, 1) if n <= op.y.shape[-1])


def known_steps(op: ChannelFunction, core: Core) -> bool:
    """look-ups, sums, products and PRELU of int8"""
    return all(isinstance(step, Lookup | Add | Mul | Prelu) for step in op.steps.ops)


def build(op: ChannelFunction, schedule: Channels) -> KernelCall:
    """Values of which all channels make the same are copied, once."""
    k = CallBuilder("channel_function", in_place=True)
    x, found = k.operand("x", op.x), tables_by_channel(op.steps)
    channels, group = op.y.shape[-1], schedule.channels
    common = k.table("common", found[:, 0].astype(op.y.element.numpy))
    steps = _Steps(k, op.steps)
    tables, y = k.scratch("tables", common.type, group * VALUES), k.result("y", op.y)
    for channel in range(group):
        k.copy(tables, channel * VALUES, common, 0, VALUES)
    differing = np.flatnonzero((found != found[:, :1]).any(axis=1))
    span = (int(differing[0]), int(differing[-1]) + 1) if differing.size else (0, 0)
    whole = channels - channels % group
    with k.loop("channel", 0, whole, group) as first:
        _looked_up(k, op, (x, tables, y), steps, (first, group), span)
    if channels > whole:
        _looked_up(k, op, (x, tables, y), steps, (expression(whole), channels - whole), span)
    return k.finish_call()


def _looked_up(
    k: CallBuilder,
    op: ChannelFunction,
    buffers: tuple[AnyBuffer, AnyBuffer, AnyBuffer],
    steps: _Steps,
    channels: tuple[Expr, int],
    span: tuple[int, int],
) -> None:
    """All elements of some channels; `span` are the places in tables that differ."""
    (x, tables, y), (first, count), low = buffers, channels, op.x.element.low
    if span[0] < span[1]:
        with k.loop("place", *span) as place:
            for n in range(count):
                k.store(tables, n * VALUES + place, steps.of(place + low, first + n))
    with k.loop("i", 0, op.y.elements // op.y.shape[-1]) as i:
        at = [i * op.y.shape[-1] + first + n for n in range(count)]
        places = [k.let("place", x[a] - low) for a in at]
        values = [k.let("value", tables[n * VALUES + place]) for n, place in enumerate(places)]
        for a, value in zip(at, values, strict=True):
            k.store(y, a, value)


class _Steps:
    """The steps as expressions; their constants are tables of the kernel."""

    def __init__(self, k: CallBuilder, steps: ByteSteps) -> None:
        self._k, self._steps = k, steps
        constants = dict.fromkeys(t for op in steps.ops for t in op.inputs if t.is_constant)
        self._tables: dict[Tensor, Buffer] = {t: k.operand("numbers", t) for t in constants}

    def of(self, value: Expr, channel: Expr) -> Expr:
        """What becomes of a value in a channel."""
        known = {self._steps.argument: self._k.let("x", value)}
        for op in self._steps.ops:
            known[op.y] = self._k.let("step", self._step(op, known, channel))
        return known[self._steps.ops[-1].y]

    def _step(self, op: Op, known: Mapping[Tensor, Expr], channel: Expr) -> Expr:
        if isinstance(op, Lookup):
            return self._tables[op.table][known[op.x] - op.x.element.low]
        operands = [known[t] if t in known else self._number(t, channel) for t in op.inputs]
        return self._compute(op)(*operands)

    def _number(self, tensor: Tensor, channel: Expr) -> Expr:
        return self._tables[tensor][channel if tensor.elements > 1 else 0]

    def _compute(self, op: Op) -> Compute:
        match op:
            case Add():
                return add_compute(self._k, op, affine=True)
            case Mul():
                return mul_compute(self._k, op, affine=False)
            case Prelu():
                return prelu_compute(self._k, op)
        raise TypeError(f"{type(op).__name__} is no step of a function of a byte")


CHANNEL_FUNCTION = Implementation("channel_function", ChannelFunction, schedules, build, (known_steps,))
