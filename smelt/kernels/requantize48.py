"""From sums to outputs where activations are int16: a product with 15 bits of the multiplier, rounded once.

Sums are 64 bits wide, unless the weights show that 32 hold every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantize import INT32, Epilogue, Integers, Scale, constant_bias, ranges, requantizer, unknown_sums
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Const, Expr, Table, Type, Value, cast, maximum, minimum
from smelt.model.arithmetic16 import halved_multiplier
from smelt.model.ops import DepthwiseConv2D, Linear
from smelt.model.rescale import Clamp, Rescale
from smelt.targets.types import Core


@dataclass(frozen=True, eq=False)
class Requantizer48:
    """`columns` is (channels, 3 or 4): multiplier, how far to shift less one, and the bias, in two words where sums are `wide`."""

    columns: NDArray[np.int32]
    wide: bool
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
        low = self._at(table, channel, 2)
        if not self.wide:
            return low
        return cast("int64_t", self._at(table, channel, 3)) * (1 << 32) + cast("uint32_t", low)

    def scale(self, k: KernelBuilder, table: AnyBuffer, channel: Value) -> Scale:
        """Load what `output` needs for a channel."""
        multiplier = k.let("multiplier", self._at(table, channel, 0))
        return Scale(multiplier, k.let("shift", self._at(table, channel, 1)), Const(0))

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        """The int16 result for one sum. The last bit that is shifted out rounds; what is beyond 32 bits wraps, as it does in the
        oracle."""
        product = k.let("product", cast("int64_t", total) * scale.multiplier)
        value = cast("int32_t", ((product >> scale.shift) + 1) >> 1)
        low, high = self.clamp[0] - self.y_zero, self.clamp[1] - self.y_zero
        return minimum(maximum(value, low), high) + self.y_zero


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
    columns: list[Integers] = [halved_multiplier(p.multipliers), 14 - p.shifts.astype(np.int64), bias]
    if not narrow:
        columns.append(bias >> 32)
    table = np.stack(columns, axis=1).astype(np.int32)
    return Requantizer48(table, not narrow, p.y_zero, p.clamp)


def sums_are_words(op: Linear, core: Core) -> bool:
    """sums that fit 32 bits"""
    axis = 3 if isinstance(op, DepthwiseConv2D) else 0
    weights = np.moveaxis(op.weights.constant, axis, 0)
    return epilogue(op, weights.reshape(len(weights), -1), folded=True).sum_type == "int32_t"
