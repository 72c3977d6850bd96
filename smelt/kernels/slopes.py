"""Outputs by a product of 32 bits, or by two of them, proved by thresholds: ``(x * slope + offset) >> shift``.

Whatever the rounding of a `Rescale`, its output is a step function of the sum, whose steps `once.steps_of` finds. A slope and an
offset are right where every step is reached by the first sum that should, and not by the one before it. Each such pair bounds
the slope; between its bounds any number does, and leaves an interval for the offset. So a form is found for every channel that has
one, and none is left unproved.

Where sums are limited first to those between which outputs change, products need no more bits than outputs and shift have,
however large sums are: 32 for nearly all integer networks. Where slopes must be finer than 32 bits allow, they are split in two,
``slope = high * 2^bits + low``: ``x * high + ((x * low + low_offset) >> bits)`` is exactly the upper part of the whole product.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.once import FAR, INT32, KEPT, Integers, Steps, steps_of
from smelt.model.rescale import Rescale

SHIFT = 24  # of outputs of limited sums: they fill the upper byte
MOST_BITS = 16  # of the lower part of a slope
SEARCHED = 64  # channels whose bounds are looked at, pair by pair
EMPTY = 1  # what is left of 32 bits beside the sign


@dataclass(frozen=True, eq=False)
class Slopes:
    """Of channels: x is the sum less its origin, from 0 to its width where sums are limited. `bits` are those of the lower part of
    slopes and offsets, none where they are not split; outputs are shifted by `shifts` beyond them."""

    origins: Integers
    widths: Integers | None
    slopes: Integers
    offsets: Integers
    bits: int
    shifts: Integers

    def of(self, totals: Integers) -> Integers:
        """What becomes of sums whose last axis is the channel."""
        x = totals - self.origins
        if self.widths is not None:
            x = np.clip(x, 0, self.widths)
        return (x * self.slopes + self.offsets) >> (self.bits + self.shifts)

    @property
    def columns(self) -> tuple[Integers, ...]:
        """Slope and offset, or those of the lower part and of the upper one; what is beyond 32 bits wraps, and may."""
        if not self.bits:
            return self.slopes, self.offsets
        low = (1 << self.bits) - 1
        return self.slopes & low, self.offsets & low, self.slopes >> self.bits, self.offsets >> self.bits


def find_slopes(
    p: Rescale, low: Integers, high: Integers, origins: Integers | None = None, split: bool = False
) -> Slopes | None:
    """For sums from `low` to `high` of each channel, which fit 32 bits. With `origins` sums are not limited, but outputs are.
    None where some channel has no such form."""
    arrays: list[NDArray[Any]] = [p.multipliers, p.shifts, low, high]
    arrays += [a for a in (p.addends, origins) if a is not None]
    key = (p.rounding, p.y_zero, p.clamp, p.inside, split, origins is None, *(a.tobytes() for a in arrays))
    return _found(_Asked(key, p, low, high, origins, split))


@dataclass(frozen=True)
class _Asked:
    """What slopes are looked for; two are the same where all of their numbers are."""

    numbers: tuple[Any, ...]
    p: Rescale = field(compare=False)
    low: Integers = field(compare=False)
    high: Integers = field(compare=False)
    origins: Integers | None = field(compare=False)
    split: bool = field(compare=False)


@lru_cache(KEPT)
def _found(asked: _Asked) -> Slopes | None:
    p = asked.p
    if int((asked.high - asked.low).max(initial=0)) >= INT32:
        return None
    steps = steps_of(p, asked.low, asked.high)
    form = _limited(steps, asked.split) if asked.origins is None else _whole(p, steps, asked)
    if form is None:
        return None
    found = _solved(_Bounds.of(steps, form), form, _factors(p))
    return found if found is not None and _fits(found, asked.low, asked.high) else None


def _fits(form: Slopes, low: Integers, high: Integers) -> bool:
    """Whether 32 bits hold what is shifted last."""
    if form.widths is not None:
        return True  # it is an output, `SHIFT` bits further up
    ends = np.stack([(end - form.origins) * form.slopes + form.offsets for end in (low, high)]) >> form.bits
    return bool(np.abs(ends).max(initial=0) < INT32)


def _factors(p: Rescale) -> NDArray[np.float64]:
    return np.ldexp(p.multipliers.astype(np.float64), p.shifts - 31)


def _active(steps: Steps) -> NDArray[np.bool_]:
    """The steps that some sums reach and others do not."""
    return np.asarray((steps.first > steps.low) & (steps.first <= steps.high))


def _limited(steps: Steps, split: bool) -> Slopes | None:
    """Sums from the last one before the first step to the first one behind the last: only the form, without slopes."""
    active = _active(steps)
    some = active.any(axis=0)
    least = np.where(some, np.where(active, steps.first, FAR).min(axis=0, initial=FAR) - 1, 0)
    most = np.where(some, np.where(active, steps.first, -FAR).max(axis=0, initial=-FAR), 0)
    widths, nothing = most - least, np.zeros_like(least)
    bits = min(31 - int(widths.max(initial=0)).bit_length(), MOST_BITS) if split else 0
    if split and bits < 1:
        return None
    return Slopes(np.where(steps.signs > 0, least, -most), widths, nothing, nothing, bits, np.full_like(least, SHIFT))


def _whole(p: Rescale, steps: Steps, asked: _Asked) -> Slopes | None:
    """All sums: products must have room for what outputs would be without limits."""
    assert asked.origins is not None
    low, high = asked.low - asked.origins, asked.high - asked.origins
    reach = np.abs(_factors(p)) * (asked.high - asked.low) + 2.0 ** (8 + EMPTY)
    shifts = np.minimum(31 - np.ceil(np.log2(reach)).astype(np.int64), SHIFT)
    bits = (
        min(31 - int(np.maximum(np.abs(low), np.abs(high)).max(initial=0)).bit_length(), MOST_BITS)
        if asked.split
        else 0
    )
    if np.any(shifts < 1) or (asked.split and bits < 1):
        return None
    nothing = np.zeros_like(low)
    return Slopes(asked.origins, None, nothing, nothing, bits, shifts)


@dataclass(frozen=True, eq=False)
class _Bounds:
    """Where x, of a row for each step, must make at least an output (`reached`), and less than one (`before`): (x, output) each."""

    reached: tuple[Integers, Integers]
    before: tuple[Integers, Integers]
    reached_held: NDArray[np.bool_]
    before_held: NDArray[np.bool_]
    varies: NDArray[np.bool_]
    always: Integers  # the output of a channel that does not vary

    @staticmethod
    def of(steps: Steps, form: Slopes) -> _Bounds:
        active = _active(steps)
        varies, outputs = np.asarray(active.any(axis=0)), np.broadcast_to(steps.outputs, steps.first.shape)
        least = steps.always
        first, last = steps.signs * steps.first - form.origins, steps.signs * (steps.first - 1) - form.origins
        if form.widths is None:
            return _Bounds((first, outputs), (last, outputs), active, active, varies, least)
        ends = (np.where(steps.signs > 0, end, form.widths - end) for end in (0, form.widths))
        bottom, top = ends
        most = least + np.count_nonzero(active, axis=0)
        held = np.vstack([active, np.ones_like(varies)])
        return _Bounds(
            (np.vstack([first, bottom]), np.vstack([outputs, least])),
            (np.vstack([last, top]), np.vstack([outputs, most + 1])),
            held, held, varies, least,
        )  # fmt: skip

    def offsets(self, slopes: Integers, shifts: Integers) -> tuple[Integers, Integers]:
        """The least and the greatest offset of each channel with these slopes."""
        (x, output), (x_before, above) = self.reached, self.before
        low = np.where(self.reached_held, (output << shifts) - slopes * np.where(self.reached_held, x, 0), -FAR)
        high = np.where(self.before_held, (above << shifts) - 1 - slopes * np.where(self.before_held, x_before, 0), FAR)
        return low.max(axis=0, initial=-FAR), high.min(axis=0, initial=FAR)

    def slope(self, channel: int, shift: int) -> int | None:
        """The middle one of the slopes with which one channel has an offset; None where there is none."""
        (x, output), (x_before, above) = self.reached, self.before
        a, b = self.reached_held[:, channel], self.before_held[:, channel]
        apart = x[a, channel][:, None] - x_before[b, channel][None]
        needed = ((output[a, channel][:, None] - above[b, channel][None]) << shift) + 1
        size = np.maximum(np.abs(apart), 1)
        if np.any((apart == 0) & (needed > 0)):
            return None
        low = np.where(apart > 0, -(-needed // size), -FAR).max()
        high = np.where(apart < 0, -needed // size, FAR).min()
        return int(low + high) >> 1 if low <= high else None


def _solved(bounds: _Bounds, form: Slopes, factors: NDArray[np.float64]) -> Slopes | None:
    """With the nearest slopes, or the middle one of those that are right."""
    shifts = form.bits + form.shifts
    most = 2.0 ** (31 + form.bits) - 1
    slopes = np.where(bounds.varies, np.clip(np.rint(np.ldexp(factors, shifts)), -most, most), 0).astype(np.int64)
    low, high = bounds.offsets(slopes, shifts)
    left = np.flatnonzero(bounds.varies & (low > high))
    if len(left) > SEARCHED:
        return None
    for channel in left.tolist():
        slope = bounds.slope(channel, int(shifts[channel]))
        if slope is None or abs(slope) > most:
            return None
        slopes[channel] = slope
    low, high = bounds.offsets(slopes, shifts)
    offsets = np.where(bounds.varies, (low + high) >> 1, bounds.always << shifts)
    found = replace(form, slopes=slopes, offsets=offsets)
    return found if np.all(~bounds.varies | (low <= high)) else None
