"""Tuning in several processes: killed at any moment it loses at most what is under way, and nothing is left of it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import smelt.tuning.workers as workers
from smelt import files
from smelt.errors import BuildError, OptionError
from smelt.kernels import DENSE_PORTABLE, FRUGAL
from smelt.planner.log import TuningLog, append
from smelt.planner.measurement import Measurement
from smelt.targets.boards import board
from smelt.tuning.tune import tune
from smelt.tuning.workers import Workers
from tests.paths import HELLO, KWS, ROOT
from tests.processes import LINUX, alive, below

BOARD = board("nucleo_l4r5zi")
HANGS = 600  # seconds after which a process is believed to hang, on a machine with a lot else to do


def started(file, *more, model=HELLO):
    arguments = ["tune", str(model), "--board", BOARD.name, "--log", str(file), "--exhaustive", *more]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored in a job of a shell's background, and below
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "smelt", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def lines(file):
    return file.read_bytes().count(b"\n") if file.exists() else 0


@LINUX
def test_killed_at_random_moments_it_goes_on_and_leaves_nothing(tmp_path):
    file, moments = tmp_path / "log.jsonl", random.Random(1)
    for _ in range(4):
        before, process = lines(file), started(file)
        while process.poll() is None and lines(file) == before:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.6))
        others = below(process.pid)
        process.kill()
        process.communicate()
        end = time.monotonic() + 15
        while time.monotonic() < end and any(map(alive, others)):
            time.sleep(0.05)
        assert not any(map(alive, others)), "a worker survives its session"
    killed = TuningLog.load(file)
    result = json.loads(started(file, "--json").communicate(timeout=HANGS)[0])
    log = TuningLog.load(file)
    assert log.measurements[: len(killed.measurements)] == killed.measurements and log.damaged <= 4
    keys = [(m.kernel, m.place, m.origin) for m in log.measurements]
    assert len(keys) == len(set(keys)), "nothing twice"
    last = log.only(lambda m: m.origin == log.measurements[-1].origin)
    assert len(last.measurements) == result["candidates"] and not result["left"]
    assert result["known"] == len([m for m in killed.measurements if m in last.measurements])


def test_a_worker_that_dies_costs_nothing(tmp_path, monkeypatch):
    """What the dead worker had is measured by its successor."""
    submit = Workers.submit
    killed = []

    def submit_and_kill(self, order):
        number = submit(self, order)
        if len(killed) < 2:
            killed.append(number)
            self._processes[number].kill()
        return number

    monkeypatch.setattr(Workers, "submit", submit_and_kill)
    result = tune(HELLO, BOARD, tmp_path / "log", implementations=(DENSE_PORTABLE,), exhaustive=True)
    assert len(killed) == 2 and result.measured == result.candidates and not result.failed


def test_a_disk_that_fills_up_stops_a_tuning_which_can_go_on(tmp_path, monkeypatch):
    file, write, count = tmp_path / "log", files._write, []

    def full(descriptor, data):
        count.append(data)
        if len(count) == 4:
            os.write(descriptor, data[:20])
            raise OSError(28, os.strerror(28))
        write(descriptor, data)

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(OptionError, match=r"cannot write .*: No space left"):
        tune(HELLO, BOARD, file, implementations=FRUGAL)
    assert (len(TuningLog.load(file).measurements), TuningLog.load(file).damaged) == (3, 1)
    result = tune(HELLO, BOARD, file, implementations=FRUGAL)
    assert result.known == 3 and not result.left and TuningLog.load(file).damaged == 1


FULL = """
import resource, signal, sys
from pathlib import Path
from smelt.errors import OptionError
from smelt.planner.log import append
from smelt.planner.measurement import Measurement
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
for n in range(100):
    try:
        append(Path(sys.argv[1]), [Measurement(f"k_{n}", "Dense", "dense", "a", "b", n + 1)])
    except OptionError as error:
        print(n, error)
        break
"""


@LINUX
def test_a_file_that_cannot_grow_keeps_its_lines(tmp_path):
    file = tmp_path / "log"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file)], cwd=ROOT, capture_output=True, text=True, timeout=HANGS
    )
    count, message = done.stdout.split(maxsplit=1)
    assert "cannot write" in message
    append(file, [Measurement("after", "Dense", "dense", "a", "b", 1)])
    log = TuningLog.load(file)
    assert [m.kernel for m in log.measurements] == [
        *(f"k_{n}" for n in range(int(count))),
        "after",
    ] and log.damaged <= 1


@LINUX
def test_interrupted_it_keeps_what_it_has(tmp_path):
    file = tmp_path / "log.jsonl"
    process = started(file, model=KWS)  # takes minutes: it cannot end before it is interrupted
    while process.poll() is None and not lines(file):
        time.sleep(0.01)
    others = below(process.pid)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=HANGS)[1]
    assert process.returncode == 130 and "Traceback" not in errors
    assert TuningLog.load(file).measurements and not TuningLog.load(file).damaged
    assert not any(map(alive, others))


def test_the_budget_holds(tmp_path):
    result = tune(KWS, BOARD, tmp_path / "log", budget=3, implementations=FRUGAL)
    assert (
        result.left and result.seconds < 3 + 12
    )  # what is under way ends, and the plan is made; this computer may be slow


def test_a_missing_compiler_is_a_message(tmp_path, monkeypatch):
    firmware = workers.firmware
    monkeypatch.setattr(workers, "firmware", lambda order: replace(firmware(order), compiler="gcc"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"gcc is not installed"):
        tune(HELLO, BOARD, tmp_path / "log", implementations=FRUGAL)
    assert not (tmp_path / "log").exists()


def test_what_kills_every_worker_is_a_failure(tmp_path, monkeypatch):
    firmware = workers.firmware
    monkeypatch.setattr(workers, "firmware", lambda order: replace(firmware(order), sources=None))
    result = tune(HELLO, BOARD, tmp_path / "log", implementations=FRUGAL, budget=40)
    assert result.failed == result.measured > 0
    assert all(m.failure.startswith("defect") for m in TuningLog.load(tmp_path / "log").measurements)
