"""Outputs by one product and one shift, ``(upper word of sum * 2^up * multiplier, + offset) >> shift``, proved by thresholds.

Whatever the rounding of a `Rescale`, its output is a step function of the sum that never falls, with at most 255 steps inside
int8. Where each step lies is found exactly, among the sums that weights and bias allow. That an output is at least k where the
step of k is, and is not one sum before it, bounds the multiplier, once the offset is chosen: a multiplier within all bounds of a
channel makes every output what it should be, ties and near-ties included, and none may be left unproved. Where there is no such
multiplier, because near-ties ask for more than one number can give, a number is added to the sums as well (to the bias, that is),
which makes offsets as fine as they need to be. A few channels have more near-ties than that serves: for them, and for all whose
ties are exact (a scale that is a power of two), the form says which outputs are doubtful, so that only their sums need to be looked
at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.rescale import Rescale

Integers = NDArray[np.int64]

UPS = (0, 2, 6)  # bits that sums grow by, the fewest first: with more bits, offsets are finer
TILTS = np.unique(np.concatenate([sign * (np.arange(33) << bits) for sign in (1, -1) for bits in (0, 3)]))
"""By how much multipliers are changed: near-ties are a few millionths away from ties."""
ADDED = np.array(sorted(range(-4096, 4097), key=abs), np.int64)  # to sums
TIGHT = 12  # bounds, on either side, that are tried as what is added to products
FAR = 2**62
GREATEST_SHIFT = 20  # 256 << 20 << 32 stays inside 64 bits
KEPT = 256  # solutions that are remembered
INT32 = 2**31


@dataclass(frozen=True, eq=False)
class Once:
    """`multipliers`, `offsets` and what is `added` to the sum, of channels; the shift is that of all. Sums that give one of the
    `doubtful` outputs (channel, output), mostly none, must be looked at again."""

    multipliers: Integers
    offsets: Integers
    added: Integers
    shift: int
    up: int
    doubtful: tuple[tuple[int, int], ...]

    def of(self, totals: Integers) -> Integers:
        """What becomes of sums whose last axis is the channel, before int8 limits it."""
        return ((((totals + self.added) << self.up) * self.multipliers >> 32) + self.offsets) >> self.shift

    def repeated(self, channels: int) -> Once:
        """The same for so many channels, where it is that of one."""
        multipliers, offsets, added = (np.repeat(c, channels) for c in (self.multipliers, self.offsets, self.added))
        doubtful = tuple((channel, output) for channel in range(channels) for _, output in self.doubtful)
        return Once(multipliers, offsets, added, self.shift, self.up, doubtful)

    def grown(self, up: int) -> Once:
        """The same for sums that grow by `up` bits, no fewer than here: it loses nothing."""
        more = up - self.up
        return Once(self.multipliers, self.offsets << more, self.added, self.shift + more, up, self.doubtful)


def find_once(p: Rescale, low: Integers, high: Integers) -> Once | None:
    """The form for sums from `low` to `high` of each channel, which fit 32 bits, with the fewest doubts; None where there is
    none."""
    if len(low) > 1 and _is_shared(p):
        ends = low.min(keepdims=True), high.max(keepdims=True)
        one = _found(_Asked.of(p.of(np.zeros(1, np.intp)), *ends))
        return None if one is None else one.repeated(len(low))
    return _found(_Asked.of(p, low, high))


@dataclass(frozen=True)
class _Asked:
    """What a form is looked for; two are the same where all of their numbers are."""

    numbers: tuple[Any, ...]
    p: Rescale = field(compare=False)
    low: Integers = field(compare=False)
    high: Integers = field(compare=False)

    @staticmethod
    def of(p: Rescale, low: Integers, high: Integers) -> _Asked:
        arrays = (p.multipliers, p.shifts, low, high, *(() if p.addends is None else (p.addends,)))
        return _Asked((p.rounding, p.y_zero, p.clamp, p.inside, *(a.tobytes() for a in arrays)), p, low, high)


def _is_shared(p: Rescale) -> bool:
    """Whether all channels have the same numbers."""
    columns = (p.multipliers, p.shifts, *(() if p.addends is None else (p.addends,)))
    return all(bool(np.all(column == column[0])) for column in columns)


@lru_cache(KEPT)
def _found(asked: _Asked) -> Once | None:
    p, bounds = asked.p, (asked.low, asked.high)
    steps = steps_of(p, *bounds)
    reach = max(int(np.abs(end).max(initial=0)) for end in bounds)
    for up in UPS:
        if (reach + ADDED.size) << up < INT32:
            form = _at(p, steps, up)
            if form is not None:
                return form
    return None


@dataclass(frozen=True, eq=False)
class Steps:
    """For each channel, and each output above the least: the first sum that reaches it, `low` where all do, `high` + 1 where none.
    Where the multiplier is negative (`signs`), sums count downwards: all are those of the negative sum."""

    outputs: Integers  # (outputs, 1)
    first: Integers  # (outputs, channels)
    low: Integers
    high: Integers
    signs: Integers
    least: int

    @property
    def always(self) -> Integers:
        """The output of the least sum of each channel: of all its sums, where it does not vary."""
        return np.asarray(self.least + np.count_nonzero(self.first <= self.low, axis=0))

    def of(self, channel: int) -> Steps:
        """Of one channel."""
        one = [channel]
        return Steps(self.outputs, self.first[:, one], self.low[one], self.high[one], self.signs[one], self.least)


def steps_of(p: Rescale, low: Integers, high: Integers) -> Steps:
    """Exactly, by searching between a guess and its neighbours, or everywhere where that is not near."""
    signs = np.where(p.multipliers < 0, -1, 1).astype(np.int64)
    low, high = np.where(signs < 0, -high, low), np.where(signs < 0, -low, high)
    outputs = np.arange(p.low + 1, p.high + 1, dtype=np.int64)[:, np.newaxis]
    guess = _guess(p, outputs, low, high)
    least, most = np.maximum(guess - 2, low), np.minimum(guess + 2, high + 1)
    least = np.where(p.apply(signs * least) >= outputs, low, least)
    most = np.where(p.apply(signs * np.minimum(most, high)) < outputs, high + 1, most)
    while np.any(least < most):
        middle = (least + most) >> 1
        reached = p.apply(signs * middle) >= outputs
        least, most = np.where(reached | (least >= most), least, middle + 1), np.where(reached, middle, most)
    return Steps(outputs, most, low, high, signs, p.low)


def _guess(p: Rescale, outputs: Integers, low: Integers, high: Integers) -> Integers:
    """About where steps lie."""
    factors = np.abs(_factors(p))
    about = (outputs - _beside(p)) / np.where(factors > 0, factors, 1)
    return np.asarray(np.clip(np.nan_to_num(np.ceil(about)), low, high), np.int64)


def _factors(p: Rescale) -> NDArray[np.float64]:
    """The multipliers as real numbers."""
    return np.ldexp(p.multipliers.astype(np.float64), p.shifts - 31)


def _beside(p: Rescale) -> NDArray[np.float64] | float:
    """What is added to a product, as a real number, before it is rounded down."""
    if p.rounding != "floor":
        return p.y_zero + 0.5
    added = np.zeros(1) if p.addends is None else p.addends.astype(np.float64)
    return np.ldexp(added, p.shifts - 31) + p.y_zero


def _at(p: Rescale, steps: Steps, up: int) -> Once | None:
    """The form for sums that grow by `up` bits."""
    varies = np.any((steps.first > steps.low) & (steps.first <= steps.high), axis=0)
    largest = float(np.abs(_factors(p))[varies].max(initial=2.0**-12))
    shift = min(up - 2 - int(np.floor(np.log2(largest))), GREATEST_SHIFT)
    if shift < 0:
        return None
    nearest = np.rint(np.ldexp(np.broadcast_to(_beside(p), varies.shape), shift))
    if np.abs(nearest).max(initial=0) >= 2**30:
        return None
    multipliers = np.rint(np.ldexp(np.abs(_factors(p)), 32 + shift - up)).astype(np.int64)
    return _solved(steps, (multipliers, nearest.astype(np.int64)), varies, shift, up)


def _solved(
    steps: Steps, about: tuple[Integers, Integers], varies: NDArray[np.bool_], shift: int, up: int
) -> Once:  # fmt: skip
    """Channels for which the nearest offset does get a multiplier for it; others an offset, and something added to their sums.
    `about` are the nearest multipliers and offsets."""
    near, nearest = about
    least, most = _bounds(steps, nearest, shift, up)
    easy = varies & (least <= most)
    multipliers = np.where(easy, (least + most) >> 1, 0)
    offsets, added = np.where(varies, nearest, steps.always << shift), np.zeros_like(nearest)
    for channel in np.flatnonzero(varies & ~easy).tolist():
        found = _line(steps.of(channel), int(near[channel]), shift, up)
        multipliers[channel], offsets[channel], added[channel] = found
    form = Once(multipliers * steps.signs, offsets, added * steps.signs, shift, up, ())
    return replace(form, doubtful=_doubtful(form, steps))


def _doubtful(form: Once, steps: Steps) -> tuple[tuple[int, int], ...]:
    """(channel, output) of what the form gives where another output is right: beside a step that is elsewhere."""
    found: set[tuple[int, int]] = set()
    if not steps.outputs.size:
        return ()
    for sums, rises in ((steps.first, True), (steps.first - 1, False)):
        made = np.clip(form.of(steps.signs * sums), steps.outputs[0] - 1, steps.outputs[-1])
        # Where several steps lie on one sum, only this is known of what is right there.
        off = made < steps.outputs if rises else made >= steps.outputs
        rows, channels = np.nonzero(off & (sums >= steps.low) & (sums <= steps.high))
        found.update(zip(channels.tolist(), made[rows, channels].tolist(), strict=True))
    return tuple(sorted(found))


def _line(steps: Steps, multiplier: int, shift: int, up: int) -> tuple[int, int, int]:
    """(multiplier, offset, what is added to the sum) of one channel, near that multiplier, that leave the fewest steps elsewhere.

    With n added to sums, and an offset of o, 2^32 * o + n * multiplier is what is added to products: as n goes on, all numbers
    occur.
    """
    candidates = np.clip(multiplier + TILTS, 1, INT32 - 1)
    needed, first = steps.outputs << (shift + 32), steps.first << up
    least = np.where(steps.first <= steps.high, needed - candidates * first, -FAR)
    most = np.where(steps.first > steps.low, needed - 1 - candidates * (first - (1 << up)), FAR)
    tight = np.sort(least, axis=0)[-TIGHT:], np.sort(most, axis=0)[:TIGHT]
    tried = np.concatenate(tight)
    elsewhere = np.array([np.count_nonzero((least > some) | (most < some), axis=0) for some in tried])
    room = np.where(elsewhere == elsewhere.min(), _room(least, most, tried), -1)
    row, chosen = np.unravel_index(np.argmax(room), room.shape)
    low, high = _around(least[:, chosen], most[:, chosen], int(tried[row, chosen]))
    step = int(candidates[chosen]) << up
    offsets = -((step * ADDED - low) >> 32)
    excess = (offsets << 32) + step * ADDED - high
    n = int(np.argmax(excess <= 0)) if np.any(excess <= 0) else int(np.argmin(excess))
    return int(candidates[chosen]), int(offsets[n]), int(ADDED[n])


def _room(least: Integers, most: Integers, tried: Integers) -> Integers:
    """How far what is added to products may go up or down from `tried` until another step is elsewhere."""
    rooms = []
    for some in tried:
        below = np.where(least <= some, least, -FAR).max(axis=0)
        above = np.where(most >= some, most, FAR).min(axis=0)
        rooms.append(above - below)
    return np.array(rooms)


def _around(least: Integers, most: Integers, tried: int) -> tuple[int, int]:
    """From where to where no other step gets elsewhere than at `tried`."""
    return int(np.where(least <= tried, least, -FAR).max()), int(np.where(most >= tried, most, FAR).min())


def _bounds(steps: Steps, offsets: Integers, shift: int, up: int) -> tuple[Integers, Integers]:
    """The least and the greatest multiplier of each channel with which all steps are where they should be."""
    needed = ((steps.outputs << shift) - offsets) << 32  # a product reaches an output where it is at least this
    first, before = steps.first << up, (steps.first - 1) << up
    reached = steps.first <= steps.high
    low_1, high_1 = _multipliers(first, needed, reached)
    # Not yet reached one sum earlier: the negative product is at least 1 - needed.
    low_2, high_2 = _multipliers(-before, 1 - needed, steps.first > steps.low)
    return np.maximum(low_1, low_2).max(axis=0, initial=1), np.minimum(high_1, high_2).min(axis=0, initial=INT32 - 1)


def _multipliers(values: Integers, needed: Integers, active: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The least and the greatest m with ``m * values >= needed``, where that is asked for."""
    positive, negative = active & (values > 0), active & (values < 0)
    impossible = active & (values == 0) & (needed > 0)
    above = -(-needed // np.where(positive, values, 1))
    below = np.where(needed <= 0, -needed // np.where(negative, -values, 1), 0)
    low = np.where(positive, above, np.where(impossible, INT32, 1))
    return low, np.where(negative, below, INT32 - 1)
