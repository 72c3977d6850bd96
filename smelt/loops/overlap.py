"""The overlap reader: how far an output may slide over an input that dies, from the order in which a kernel reads and writes.

What a stretch of execution does to x and y is two numbers: where the furthest byte of y that it writes ends, and the first byte of
x that it reads. Of two stretches one after the other, y must begin so far before x that what the first writes ends in front of
what the second reads. The greatest such distance over all pairs is the answer, exact where the two numbers are.

Loops are not executed round by round. Where all that is touched moves by the same distance from round to round, the distance
between what round i writes and what round j > i reads is convex in i and j, so that its maximum lies at a corner: the first two
rounds and the last two are enough. Of other loops all rounds are looked at, at once: arrays with an axis for each loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from smelt.loops.extents import Extent, Numbers, Values, exactly
from smelt.loops.ir import SIZES, Buffer, Type
from smelt.loops.kernel import Kernel
from smelt.loops.touches import Branch, Let, Passage, Rounds, Touch, passage

NOTHING = 1 << 50
MOST_POINTS = 1 << 19  # rounds that are looked at at once; where there are more, any may come before any other


def slide(kernel: Kernel, x: Buffer, y: Buffer) -> int:
    """The least number of bytes by which y must begin before x, so that no byte of x is written over before it was read last.

    0: y may begin where x does. The size of y: they may not overlap. What is returned may be more than needed, never less, and
    greater distances are right, too.
    """
    return slide_in(passage(kernel.body, x, y), x, y)


def slide_in(passing: Passage, x: Buffer, y: Buffer) -> int:
    """The same of what a kernel does with x and y."""
    whole = y.size * SIZES[y.type]
    if not passing.reads or not passing.writes:
        return 0
    reader = _Reader(x.size * SIZES[x.type], whole, depth_of(passing))
    reader.passage(passing, Values(), None, ())
    needed = max(0, reader.needed)
    return needed if in_order(x.type, y.type, needed) else whole


def in_order(x: Type, y: Type, needed: int) -> bool:
    """Whether compilers keep the order of accesses.

    Of two types, neither of which is of bytes, C says that they never meet; then only what is computed from a value is written
    after it was read.
    """
    if min(SIZES[x], SIZES[y]) == 1 or x.removeprefix("u") == y.removeprefix("u"):
        return True
    return needed == 0 and SIZES[x] == SIZES[y]


def depth_of(passing: Passage) -> int:
    """How many loops are in one another at most."""
    inner = 0
    for part in passing.parts:
        match part:
            case Rounds():
                inner = max(inner, 1 + depth_of(part.body))
            case Branch(_, then, otherwise):
                inner = max(inner, depth_of(then), depth_of(otherwise))
    return inner


@dataclass(frozen=True)
class _Done:
    """By round: where the furthest byte that was written ends, and the first byte that is read. None: there is none."""

    written: Numbers | None = None
    read: Numbers | None = None


@dataclass
class _Reader:
    """Follows a passage. `needed` is the greatest distance so far."""

    x_bytes: int
    y_bytes: int
    depth: int
    needed: int = 0

    def passage(self, passing: Passage, values: Values, mask: Numbers | None, shape: tuple[int, ...]) -> _Done:
        """What is done in all rounds of the loops around, `shape` of them, of those of which `mask` is true."""
        done = _Done()
        for part in passing.parts:
            if isinstance(part, Let):
                values.put(part.var, part.value)
                continue
            done = self._then(done, self._part(part, values, mask, shape))
        return done

    def _part(
        self, part: Touch | Branch | Rounds, values: Values, mask: Numbers | None, shape: tuple[int, ...]
    ) -> _Done:
        match part:
            case Touch():
                return self._touch(part, values, mask)
            case Branch():
                return self._branch(part, values, mask, shape)
        return self._rounds(part, values, mask, shape)

    def _then(self, first: _Done, second: _Done) -> _Done:
        if first.written is not None and second.read is not None:
            self._need(first.written, second.read)
        return _joined(first, second)

    def _need(self, written: Numbers, read: Numbers) -> None:
        self.needed = max(self.needed, int(np.max(written - read)))

    def _touch(self, touch: Touch, values: Values, mask: Numbers | None) -> _Done:
        at, count = values.of(touch.index), exactly(0) if touch.count is None else values.of(touch.count)
        if touch.guard is not None:
            mask = both(mask, truth(values.of(touch.guard)))
        if touch.writes:
            end = _within((at.high + count.high) * touch.element + touch.size, self.y_bytes)
            return _Done(written=end if mask is None else np.where(mask, end, -NOTHING))
        start = _within(at.low * touch.element, self.x_bytes)
        return _Done(read=start if mask is None else np.where(mask, start, NOTHING))

    def _branch(self, branch: Branch, values: Values, mask: Numbers | None, shape: tuple[int, ...]) -> _Done:
        """One of two ways; which one, data may decide. Nothing of one comes before anything of the other."""
        holds = truth(values.of(branch.condition))
        fails = None if holds is None else np.logical_not(holds)
        done = _Done()
        for way, taken in ((branch.then, holds), (branch.otherwise, fails)):
            if taken is None or np.any(taken):
                done = _joined(done, self.passage(way, values.inner(), both(mask, taken), shape))
        return done

    def _rounds(self, loop: Rounds, values: Values, mask: Numbers | None, shape: tuple[int, ...]) -> _Done:
        start, stop = values.of(loop.start), values.of(loop.stop)
        if not (start.is_exact and stop.is_exact):
            return self._any_order(loop, Extent(start.low, stop.high - 1), values, mask, shape)
        rounds = np.maximum(-((start.low - stop.low) // loop.step), 0)
        most = int(np.max(rounds))
        if most == 0:
            return _Done()
        axis = len(shape)
        points, taken = _chosen(loop, rounds, most)
        if prod(shape) * len(points) > MOST_POINTS:
            return self._any_order(loop, Extent(start.low, stop.low - 1), values, mask, shape)
        along = points.reshape(tuple(-1 if i == axis else 1 for i in range(self.depth)))
        inner = values.inner()
        inner.put(loop.var, exactly(start.low + along * loop.step))
        mask = both(mask, along < rounds) if taken else mask
        return self._in_turn(self.passage(loop.body, inner, mask, (*shape, len(points))), axis, len(points))

    def _any_order(
        self, loop: Rounds, counter: Extent, values: Values, mask: Numbers | None, shape: tuple[int, ...]
    ) -> _Done:
        """Rounds of which nobody knows how many there are, or too many: any may come before any other."""
        inner = values.inner()
        inner.put(loop.var, counter)
        done = self.passage(loop.body, inner, mask, shape)
        return self._then(done, done)

    def _in_turn(self, done: _Done, axis: int, count: int) -> _Done:
        """All of `count` rounds along an axis, one after the other."""
        written, read = done.written, done.read
        if count > 1 and written is not None and read is not None:
            before, behind = (slice(None),) * axis + (slice(0, -1),), (slice(None),) * axis + (slice(1, None),)
            ends = np.maximum.accumulate(written, axis)[before] if _goes_along(written, axis) else written
            self._need(ends, read[behind] if _goes_along(read, axis) else read)
        return _Done(_reduced(np.max, written, axis), _reduced(np.min, read, axis))


def _chosen(loop: Rounds, rounds: Numbers, most: int) -> tuple[Numbers, bool]:
    """The rounds to look at, and whether not all loops have all of them."""
    differ = bool(np.any(rounds != most))
    if loop.every or differ:
        return np.arange(most), differ
    corners = {0, 1, most - 2, most - 1} if loop.body.reads and loop.body.writes else {0, most - 1}
    return np.array(sorted(c for c in corners if 0 <= c < most)), False


def _within(at: Numbers, size: int) -> Numbers:
    """What is known to be inside a buffer, where it is the same in all rounds."""
    return min(max(int(at), 0), size) if np.ndim(at) == 0 else at


def truth(value: Extent) -> Numbers | None:
    """Whether a condition holds; None: data decide."""
    return np.not_equal(value.low, 0) if value.is_exact else None


def both(a: Numbers | None, b: Numbers | None) -> Numbers | None:
    """Where two masks are true. None: everywhere."""
    if a is None or b is None:
        return b if a is None else a
    return np.logical_and(a, b)


def _joined(a: _Done, b: _Done) -> _Done:
    return _Done(_either(np.maximum, a.written, b.written), _either(np.minimum, a.read, b.read))


def _either(choose: Callable[[Numbers, Numbers], Numbers], a: Numbers | None, b: Numbers | None) -> Numbers | None:
    if a is None or b is None:
        return b if a is None else a
    return choose(a, b)


def _goes_along(value: Numbers, axis: int) -> bool:
    return np.ndim(value) > 0 and value.shape[axis] > 1


def _reduced(choose: Callable[..., Numbers], value: Numbers | None, axis: int) -> Numbers | None:
    """The greatest or the smallest one along an axis."""
    return choose(value, axis=axis, keepdims=True) if value is not None and _goes_along(value, axis) else value
