"""Other versions of the compiler, other compilers, and none: what is taken over from measurements, and what is said about it."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
from click.testing import CliRunner

import smelt.tuning.shipped as shipped
from smelt.cli import main
from smelt.compile import compile
from smelt.devices.simulators.version import model_of_time
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.kernels.digest import routines_digest
from smelt.passes import prepare
from smelt.planner.known import Known, standing
from smelt.planner.log import TuningLog, append
from smelt.planner.measurement import Measurement, Origin, Places
from smelt.report.curve import trade_off
from smelt.report.doctor import examine
from smelt.targets.boards import board
from smelt.tuning.works import works
from tests.small_models import dense_model

BOARD = board("nucleo_l4r5zi")
TOOLS, COUNTER = toolchain(BOARD), model_of_time(BOARD)
OLDER = "zig 0.15.0"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(dense_model())
    return path


@pytest.fixture
def ships(monkeypatch):
    """Pretend that smelt ships this log."""
    return lambda log: monkeypatch.setattr(shipped, "shipped_log", lambda: log)


def log_of(model, toolchain):
    """A log in which the last candidate of every step is the fastest."""
    lines = []
    for work in works(prepare(load(model)), BOARD, FRUGAL):
        for n, c in enumerate(reversed(work.candidates)):
            origin, routines = Origin(COUNTER, toolchain), routines_digest(c.call.kernel, BOARD.core)
            how = c.kernel, work.op_key, *c.names, BOARD.name
            lines.append(Measurement(*how, 1000 + 100 * n, origin=origin, routines=routines))
    return TuningLog(tuple(lines))


def smelt(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("one", "other", "grade"),
    [
        ("zig 0.17.1", "zig 0.17.1", "measured"),
        ("zig 0.17.0", "zig 0.17.1", "similar"),
        ("zig 0.15.1", "zig 0.17.1", "similar"),
        ("zig", "zig 0.17.1", "similar"),
        ("arm-none-eabi-gcc 12.2.1", "arm-none-eabi-gcc 13.1", "similar"),
        ("arm-none-eabi-gcc 12.2.1", "riscv64-unknown-elf-gcc 12.2.1", "estimated"),
        ("arm-none-eabi-gcc 12.2.1", "zig 12.2.1", "estimated"),
    ],
)
def test_versions_of_a_compiler_are_similar(model, one, other, grade):
    kernel = works(prepare(load(model)), BOARD, FRUGAL)[0].candidates[0].call.kernel
    m = replace(log_of(model, one).measurements[0], kernel=kernel.name, routines=routines_digest(kernel, BOARD.core))
    assert Known(BOARD, Origin(COUNTER, other)).grade(m, kernel) == grade
    assert standing(Origin(COUNTER, one), Origin(COUNTER, other)) == standing(
        Origin(COUNTER, other), Origin(COUNTER, one)
    )


def test_what_the_compiler_itself_measured_comes_first_in_whatever_order():
    exact = Measurement("k", "Dense", "dense", "a", BOARD.name, 10, origin=Origin(COUNTER, TOOLS))
    older = replace(exact, origin=Origin(COUNTER, OLDER), cycles=5)
    resident = replace(older, places=Places(tables="sram1"), cycles=4)
    for some in permutations((exact, older, resident)):
        known = Known.of(BOARD, TuningLog(some), Origin(COUNTER, TOOLS))
        assert known.cycles("k") == 10 and known.cycles("k", (True, False)) == 4
        assert known.believed.measurements == (exact,) and {*known.doubted.measurements} == {older, resident}
    failed = replace(exact, cycles=None, failure="fault: x")
    other = replace(exact, kernel="other")
    assert Known.of(BOARD, TuningLog((older, other, failed)), Origin(COUNTER, TOOLS)).cycles("k") is None


def test_what_ships_counts_for_other_versions_and_it_is_said(model, ships):
    ships(TuningLog.empty)
    plain = compile(model, BOARD, compiler="none")
    ships(log_of(model, TOOLS))
    tuned = compile(model, BOARD)
    assert not tuned.notes and tuned.evidence.measured == len(tuned.plan.steps)
    ships(log_of(model, OLDER))
    older = compile(model, BOARD)
    assert older.sources.digest == tuned.sources.digest != plain.sources.digest
    assert older.notes == ("measured with zig 0.15.0: taken as similar",)
    assert trade_off(model, BOARD).similar_measurements == ("zig 0.15.0",)
    ships(TuningLog(tuple(replace(m, routines="headers 00000000") for m in log_of(model, TOOLS).measurements)))
    other = compile(model, BOARD)
    assert other.sources.digest == tuned.sources.digest
    assert other.notes == ("measured with routines of another time: taken as similar",)


@pytest.mark.parametrize("command", ["compile", "profile", "run", "verify", "curve"])
def test_a_users_log_of_another_version_is_accepted_with_one_line(model, tmp_path, ships, command):
    ships(TuningLog.empty)
    append(tmp_path / "log", log_of(model, OLDER).measurements)
    (tmp_path / "x.bin").write_bytes(bytes(16))
    more = {"run": ("--input", tmp_path / "x.bin"), "verify": ("-n", 1), "curve": ("--curve",)}.get(command, ())
    name = "profile" if command == "curve" else command
    code, out, err = smelt(name, model, "-b", BOARD.name, "--log", tmp_path / "log", "--json", *more)
    assert code == 0, err
    assert json.loads(out)["similar_measurements"] == ["zig 0.15.0"]
    assert err == "note: measured with zig 0.15.0: taken as similar\n"


@pytest.mark.parametrize("command", ["compile", "curve", "tune"])
def test_damaged_lines_of_a_log_are_told_of_once(model, tmp_path, ships, command):
    """By file, and once, whoever reads it."""
    ships(TuningLog.empty)
    good, bad = tmp_path / "good", tmp_path / "bad"
    append(good, log_of(model, TOOLS).measurements)
    bad.write_bytes(good.read_bytes() + b"{}\nnonsense\n[1]\n")
    more = {"curve": ("--curve",), "tune": ("--log", tmp_path / "new", "--budget", "0s")}.get(
        command, ("--compiler", "none")
    )
    name = "profile" if command == "curve" else command
    _, _, err = smelt(name, model, "-b", BOARD.name, *more, "--log", good, "--log", bad, "--log", bad)
    assert err.count("are no measurements") == 1 and f"3 line(s) of {bad} are no measurements" in err


def test_what_a_link_measured_is_said(model, tmp_path, ships):
    """With code and tables in RAM: by `compile` and by the curve, as a note and as data."""
    ships(TuningLog.empty)
    file, there = tmp_path / "log", {"origin": Origin("device pyocd", TOOLS), "places": Places("sram1", "sram1")}
    append(file, [replace(m, **there) for m in log_of(model, TOOLS).measurements])
    for name, *more in (("compile", "--compiler", "none", "-o", tmp_path / "out"), ("profile", "--curve")):
        code, out, err = smelt(name, model, "-b", BOARD.name, "--log", file, "--json", *more)
        assert code == 0, err
        steps = json.loads(out)["linked"].pop("ranked")
        assert f"{steps} step" in err and "measured through pyocd with code and tables in RAM: taken as similar" in err


def test_a_log_about_other_ops_is_no_news(model, ships):
    ships(TuningLog(tuple(replace(m, op_key="Conv2D") for m in log_of(model, OLDER).measurements)))
    assert compile(model, BOARD).notes == ()


def test_another_compiler_makes_better_estimates(model, ships):
    """Its figures choose by their ratios, and only where nothing else was measured; how long a step takes they do not say."""
    ships(TuningLog.empty)
    log = log_of(model, "arm-none-eabi-gcc 12.2.1")
    first, best = (compile(model, BOARD, compiler="none", log=some) for some in (TuningLog.empty, log_of(model, TOOLS)))
    gcc = compile(model, BOARD, compiler="none", log=log)
    assert gcc.sources.digest == best.sources.digest != first.sources.digest and gcc.evidence.measured == 0
    slow = TuningLog(tuple(replace(m, cycles=100_000 - m.cycles) for m in log_of(model, TOOLS).measurements))
    both = compile(model, BOARD, compiler="none", log=log + slow)
    assert both.sources.digest == compile(model, BOARD, compiler="none", log=slow).sources.digest


def test_the_doctor_says_similar(model, ships):
    for tools, label in ((TOOLS, ""), (OLDER, "similar"), ("arm-none-eabi-gcc 12.2.1", "stale")):
        ships(log_of(model, tools))
        finding = next(f for f in examine() if f.part == shipped.FILE)
        assert (finding.label, finding.works) == (label, label != "stale") and not finding.needed
        if label == "similar":
            assert "zig 0.15.0" in finding.detail and label in smelt("doctor")[1]
