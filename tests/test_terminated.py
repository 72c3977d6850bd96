"""TERM ends commands as errors do: no temporary folder and no process is left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.paths import HELLO, ROOT
from tests.processes import LINUX, alive, below


@LINUX
@pytest.mark.parametrize("command", ["compile", "tune"])
def test_nothing_is_left_after_term(command, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    arguments = [command, str(HELLO), "--board", "nucleo_l4r5zi"]
    arguments += ["--log", str(tmp_path / "log")] if command == "tune" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "smelt", *arguments],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    kept = f"smelt-{os.getuid()}"  # the cache of compilers and of the simulator, for the next time

    def temporary():
        return [f.name for f in folder.iterdir() if f.name.startswith("smelt-") and f.name != kept]

    while process.poll() is None and not temporary():
        time.sleep(0.005)
    others = below(process.pid)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=60)[1]
    end = time.monotonic() + 15
    while time.monotonic() < end and any(map(alive, others)):
        time.sleep(0.05)
    assert process.returncode == 143 and "Traceback" not in errors, errors
    assert not any(map(alive, others)) and not temporary()
