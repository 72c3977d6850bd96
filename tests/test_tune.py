"""Tuning: the log survives whatever happens to its writer, and the best measured candidates are applied."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from smelt.compile import compile
from smelt.errors import BuildError, OptionError
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner import Limits, make_plan
from smelt.planner.decide import apart
from smelt.planner.known import Known
from smelt.planner.log import TuningLog, append
from smelt.planner.measurement import IN_FLASH, Measurement, Origin, Places
from smelt.planner.predict import NOISE
from smelt.planner.ways import Ways, op_key
from smelt.targets.boards import board
from smelt.tuning.bench import Bench
from smelt.tuning.firmware import firmware, outcomes
from smelt.tuning.search import Search
from smelt.tuning.tune import tune
from smelt.tuning.works import works
from tests.paths import HELLO, KWS, ROOT

BOARD = board("nucleo_l4r5zi")


def entry(kernel="k_1", cycles=10, error=None, schedule="a", toolchain="zig"):
    return Measurement(kernel, "Dense", "dense", schedule, BOARD.name, cycles, error, Origin("", toolchain))


def test_measurements_survive_the_file(tmp_path):
    entries = (entry(), entry("k_2", None, 'fault: "ü"\nline'), entry("k_3", 5))
    append(tmp_path / "log", entries[:2])
    append(tmp_path / "log", entries[2:])
    log = TuningLog.load(tmp_path / "log")
    assert log.measurements == entries and log.damaged == 0
    assert log.find("k_2", BOARD.name).failure.startswith("fault") and log.cycles("k_2", BOARD.name) is None
    assert log.find("k_2", "another") is None


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_line_costs_only_itself(tmp_path, kept):
    file = tmp_path / "log"
    append(file, [entry()])
    with file.open("ab") as stream:
        stream.write(entry("torn").line[:-1][:kept])
    append(file, [entry("k_3")])
    log = TuningLog.load(file)
    assert [m.kernel for m in log.measurements] == ["k_1", "k_3"] and log.damaged == 1


def test_concatenated_and_several_files_are_one_log(tmp_path):
    a, b, both = tmp_path / "a", tmp_path / "b", tmp_path / "both"
    append(a, [entry("k_1", 10), entry("k_2", None, "fault: x")])
    append(b, [entry("k_2", 7)])
    both.write_bytes(a.read_bytes() + b.read_bytes())
    assert TuningLog.load(both) == TuningLog.load(a, b) == TuningLog.load(a) + TuningLog.load(b)
    assert TuningLog.load(a, b).cycles("k_2", BOARD.name) == 7


@pytest.mark.parametrize(
    "cycles", ["0", "-5", "1.5", "true", "NaN", "1e3", str(2**53), "9" * 6000, "[" * 50_000, '"5"']
)
def test_absurd_figures_are_damaged_lines(tmp_path, cycles):
    line = entry().line.replace(b'"cycles":10', b'"cycles":' + cycles.encode())
    (tmp_path / "log").write_bytes(line + entry("k_2", 2**53 - 1).line)
    log = TuningLog.load(tmp_path / "log")
    assert [m.kernel for m in log.measurements] == ["k_2"] and log.damaged == 1


def test_what_is_too_large_for_a_log_is_not_read(tmp_path):
    with (tmp_path / "log").open("wb") as stream:
        stream.truncate((1 << 30) + 1)
    with pytest.raises(OptionError, match="the most is"):
        TuningLog.load(tmp_path / "log")


def test_what_is_no_log_is_refused(tmp_path):
    (tmp_path / "text").write_text("one\ntwo\n")
    for file in (tmp_path / "text", tmp_path / "absent", tmp_path, HELLO):
        with pytest.raises(OptionError, match=r"no tuning log|no file|a folder"):
            TuningLog.load(file)
    with pytest.raises(OptionError, match="cannot write"):
        append(tmp_path, [entry()])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="platform: needs a device that is always full")
def test_a_full_disk_is_a_message():
    from pathlib import Path

    with pytest.raises(OptionError, match="cannot write"):
        append(Path("/dev/full"), [entry()])


@pytest.fixture(scope="module")
def hello():
    return prepare(load(HELLO))


@pytest.fixture(scope="module")
def tuned_file(tmp_path_factory):
    """A log of hello_world's tuning."""
    file = tmp_path_factory.mktemp("tune") / "log.jsonl"
    result = tune(HELLO, BOARD, file, implementations=FRUGAL)
    assert 2 * result.distinct_steps < result.measured and not result.failed and not result.left
    assert result.measured + result.hopeless == result.candidates
    assert result.cycles_after <= result.cycles_before
    return file


def test_tuning_again_measures_nothing(tuned_file):
    size = tuned_file.stat().st_size
    result = tune(HELLO, BOARD, tuned_file, implementations=FRUGAL)
    assert (result.measured, result.known + result.hopeless) == (
        0,
        result.candidates,
    ) and tuned_file.stat().st_size == size


def test_the_best_of_the_log_is_compiled(tuned_file, hello):
    log = TuningLog.load(tuned_file)
    plan = compile(HELLO, BOARD, compiler="none", log=log).plan
    for step in plan.steps:
        least = log.cycles(best(log, step.way.op).kernel, BOARD.name)
        assert least <= log.cycles(step.way.kernel, BOARD.name) <= least / (1 - NOISE)


def pretend(graph, choose):
    """A log in which, of every step, the candidate that `choose` picks is the fastest."""
    entries = []
    for work in works(graph, BOARD, FRUGAL):
        favourite = choose(work.candidates)
        for c in work.candidates:
            entries.append(Measurement(c.kernel, work.op_key, *c.names, BOARD.name, 1 if c is favourite else 100))
    return TuningLog(tuple(entries))


def planned(graph, log, **more):
    return make_plan(graph, BOARD, FRUGAL, known=Known.trusting(BOARD, log), **more)


def best(log, op):
    """What was measured to be fastest."""
    name, schedule, _ = log.ranked(op_key(op), BOARD.name, IN_FLASH)[0]
    return Ways(BOARD.core, FRUGAL).named(op, (name, schedule))


def test_any_candidate_can_win(hello):
    log = pretend(hello, lambda candidates: candidates[-1])
    expected = {w.candidates[-1].call.kernel.name for w in works(hello, BOARD, FRUGAL)}
    assert {s.way.kernel for s in planned(hello, log).steps} == expected


def test_failures_other_boards_and_changed_kernels_are_not_applied(hello):
    log = pretend(hello, lambda candidates: candidates[-1])
    default = [s.way.kernel for s in make_plan(hello, BOARD, FRUGAL).steps]
    changes = (
        lambda m: replace(m, cycles=None, failure="mismatch: 3 of 4 bytes"),
        lambda m: replace(m, board="disco_f746ng"),
    )
    for change in changes:
        changed = TuningLog(tuple(change(m) for m in log.measurements))
        assert [s.way.kernel for s in planned(hello, changed).steps] == default


def test_a_log_about_something_else_is_refused(tuned_file):
    log = TuningLog.load(tuned_file)
    with pytest.raises(OptionError, match="no measurement of disco_f746ng"):
        compile(HELLO, board("disco_f746ng"), compiler="none", log=log)


def test_a_balanced_plan_takes_more_ram_for_measured_cycles_only_where_it_may():
    graph = prepare(load(KWS))
    log = pretend(
        graph, lambda candidates: max(candidates, key=lambda c: (c.call.scratch_bytes, c.instructions(BOARD.core)))
    )
    plain, tuned = (planned(graph, some) for some in (TuningLog.empty, log))
    free = planned(graph, log, limits=Limits(ram=200_000))
    assert tuned.ram_bytes <= apart(plain) < free.ram_bytes
    assert all(log.cycles(step.way.kernel, BOARD.name) == 1 for step in free.steps)


def test_kernels_of_the_same_shape_are_a_hint_where_none_was_measured(hello):
    log = pretend(hello, lambda candidates: candidates[-1])
    renamed = TuningLog(tuple(replace(m, kernel=m.kernel + "0") for m in log.measurements))
    plan, hinted = (planned(hello, some) for some in (log, renamed))
    assert [s.way.kernel for s in hinted.steps] == [s.way.kernel for s in plan.steps]


def bench(graph):
    return Bench(BOARD, BOARD.chip.rams[0], "zig", Origin("simulator", toolchain(BOARD)), graph)


def test_wrong_values_are_results_and_code_that_does_not_compile_an_error(hello):
    subjects = Search(works(hello, BOARD, FRUGAL), Known(BOARD)).subjects[:2]
    trials = firmware(bench(hello).order(subjects))
    wrong = replace(trials.runs[1], expected=bytes(len(trials.runs[1].expected)))
    good, bad = outcomes(replace(trials, runs=(trials.runs[0], wrong)))
    assert good.cycles and not good.failure and bad.cycles is None and bad.failure.startswith("mismatch: ")
    assert good.places == Places("flash", "flash", "sram1", "sram1", bad.places.scratch)
    broken = {**trials.sources.files, "candidates_code.c": "nonsense"}
    with pytest.raises(BuildError, match=r"candidates_code.c"):
        list(outcomes(replace(trials, sources=replace(trials.sources, files=broken))))


def smelt(*arguments):
    command = [sys.executable, "-m", "smelt", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="platform: needs a signal that cannot be caught")
def test_a_killed_tuning_goes_on_where_it_was(tmp_path):
    file = tmp_path / "log.jsonl"
    process = smelt("tune", HELLO, "--board", BOARD.name, "--log", file)
    while process.poll() is None and (not file.exists() or file.stat().st_size == 0):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = TuningLog.load(file).measurements
    assert before, "what was measured before the kill is there"
    again = smelt("tune", HELLO, "--board", BOARD.name, "--log", file, "--json")
    result = json.loads(again.communicate()[0])
    after = TuningLog.load(file)
    assert result["known"] == len(before) and result["left"] == 0
    assert after.measurements[: len(before)] == before
    kernels = [(m.kernel, m.place) for m in after.measurements]
    assert len(kernels) == len(set(kernels)) == result["candidates"] - result["hopeless"]


def test_what_time_cut_off_is_not_called_hopeless(hello):
    todo = works(hello, BOARD, FRUGAL)
    search = Search(todo, Known(BOARD))
    assert search.hopeless() == 0
    while taken := search.take(lambda some: len(some) < 8):
        assert not search.hopeless(), "there was nothing to judge by"
        if len(taken) > 1:
            for s in taken[:-1]:  # the last one is given up
                c = s.candidate
                search.learn(Measurement(c.kernel, s.work.op_key, *c.names, BOARD.name, 1000))
        break
    assert search.hopeless() == 0 and search.known < len(search.subjects)


def test_a_log_that_cannot_be_written_is_found_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr("smelt.tuning.tune.load", None)  # nothing gets that far
    (tmp_path / "file").touch()
    for file in (tmp_path / "absent" / "log", tmp_path, tmp_path / "file" / "log"):
        with pytest.raises(OptionError, match="cannot write"):
            tune(HELLO, BOARD, file)
    monkeypatch.setattr("smelt.files.shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(OptionError, match="the disk is full"):
        tune(HELLO, BOARD, tmp_path / "log")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["file"]


def test_the_command_says_whether_anything_was_measured(tuned_file, tmp_path):
    file = tmp_path / "log.jsonl"
    process = smelt("tune", HELLO, "--board", BOARD.name, "--log", file, "--budget", "0")
    text, errors = process.communicate()
    assert process.returncode == 2 and "nothing was measured" in errors and "log:" not in text and not file.exists()
    assert "not worth it" not in text
    file.write_bytes(tuned_file.read_bytes() + b"torn\n")
    process = smelt("tune", HELLO, "--board", BOARD.name, "--log", file)
    text, errors = process.communicate()
    assert process.returncode == 0 and "nothing new to measure" in text and "1 line(s) of" in text, text + errors


def test_no_budget_measures_nothing_and_nonsense_is_refused(tmp_path):
    file = tmp_path / "log.jsonl"
    result = tune(HELLO, BOARD, file, budget=0, implementations=FRUGAL)
    assert result.measured == 0 and result.left == result.candidates and result.cycles_before is None
    assert not file.exists()
    process = smelt("tune", HELLO, "--board", BOARD.name, "--log", file, "--budget", "soon")
    assert "no length of time" in process.communicate()[1] and process.returncode == 2
