"""What all fuzzers have in common: the command line, numbered cases that each have their own chance, findings, time and memory."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

SHOWN = 20
LONGEST = 4000  # characters of a finding that are shown
ADDRESSES = 8 << 30  # bytes of address space: what asks for more gets a MemoryError, which is a finding


class Finding(AssertionError):
    """A case ended as it must not, without an error of its own."""


@dataclass
class Case:
    """One case: its number, its own sources of chance, and the file it is about."""

    seed: int
    number: int
    folder: Path
    file: Path | None = None

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.number))

    @cached_property
    def dice(self) -> random.Random:
        return random.Random(f"{self.seed} {self.number}")

    def write(self, data: bytes, suffix: str) -> Path:
        """The file that this case is about, which is kept where it is a finding."""
        self.file = self.folder / f"case{suffix}"
        self.file.write_bytes(data)
        return self.file


@dataclass(frozen=True)
class Fuzzer:
    """What one fuzzer tries. `attempt` runs a case and returns how it ended, in words; whatever it raises is a finding."""

    name: str
    what: str
    attempt: Callable[[Case], str]
    cases: int  # of a full run
    seconds: float  # of this process's own time, the most that one case may take
    memory: int = 1 << 30  # bytes by which all cases together may make the process grow


@dataclass(frozen=True)
class Options:
    """Which cases to try, for at most how long, and where to keep those that are findings."""

    cases: int
    seed: int
    seconds: float
    keep: Path | None
    first: int


@dataclass
class Report:
    """How cases ended, counted; findings (defects of smelt), kept."""

    name: str
    seed: int
    ends: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    cases: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def show(self) -> int:
        """Print everything; the exit code."""
        count = f"{self.cases:,} cases (seed {self.seed}), {len(self.findings)} findings, {self.seconds:.0f} s"
        print(f"{self.name}: {count}")
        for end, cases in sorted(self.ends.items()):
            print(f"{cases:9,d} {end}")
        for finding in self.findings[:SHOWN]:
            print(f"FINDING {finding.encode('ascii', 'backslashreplace').decode()}")
        return 1 if self.findings else 0


def main(fuzzer: Fuzzer, own: argparse.ArgumentParser | None = None) -> int:
    """The command line that all fuzzers share: run the cases, print what they came to; the exit code, 1 if there are findings.
    `own` are options that this fuzzer has beside those, and has read."""
    options = _read_options(fuzzer, [own] if own else [])
    _bound_memory()
    return run(fuzzer, options).show()


def _read_options(fuzzer: Fuzzer, own: list[argparse.ArgumentParser]) -> Options:
    parser = argparse.ArgumentParser(
        description=fuzzer.what,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog=f"python -m fuzz.{fuzzer.name}",
        parents=own,
    )
    parser.add_argument("--cases", type=int, default=fuzzer.cases)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long, whatever --cases says")
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases that are findings")
    parser.add_argument("--first", type=int, default=0, help="number of the first case: to repeat one")
    found = parser.parse_args()
    return Options(found.cases, found.seed, found.seconds, found.keep and found.keep.absolute(), found.first)


def run(fuzzer: Fuzzer, options: Options) -> Report:
    """Try the cases; what they write goes with them, but for the files of findings."""
    report, start = Report(fuzzer.name, options.seed), _peak()
    with tempfile.TemporaryDirectory() as folder:
        for number in _numbers(options, report):
            case = Case(options.seed, number, Path(folder))
            found = _timed(fuzzer, case, report)
            if (grown := _peak() - start) > fuzzer.memory:
                found, start = f"{found}\nneeds {grown >> 20} MB of memory".strip(), start + grown
            if found:
                repeat = f"--seed {options.seed} --first {number} --cases 1"
                report.findings.append(f"case {number} ({repeat}): {found}"[:LONGEST])
                _keep(options.keep, f"{fuzzer.name}-{options.seed}-{number}", case)
            if case.file is not None:
                case.file.unlink(missing_ok=True)
    return report


def _numbers(options: Options, report: Report) -> Iterator[int]:
    """The numbers of the cases, until time is up."""
    for number in range(options.first, options.first + options.cases):
        if report.seconds > options.seconds:
            return
        report.cases += 1
        yield number


def _timed(fuzzer: Fuzzer, case: Case, report: Report) -> str:
    """`_attempted`, for which too much time is wrong as well."""
    before = time.process_time()
    found = _attempted(fuzzer, case, report)
    seconds = time.process_time() - before
    return found or (f"takes {seconds:.1f} s" if seconds > fuzzer.seconds else "")


def _attempted(fuzzer: Fuzzer, case: Case, report: Report) -> str:
    """What is wrong with how a case ended; empty where nothing is."""
    try:
        report.ends[fuzzer.attempt(case)] += 1
    except Finding as finding:
        return f"{finding}\n{traceback.format_exc()}" if finding.__cause__ else str(finding)
    except Exception:  # whatever escapes is what is looked for
        return traceback.format_exc(limit=-6)
    return ""


def _keep(folder: Path | None, name: str, case: Case) -> None:
    if folder is not None and case.file is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}{case.file.suffix}").write_bytes(case.file.read_bytes())


# --- memory, which Linux counts and bounds ----------------------------------------------------------------------------


def _bound_memory() -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def unbound_memory() -> None:
    """Lift the limit in a process that was started from a fuzzer on Linux, for programs that reserve more than they use."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _peak() -> int:
    """The most memory that this process ever had, in bytes; 0 where nobody counts it."""
    if sys.platform != "linux":
        return 0
    status = Path("/proc/self/status").read_text("ascii", "replace")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
