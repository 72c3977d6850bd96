"""The fuzzers find nothing: a tenth or less of what is run by hand (fuzz/README.md), or what the seconds are enough for."""

import os
import re
import subprocess
import sys

import pytest

from fuzz.harness import Case, Finding, Fuzzer, Options, run
from tests.paths import ROOT

# Name, cases, seconds, and what the fuzzer needs.
FUZZERS = (
    ("models", 2000, 45, "linux"),  # TensorFlow Lite Micro
    ("graphs", 1000, 25, "linux"),
    ("inputs", 2000, 20, ""),
    ("commands", 150, 40, "posix"),  # pipes and devices with names
    ("boards", 1000, 20, ""),
    ("logs", 2000, 20, ""),
    ("onnx_files", 1000, 10, ""),
    ("qdq", 24, 60, ""),
    ("cores", 3, 90, ""),
)


@pytest.mark.parametrize(("name", "cases", "seconds", "needs"), FUZZERS, ids=[f[0] for f in FUZZERS])
def test_no_findings(name, cases, seconds, needs):
    if needs not in ("", sys.platform, os.name):
        pytest.skip(f"platform: the fuzzer of {name} runs on {needs} only")
    limits = ["--cases", str(cases), "--seed", "7", "--seconds", str(seconds)]
    done = subprocess.run([sys.executable, "-m", f"fuzz.{name}", *limits], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    tried, ends = re.match(rf"{name}: ([\d,]+) cases \(seed 7\), 0 findings", done.stdout), done.stdout.splitlines()[1:]
    assert tried and int(tried[1].replace(",", "")) >= min(cases, 21) and len(ends) >= 2, done.stdout


def fuzzer(attempt, seconds=60.0, memory=1 << 30):
    return Fuzzer("tried", "", attempt, 8, seconds, memory)


def options(cases=8, seconds=60.0, keep=None, first=0):
    return Options(cases, 5, seconds, keep, first)


def defective(case):
    case.write(case.dice.randbytes(8), ".bin")
    if case.number % 4 == 1:
        raise Finding("wrong")
    return f"once {case.number % 4 // (case.number % 4)}"


@pytest.mark.parametrize("first", [0, 8])
def test_findings_are_counted_kept_and_can_be_repeated(tmp_path, first, capsys):
    report = run(fuzzer(defective), options(keep=tmp_path, first=first))
    assert (report.cases, report.ends, report.show()) == (8, {"once 1": 4}, 1)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {
        f"tried-5-{n}.bin": Case(5, n, tmp_path).dice.randbytes(8) for n in (first, first + 1, first + 4, first + 5)
    }
    shown = capsys.readouterr().out
    assert "8 cases (seed 5), 4 findings" in shown
    assert f"case {first} (--seed 5 --first {first} --cases 1): Traceback" in shown and "--cases 1): wrong" in shown


def test_time_and_memory_are_bounded():
    slow = run(fuzzer(lambda _: str(sum(range(10**6))), seconds=0.0), options(cases=2))
    assert len(slow.findings) == 2 and "takes" in slow.findings[0]
    assert run(fuzzer(lambda _: ""), options(seconds=-1.0)).cases == 0
    if sys.platform == "linux":
        large = run(fuzzer(lambda _: "", memory=-1), options(cases=2))
        assert len(large.findings) == 2 and "MB of memory" in large.findings[0]
