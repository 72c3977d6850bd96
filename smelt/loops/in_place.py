"""Whether a kernel may write its output exactly where an input lies, though it may not write it a little further behind.

A depthwise convolution that takes one channel after the other writes far ahead of what it still has to read, and yet never over it:
what it writes are bytes of the same channel. So here every byte is looked at: when it is read last, and when it is written first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import numpy as np

from smelt.loops.extents import Extent, Numbers, Values, exactly
from smelt.loops.ir import SIZES, Buffer
from smelt.loops.kernel import Kernel
from smelt.loops.overlap import both, depth_of, in_order, slide_in, truth
from smelt.loops.touches import Branch, Let, Part, Passage, Rounds, Touch, passage

NEVER = 1 << 60
TURN = 32  # bytes; what goes element by element, several at once, needs no more
SMALL_PART = 16
MOST_BYTES = 1 << 20  # that are looked at, those touched twice counted twice


class _Unknown(Exception):
    """Data decide what is touched, or it is too much to look at."""


@dataclass(frozen=True)
class Overlap:
    """How y may lie over x: beginning `by` bytes before it or further; or, `in_place`, exactly where it begins."""

    by: int
    in_place: bool

    @property
    def least(self) -> int:
        """The least distance, in bytes."""
        return 0 if self.in_place else self.by

    def allows(self, distance: int) -> bool:
        """Whether y may begin so many bytes before x."""
        return distance >= self.by or (self.in_place and distance == 0)


def overlap(kernel: Kernel, x: Buffer, y: Buffer) -> Overlap:
    """How y may lie over x, as far as that can be shown. Where only some rows of y would be gained it is not tried."""
    passing = passage(kernel.body, x, y)
    by = slide_in(passing, x, y)
    if by == 0 or TURN < by <= y.size * SIZES[y.type] // SMALL_PART:
        return Overlap(by, by == 0)
    tried = in_order(x.type, y.type, 0)
    return Overlap(by, tried and all(_apart(passing, x, y, every) for every in (False, True)))


def _apart(passing: Passage, x: Buffer, y: Buffer, every: bool) -> bool:
    """Whether every byte is written after it was read last; without `every` only the first and the last rounds of loops are looked
    at, which is soon done and shows what is wrong mostly."""
    calendar = _Calendar(every, depth_of(passing), _never(x, -1), _never(y, NEVER))
    try:
        calendar.measure(passing, Values())
        calendar.passage(passing, Values(), None, 0, 0)
    except _Unknown:
        return False
    shared = min(calendar.read.size, calendar.written.size)
    return bool(np.all(calendar.read[:shared] < calendar.written[:shared]))


def _never(buffer: Buffer, time: int) -> Numbers:
    return np.full(buffer.size * SIZES[buffer.type], time, np.int64)


@dataclass
class _Calendar:
    """Follows a passage. `read`: when each byte of x is read last; `written`: when each byte of y is written first."""

    every: bool
    depth: int
    read: Numbers
    written: Numbers
    _bytes: int = 0
    _lengths: dict[int, int] = field(default_factory=dict)

    def measure(self, passing: Passage, values: Values) -> int:
        """How long a passage takes at most, where a touch takes 1; counters are somewhere between their ends."""
        return sum(self._measured(part, values) for part in passing.parts)

    def _measured(self, part: Part, values: Values) -> int:
        length = 1
        match part:
            case Let(var, value):
                values.put(var, value)
                length = 0
            case Branch(_, then, otherwise):
                length = self.measure(then, values.inner()) + self.measure(otherwise, values.inner())
            case Rounds():
                first, last = values.of(part.start).low, values.of(part.stop).high - 1
                inner = values.inner()
                inner.put(part.var, Extent(first, last))
                length = self.measure(part.body, inner) * max((last - first) // part.step + 1, 0)
        if length >= NEVER:
            raise _Unknown
        self._lengths[id(part)] = length
        return length

    def passage(self, passing: Passage, values: Values, mask: Numbers | None, time: Numbers, axis: int) -> None:
        """`time` is when it begins, in each round of the `axis` loops around of which `mask` is true."""
        for part in passing.parts:
            match part:
                case Let(var, value):
                    values.put(var, value)
                case Touch():
                    self._touch(part, values, mask, time)
                case Branch():
                    self._branch(part, values, mask, time, axis)
                case Rounds():
                    self._rounds(part, values, mask, time, axis)
            time = time + self._lengths[id(part)]

    def _branch(self, branch: Branch, values: Values, mask: Numbers | None, time: Numbers, axis: int) -> None:
        """Both ways one after the other where data decide."""
        holds = truth(values.of(branch.condition))
        fails = None if holds is None else np.logical_not(holds)
        self.passage(branch.then, values.inner(), both(mask, holds), time, axis)
        later = time + sum(self._lengths[id(part)] for part in branch.then.parts)
        self.passage(branch.otherwise, values.inner(), both(mask, fails), later, axis)

    def _rounds(self, loop: Rounds, values: Values, mask: Numbers | None, time: Numbers, axis: int) -> None:
        start, stop = values.of(loop.start), values.of(loop.stop)
        if not (start.is_exact and stop.is_exact):
            raise _Unknown
        rounds = np.maximum(-((start.low - stop.low) // loop.step), 0)
        most = int(np.max(rounds))
        corners = sorted({0, 1, most - 2, most - 1} & {*range(most)})
        points = np.array(range(most) if self.every else corners, np.int64)
        along = points.reshape(tuple(-1 if i == axis else 1 for i in range(self.depth)))
        inner = values.inner()
        inner.put(loop.var, exactly(start.low + along * loop.step))
        mask = both(mask, along < rounds) if np.any(rounds != most) else mask
        length = sum(self._lengths[id(part)] for part in loop.body.parts)
        if most:
            self.passage(loop.body, inner, mask, time + along * length, axis + 1)

    def _touch(self, touch: Touch, values: Values, mask: Numbers | None, time: Numbers) -> None:
        at, count = values.of(touch.index), exactly(0) if touch.count is None else values.of(touch.count)
        guard = exactly(1) if touch.guard is None else values.of(touch.guard)
        if not (at.is_exact and count.is_exact):
            raise _Unknown
        mask = both(mask, truth(guard))
        size: Numbers = count.low * touch.element + touch.size
        inside = np.arange(int(np.max(size)))
        if touch.step:
            inside = inside[inside % touch.step < touch.width]
        mask = None if mask is None else mask[..., None]
        if np.ndim(size):
            mask = both(mask, inside < size[..., None])
        first = np.asarray(at.low * touch.element)
        time = np.asarray(time)
        if mask is None and first.ndim == time.ndim:
            time = _outermost(time, first.shape, touch.writes)
        self._note(touch.writes, first[..., None] + inside, time[..., None], mask)

    def _note(self, writes: bool, places: Numbers, times: Numbers, mask: Numbers | None) -> None:
        shapes = [places.shape, times.shape, *([] if mask is None else [mask.shape])]
        shape = np.broadcast_shapes(*shapes)
        self._bytes += prod(shape)
        if self._bytes > MOST_BYTES:
            raise _Unknown
        places, times = np.broadcast_to(places, shape), np.broadcast_to(times, shape)
        if mask is not None:
            chosen = np.broadcast_to(mask, shape)
            places, times = places[chosen], times[chosen]
        choose, known = (np.minimum, self.written) if writes else (np.maximum, self.read)
        choose.at(known, places.reshape(-1), times.reshape(-1))


def _outermost(time: Numbers, shape: tuple[int, ...], first: bool) -> Numbers:
    """Of the rounds of loops along which places stay the same the first, or the last."""
    for axis, size in enumerate(shape):
        if size == 1 and time.shape[axis] > 1:
            time = np.take(time, [0 if first else -1], axis)
    return time
