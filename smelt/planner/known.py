"""What measurements are worth for one board and one origin: nothing is silently void, and nothing silently taken.

Figures of different origins are never compared with each other. So for each op, and for code in flash and in RAM apart, one
standing decides, the best that has a figure:

1. a real device that compared several ways, with the very compiler; 2. the simulator as its model of time is now, with it;
3. and 4. the same with other versions of the compiler: of each kernel the last figure;
5. other models of time, the one that was used last.

The first two are "measured", if what a kernel calls is what it was then; all else is "similar". Figures of a worse standing are
`doubted`: a way that only they know is never believed to be faster than one of the better standing. Those of other compilers
are `foreign`: where an op has no others, their ratios to each other make better estimates.

Figures with code and tables in RAM (debug links have them there) are for ratios, too, and only where no firmware was
measured: how long a step takes in firmware they do not say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from smelt.kernels.digest import routines_digest
from smelt.loops.kernel import Kernel
from smelt.nouns import Noun
from smelt.planner.log import TuningLog
from smelt.planner.measurement import IN_FLASH, IN_RAM, Measurement, Origin, Place
from smelt.targets.types import Board

Grade = Literal["measured", "similar", "estimated"]

Standing = tuple[int, int]

FOREIGN: Standing = (6, 0)


@dataclass(frozen=True)
class Known(Noun):
    """The measurements of one board, by what they are worth for `origin`; for None each of them is measured. `kin` are those of
    other boards: figures of other ops, from which something follows for a core."""

    board: Board
    origin: Origin | None = None
    believed: TuningLog = TuningLog.empty
    doubted: TuningLog = TuningLog.empty
    foreign: TuningLog = TuningLog.empty
    kin: TuningLog = TuningLog.empty

    @staticmethod
    def trusting(board: Board, log: TuningLog) -> Known:
        """What a log says about a board, as if it had been measured by today's origin."""
        return Known(board, None, log.about(board.name))

    @staticmethod
    def of(board: Board, log: TuningLog, origin: Origin) -> Known:
        """What a log says about a board, for an origin."""
        mine = log.about(board.name).measurements
        standings = _standings(mine, origin)
        best: dict[tuple[str, bool], Standing] = {}
        for m, there in zip(mine, standings, strict=True):
            if m.cycles is not None:
                best[_group(m)] = min(there, best.get(_group(m), FOREIGN))
        believed, doubted, foreign = list[Measurement](), list[tuple[Standing, Measurement]](), list[Measurement]()
        for m, there in zip(mine, standings, strict=True):
            if there == FOREIGN:
                foreign += [m] if best.get(_group(m)) == FOREIGN else []
            elif there == best.get(_group(m), there):
                believed.append(m)
            else:
                doubted.append((there, m))
        doubted.sort(key=lambda item: item[0], reverse=True)  # of a kernel the last holds
        kin = log.only(lambda m: m.board != board.name)
        return Known(board, origin, _once(believed), _once(m for _, m in doubted), _once(foreign), kin)

    def of_any_training(self) -> Known:
        """The same without what holds for the numbers of one training only: no kernel is found by its name, ways by their kind."""
        believed, doubted, foreign = (_nameless(log) for log in (self.believed, self.doubted, self.foreign))
        return replace(self, believed=believed, doubted=doubted, foreign=foreign)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All of them."""
        return self.believed.measurements + self.doubted.measurements + self.foreign.measurements

    def __bool__(self) -> bool:
        return bool(self.measurements)

    def figure(self, kernel: str, place: Place = IN_FLASH) -> Measurement | None:
        """What holds for a kernel, code and tables there; failed or not."""
        name = self.board.name
        return self.believed.find(kernel, name, place) or self.doubted.find(kernel, name, place)

    def cycles(self, kernel: str, place: Place = IN_FLASH) -> int | None:
        """The cycles of a kernel in a place; None where it was not measured, or failed."""
        found = self.figure(kernel, place)
        return None if found is None else found.cycles

    def grade(self, m: Measurement, kernel: Kernel) -> Grade:
        """What a measurement of `kernel` is worth."""
        return self.worth(m, lambda: routines_digest(kernel, self.board.core))

    def worth(self, m: Measurement, routines: Callable[[], str]) -> Grade:
        """What a measurement is worth of something that calls what has this digest now."""
        if self.origin is None:
            return "measured"
        there = standing(m.origin, self.origin)
        if there == FOREIGN:
            return "estimated"
        return "measured" if there[0] <= 2 and m.routines == routines() else "similar"

    def others(self, origin: Origin) -> Iterator[str]:
        """What an origin has that this one has not: its compiler, its counter."""
        if self.origin is None or standing(origin, self.origin)[0] <= 2:
            return
        if origin.compiler != self.origin.compiler:
            yield origin.compiler or "an unknown compiler"
        if standing(origin, self.origin)[0] == 5:
            yield origin.counter or "an unknown counter"

    def covers(self, op_key: str) -> bool:
        """Whether firmware was measured for such ops: then figures with code in RAM say nothing about them."""
        return any(self.believed.ranked(op_key, self.board.name, (tables, False)) for tables in (False, True))

    def least(self, op_key: str) -> int:
        """The least cycles that are believed for such ops in firmware; 0 where there are none."""
        return self._least.get(op_key, 0)

    @cached_property
    def _least(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for m in self.believed.measurements:
            if m.cycles is not None and m.code_in_flash:
                found[m.op_key] = min(m.cycles, found.get(m.op_key, m.cycles))
        return found

    def ratios(self, op_key: str) -> Iterator[tuple[TuningLog, Place]]:
        """Where there are figures for such ops that may be compared with each other only."""
        if not self.covers(op_key):
            yield self.believed, IN_RAM
            yield self.foreign, IN_FLASH


def _nameless(log: TuningLog) -> TuningLog:
    return TuningLog(tuple(replace(m, kernel=f"some {m.kernel}") for m in log.measurements))


def standing(counted: Origin, wanted: Origin) -> Standing:
    """How much figures of one origin are worth for another, the less the better."""
    if wanted.compiler and counted.compiler_name != wanted.compiler_name:
        return FOREIGN
    version = 0 if counted.compiler == wanted.compiler else 2
    if counted.is_device:
        return 1 + version, 0
    if wanted.counter and counted.counter.endswith(wanted.counter):
        return 2 + version, 0
    return 5, 0


def _standings(measurements: Sequence[Measurement], wanted: Origin) -> list[Standing]:
    """Of each measurement. Of other models of time the latest comes first; and a device that knows just one way to do an op,
    which says nothing about which is best, comes after the simulator."""
    latest = {m.origin.counter: n for n, m in enumerate(measurements)}
    ways: dict[tuple[tuple[str, bool], Origin], set[str]] = {}
    for m in measurements:
        if m.cycles is not None:
            ways.setdefault((_group(m), m.origin), set()).add(m.kernel)

    def of(m: Measurement) -> Standing:
        there = standing(m.origin, wanted)
        if there[0] == 5:
            return 5, -latest[m.origin.counter]
        alone = m.origin.is_device and len(ways.get((_group(m), m.origin), ())) < 2
        return (there[0] + 1, 1) if alone and there != FOREIGN else there

    return [of(m) for m in measurements]


def _group(m: Measurement) -> tuple[str, bool]:
    return m.op_key, m.code_in_flash


def _once(measurements: Iterable[Measurement]) -> TuningLog:
    """Each kernel once in each set of memories: as it was measured last."""
    return TuningLog(tuple({(m.kernel, m.board, m.places): m for m in measurements}.values()))
