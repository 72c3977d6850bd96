"""Where users put the buffers and tables of generated C: a macro for each region, each flash and each table."""

import re

import pytest

from smelt.firmware import emit, render
from smelt.importers import load
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.targets.boards import board
from tests import paths
from tests.small_models import dense_model
from tests.test_names import gcc

USER = '#include "words_net.h"\nWORDS_MEMORY(memory);\nconst void *user(void) { return &memory; }\n'


def library(folder, target, goal="balanced", model=None):
    """The C of a network in a folder, with a user of it; returns the plan."""
    path = folder / "model.tflite"
    path.write_bytes(model or dense_model())
    plan = make_plan(prepare(load(path)), board(target), goal=goal)
    for name, text in {**render(emit(plan, "words")).files, "user.c": USER}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return plan


def sections(folder, file, *definitions):
    """The section of each object of a file that is compiled with some macros."""
    flags = ("-std=c99", "-mcpu=cortex-m7", "-mthumb", "-O1", "-fdata-sections", *(f"-D{d}" for d in definitions))
    gcc(*flags, "-Wall", "-Wextra", "-Werror", "-c", file, "-o", "x.o", folder=folder, program="arm-none-eabi-gcc")
    lines = gcc("-t", "x.o", folder=folder, program="arm-none-eabi-objdump").splitlines()
    return {m[2]: m[1] for line in lines if (m := re.match(r"\w{8} .{6}O (\S+)\s+\w{8} (\S+)", line))}


def attribute(section):
    return f'__attribute__((section("{section}")))'


def test_each_region_has_a_macro(tmp_path):
    plan = library(tmp_path, "disco_f746ng")
    assert [m.role for m in plan.memories] == ["fast"]
    assert sections(tmp_path, "user.c")["memory_fast"] == ".bss.memory_fast"
    assert sections(tmp_path, "user.c", f"WORDS_FAST_SECTION={attribute('.dtcm')}")["memory_fast"] == ".dtcm"


def test_flash_and_each_table_have_a_macro(tmp_path):
    plan = library(tmp_path, "disco_f746ng")
    names = re.findall(r"^extern .* (words_table_\w+)\[", (tmp_path / "words_weights.h").read_text(), re.MULTILINE)
    assert len(names) == len({c.name for c in emit(plan, "words").constants}) >= 4
    assert sections(tmp_path, "words_weights.c") == {name: f".rodata.{name}" for name in names}
    all_of_them, one = f"WORDS_FLASH_SECTION={attribute('.quick')}", f"{names[0].upper()}_SECTION={attribute('.one')}"
    assert sections(tmp_path, "words_weights.c", all_of_them) == dict.fromkeys(names, ".quick")
    assert sections(tmp_path, "words_weights.c", all_of_them, one) == {
        **dict.fromkeys(names, ".quick"),
        names[0]: ".one",
    }


def test_tables_that_are_copied_to_ram_have_a_macro(tmp_path):
    plan = library(tmp_path, "disco_f746ng", goal="speed", model=paths.AD.read_bytes())
    copied = [c.name for c in emit(plan, "words").constants if c.memory]
    assert copied
    found = sections(tmp_path, "words_weights.c")
    assert {found[name] for name in copied} <= {f".data.smelt_tables.{m.name}" for m in plan.board.chip.rams}
    assert set(
        sections(tmp_path, "words_weights.c", 'WORDS_RESIDENT(m)=__attribute__((section(".ram_" m)))')[n]
        for n in copied
    ) == {found[name].replace(".data.smelt_tables.", ".ram_") for name in copied}
    one = sections(tmp_path, "words_weights.c", f"{copied[0].upper()}_SECTION={attribute('.one')}")
    assert one == {**found, copied[0]: ".one"}


@pytest.mark.parametrize("file", ["user.c", "words_weights.c"])
def test_macros_do_not_change_what_is_compiled_without_them(file, tmp_path):
    """They stand for nothing unless somebody defines them."""
    library(tmp_path, "nucleo_l4r5zi")
    text = (tmp_path / ("words_net.h" if file == "user.c" else file)).read_text()
    macros = re.findall(r"^#ifndef (\w+_SECTION)\n#define \1(.*)\n#endif", text, re.MULTILINE)
    assert macros and {value.strip() for _, value in macros} <= {"", "WORDS_FLASH_SECTION"}
