"""How many bytes results need that are written over one another: what lies over what can only be moved together, so that no peak of
live bytes tells.

Whatever the order of steps, a result and an operand of the same step are there together: apart, or the result as far before the
operand as the step asks for. From the offsets that an operand may have follow those of the result, and so on along every path
of the graph; where none are left, the memory is too small. For a chain of steps this is exact, with one buffer of scratch at each;
where paths meet, or something waits for a later step, it is a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from smelt.planner.flow import ALIGN, Flow, aligned

Range = tuple[int, int]
"""The least and the largest of some offsets in a row, in bytes; those between are multiples of `ALIGN`."""


@dataclass(frozen=True)
class _Pair:
    """An operand and a result of a step, of `x` and `y` bytes. y begins `by` bytes before x at least where it is written over it;
    None: it never is. `largest` and `all` are bytes of what else is there and lies apart from both."""

    x: int
    y: int
    by: int | None
    largest: int
    all: int

    def results(self, xs: Iterable[Range], size: int) -> Iterator[Range]:
        """Where y may begin in a memory of so many bytes, for an x that begins in one of `xs`."""
        for x in xs:
            for first, last, lower, upper in self._ways(size):
                # x within lower, y - x between first and last, y within upper
                begin, end = max(x[0], lower[0]), min(x[1], lower[1])
                if begin <= end and first <= last:
                    low, high = max(begin + first, upper[0]), min(end + last, upper[1])
                    if low <= high:
                        yield low, high

    def _ways(self, size: int) -> Iterator[tuple[int, int, Range, Range]]:
        """Each way in which x, y and the largest of the others may lie: y - x at least and at most, and ranges of x and of y."""
        x, y, other = self.x, self.y, self.largest
        anywhere, behind = ((0, size - x), (0, size - y)), ((other, size - x), (other, size - y))
        before = (0, size - x - other), (0, size - y - other)
        outside = (behind, before) if other else (anywhere,)  # where x and y lie beside the other one
        if x + y + self.all <= size:
            for places in outside:
                yield x, size, *places
                yield -size, -y, *places
            if other:  # it lies between them
                yield x + other, size, *anywhere
                yield -size, -y - other, *anywhere
        if self.by is not None and y + self.all <= size:
            yield from ((x + self.all - size, -self.by, *places) for places in outside)


def fits(flow: Flow, size: int) -> bool:
    """Whether no path of results shows that a memory of so many bytes is too small, in any order of the steps."""
    places: list[Sequence[Range]] = [((0, size - s),) if s <= size else () for s in flow.sizes]
    for i, use in enumerate(flow.uses):
        for y in use.writes:
            for x in use.reads - {*use.writes}:
                there = _joined(_pair(flow, i, x, y).results(places[x], size))
                places[y] = _both(places[y], there)
                if not places[y]:
                    return False
    return all(places)


def chain_bound(flow: Flow, least: int) -> int:
    """A number of bytes below which no addresses get, whatever the order of steps; `least` is such a number already."""
    if fits(flow, least):
        return least
    low = high = least
    while not fits(flow, high):
        low, high = high, 2 * high
    while high - low > ALIGN:  # `low` is too small, `high` is not
        middle = (low + high) // 2 // ALIGN * ALIGN
        low, high = (low, middle) if fits(flow, middle) else (middle, high)
    return high


def _pair(flow: Flow, step: int, x: int, y: int) -> _Pair:
    """What is known of an operand and a result. Operands over which the result may lie as well are not apart from it."""
    use, slides = flow.uses[step], flow.slides(step)
    apart = [flow.sizes[s] for s in {*use.reads, *use.writes} - {x, y, *slides}] + [aligned(s) for s in use.scratch]
    return _Pair(flow.sizes[x], flow.sizes[y], slides.get(x), max(apart, default=0), sum(apart))


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """The same offsets in as few ranges as can be, in order."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + ALIGN:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return found


def _both(some: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """The offsets that are in both."""
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in some for b in others)
    return [(low, high) for low, high in pairs if low <= high]
