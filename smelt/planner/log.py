"""`TuningLog`: measurements, and the file of one line for each that is only ever appended to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from smelt.errors import OptionError
from smelt.files import append_lines, check_appendable, read
from smelt.nouns import Noun
from smelt.planner.measurement import IN_FLASH, LONGEST_LINE, Measurement, Place, Places, parsed

MOST_BYTES = 1 << 30
"""What a log may have: a million measurements."""


@dataclass(frozen=True)
class TuningLog(Noun):
    """Measurements, oldest first: of several of the same kernel, board and place the last one holds.

    `damaged` counts lines that were no measurements, such as one that was cut short when its writer was killed. What the
    figures are worth for a board and a compiler, `Known` says.
    """

    measurements: tuple[Measurement, ...] = ()
    damaged: int = 0

    empty: ClassVar[TuningLog]

    @staticmethod
    def load(*files: Path) -> TuningLog:
        """The measurements of several files together. Raises OptionError for a file that is no log or cannot be read."""
        logs = [_load(file) for file in files]
        return TuningLog(tuple(m for log in logs for m in log.measurements), sum(log.damaged for log in logs))

    @staticmethod
    def parse(data: bytes) -> TuningLog:
        """The measurements in the content of a file; lines that are none are counted."""
        lines = [line for line in data.split(b"\n") if line[:LONGEST_LINE].strip()]
        found = [parsed(line) for line in lines]
        good = tuple(m for m in found if m is not None)
        return TuningLog(good, len(found) - len(good))

    def __add__(self, other: TuningLog) -> TuningLog:
        return TuningLog(self.measurements + other.measurements, self.damaged + other.damaged)

    def only(self, wanted: Callable[[Measurement], bool]) -> TuningLog:
        """Some of the measurements."""
        return TuningLog(tuple(filter(wanted, self.measurements)), self.damaged)

    def about(self, board: str) -> TuningLog:
        """What was measured on one board."""
        return self.only(lambda m: m.board == board)

    def find(self, kernel: str, board: str, place: Place = IN_FLASH) -> Measurement | None:
        """The measurement of a kernel that holds, failed or not."""
        return self._found.get((kernel, board, place))

    def cycles(self, kernel: str, board: str, place: Place = IN_FLASH) -> int | None:
        """The cycles of a kernel on a board, its tables and itself there; None where it was not measured, or failed."""
        found = self.find(kernel, board, place)
        return None if found is None else found.cycles

    def everywhere(self, kernel: str, board: str) -> tuple[Measurement, ...]:
        """The measurements of a kernel that hold, one for each set of memories."""
        return tuple(self._everywhere.get((kernel, board), {}).values())

    def ranked(self, op_key: str, board: str, place: Place = IN_FLASH) -> tuple[tuple[str, str, int], ...]:
        """(implementation, schedule, least cycles) of what was measured for such ops on a board, best first."""
        least: dict[tuple[str, str], int] = {}
        for m in self._by_op.get((op_key, board, place), ()):
            if m.cycles is not None:
                how = m.implementation, m.schedule
                least[how] = min(m.cycles, least.get(how, m.cycles))
        return tuple((*how, cycles) for how, cycles in sorted(least.items(), key=lambda item: (item[1], item[0])))

    @cached_property
    def _found(self) -> dict[tuple[str, str, Place], Measurement]:
        return {(m.kernel, m.board, m.place): m for m in self.measurements}

    @cached_property
    def _everywhere(self) -> dict[tuple[str, str], dict[Places, Measurement]]:
        result: dict[tuple[str, str], dict[Places, Measurement]] = {}
        for m in self.measurements:
            result.setdefault((m.kernel, m.board), {})[m.places] = m
        return result

    @cached_property
    def _by_op(self) -> dict[tuple[str, str, Place], list[Measurement]]:
        result: dict[tuple[str, str, Place], list[Measurement]] = {}
        for m in self._found.values():
            result.setdefault((m.op_key, m.board, m.place), []).append(m)
        return result


TuningLog.empty = TuningLog()


def damage(file: Path, log: TuningLog) -> str | None:
    """What users are told about the damaged lines of a file; None where it has none."""
    return f"{log.damaged:,} line(s) of {file} are no measurements" if log.damaged else None


def append(file: Path, measurements: Sequence[Measurement]) -> None:
    """Add measurements to a file, each with a single write of a whole line. Raises OptionError where it cannot be written."""
    append_lines(file, [m.line for m in measurements])


def check_writable(file: Path) -> None:
    """Raise OptionError where `append` could not write to the file. Leaves no file behind where there is none."""
    check_appendable(file, LONGEST_LINE)


def _load(file: Path) -> TuningLog:
    log = TuningLog.parse(read(file, MOST_BYTES))
    if log.damaged > 1 and not log.measurements:
        raise OptionError(f"'{file}' is no tuning log: none of its {log.damaged} lines is a measurement")
    return log
