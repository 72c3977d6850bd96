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

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.requantize_exact import defined_requantizer, exact_requantizer, routine_requantizer
from smelt.kernels.requantizer import GREATEST_SHIFT, INT32, Integers, Requantizer, Scale, table_of
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Expr, Type, Value, Var
from smelt.model.arithmetic import requantize
from smelt.model.ops import Linear
from smelt.model.rescale import Rescale


def requantizer(op: Linear, weights: NDArray[np.int8], folded: bool) -> Requantizer:
    """For `weights` as (channels, taps). With `folded` sums are of x * weight, and the zero point of x goes into the
    bias."""
    p = op.rescale
    bias = constant_bias(op)
    low, high, partial = ranges(weights.astype(np.int64), bias, p.x_zero, op.x.element.range)
    wraps = sums_wrap(low, high, partial)
    if folded:
        bias = bias - p.x_zero * weights.sum(axis=1, dtype=np.int64)
    if p.rounding != "tflm":
        return exact_requantizer(p, op.y.dtype, bias, (low, high), wraps)
    fast = None if wraps or op.y.dtype != "int8" else _fast(p, bias, low, high)
    return fast or _general(p, bias, wraps)


def for_routines(op: Linear, weights: NDArray[np.int8], folded: bool = True) -> Requantizer:
    """`requantizer` for routines that make outputs themselves: a few of these may have to be looked at again (`doubts`)."""
    p = op.rescale
    if p.rounding not in ("ties_even", "floor") or op.y.dtype != "int8":
        return requantizer(op, weights, folded)
    bias, wide = constant_bias(op), weights.astype(np.int64)
    low, high, partial = ranges(wide, bias, p.x_zero, op.x.element.range)
    wraps = sums_wrap(low, high, partial)
    if folded:
        bias = bias - p.x_zero * wide.sum(axis=1)
    form = None if wraps else routine_requantizer(p, bias, (low, high))
    return form or requantizer(op, weights, folded)


def unknown_sums(op: Linear) -> Requantizer:
    """Where weights or bias are computed: sums may wrap, and the table has a bias only where it is a constant."""
    if op.rescale.rounding != "tflm":
        return defined_requantizer(op.rescale, constant_bias(op), None)
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


def sums_wrap(low: Integers, high: Integers, partial: Integers) -> bool:
    """Whether sums, or partial ones, of which `ranges` tells, may leave int32."""
    return bool(max(np.max(high), -np.min(low), np.max(partial)) >= INT32)


def _general(p: Rescale, bias: Integers, wraps: bool) -> Requantizer:
    common = p.common(p.shifts)
    columns: list[NDArray[Any]] = [bias, p.multipliers]
    table = table_of(columns if common is not None else [*columns, p.shifts])
    return Requantizer("general", table, common, p.y_zero, p.clamp, wraps)


def _fast(p: Rescale, bias: Integers, low: Integers, high: Integers) -> Requantizer | None:
    """The fast form, where it is exact for every channel."""
    constant = low == high
    multipliers, shifts = p.multipliers.astype(np.int64), -p.shifts.astype(np.int64)
    usual = int(np.bincount(np.clip(shifts[~constant], 0, 31)).argmax()) if not constant.all() else 8
    bias, multipliers, shifts = _with_constants(p, bias, multipliers, shifts, constant, usual)
    common = p.common(shifts)
    offsets = np.abs(2 * p.y_zero + 1) << np.clip(shifts, 0, 31)
    reach = np.where(constant, np.abs(bias), np.maximum(np.abs(low), np.abs(high))) + offsets
    normal = (multipliers >= INT32 // 2) & (multipliers < INT32) & (shifts >= 0) & (shifts <= GREATEST_SHIFT)
    if not np.all(normal & (reach < INT32 - 2)) or (common is None and np.any(shifts == 0)):
        return None
    columns: list[NDArray[Any]] = [bias, 2 * multipliers - 2 * INT32]
    table = table_of(columns if common is not None else [*columns, shifts])
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
