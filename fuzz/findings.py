"""What every fuzzer prints: cases, outcomes, findings, time; and how its process ends."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = 20
LONGEST = 2000


@dataclass
class Report:
    """Outcomes of cases, counted; findings (defects of smelt), kept."""

    name: str
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    cases: int = 0
    started: float = field(default_factory=time.monotonic)

    def note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def find(self, case: str, what: str) -> None:
        self.findings.append(f"{case}: {what}"[:LONGEST])

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def show(self) -> int:
        """Print everything; the exit code."""
        print(f"{self.name}: {self.cases} cases, {len(self.findings)} findings, {self.seconds:.0f} s")
        for outcome, count in sorted(self.outcomes.items()):
            print(f"  {count:7d} {outcome}")
        for finding in self.findings[:SHOWN]:
            print(f"  FINDING {finding}")
        return 1 if self.findings else 0


@dataclass(frozen=True)
class Options:
    """Which cases to try, for at most how long, and where to keep those that are findings."""

    cases: int
    seed: int
    seconds: float
    keep: Path | None

    def numbers(self, report: Report) -> Iterator[int]:
        """The numbers of the cases, until time is up."""
        for number in range(self.cases):
            if report.seconds > self.seconds:
                return
            report.cases += 1
            yield number

    def save(self, name: str, model: bytes) -> None:
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / name).write_bytes(model)


def read_options(description: str, cases: int) -> Options:
    """The command line that all fuzzers share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cases", type=int, default=cases)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long, whatever --cases says")
    parser.add_argument("--keep", type=Path, help="a folder for the models that are findings")
    found = parser.parse_args()
    return Options(found.cases, found.seed, found.seconds, found.keep)
