"""What works with which extras: C without any of them, and everything without zig where there is gcc.

Processes in which packages cannot be found stand for environments in which they are not installed; that wheels install so was tried
by hand (docs/installing.md).
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from smelt.importers import load
from smelt.model.reference import run
from tests.paths import KWS, MODELS, ROOT
from tests.small_models import dense_model
from tests.tiny_firmware import need
from tests.without import OPTIONAL

SINE = MODELS / "tflm" / "hello_world_int8.tflite"
CORE = OPTIONAL
GCC_ONLY = ("ziglang", "ortools", "PIL", "tflite_micro", "pyocd")


def smelt(hidden, *arguments, **environment):
    """(exit code, standard output, standard error) where the packages `hidden` are not installed."""
    command = [sys.executable, "-m", "tests.without", ",".join(hidden), *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def answer(hidden, *arguments, **environment):
    code, out, err = smelt(hidden, *arguments, "--json", **environment)
    assert code == 0, err
    return json.loads(out), err


@pytest.fixture(scope="module")
def sine(tmp_path_factory):
    """What a core install writes for a model and the STM32F746, by folder; and what it says."""
    folder = tmp_path_factory.mktemp("core") / "sine"
    options = ("-b", "disco_f746ng", "--compiler", "none", "--name", "sine", "--out", folder)
    return folder, *answer(CORE, "compile", SINE, *options)


def test_a_core_install_writes_c_that_gcc_builds_and_that_is_right(sine, tmp_path):
    need("gcc")
    folder = sine[0]
    shutil.copy(ROOT / "examples" / "cmake_project" / "main.c", tmp_path)
    sources = sorted(map(str, folder.glob("*.c")))
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", f"-I{folder}", "main.c", *sources, "-o", "table"], cwd=tmp_path, check=True
    )
    table = np.array(subprocess.run([tmp_path / "table"], check=True, capture_output=True).stdout.split(), int).reshape(
        -1, 2
    )
    graph = load(SINE)
    assert [run(graph, (np.full((1, 1), x, np.int8),))[0].item() for x in table[:, 0]] == table[:, 1].tolist()
    assert len(table) == 256


def test_the_c_of_a_core_install_is_built_for_the_chip(sine):
    need("arm-none-eabi-gcc")
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb", "-O2", "-Wall", "-Werror", "-c"]
    for source in sine[0].glob("*.c"):
        subprocess.run([*command, source.name, "-o", os.devnull], cwd=sine[0], check=True)


def test_estimates_are_said_to_be_estimates(sine):
    _, summary, notes = sine
    assert summary["estimated"] and summary["firmware_digest"] is None
    assert "no compiler: sizes are estimates" in notes
    assert sum(use["bytes"] for use in summary["memory"] if use["memory"] == "flash") > 1000
    options = ("-b", "disco_f746ng", "--compiler", "none")
    code, out, _ = smelt(CORE, "compile", SINE, *options)
    assert code == 0 and "about" in out and "estimated: no compiler" in out
    curve, _ = answer(CORE, "profile", SINE, *options, "--curve")
    assert curve["estimated"] and curve["points"]
    with_compiler, _ = answer((), "compile", SINE, "-b", "disco_f746ng")
    assert not with_compiler["estimated"]


@pytest.mark.parametrize("command", [("run", "--input", "x.npy"), ("verify",), ("profile",)], ids=lambda c: c[0])
def test_what_runs_needs_a_compiler_and_says_so(command):
    name, *more = command
    code, _, err = smelt((), name, SINE, "-b", "disco_f746ng", "--compiler", "none", *more)
    assert code == 2 and "--compiler zig or --compiler gcc" in err


def test_without_zig_all_ways_are_named():
    code, _, err = smelt(CORE, "compile", SINE, "-b", "disco_f746ng")
    assert code == 6
    for way in ("pip install 'smelt[build]'", "--compiler gcc", "--compiler none"):
        assert way in err


def test_the_doctor_of_a_core_install_is_content():
    findings = answer(CORE, "doctor", PATH="")[0]["findings"]
    missing = {f["part"] for f in findings if not f["works"]}
    assert {"ziglang", "unicorn", "native part"} <= missing and not {"python", "numpy"} & missing
    assert "install cc" in next(f["remedy"] for f in findings if f["part"] == "native part")


def test_without_the_solver_what_it_might_have_saved_is_said():
    options = ("-b", "disco_f746ng", "--compiler", "none", "--log", "none")
    for hidden in (CORE, ("pandas",)):  # without which OR-Tools is none
        code, _, err = smelt(hidden, "compile", KWS, *options)
        assert code == 0 and "without the solver (pip install 'smelt[plan]')" in err and "more than the least" in err


@pytest.mark.parametrize("board", ["nucleo_l4r5zi", "esp32c3"])
def test_gcc_alone_is_enough(board, tmp_path):
    """Firmware, the simulator with its native part, and sessions."""
    need("arm-none-eabi-gcc")
    need("riscv64-unknown-elf-gcc")
    need("gcc")
    model = tmp_path / "model.tflite"
    model.write_bytes(dense_model())
    options, cache = ("-b", board, "--compiler", "gcc"), {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    found, _ = answer(GCC_ONLY, "verify", model, *options, "-n", 2, **cache)
    assert found["mismatches"] == 0 and found["values"] == 10
    assert list((tmp_path / "cache" / "smelt").glob("simulator-*")), "compiled by the host's compiler, and kept"
    layers, _ = answer(GCC_ONLY, "verify", model, *options, "-n", 1, "--layers", **cache)
    assert layers["steps"] == 3
    with_zig, _ = answer((), "profile", model, *options)
    assert answer(GCC_ONLY, "profile", model, *options, **cache)[0]["cycles"] == with_zig["cycles"]


def test_without_any_compiler_the_native_part_says_what_to_install(tmp_path):
    program = "\n".join((
        "from tests.without import hide; hide(('ziglang',))",
        "from smelt.devices.simulators.native_library import load_native; load_native()",
    ))  # fmt: skip
    environment = {"PATH": "", "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "pip install 'smelt[build]', or cc, gcc or clang" in done.stderr
