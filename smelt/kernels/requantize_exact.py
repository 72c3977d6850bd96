"""The other roundings of `Rescale`: "ties_even" and "floor", bit for bit.

Most layers take the form of `once`, which is faster than the one of TensorFlow Lite Micro's rounding and proved for all sums that
their weights allow. What has no such form, or outputs of more than eight bits, is computed as it is defined: "floor" by a product
and a shift of 32 bits where the range shows that they suffice, else of 64; "ties_even" by a function with a rare branch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.once import INT32, Integers, Once, find_once
from smelt.kernels.requantizer import Numbers, Requantizer, Scale, index, table_of
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Call, Const, Expr, Intrinsic, Value, binary, cast, maximum, minimum
from smelt.model.ops import FULL
from smelt.model.rescale import Rescale
from smelt.targets.intrinsics import SMMLA, SMMLAR, SSAT8

TIES_EVEN = Intrinsic("ties_even", "int32_t", 20, 24)
MANTISSA = 24  # bits of a float32
BITS = range(2, 9)  # by which routines let weights grow
SHIFTS = (14, 8)  # that their outputs have then
MOST_BIAS = 2**22
MOST_DOUBTS, MOST_ALONE = 0.25, 4  # spans of a channel, single outputs of one
MOST_AGAIN, OUTPUTS = 0.03, 256  # the share of outputs that may be doubtful
MOST_OFFSET = 2**30
FINE = 7  # bits more than outputs, with which few products are near a tie
MOST_NEAR = 20  # bits more: the zero point still fits


def exact_requantizer(p: Rescale, y: str, bias: Integers, sums: tuple[Integers, Integers], wraps: bool) -> Requantizer:
    """For outputs of type `y`. `bias` is that of the table; `sums` are the least and the greatest of each channel, which say
    nothing where sums may wrap."""
    low, high = sums
    if not wraps and y == "int8":
        form = find_once(p, low, high)
        if form is not None and not form.doubtful:
            return _once(p, bias, form)
        near = _near(p, bias, low, high) if p.rounding == "ties_even" else None
        if near is not None:
            return near
    return defined_requantizer(p, bias, None if wraps else np.maximum(np.abs(low), np.abs(high)))


class _Known:
    """A table of one channel whose numbers are written into the code."""

    def __init__(self, columns: NDArray[np.int32]) -> None:
        self._columns = columns

    def __getitem__(self, place: Value) -> Expr:
        number: int = place.value if isinstance(place, Const) else 0
        return Const(int(self._columns.reshape(-1)[number]))


def single_output(k: KernelBuilder, p: Rescale, y: str, sums: tuple[int, int], total: Expr) -> Expr:
    """The output of type `y` for one sum, of 32 bits, from `sums[0]` to `sums[1]`, where there is only one multiplier."""
    low, high = (np.array([end], np.int64) for end in sums)
    return _single(k, exact_requantizer(p, y, np.zeros(1, np.int64), (low, high), wraps=False), total)


def once_output(k: KernelBuilder, p: Rescale, form: Once, total: Expr) -> Expr:
    """The int8 for one sum of the only channel of `form`."""
    return _single(k, _once(p, np.zeros(1, np.int64), form), total)


def _single(k: KernelBuilder, r: Requantizer, total: Expr) -> Expr:
    added = int(r.columns[0, 0])
    scale = r.scale(k, _Known(r.columns), Const(0))
    return r.output(k, total + added if added else total, scale)


def routine_requantizer(p: Rescale, bias: Integers, sums: tuple[Integers, Integers]) -> OnceRequantizer | None:
    """The form for routines, with a few doubtful outputs where it must be; None where there is none, or where these are many or
    could not be looked at again: that is done in the arithmetic of "ties_even" alone, and knows no limits but those of int8."""
    form = find_once(p, *sums)
    if form is None or (form.doubtful and (p.rounding != "ties_even" or p.clamp != FULL)):
        return None
    spans = _spans(form)
    if len(spans) > MOST_DOUBTS * len(bias) or sum(count for *_, count in spans) > MOST_AGAIN * OUTPUTS * len(bias):
        return None
    return _once(p, bias, form)


def _once(p: Rescale, bias: Integers, form: Once) -> OnceRequantizer:
    offsets = form.offsets
    common = p.common(offsets)
    # Channels that are constant may have the strangest biases, which must not spoil anything for the rest.
    columns = [
        np.where(form.multipliers == 0, 0, bias + form.added),
        form.multipliers,
        *(() if common is not None else (offsets,)),
    ]
    doubts = np.zeros((0, 6), np.int32)
    if form.doubtful:
        channels, outputs, counts = np.array(_spans(form)).T
        shifts = MANTISSA - p.shifts[channels].astype(np.int64)
        multipliers = p.multipliers[channels] >> (31 - MANTISSA)
        doubts = table_of([channels, outputs, counts, bias[channels], multipliers, shifts])
    return OnceRequantizer("once", table_of(columns), form.shift, p.y_zero, p.clamp, False, form, common, doubts)


def _spans(form: Once) -> list[tuple[int, int, int]]:
    """(channel, least output, how many) of what is doubtful: one by one, or all between where a channel has many."""
    found: list[tuple[int, int, int]] = []
    for channel in sorted({channel for channel, _ in form.doubtful}):
        outputs = [output for c, output in form.doubtful if c == channel]
        if len(outputs) > MOST_ALONE:
            found.append((channel, min(outputs), max(outputs) - min(outputs) + 1))
        else:
            found.extend((channel, output, 1) for output in outputs)
    return found


@dataclass(frozen=True, eq=False)
class OnceRequantizer(Requantizer):
    """`columns` are bias, multiplier and, unless all channels share it, offset. `doubts` are channel, output, how many, bias,
    multiplier and shift of what is doubtful, which only routines leave to be looked at again."""

    proved: Once
    offset: int | None
    doubts: NDArray[np.int32]

    @property
    def saturates(self) -> bool:
        return self.clamp == FULL

    @property
    def is_shared(self) -> bool:
        return self.offset is not None and bool(np.all(self.columns[:, 1] == self.columns[0, 1]))

    @property
    def is_direct(self) -> bool:
        return self.is_shared and not self.proved.doubtful and self.clamp == FULL and self.proved.up == 0

    @property
    def direct_scale(self) -> tuple[Const, Const, Const]:
        return Const(int(self.columns[0, 1])), Const(self.offset or 0), Const(self.proved.shift)

    def grown(self, bits: int) -> OnceRequantizer | None:
        """With offsets of channels in the table, the third number of each."""
        if bits < self.proved.up:
            return None
        form = self.proved.grown(bits)
        if np.abs(form.offsets).max(initial=0) >= MOST_OFFSET or form.shift > 31:
            return None
        columns = table_of([self.columns[:, 0], form.multipliers, form.offsets])
        return replace(self, columns=columns, shift=form.shift, proved=form, offset=None)

    def after_bias(self) -> OnceRequantizer:
        """The same where sums have the bias of the table in them when they are looked at again: `doubts` take off what it has
        more."""
        doubts = self.doubts.copy()
        doubts[:, 3] = -self.proved.added[doubts[:, 0]]
        return replace(self, doubts=doubts)

    @property
    def bits(self) -> int:
        """By how many bits sums grow so that the shift is one of `SHIFTS`; 0 where none is right."""
        shift = self.proved.shift - self.proved.up
        fitting = (s - shift for s in SHIFTS if s - shift in BITS and s - shift >= self.proved.up)
        return next(fitting, 0)

    @property
    def in_bits(self) -> Requantizer:
        return self.grown(self.bits) or self

    @property
    def rounds_once(self) -> bool:
        return self.saturates and self.bits > 0 and self.grown(self.bits) is not None and self.widest_bias < MOST_BIAS

    @property
    def numbers(self) -> tuple[int, int]:
        """By how many bits sums grow, and the shift of all channels."""
        return self.proved.up, self.proved.shift

    def scale(self, k: KernelBuilder, table: Numbers, channel: Value) -> Scale:
        multiplier = k.let("multiplier", table[index(self, channel, 1)])
        shift = Const(self.proved.shift)
        if self.offset is not None:
            return Scale(multiplier, shift, Const(self.offset))
        return Scale(multiplier, shift, k.let("offset", table[index(self, channel, 2)]))

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        total = cast("int32_t", total)
        grown = total * (1 << self.proved.up) if self.proved.up else total
        scaled = Call(SMMLA, (grown, scale.multiplier, scale.offset))
        return self.limited(Call(SSAT8, (scaled >> scale.shift,)))


def _near(p: Rescale, bias: Integers, low: Integers, high: Integers) -> NearRequantizer | None:
    """Where a product is near a tie, and then alone, it is computed as it is defined."""
    constant = p.apply(low) == p.apply(high)
    real = np.ldexp(p.multipliers.astype(np.float64), p.shifts - 31)
    largest = float(real[~constant].max(initial=0))
    if largest == 0 or np.any(p.multipliers < 0):
        return None
    bare = -2 - int(np.floor(np.log2(largest)))
    room = 30 - int(max(np.abs(low).max(), np.abs(high).max())).bit_length()
    up = max(0, min(FINE - bare, room))
    shift = bare + up
    multipliers = np.where(constant, 0, np.ldexp(real, 32 + bare))
    if not 1 <= shift <= MOST_NEAR or np.any(multipliers != np.rint(multipliers)):
        return None
    steps = p.apply(low) - p.y_zero
    if np.any(constant & (steps != 0) & (low != high)):
        return None
    fixed = constant & (low == high)  # no weights: the bias is the sum
    bias = np.where(fixed, steps << (bare + 2), bias) if bare >= -2 else bias
    if bare < -2 and fixed.any():
        return None
    columns = [bias, np.where(fixed, 1 << 30, multipliers.astype(np.int64))]
    return NearRequantizer("exact", table_of(columns), shift, p.y_zero, p.clamp, False, up)


@dataclass(frozen=True, eq=False)
class NearRequantizer(Requantizer):
    """`columns` are bias and multiplier, exact, whose products with sums have `shift` bits more than outputs, the upper word of
    them rounded, where sums grow by `up` bits: where these are 0, once the half is added, the product is near a tie."""

    up: int

    def scale(self, k: KernelBuilder, table: Numbers, channel: Value) -> Scale:
        multiplier = k.let("multiplier", table[index(self, channel, 1)])
        shift = self.shift or 0
        return Scale(multiplier, Const(shift), Const((2 * self.y_zero + 1) << (shift - 1)))

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        total = k.let("total", cast("int32_t", total))
        shift = self.shift or 0
        grown = total * (1 << self.up) if self.up else total
        scaled = k.let("scaled", Call(SMMLAR, (grown, scale.multiplier, scale.offset)))
        y = k.var("y", scaled >> shift)
        with k.when(binary("==", scaled & ((1 << shift) - 1), 0), rarely=True):
            k.assign(y, Call(TIES_EVEN, (total, scale.multiplier, Const(32 + shift - self.up))) + self.y_zero)
        return self.limited(Call(SSAT8, (y,)))


def defined_requantizer(p: Rescale, bias: Integers, reach: Integers | None) -> Requantizer:
    """Step by step, for sums that are no further from zero than `reach`; None where they may wrap."""
    if p.rounding == "floor":
        return _floor(p, bias, reach)
    shifts = MANTISSA - p.shifts.astype(np.int64)
    common = p.common(shifts)
    columns = [bias, p.multipliers >> (31 - MANTISSA), *(() if common is not None else (shifts,))]
    return TiesEvenRequantizer("exact", table_of(columns), common, p.y_zero, p.clamp, reach is None)


def _floor(p: Rescale, bias: Integers, reach: Integers | None) -> Requantizer:
    added = np.zeros(len(bias), np.int64) if p.addends is None else p.addends
    factors, shift = p.multipliers.astype(np.int64), int(31 - p.shifts[0])
    narrow = reach is not None and bool(np.max(np.abs(factors) * reach + np.abs(added)) < INT32) and shift < 31
    words = [added] if narrow else [added, added >> 32]
    return FloorRequantizer("exact", table_of([bias, factors, *words]), shift, p.y_zero, p.clamp, reach is None, narrow)


@dataclass(frozen=True, eq=False)
class TiesEvenRequantizer(Requantizer):
    """`columns` are bias, multiplier (24 bits) and, unless all channels share it, by how many bits products are shifted."""

    def scale(self, k: KernelBuilder, table: Numbers, channel: Value) -> Scale:
        multiplier = k.let("multiplier", table[index(self, channel, 1)])
        shift = Const(self.shift) if self.shift is not None else k.let("shift", table[index(self, channel, 2)])
        return Scale(multiplier, shift, Const(0))

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        value = Call(TIES_EVEN, (cast("int32_t", total), scale.multiplier, scale.shift))
        return self.from_zero(value)


@dataclass(frozen=True, eq=False)
class FloorRequantizer(Requantizer):
    """`columns` are bias, multiplier and what is added to the product: in two words unless all of it is `narrow`, 32 bits."""

    narrow: bool

    def scale(self, k: KernelBuilder, table: Numbers, channel: Value) -> Scale:
        multiplier = k.let("multiplier", table[index(self, channel, 1)])
        low = table[index(self, channel, 2)]
        if not self.narrow:
            low = cast("int64_t", table[index(self, channel, 3)]) * (1 << 32) + cast("uint32_t", low)
        return Scale(multiplier, Const(self.shift or 0), k.let("addend", low))

    def output(self, k: KernelBuilder, total: Expr, scale: Scale) -> Expr:
        total = cast("int32_t", total)
        if self.narrow:
            return self.from_zero(k.let("scaled", total * scale.multiplier + scale.offset) >> scale.shift)
        low, high = (Const(end - self.y_zero, "int64_t") for end in self.clamp)
        value = k.let("scaled", cast("int64_t", total) * scale.multiplier + scale.offset) >> scale.shift
        return cast("int32_t", minimum(maximum(value, low), high)) + self.y_zero
