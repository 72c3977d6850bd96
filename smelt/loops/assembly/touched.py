"""The bytes that were touched so far: the ends of each stretch of them, where addresses grow with the same counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gcd

from smelt.loops.assembly.linear import Linear
from smelt.loops.assembly.machine import Access


@dataclass(frozen=True)
class Stretch:
    """Bytes from `low` on, in front of `high`. Without ends: nobody knows where.

    What is accessed begins at `low` or at multiples of `step` bytes behind it, and is of `width` bytes at most. A step of 0: there
    is one place only.
    """

    low: int | None = None
    high: int | None = None
    step: int = field(default=0, compare=False)
    width: int = field(default=0, compare=False)

    def covers(self, other: Stretch) -> bool:
        """Whether the other one's bytes are among its own."""
        if self.low is None or self.high is None:
            return True
        return other.low is not None and other.high is not None and self.low <= other.low and other.high <= self.high

    def moved(self, by: int) -> Stretch:
        known = self.low is not None and self.high is not None
        return Stretch(self.low + by, self.high + by, self.step, self.width) if known else self  # type: ignore[operator]

    def joined(self, other: Stretch) -> Stretch:
        if self.low is None or other.low is None or self.high is None or other.high is None:
            return Stretch()
        step = gcd(self.step, other.step, self.low - other.low)
        return Stretch(min(self.low, other.low), max(self.high, other.high), step, max(self.width, other.width))

    def again(self, by: int) -> Stretch:
        """The same bytes, of which some are `by` bytes behind others."""
        return Stretch(self.low, self.high, gcd(self.step, by), self.width)


Terms = tuple[tuple[int, int], ...]


class Touched:
    """What is touched, by parameter, by whether it is written, and by the counters that its addresses grow with."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool, Terms], Stretch] = {}

    def add(self, access: Access) -> None:
        low = access.at.constant
        stretch = Stretch() if low is None else Stretch(low, low + access.size, 0, access.size)
        self._join(access.at, access.writes, stretch)

    def _join(self, at: Linear, writes: bool, stretch: Stretch) -> None:
        key = at.region, writes, at.terms
        self._found[key] = self._found[key].joined(stretch) if key in self._found else stretch

    def take(self, other: Touched, counter: int, last: int) -> None:
        """What one turn of a loop touches, in all turns up to `last`."""
        for (region, writes, terms), stretch in other._found.items():
            at = Linear(region, 0, terms)
            by = at.coefficient(counter)
            for count in (0, last) if by else (0,):
                self._join_at(at.at(counter, count), writes, stretch.again(by) if last else stretch)

    def take_moved(self, other: Touched, bases: Mapping[str, Linear]) -> None:
        """What was touched relative to addresses, where these are."""
        for (region, writes, _), stretch in other._found.items():
            self._join_at(bases.get(region, Linear(region, 0)), writes, stretch)

    def _join_at(self, at: Linear, writes: bool, stretch: Stretch) -> None:
        assert at.constant is not None
        self._join(at, writes, stretch.moved(at.constant))

    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(region for region, _, _ in self._found))

    def stretch(self, region: str, writes: bool) -> Stretch | None:
        """All of it behind a parameter; None: nothing."""
        found = None
        for (name, how, _), stretch in self._found.items():
            if (name, how) == (region, writes):
                found = stretch if found is None else found.joined(stretch)
        return found
