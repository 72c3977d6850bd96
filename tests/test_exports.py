"""Packages: each format built by the tool that it is for, or by its rules and stubs of what it is compiled against."""

import re
import subprocess
from datetime import date

import pytest

from smelt.compile import compile
from smelt.firmware.exports import (
    FORMATS,
    MANIFEST,
    Golden,
    Label,
    Origin,
    format_named,
    lay_out,
    package,
)
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.options import EXPORTS
from tests.small_models import dense_model
from tests.tiny_firmware import need

WARNINGS = "-std=c99 -O1 -ffp-contract=off -pedantic-errors -Wall -Wextra -Wconversion -Wundef -Werror".split()
LABEL = Label(license="MIT", publisher="Somebody", day=date(2026, 11, 29))


def made(path, board="nucleo_l4r5zi", name="words", label=LABEL, labels=(), **options):
    """The package of a model."""
    c = compile(path, board, name=name, compiler="none", **options)
    (inputs,) = random_inputs(c.model, 1)
    origin = Origin("a model.tflite", "0" * 64, {"--for": "balanced"})
    return package(c.program, c.sources, Golden(inputs, run(c.model, inputs)), label, origin, labels=labels)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(dense_model())
    return path


@pytest.fixture(scope="module")
def words(model):
    return made(model, labels=("yes", "no", "up", "down", 'it\'s "?"'))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a folder with spaces"


def written(format, thing, folder):
    """`folder`, with a package as that format."""
    for name, data in lay_out(format_named(format), thing).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def execute(*command, cwd=None):
    """What a program prints; its complaint where it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def code(folder):
    return sorted(p for p in folder.iterdir() if p.suffix in (".c", ".S"))


def compiled(folder, *sources, compiler="gcc", flags=WARNINGS, include=(".",)):
    """A program of those sources."""
    paths = [f"-I{folder / name}" for name in include]
    execute(compiler, *flags, *paths, *sources, "-o", folder / "program")
    return folder / "program"


def test_the_command_knows_all_formats():
    assert tuple(format.name for format in FORMATS) == EXPORTS


def test_c_runs_its_self_test_which_can_fail(words, folder):
    need("gcc")
    written("c", words, folder)
    sources = [folder / "examples" / "main.c", *code(folder)]
    assert "self-test: 0 wrong" in execute(compiled(folder, *sources))
    test = folder / "words_self_test.h"
    changed = re.sub(r"(golden_out_\w+\[\d+\] = \{\n *)-?\d+", r"\g<1>99", test.read_text())
    assert changed != test.read_text()
    test.write_text(changed)
    done = subprocess.run([compiled(folder, *sources)], capture_output=True, text=True)
    assert "self-test: 1 wrong" in done.stdout and done.returncode == 1


def test_single_file(words, folder):
    for compiler in ("gcc", "arm-none-eabi-gcc", "arm-none-eabi-nm"):
        need(compiler)
    written("single-file", words, folder)
    assert {p.name for p in folder.rglob("*") if p.is_file()} == {"words.h", "main.c", "README.md", "LICENSE", MANIFEST}
    assert "self-test: 0 wrong" in execute(compiled(folder, folder / "examples" / "main.c"))
    target = ["-mcpu=cortex-m4", "-mthumb", "-O2", "-Wall", "-Wextra", "-Werror", "-std=c99", "-pedantic-errors", "-c"]
    execute("arm-none-eabi-gcc", *target, f"-I{folder}", folder / "examples" / "main.c", "-o", folder / "one.o")
    execute("g++", "-std=c++11", "-Wall", "-Werror", "-fsyntax-only", "-x", "c++", folder / "words.h")
    (folder / "words_routines.S").write_text(words.private["words_routines.S"])
    execute("arm-none-eabi-gcc", *target, folder / "words_routines.S", "-o", folder / "routines.o")
    routines = symbols(folder / "routines.o")
    assert routines and routines <= symbols(folder / "one.o")


def symbols(file):
    """The names of what an object file defines."""
    return {
        line.split()[-1]
        for line in execute("arm-none-eabi-nm", "--defined-only", file).splitlines()
        if "smelt_" in line
    }
