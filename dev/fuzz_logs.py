"""Feed damaged tuning logs to smelt: `python dev/fuzz_logs.py [--cases N] [--seed S]`.

Every case is a log of a few lines, some of them mutated: bytes, values, types, sizes, nesting, encoding. Whatever comes, a log is
read or refused with an OptionError; what is read can be written and read again, and every figure in it could have been measured.
Prints cases, findings and the time; exit code 1 if there are findings.
"""

import argparse
import json
import random
import sys
import time
import traceback

from smelt.planner.log import MOST_CYCLES, Measurement, TuningLog

BOARD = "nucleo_l4r5zi"
GOOD = Measurement("k_1", "Dense int8[4] -> int8[4]", "dense", "unroll=4", BOARD, "zig 0.17.1 abcdef01", 1234, None,
                   "simulator 1a2b3c4d", True, (("cost", 5), ("loads", 2)))  # fmt: skip
ODD = (
    None, True, False, 0, -1, 1, 1.5, -0.0, 1e400, float("nan"), 2**31, 2**53 - 1, 2**53, 2**64, 10**400, "", "5", "\ud800", "\0",
    "\U0001f600" * 50, [], {}, [[]], {"": {}}, [1] * 200, "x" * 70_000,
)  # fmt: skip
RAW = (
    b"", b"{", b"}", b"null", b"[" * 100_000, b'{"a":' * 50_000, b"[" * 2000 + b"]" * 2000,
    b"NaN", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}",
    b'{"cycles":' + b"9" * 6000 + b"}", b'{"kernel":"\\ud800"}', b"\0" * 1000, b"\r", b" " * 70_000, b'"' * 999,
)  # fmt: skip


def case(dice: random.Random) -> bytes:
    """The content of a file."""
    return dice.choice((b"\n", b"\n", b"\r\n", b"")).join(line(dice) for _ in range(dice.randint(0, 5)))


def line(dice: random.Random) -> bytes:
    values = json.loads(GOOD.line)
    kind = dice.randrange(5)
    if kind == 0:
        return dice.choice(RAW)
    for _ in range(dice.randint(0, 3)):
        name = dice.choice([*values, "more"])
        if dice.random() < 0.2:
            values.pop(name, None)
        elif name == "counts" and dice.random() < 0.7:
            values[name] = {dice.choice(("cost", "", "\ud800")): dice.choice(ODD)}
        else:
            values[name] = dice.choice(ODD)
    data = json.dumps(values, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
    return mutated(dice, data) if kind > 2 else data


def mutated(dice: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(found) + 1)
        match dice.randrange(4):
            case 0:
                del found[at:]
            case 1:
                found[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 8)))
            case 2:
                found[at : at + 1] = bytes([dice.randrange(256)])
            case _:
                found[at:at] = dice.choice((b"[" * 3000, b"9" * 5000, b'\\"', b"\n", b"\0"))
    return bytes(found)


def finding(data: bytes) -> str | None:
    """What is wrong with how a log is read; None where nothing is."""
    try:
        log = TuningLog.parse(data)
        log.usable(BOARD, GOOD.toolchain).preferring("simulator 1a2b3c4d").graded(GOOD.toolchain)
        again = TuningLog.parse(b"".join(m.line for m in log.measurements))
    except Exception:
        return traceback.format_exc(limit=-3)
    for m in log.measurements:
        if m.cycles is not None and not (type(m.cycles) is int and 0 < m.cycles < MOST_CYCLES):
            return f"{m.cycles!r} cycles"
        if any(not 0 <= n < MOST_CYCLES for _, n in m.counts):
            return f"counts {m.counts}"
    if (again.measurements, again.damaged) != (log.measurements, 0):
        return "what was read is another thing once it is written and read again"
    if len(log.measurements) + log.damaged > data.count(b"\n") + 1:
        return "more lines than there are"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start, findings = time.monotonic(), 0
    for number in range(options.cases):
        data = case(random.Random(f"{options.seed} {number}"))
        if wrong := finding(data):
            findings += 1
            print(f"case {number}: {wrong}\n  {data[:300]!r}")
    print(f"{options.cases} cases, {findings} findings, {time.monotonic() - start:.0f} s (seed {options.seed})")
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
