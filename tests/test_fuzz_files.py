"""The fuzzers of input files and command lines, a tenth of what is run by hand."""

import subprocess
import sys

import pytest

from tests.paths import ROOT

pytest.importorskip("resource", reason="platform: the fuzzers watch memory as POSIX systems count it")


@pytest.mark.parametrize(("module", "cases"), [("fuzz.inputs", 2000), ("fuzz.commands", 100)])
def test_fuzzers_find_nothing(module, cases):
    command = [sys.executable, "-m", module, "--cases", str(cases), "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases:,} cases (seed 7), 0 finding(s)" in done.stdout
