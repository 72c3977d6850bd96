"""Tables in RAM: which of them pay for a candidate within some room. A knapsack, solved exactly for every room at once, so that
more room never saves fewer cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smelt.model.graph import Op
from smelt.planner.alternatives import Option, Singles
from smelt.planner.ways import Way

UNIT = 64
"""Bytes in which rooms are counted."""


@dataclass(frozen=True)
class Copy:
    """An option with its tables in RAM in place of one: the units that the tables take up, the cycles that it saves."""

    option: Option
    units: int
    saved: int


@dataclass(frozen=True, eq=False)
class Copies:
    """What may be copied at each step, the options as they are without."""

    options: tuple[Option, ...]
    offers: tuple[tuple[Copy, ...], ...]

    @cached_property
    def most(self) -> int:
        """The bytes that are of use."""
        return UNIT * sum(max((copy.units for copy in some), default=0) for some in self.offers)

    def saved(self, room: int) -> int:
        """The most cycles that copies of at most `room` bytes save."""
        return int(self._values[-1][min(max(room, 0), self.most) // UNIT])

    def best_first(self, room: int) -> Iterator[tuple[Option, ...]]:
        """The options with copies of at most `room` bytes that save most, then the best ones that save less."""
        units = min(max(room, 0), self.most) // UNIT
        values = self._values[-1]
        while True:
            units = int(np.searchsorted(values, values[units]))  # the least room that saves as much
            yield self._taken(units)
            if units == 0:
                return
            units -= 1

    def _taken(self, units: int) -> tuple[Option, ...]:
        taken: list[Option] = []
        for step in reversed(range(len(self.offers))):
            before, value = self._values[step], self._values[step + 1][units]
            copy = next((c for c in self.offers[step] if _saves(before, c, units) == value), None)
            if copy is None or before[units] == value:
                taken.append(self.options[step])
            else:
                taken.append(copy.option)
                units -= copy.units
        return tuple(reversed(taken))

    @cached_property
    def _values(self) -> list[np.ndarray]:
        """For the first steps, however many, the most cycles saved by each number of units."""
        values = [np.zeros(self.most // UNIT + 1, np.int64)]
        for some in self.offers:
            now = values[-1].copy()
            for copy in some:
                np.maximum(now[copy.units :], values[-1][: len(now) - copy.units] + copy.saved, out=now[copy.units :])
            values.append(now)
        return values


def _saves(before: np.ndarray, copy: Copy, units: int) -> int:
    return int(before[units - copy.units]) + copy.saved if copy.units <= units else -1


def copies(chosen: Sequence[Option], offered: Sequence[Singles], same: bool) -> Copies:
    """What may be copied for chosen options: those of `offered` that find room where the chosen one lies; with `same` only
    itself."""
    by_op = {some[0][0].op: some for some in offered}
    return Copies(tuple(chosen), tuple(tuple(_offers(option, by_op, same)) for option in chosen))


def _offers(chosen: Option, offered: Mapping[Op, Singles], same: bool) -> Iterator[Copy]:
    way, cycles = chosen
    if not isinstance(way, Way):  # the tables of slabs are read from where they are
        return
    for other, fewer in offered[way.op]:
        fits = other.kernel == way.kernel if same else fits_where(other, way)
        if other.resident and fits and fewer.value < cycles.value:
            yield Copy((other, fewer), -(-other.table_bytes // UNIT), cycles.value - fewer.value)


def fits_where(other: Way, way: Way) -> bool:
    """Whether one way finds room at the addresses that a plan has for another."""
    if len(other.scratch) != len(way.scratch) or _slides(other) != _slides(way):
        return False
    return all(mine.bytes <= there.bytes for mine, there in zip(other.scratch, way.scratch, strict=True))


def _slides(way: Way) -> tuple[int | None, ...]:
    return tuple(way.slide(x) for x in way.reads) if len(way.ys) == 1 else ()
