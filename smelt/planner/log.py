"""What was measured: `Measurement`, and `TuningLog`, a file of one JSON line for each that is only ever appended to.

A figure holds for the places in which code and tables lay: it is compared with figures of the same device and places, never with
others. Firmware has its code in flash, and tables in flash or RAM; a session loads both into RAM through a debug link, and what
flash costs is not in such figures. So for each op one kind of figures decides which way is best:

1. firmware on the very board;
2. firmware on the simulator, as its model of time is now;
3. where no firmware was measured for such an op, what a link measured, a real device before a simulated one. Such figures only rank
   the ways that they know, and replace a first guess only where that is one of them (`IN_RAM`, `TuningLog.covers`); how long a step
   takes in firmware they do not say.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from smelt.errors import OptionError
from smelt.nouns import Noun

DEVICE = "device "
"""How the name of a real device begins in `Measurement.device`."""

VIRTUAL = "virtual "
"""How the name of a simulated device behind a real debugger begins there."""

Code = Literal["flash", "ram"]
"""Where the code of a kernel lay."""

Place = tuple[bool, Code]
"""Where tables (whether in RAM) and code lay."""

IN_FLASH: Place = (False, "flash")

IN_RAM: Place = (True, "ram")
"""Where tables and code lie that a session loaded through a debug link: `resident` and `code` of such measurements."""

MOST_CYCLES = 2**53
"""What no measurement reaches: at a gigahertz that would be a hundred days. Below it a cycle count is exact in any JSON reader."""

LONGEST_LINE = 1 << 16
"""Bytes of a line, beyond which it is not looked at: what `append` writes has a few thousand at most."""

MOST_BYTES = 1 << 30
"""What a log may have: a million measurements."""


@dataclass(frozen=True)
class Measurement(Noun):
    """One kernel on one board: its cycles, or why there are none ("compile: ...", "fault: ...", "mismatch: ...").

    `kernel` is the kernel's name, which holds a digest of its content; `op_key` and `schedule` are readable texts;
    `toolchain` says what compiled it. `device` says what counted the cycles: "simulator 1a2b3c4d", with a digest of the
    model of time, or "device openocd"; empty in logs from before it was noted. `resident`: its tables were in RAM;
    `code` says where the kernel itself was. `counts` are what is known of the kernel without running it, by name.
    """

    kernel: str
    op_key: str
    implementation: str
    schedule: str
    board: str
    toolchain: str
    cycles: int | None = None
    error: str | None = None
    device: str = ""
    resident: bool = False
    counts: tuple[tuple[str, int], ...] = ()
    code: Code = "flash"

    @property
    def place(self) -> Place:
        """Where tables and code were."""
        return self.resident, self.code

    @property
    def line(self) -> bytes:
        """The measurement as a line of the file."""
        values = asdict(self) | {"counts": dict(self.counts)}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class TuningLog(Noun):
    """Measurements, oldest first: of several of the same kernel, board, toolchain and place the last one holds.

    `damaged` counts lines that were no measurements, such as one that was cut short when its writer was killed.
    """

    measurements: tuple[Measurement, ...] = ()
    damaged: int = 0

    empty: ClassVar[TuningLog]

    @staticmethod
    def load(*files: Path) -> TuningLog:
        """The measurements of several files together. Raises OptionError for a file that is no log or cannot be read."""
        logs = [_read(file) for file in files]
        return TuningLog(tuple(m for log in logs for m in log.measurements), sum(log.damaged for log in logs))

    @staticmethod
    def parse(data: bytes) -> TuningLog:
        """The measurements in the content of a file; lines that are none are counted."""
        lines = [line for line in data.split(b"\n") if line[:LONGEST_LINE].strip()]
        found = [_parsed(line) for line in lines]
        good = tuple(m for m in found if m is not None)
        return TuningLog(good, len(found) - len(good))

    def __add__(self, other: TuningLog) -> TuningLog:
        return TuningLog(self.measurements + other.measurements, self.damaged + other.damaged)

    def of(self, board: str, toolchain: str, device: str | None = None, code: Code | None = None) -> TuningLog:
        """What was measured on one board with one toolchain; with `device` or `code`, only by that one or of code there."""
        mine = tuple(
            m
            for m in self.measurements
            if (m.board, m.toolchain) == (board, toolchain) and device in (None, m.device) and code in (None, m.code)
        )
        return TuningLog(mine, self.damaged)

    def usable(self, board: str, toolchain: str, device: str | None = None) -> TuningLog:
        """What may be applied on one board with one toolchain: what it measured, and what another version of the same compiler
        measured with the same headers."""
        mine = tuple(
            m
            for m in self.measurements
            if m.board == board and is_similar(m.toolchain, toolchain) and device in (None, m.device)
        )
        return TuningLog(mine, self.damaged)

    def graded(self, toolchain: str) -> TuningLog:
        """Each kernel once: as `toolchain` measured it, else as the last of its other versions did."""
        mine = sorted(self.measurements, key=lambda m: m.toolchain == toolchain)  # the last holds
        return TuningLog(tuple({(m.kernel, m.board, m.place): m for m in mine}.values()), self.damaged)

    def preferring(self, simulator: str) -> TuningLog:
        """What may be applied: for each op and place of the code what a real device measured, and where none did, what `simulator`
        did, so that cycles of different devices are never compared with each other. What another model of time counted is stale.
        """
        mine = tuple(filter(None, (simulator,)))
        valid = [m for m in self.measurements if m.device.endswith(mine) or m.device.startswith(DEVICE)]
        best: dict[tuple[str, Code], str] = {}
        # the last holds: real devices after simulated ones
        for device in sorted({m.device for m in valid}, key=lambda d: (d.startswith(DEVICE), d)):
            mine_too = (m for m in valid if m.device == device and m.cycles is not None)
            best.update(dict.fromkeys(((m.op_key, m.code) for m in mine_too), device))
        return TuningLog(tuple(m for m in valid if best.get((m.op_key, m.code)) == m.device), self.damaged)

    def find(
        self, kernel: str, board: str, toolchain: str, resident: bool = False, code: Code = "flash"
    ) -> Measurement | None:
        """The measurement of a kernel that holds, failed or not."""
        return self._found.get((kernel, board, toolchain, (resident, code)))

    def cycles(self, kernel: str, board: str, resident: bool = False, code: Code = "flash") -> int | None:
        """The cycles of a kernel on a board, its tables and itself there; None where it was not measured, or failed."""
        return self._cycles.get((kernel, board, (resident, code)))

    def ranked(
        self, op_key: str, board: str, resident: bool = False, code: Code = "flash"
    ) -> tuple[tuple[str, str, int], ...]:
        """(implementation, schedule, least cycles) of what was measured for such ops on a board, best first."""
        least: dict[tuple[str, str], int] = {}
        for m in self._by_op.get((op_key, board, (resident, code)), ()):
            if m.cycles is not None:
                how = m.implementation, m.schedule
                least[how] = min(m.cycles, least.get(how, m.cycles))
        return tuple((*how, cycles) for how, cycles in sorted(least.items(), key=lambda item: (item[1], item[0])))

    def covers(self, op_key: str, board: str) -> bool:
        """Whether firmware was measured for such ops on a board: then figures with code in RAM say nothing about them."""
        return any(self.ranked(op_key, board, resident) for resident in (False, True))

    @cached_property
    def _found(self) -> dict[tuple[str, str, str, Place], Measurement]:
        return {(m.kernel, m.board, m.toolchain, m.place): m for m in self.measurements}

    @cached_property
    def _cycles(self) -> dict[tuple[str, str, Place], int | None]:
        return {(m.kernel, m.board, m.place): m.cycles for m in self._found.values()}

    @cached_property
    def _by_op(self) -> dict[tuple[str, str, Place], list[Measurement]]:
        result: dict[tuple[str, str, Place], list[Measurement]] = {}
        for m in self._found.values():
            result.setdefault((m.op_key, m.board, m.place), []).append(m)
        return result


TuningLog.empty = TuningLog()


def compiler_of(toolchain: str) -> str:
    """Name and version of what compiled, without the headers: "zig 0.17.0"."""
    return toolchain.rpartition(", headers ")[0] or toolchain


def is_similar(one: str, other: str) -> bool:
    """Whether two toolchains are the same compiler, in whatever versions, with the same headers: other headers are other code."""
    (name, _, headers), (name_too, _, headers_too) = map(_parts, (one, other))
    return (name, headers) == (name_too, headers_too)


def _parts(toolchain: str) -> tuple[str, str, str]:
    """Name, version and headers."""
    compiler = compiler_of(toolchain)
    name, _, version = compiler.partition(" ")
    return name, version, toolchain.removeprefix(compiler)


def damage(file: Path, log: TuningLog) -> str | None:
    """What users are told about the damaged lines of a file; None where it has none."""
    return f"{log.damaged:,} line(s) of {file} are no measurements" if log.damaged else None


def append(file: Path, measurements: Sequence[Measurement]) -> None:
    """Add measurements to a file, each with a single write of a whole line.

    A line that a killed writer or a full disk left unfinished is closed first, so that nothing is glued to it.
    Raises OptionError where the file cannot be written; what was in it stays.
    """
    if not measurements:
        return
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        try:
            torn = _is_torn(descriptor)
            for number, measurement in enumerate(measurements):
                _write(descriptor, (b"\n" if torn and number == 0 else b"") + measurement.line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OptionError(f"cannot write the tuning log '{file}': {error.strerror or error}") from None


def check_writable(file: Path) -> None:
    """Raise OptionError where `append` could not write to the file. Leaves no file behind where there is none."""
    try:
        there = file.exists()
        if there and not file.is_file():
            raise OptionError(f"cannot write the tuning log '{file}': it is no file")
        os.close(os.open(file, os.O_WRONLY | os.O_APPEND | (0 if there else os.O_CREAT | os.O_EXCL), 0o644))
        if not there:
            file.unlink()
        free = shutil.disk_usage(file.absolute().parent).free
    except OSError as error:
        raise OptionError(f"cannot write the tuning log '{file}': {error.strerror or error}") from None
    if free < LONGEST_LINE:
        raise OptionError(f"cannot write the tuning log '{file}': the disk is full")


def _is_torn(descriptor: int) -> bool:
    """Whether the file's last line lacks its end."""
    if os.lseek(descriptor, 0, os.SEEK_END) == 0:
        return False
    os.lseek(descriptor, -1, os.SEEK_END)
    return os.read(descriptor, 1) != b"\n"


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written: is the disk full?")


def _read(file: Path) -> TuningLog:
    try:
        if file.exists() and not file.is_file():
            raise OptionError(f"cannot read the tuning log '{file}': it is no file")
        if os.stat(file).st_size > MOST_BYTES:
            raise OptionError(f"cannot read the tuning log '{file}': no log has more than {MOST_BYTES:,} bytes")
        data = file.read_bytes()
    except OSError as error:
        raise OptionError(f"cannot read the tuning log '{file}': {error.strerror or error}") from None
    log = TuningLog.parse(data)
    if log.damaged > 1 and not log.measurements:
        raise OptionError(f"'{file}' is no tuning log: none of its {log.damaged} lines is a measurement")
    return log


def _parsed(line: bytes) -> Measurement | None:
    """A line as a measurement; None where it is none. Fields of later versions are ignored."""
    try:
        values = json.loads(line) if len(line) <= LONGEST_LINE else None
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of thousands of digits; nested too deeply
        return None
    return _measurement(values) if isinstance(values, dict) else None


TEXTS = ("kernel", "op_key", "implementation", "schedule", "board", "toolchain", "device")


def _measurement(values: dict[str, Any]) -> Measurement | None:
    texts = [values.get(name) for name in TEXTS[:-1]] + [values.get(TEXTS[-1], "")]
    cycles, error, resident = values.get("cycles"), values.get("error"), values.get("resident", False)
    if not all(isinstance(text, str) and _is_unicode(text) for text in texts) or not isinstance(resident, bool):
        return None
    if not (_is_count(cycles, 1) or (cycles is None and isinstance(error, str) and _is_unicode(error))):
        return None
    kernel, op_key, implementation, schedule, board, toolchain, device = map(str, texts)
    counts = values.get("counts")
    items = counts.items() if isinstance(counts, dict) else ()
    known = tuple((k, v) for k, v in items if _is_count(v, 0) and _is_unicode(k))
    code = values.get("code")
    if code is None:  # a line from before that was noted; then it was not noted either that links have tables in RAM
        resident, code = IN_RAM if device.startswith((DEVICE, VIRTUAL)) else (resident, "flash")
    if code not in get_args(Code):
        return None
    return Measurement(
        kernel, op_key, implementation, schedule, board, toolchain, cycles, error, device, resident, known, code
    )


def _is_count(value: object, least: int) -> bool:
    """Whether a figure can be one: a whole number (which `true` is not) that is not absurd."""
    return type(value) is int and least <= value < MOST_CYCLES


def _is_unicode(text: str) -> bool:
    """Whether a text can be written again: JSON can spell halves of characters."""
    return not any("\ud800" <= c <= "\udfff" for c in text)
