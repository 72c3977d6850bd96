"""Other versions of the compiler, other compilers, and none: what is taken over from measurements, and what is said about it."""

import json
from dataclasses import replace
from itertools import permutations

import pytest
from click.testing import CliRunner

import smelt.tuning.shipped as shipped
from smelt.cli import main
from smelt.compile import compile, measured
from smelt.devices.simulators.version import model_of_time
from smelt.errors import OptionError
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels import FRUGAL
from smelt.passes import prepare
from smelt.planner.log import Measurement, TuningLog, append, compiler_of, is_similar
from smelt.report.curve import trade_off
from smelt.report.doctor import examine
from smelt.targets.boards import board
from smelt.tuning.works import works
from tests.small_models import dense_model

BOARD = board("nucleo_l4r5zi")
TOOLS, DEVICE = toolchain(BOARD), model_of_time(BOARD)
OLDER = TOOLS.replace(compiler_of(TOOLS), "zig 0.15.0")


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
            how = c.implementation.name, str(c.schedule), BOARD.name, toolchain
            lines.append(Measurement(c.call.kernel.name, work.op_key, *how, 1000 + 100 * n, None, DEVICE))
    return TuningLog(tuple(lines))


def smelt(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("one", "other", "similar"),
    [
        ("zig 0.17.0, headers 1a2b3c4d", "zig 0.17.1, headers 1a2b3c4d", True),
        ("zig 0.15.1, headers 1a2b3c4d", "zig 0.17.1, headers 1a2b3c4d", True),
        ("zig, headers 1a2b3c4d", "zig 0.17.1, headers 1a2b3c4d", True),
        ("zig 0.17.1, headers 1a2b3c4d", "zig 0.17.1, headers 1a2b3c4e", False),
        ("zig 0.17.1, headers 1a2b3c4d", "zig 0.17.1", False),
        ("arm-none-eabi-gcc 12.2.1, headers 1a2b3c4d", "arm-none-eabi-gcc 13.1, headers 1a2b3c4d", True),
        ("arm-none-eabi-gcc 12.2.1, headers 1a2b3c4d", "riscv64-unknown-elf-gcc 12.2.1, headers 1a2b3c4d", False),
        ("arm-none-eabi-gcc 12.2.1, headers 1a2b3c4d", "zig 12.2.1, headers 1a2b3c4d", False),
    ],
)
def test_versions_are_similar_and_headers_must_be_the_same(one, other, similar):
    assert is_similar(one, other) == is_similar(other, one) == similar
    assert is_similar(one, one)


def test_what_the_compiler_itself_measured_comes_first_in_whatever_order():
    exact = Measurement("k", "Dense", "dense", "a", BOARD.name, TOOLS, 10, None, DEVICE)
    older = replace(exact, toolchain=OLDER, cycles=5)
    resident = replace(older, resident=True, cycles=4)
    headers = replace(exact, toolchain=f"{compiler_of(TOOLS)}, headers 00000000", cycles=1)
    for some in permutations((exact, older, resident, headers)):
        known = TuningLog(some).usable(BOARD.name, TOOLS).graded(TOOLS)
        assert known.cycles("k", BOARD.name) == 10 and known.cycles("k", BOARD.name, resident=True) == 4
        assert known.ranked("Dense", BOARD.name) == (("dense", "a", 10),)
        assert len(known.measurements) == 2
    failed = replace(exact, cycles=None, error="fault: x")
    assert TuningLog((older, failed)).graded(TOOLS).cycles("k", BOARD.name) is None


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
    ships(log_of(model, TOOLS.replace("headers", "headers of another time")))
    assert compile(model, BOARD, compiler="none").sources.digest == plain.sources.digest


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
    file, there = tmp_path / "log", {"device": "device pyocd", "resident": True, "code": "ram"}
    append(file, [replace(m, **there) for m in log_of(model, TOOLS).measurements])
    for name, *more in (("compile", "--compiler", "none", "-o", tmp_path / "out"), ("profile", "--curve")):
        code, out, err = smelt(name, model, "-b", BOARD.name, "--log", file, "--json", *more)
        assert code == 0, err
        steps = json.loads(out)["linked"].pop("ranked")
        assert f"{steps} step" in err and "measured through pyocd with code and tables in RAM: taken as similar" in err


def test_a_log_about_other_ops_is_no_news(model, ships):
    ships(TuningLog(tuple(replace(m, op_key="Conv2D") for m in log_of(model, OLDER).measurements)))
    assert compile(model, BOARD).notes == ()


def test_a_log_of_other_headers_is_refused(model):
    other = TuningLog(
        tuple(replace(m, toolchain="zig 0.17.1, headers 00000000") for m in log_of(model, TOOLS).measurements)
    )
    with pytest.raises(OptionError, match="no measurement of nucleo_l4r5zi with"):
        measured(other, BOARD, "zig")


def test_the_doctor_says_similar(model, ships):
    for tools, label in ((TOOLS, ""), (OLDER, "similar"), ("zig 0.17.1, headers 00000000", "stale")):
        ships(log_of(model, tools))
        finding = next(f for f in examine() if f.part == shipped.FILE)
        assert (finding.label, finding.works) == (label, label != "stale") and not finding.needed
        if label == "similar":
            assert "zig 0.15.0" in finding.detail and label in smelt("doctor")[1]
