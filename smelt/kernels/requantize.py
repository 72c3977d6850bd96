"""From sums to outputs: the epilogue of every operator that multiplies and accumulates, exact to the last bit.

The meaning is ``clamp(round(round(sum * m / 2^31) / 2^e) + zero)``; the first rounding takes halves up, the second
away from zero. Where the weights show that nothing can overflow, with M = 2 m - 2^32 (which fits int32, as m has its
top bit set):

    x = sum + round(sum * M / 2^32)        one SMMLAR
    x += x >> 31                           halves away from zero; not needed where the clamp hides negative numbers
    y = ssat8((x + 2^(e-1) + zero * 2^e) >> e)

Else `smelt_requantize` does it in 64 bits. Per channel constants lie side by side in one table in flash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import (
    AnyBuffer,
    Buffer,
    Call,
    Const,
    Expr,
    Intrinsic,
    Table,
    Type,
    Value,
    Var,
    cast,
    maximum,
    minimum,
)
from smelt.loops.routine import At
from smelt.model.arithmetic import requantize
from smelt.model.ops import Linear
from smelt.model.rescale import Clamp, Rescale
from smelt.targets.intrinsics import SMMLAR, SSAT8

Form = Literal["fast", "general"]
Integers = NDArray[np.int64]

REQUANTIZE = Intrinsic("requantize", "int32_t", 24, 24)
SHIFT_LEFT = Intrinsic("shift_left", "int32_t", 1, 1)
INT32 = 2**31
ROUND_ONCE = range(1, 14)  # shifts
GREATEST_SHIFT = 22  # zero * 2^e stays below 2^30


@dataclass(frozen=True)
class Scale:
    """The constants of one channel, in variables of the kernel."""

    multiplier: Expr
    shift: Expr
    offset: Expr


@dataclass(frozen=True, eq=False)
class Requantizer:
    """How sums become outputs. `columns` is (channels, 2 or 3): bias, multiplier and, unless all channels share it,
    shift.

    In the fast form `shift` counts to the right, in the general one to the left. `wraps` says that sums may leave
    int32.
    """

    form: Form
    columns: NDArray[np.int32]
    shift: int | None
    y_zero: int
    clamp: Clamp
    wraps: bool

    @property
    def table(self) -> Table:
        """The argument for the buffer that `bind` makes."""
        return self.columns.reshape(-1)

    @property
    def sum_type(self) -> Type:
        return "uint32_t" if self.wraps else "int32_t"

    @property
    def saturates(self) -> bool:
        """Whether ``ssat8((smmlar(sum) + offset) >> shift)`` is all that there is to do."""
        hidden = self.clamp[0] >= self.y_zero or self.shift == 0
        return self.form == "fast" and hidden and self.clamp == (-128, 127)

    @property
    def shifts(self) -> tuple[int, ...]:
        """Every shift that there is."""
        return tuple(int(s) for s in np.unique(self.columns[:, 2])) if self.shift is None else (self.shift,)

    @property
    def widest_bias(self) -> int:
        return int(np.abs(self.columns[:, 0].astype(np.int64)).max())

    @property
    def widest_offset(self) -> int:
        """The greatest magnitude of what is added before the shift, in the fast form."""
        return abs(2 * self.y_zero + 1) << max(self.shifts) >> 1

    @property
    def rounds_once(self) -> bool:
        """Whether one product may do both roundings, as in the routines for all layers: shifts from 1 to 13, sums below 2^22."""
        return self.saturates and all(s in ROUND_ONCE for s in self.shifts) and self.widest_bias < 2**22

    @property
    def numbers(self) -> tuple[int, int]:
        """The zero point of y, and the shift of all channels, -1 where each has its own: what routines for all layers get."""
        return self.y_zero, -1 if self.shift is None else self.shift

    def bind(self, k: CallBuilder) -> Buffer:
        return k.table("channels", self.table)

    def constants(self, table: AnyBuffer, channel: Value) -> At:
        """Where those of a channel begin."""
        return At(table, _index(self, channel, 0))

    def bias(self, table: AnyBuffer, channel: Value) -> Expr:
        return cast(self.sum_type, table[_index(self, channel, 0)])

    def scale(self, k: KernelBuilder, table: AnyBuffer, channel: Value) -> Scale:
        """Load what `output` needs for a channel."""
        multiplier = k.let("multiplier", table[_index(self, channel, 1)])
        if self.shift is not None:
            half = (1 << self.shift) >> 1 if self.form == "fast" else 0
            offset = half + (self.y_zero << self.shift) if self.form == "fast" else 0
            return Scale(multiplier, Const(self.shift), Const(offset))
        shift = k.let("shift", table[_index(self, channel, 2)])
        if self.form == "general":
            return Scale(multiplier, shift, Const(0))
        offset_var = k.let("offset", Call(SHIFT_LEFT, (Const(2 * self.y_zero + 1), shift - 1)))
        return Scale(multiplier, shift, offset_var)

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        """The int8 result for one sum."""
        total = cast("int32_t", total)
        if self.form == "general":
            return self._general(total, scale)
        x: Expr = k.let("scaled", Call(SMMLAR, (total, scale.multiplier, total)))
        if self.clamp[0] < self.y_zero and self.shift != 0:
            x = x + (x >> 31)
        return self._limited(Call(SSAT8, ((x + scale.offset) >> scale.shift,)))

    def _limited(self, value: Expr) -> Expr:
        low, high = self.clamp
        if low > -128:
            value = maximum(value, low)
        return minimum(value, high) if high < 127 else value

    def _general(self, total: Expr, scale: Scale) -> Expr:
        """Clamped before the zero point is added, so that the addition cannot overflow."""
        low, high = self.clamp[0] - self.y_zero, self.clamp[1] - self.y_zero
        value = Call(REQUANTIZE, (total, scale.multiplier, scale.shift))
        return minimum(maximum(value, low), high) + self.y_zero


def _index(requantizer: Requantizer, channel: Value, column: int) -> Expr:
    return channel * Const(requantizer.columns.shape[1]) + column


def requantizer(op: Linear, weights: NDArray[np.int8], folded: bool) -> Requantizer:
    """For `weights` as (channels, taps). With `folded` sums are of x * weight, and the zero point of x goes into the
    bias."""
    p = op.rescale
    bias = constant_bias(op)
    low, high, partial = ranges(weights.astype(np.int64), bias, p.x_zero, op.x.element.range)
    wraps = bool(max(np.max(high), -np.min(low), np.max(partial)) >= INT32)
    if folded:
        bias = bias - p.x_zero * weights.sum(axis=1, dtype=np.int64)
    fast = None if wraps or op.y.dtype != "int8" else _fast(p, bias, low, high)
    return fast or _general(p, bias, wraps)


def unknown_sums(op: Linear) -> Requantizer:
    """Where weights or bias are computed: sums may wrap, and the table has a bias only where it is a constant."""
    return _general(op.rescale, constant_bias(op), wraps=True)


def constant_bias(op: Linear) -> Integers:
    """The bias of each channel; zeros where there is none, or none that is known."""
    known = op.bias is not None and op.bias.is_constant
    return op.bias.constant.astype(np.int64) if known and op.bias is not None else np.zeros(op.y.shape[-1], np.int64)


def ranges(weights: Integers, bias: Integers, x_zero: int, x: tuple[int, int]) -> tuple[Integers, Integers, Integers]:
    """Least and greatest sum of each channel for an x in that range, and a bound of every partial sum, folded or not."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    low = bias + positive * (x[0] - x_zero) + negative * (x[1] - x_zero)
    high = bias + positive * (x[1] - x_zero) + negative * (x[0] - x_zero)
    return low, high, np.abs(bias) + (abs(x[0]) + abs(x_zero)) * (positive - negative)


def _general(p: Rescale, bias: Integers, wraps: bool) -> Requantizer:
    common = int(p.shifts[0]) if np.all(p.shifts == p.shifts[0]) else None
    columns: list[NDArray[Any]] = [bias, p.multipliers]
    table = _table(columns if common is not None else [*columns, p.shifts])
    return Requantizer("general", table, common, p.y_zero, p.clamp, wraps)


def _fast(p: Rescale, bias: Integers, low: Integers, high: Integers) -> Requantizer | None:
    """The fast form, where it is exact for every channel."""
    constant = low == high
    multipliers, shifts = p.multipliers.astype(np.int64), -p.shifts.astype(np.int64)
    usual = int(np.bincount(np.clip(shifts[~constant], 0, 31)).argmax()) if not constant.all() else 8
    bias, multipliers, shifts = _with_constants(p, bias, multipliers, shifts, constant, usual)
    common = usual if np.all(shifts == usual) else None
    offsets = np.abs(2 * p.y_zero + 1) << np.clip(shifts, 0, 31)
    reach = np.where(constant, np.abs(bias), np.maximum(np.abs(low), np.abs(high))) + offsets
    normal = (multipliers >= INT32 // 2) & (multipliers < INT32) & (shifts >= 0) & (shifts <= GREATEST_SHIFT)
    if not np.all(normal & (reach < INT32 - 2)) or (common is None and np.any(shifts == 0)):
        return None
    columns: list[NDArray[Any]] = [bias, 2 * multipliers - 2 * INT32]
    table = _table(columns if common is not None else [*columns, shifts])
    return Requantizer("fast", table, common, p.y_zero, p.clamp, wraps=False)


def _with_constants(
    p: Rescale, bias: Integers, multipliers: Integers, shifts: Integers, constant: NDArray[np.bool_], usual: int
) -> tuple[Integers, Integers, Integers]:
    """Channels whose weights are all zero get a bias that gives their output with a shift that others have too.

    Files are free to give such channels the strangest scales; these must not spoil the fast form for the rest.
    """
    outputs = np.clip(requantize(bias, p.multipliers, p.shifts), -512, 512)
    return (
        np.where(constant, outputs << min(usual, GREATEST_SHIFT), bias),
        np.where(constant, INT32 - 1, multipliers),
        np.where(constant, min(usual, GREATEST_SHIFT), shifts),
    )


def _table(columns: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
    """One row per channel; numbers beyond int32 wrap."""
    return np.stack([np.asarray(c, np.int64) for c in columns], axis=1).astype(np.int32)


class Epilogue(Protocol):
    """What becomes of the sums of an op's channels; `requantize48` has the other one."""

    @property
    def sum_type(self) -> Type: ...

    def bind(self, k: CallBuilder) -> Buffer: ...

    def bias(self, table: AnyBuffer, channel: Value) -> Expr: ...

    def scale(self, k: KernelBuilder, table: AnyBuffer, channel: Value) -> Scale: ...

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr: ...


def store_outputs(
    k: KernelBuilder,
    r: Epilogue,
    table: AnyBuffer,
    channel: Value,
    totals: list[Var],
    y: AnyBuffer,
    indices: list[Expr],
) -> None:
    """Requantise sums of one channel and store them."""
    scale = r.scale(k, table, channel)
    for total, index in zip(totals, indices, strict=True):
        k.store(y, index, r.output(k, total, scale))
