"""Damaged tuning logs: `python -m fuzz.logs --cases 20000 --seed 1`.

Every case is a log of a few lines, some of them mutated: bytes, values, types, sizes, nesting, encoding. Whatever comes, a log is
read or refused with an OptionError; what is read can be written and read again, and every figure in it could have been measured.
"""

from __future__ import annotations

import json
import random
import sys

from fuzz.harness import Case, Finding, Fuzzer, main
from fuzz.mutations import spoilt
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import MOST_CYCLES, Measurement, Origin, Places
from smelt.targets.boards import board

BOARD = "nucleo_l4r5zi"
ORIGIN = Origin("simulator 1a2b3c4d", "zig 0.17.1")
GOOD = Measurement("k_1", "Dense int8[4] -> int8[4]", "dense", "unroll=4", BOARD, 1234, None, ORIGIN, Places(tables="sram1"),
                   (("cost", 5), ("loads", 2)), "abcdef01")  # fmt: skip
OLD = {
    "kernel": "k_1", "op_key": "Dense", "implementation": "dense", "schedule": "a", "board": BOARD, "cycles": 5, "error": None,
    "toolchain": "zig 0.17.1, headers 1a2b3c4d", "device": "device openocd", "resident": True, "counts": {"cost": 5}, "code": "ram",
}  # fmt: skip
ODD = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e400, float("nan"), 2**31, 2**53 - 1, 2**53, 2**64, 10**400, "", "5", "\ud800", "\0",
    "\U0001f600" * 50, [], {}, [[]], {"": {}}, [1] * 200, "x" * 70_000,
)  # fmt: skip
RAW = (
    b"", b"{", b"}", b"null", b"[" * 100_000, b'{"a":' * 50_000, b"[" * 2000 + b"]" * 2000,
    b"NaN", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}",
    b'{"cycles":' + b"9" * 6000 + b"}", b'{"kernel":"\\ud800"}', b"\0" * 1000, b"\r", b" " * 70_000, b'"' * 999,
)  # fmt: skip
INNER = ("counts", "features", "origin", "places")
WORDS = (b"[" * 3000, b"9" * 5000, b'\\"', b"\n", b"\0")


def content(dice: random.Random) -> bytes:
    """The content of a file."""
    return dice.choice((b"\n", b"\n", b"\r\n", b"")).join(line(dice) for _ in range(dice.randint(0, 5)))


def line(dice: random.Random) -> bytes:
    values = json.loads(GOOD.line) if dice.random() < 0.6 else dict(OLD)
    kind = dice.randrange(5)
    if kind == 0:
        return dice.choice(RAW)
    for _ in range(dice.randint(0, 3)):
        name = dice.choice([*values, "more"])
        if dice.random() < 0.2:
            values.pop(name, None)
        elif name in INNER and dice.random() < 0.7:
            values[name] = {dice.choice(("cost", "code", "compiler", "", "\ud800")): dice.choice(ODD)}
        else:
            values[name] = dice.choice(ODD)
    data = json.dumps(values, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
    return spoilt(data, dice, WORDS, dice.randint(1, 4)) if kind > 2 else data


def attempt(case: Case) -> str:
    """Read one log, as commands do."""
    data = content(case.dice)
    case.write(data, ".jsonl")
    log = TuningLog.parse(data)
    known = Known.of(board(BOARD), log, ORIGIN)
    if any(m.board != BOARD for m in known.measurements):
        raise Finding("a measurement of another board")
    again = TuningLog.parse(b"".join(m.line for m in log.measurements))
    for m in log.measurements:
        if m.cycles is not None and not (type(m.cycles) is int and 0 < m.cycles < MOST_CYCLES):
            raise Finding(f"{m.cycles!r} cycles")
        if any(not 0 <= n < MOST_CYCLES for _, n in m.features):
            raise Finding(f"features {m.features}")
    if (again.measurements, again.damaged) != (log.measurements, 0):
        raise Finding("what was read is another thing once it is written and read again")
    if len(log.measurements) + log.damaged > data.count(b"\n") + 1:
        raise Finding("more lines than there are")
    return "read, with damaged lines" if log.damaged else "read"


if __name__ == "__main__":
    sys.exit(main(Fuzzer("logs", __doc__ or "", attempt, cases=20_000, seconds=5.0)))
