"""From sums to outputs where activations are int16: a product with 15 bits of the multiplier, rounded once.

Sums are 64 bits wide, unless the weights show that 32 hold every one of them. Where at least 17 bits are shifted out, which is
where outputs are no finer than products, the upper part of a product of 32 by 16 bits is enough: floor((a + h 2^16) / 2^r) is
floor((floor(a / 2^16) + h) / 2^(r - 16)), so that one SMLAWB and one shift round as the oracle does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantize import Epilogue, constant_bias, ranges, requantizer, unknown_sums
from smelt.kernels.requantizer import INT32, SHIFT_LEFT, Integers, Scale
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Table, Type, Value, cast, maximum, minimum
from smelt.model.arithmetic16 import halved_multiplier
from smelt.model.ops import DepthwiseConv2D, Linear
from smelt.model.rescale import Clamp, Rescale
from smelt.targets.intrinsics import SMLAWB
from smelt.targets.types import Core

BY_PRODUCT = 16  # bits that SMLAWB shifts out
MOST_SHORT = 45  # bits that are shifted out where what rounds fits beside the product


@dataclass(frozen=True, eq=False)
class Requantizer48:
    """`columns` is (channels, 2 to 4): multiplier, how far to shift unless all channels share it, and the bias, in two words where
    sums are `wide`. In the `short` form 16 bits are shifted out by the product itself; else all are but one, which rounds.
    """

    columns: NDArray[np.int32]
    shift: int | None
    wide: bool
    short: bool
    y_zero: int
    clamp: Clamp

    @property
    def sum_type(self) -> Type:
        return "int64_t" if self.wide else "int32_t"

    @property
    def table(self) -> Table:
        """The argument for the buffer that `bind` makes."""
        return self.columns.reshape(-1)

    def bind(self, k: CallBuilder) -> Buffer:
        return k.table("channels", self.table)

    def _at(self, table: AnyBuffer, channel: Value, column: int) -> Expr:
        return table[channel * Const(self.columns.shape[1]) + column]

    def bias(self, table: AnyBuffer, channel: Value) -> Expr:
        low = self._at(table, channel, 0)
        if not self.wide:
            return low
        return cast("int64_t", self._at(table, channel, 1)) * (1 << 32) + cast("uint32_t", low)

    def scale(self, k: KernelBuilder, table: AnyBuffer, channel: Value) -> Scale:
        """Load what `output` needs for a channel."""
        first = 2 if self.wide else 1
        multiplier = k.let("multiplier", self._at(table, channel, first))
        if self.shift is not None:
            return Scale(multiplier, Const(self.shift), Const((1 << self.shift) >> 1))
        shift = k.let("shift", self._at(table, channel, first + 1))
        half = k.let("half", Call(SHIFT_LEFT, (Const(1), shift - 1))) if self.short else Const(0)
        return Scale(multiplier, shift, half)

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        """The int16 result for one sum. What is beyond 32 bits wraps, as it does in the oracle."""
        if self.short:
            value = k.let("scaled", Call(SMLAWB, (total, scale.multiplier, scale.offset))) >> scale.shift
        else:
            product = k.let("product", self._product(total, scale.multiplier))
            value = cast("int32_t", ((product >> scale.shift) + 1) >> 1)
        low, high = self.clamp[0] - self.y_zero, self.clamp[1] - self.y_zero
        return minimum(maximum(value, low), high) + self.y_zero

    def _product(self, total: Expr, multiplier: Expr) -> Expr:
        """What is beyond 64 bits wraps, as it does in the oracle."""
        if not self.wide:
            return cast("int64_t", total) * multiplier
        return cast("int64_t", cast("uint64_t", total) * cast("uint64_t", multiplier))


def epilogue(op: Linear, weights: NDArray[np.int8], folded: bool) -> Epilogue:
    """What `op.rescale` asks for, for `weights` as (channels, taps). With `folded` sums are of x * weight, and the zero point of x
    goes into the bias."""
    if op.rescale.rounding != "tflm48":
        return requantizer(op, weights, folded)
    p, wide = op.rescale, weights.astype(np.int64)
    bias = constant_bias(op)
    low, high, partial = ranges(wide, bias, p.x_zero, op.x.element.range)
    narrow = bool(max(np.max(high), -np.min(low), np.max(partial)) < INT32)
    if folded:
        bias = bias - p.x_zero * wide.sum(axis=1)
    return _requantizer48(p, bias, narrow)


def epilogue_of_computed(op: Linear) -> Epilogue:
    """The same where weights or bias are computed, of which nothing is known."""
    if op.rescale.rounding != "tflm48":
        return unknown_sums(op)
    return _requantizer48(op.rescale, constant_bias(op), narrow=False)


def _requantizer48(p: Rescale, bias: Integers, narrow: bool) -> Requantizer48:
    multipliers, out = halved_multiplier(p.multipliers), 15 - p.shifts.astype(np.int64)
    nothing = multipliers == 0
    if not nothing.all():
        out = np.where(nothing, out[~nothing].max(), out)  # any shift gives 0
    short = narrow and bool(np.all((out > BY_PRODUCT) & (out <= MOST_SHORT)))
    shifts = out - (BY_PRODUCT if short else 1)
    shared = p.common(shifts)
    columns: list[Integers] = [bias, *(() if narrow else (bias >> 32,)), multipliers]
    table = np.stack(columns if shared is not None else [*columns, shifts], axis=1).astype(np.int32)
    return Requantizer48(table, shared, not narrow, short, p.y_zero, p.clamp)


def sums_are_words(op: Linear, core: Core) -> bool:
    """sums that fit 32 bits"""
    axis = 3 if isinstance(op, DepthwiseConv2D) else 0
    weights = np.moveaxis(op.weights.constant, axis, 0)
    return epilogue(op, weights.reshape(len(weights), -1), folded=True).sum_type == "int32_t"
