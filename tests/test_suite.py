"""Several networks in one program: they take one memory in turn and share code, and none of them notices."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from smelt.compile import compile
from smelt.errors import DoesNotFit, OptionError, SmeltError
from smelt.inputs import random_inputs
from smelt.model.reference import run
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.suite import Suite, check_suite, excess, is_state, state_bytes, turn_bytes
from smelt.report.execute import execute
from smelt.report.suite import execute_suite, saved, shares, verify_suite
from smelt.saving import Library
from smelt.several import compile_suite
from smelt.targets.boards import board
from tests.paths import ROOT
from tests.small_models import dense_model
from tests.test_cli import answer, smelt
from tests.test_library import WARNINGS
from tests.test_states import accumulating, streaming
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import need

BOARD = "nucleo_l4r5zi"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two networks that remember something, with states behind and between other tensors, and two that do not."""
    folder = tmp_path_factory.mktemp("models")
    for name, (w, x, y) in (("line", streaming()), ("sum", accumulating())):
        (folder / f"{name}.tflite").write_bytes(w.finish([x], [y]))
    (folder / "wake.tflite").write_bytes(dense_model((12, 2)))
    (folder / "command.tflite").write_bytes(dense_model((12, 40, 5)))
    return {path.stem: path for path in folder.iterdir()}


def suite_of(files, *names, **options):
    return compile_suite([files[n] for n in names], BOARD, **{"compiler": "none", **options})


def inputs_of(compilation, count):
    return [random_inputs(part.model, count, seed) for seed, part in enumerate(compilation.parts)]


@pytest.mark.parametrize("board_name", [BOARD, "esp32c3"])
def test_networks_in_turn_are_bit_exact_and_keep_their_states(files, board_name):
    names = ("line", "wake", "sum", "command")
    paths = [files[n] for n in names]
    compilation = compile_suite(paths, board_name)
    found = verify_suite(compilation, inputs_of(compilation, 4), "reference", paths)
    assert [v.mismatches for v in found] == [0] * 4 and all(v.values for v in found)


def test_verification_sees_a_state_that_another_network_overwrites(files, monkeypatch):
    """Were states where each plan alone has them, networks would disturb each other: the check and a run both say so."""
    monkeypatch.setattr(Suite, "placed", property(lambda suite: dict(suite.plans)))
    with pytest.raises(SmeltError, match="lies in the state 'history' of line"):
        suite_of(files, "line", "command")
    monkeypatch.setattr("smelt.planner.join.check_suite", lambda suite: suite)
    compilation = suite_of(files, "line", "command", compiler="zig")
    line, command = verify_suite(compilation, inputs_of(compilation, 3), "reference", [files["line"], files["command"]])
    assert line.mismatches > 0 and command.mismatches == 0


def test_the_memory_is_the_most_that_one_needs_and_all_states(files):
    suite = suite_of(files, "line", "command", "sum").plan
    (memory,) = suite.memories
    alone = [compile(files[n], BOARD, compiler="none").plan for n in ("line", "command", "sum")]
    for plan, own in zip(alone, suite.plans.values(), strict=True):
        assert plan.used(memory.name) == turn_bytes(own, memory.name) + state_bytes(own, memory.name)
    assert state_bytes(alone[0], memory.name) == 20 and state_bytes(alone[1], memory.name) == 0
    assert suite.shared(memory.name) == max(turn_bytes(plan, memory.name) for plan in alone)
    assert suite.used(memory.name) == suite.shared(memory.name) + 20 + state_bytes(alone[2], memory.name)
    assert suite.ram_bytes == suite.used(memory.name) + FIXED_RAM
    apart = [p for name, plan in suite.placed.items() for p in plan.placements if is_state(plan, p)]
    assert len(apart) == 2 and min(p.offset for p in apart) == suite.shared(memory.name)


def test_what_networks_share_is_there_once(files):
    """The same file twice adds an instance and the functions around it, and not a kernel or table."""
    once = compile(files["command"], BOARD)
    names = ("first", "second")
    twice = compile_suite([files["command"]] * 2, BOARD, names=names)
    flash = board(BOARD).chip.flash.name
    kernels = {name for name in twice.image.symbols if "_k_" in name}
    assert kernels == {f.replace("network_k_", "networks_k_") for f in once.image.symbols if "_k_" in f} and kernels
    assert once.plan.table_bytes == twice.plan.table_bytes == saved(twice).constant_bytes
    assert twice.image.size(flash, "constants") - once.image.size(flash, "constants") < 64
    one, other = shares(twice)
    assert one.code_bytes == other.code_bytes == saved(twice).code_bytes
    assert one.code_bytes > sum(twice.image.symbols[k].size for k in kernels)  # what they call
    (memory,) = twice.plan.memories
    assert twice.image.size(memory.name, "arena") == once.image.size(memory.name, "arena")
    routines = [f for f in twice.sources.files if f.endswith(".S")]
    assert routines == ["networks_routines.S"]


def test_networks_that_differ_share_what_is_equal(files):
    """Their first layers are, and all their kernels call the same routines."""
    compilation = suite_of(files, "wake", "command", compiler="zig")
    assert saved(compilation).code_bytes > 0 and saved(compilation).constant_bytes > 12 * 16
    everything = sum(share.code_bytes for share in shares(compilation)) - saved(compilation).code_bytes
    assert everything < compilation.image.size("flash", "code")


def test_each_network_is_counted_for_itself(files):
    compilation = suite_of(files, "wake", "command", compiler="zig")
    for execution in execute_suite(compilation, inputs_of(compilation, 2)):
        run, steps = execution.run, execution.compilation.plan.steps
        alone = execute(
            compile(files[execution.compilation.program.name], BOARD), random_inputs(execution.compilation.model, 1)
        ).run
        assert len(run.step_instructions) == len(steps) and run.runs == 2
        assert run.step_instructions == pytest.approx(alone.step_instructions, abs=12)  # branches on values


def test_budgets_are_those_of_all(files):
    suite = suite_of(files, "line", "command").plan
    assert suite_of(files, "line", "command", max_ram=suite.ram_bytes).plan.ram_bytes <= suite.ram_bytes
    with pytest.raises(DoesNotFit, match=r"command|line"):
        suite_of(files, "line", "command", max_ram=suite.ram_bytes - 40)
    firmware = suite_of(files, "line", "command", compiler="zig")
    flash = firmware.image.size(firmware.plan.board.chip.flash.name)
    assert suite_of(files, "line", "command", max_flash=flash, compiler="zig").image.size("flash") <= flash
    with pytest.raises(DoesNotFit, match=r"command|line"):
        suite_of(files, "line", "command", max_flash=3000)


def test_networks_move_to_the_memory_of_others_where_ram_is_short(files, tmp_path):
    """Alone, a small network has the fast memory, and a large one another."""
    w = ModelWriter()
    x, y = (w.tensor(name, (1, 70_000), "int8", 0.5, 3) for name in "xy")
    w.op("RELU", [x], [y])
    large = tmp_path / "large.tflite"
    large.write_bytes(w.finish([x], [y]))

    def planned(**options):
        return compile_suite([large, files["wake"], files["line"]], "disco_f746ng", compiler="none", **options).plan

    apart, together = planned(), planned(max_ram=70_020 + FIXED_RAM)
    assert {m.name: apart.shared(m.name) for m in apart.memories}.keys() == {"dtcm", "sram1"}
    for suite in (together, planned(goal="ram")):
        assert [(m.name, suite.shared(m.name), suite.private(m.name)) for m in suite.memories] == [
            ("sram1", 70_000, 20)
        ]
    with pytest.raises(DoesNotFit, match="of RAM are needed, the budget is 70,723"):
        planned(max_ram=70_019 + FIXED_RAM)


def test_states_that_find_no_room_behind_a_network_make_it_move(files):
    suite = suite_of(files, "command", "line").plan
    first, *others = suite.memories[0], *suite.board.chip.rams[1:]
    full = replace(first, size=suite.reserve + suite.shared(first.name))
    chip = replace(suite.board.chip, memories=(suite.board.chip.flash, full, *others))
    moved = compile_suite([files["command"], files["line"]], replace(suite.board, chip=chip), compiler="none").plan
    assert moved.used(first.name) <= suite.shared(first.name) and len(moved.memories) == 2
    alone = replace(
        suite.board, chip=replace(chip, memories=(suite.board.chip.flash, replace(full, size=full.size + 8)))
    )
    with pytest.raises(DoesNotFit, match="do not fit nucleo_l4r5zi together"):
        compile_suite([files["command"], files["line"]], alone, compiler="none")


def test_a_wrong_suite_is_caught(files):
    suite = suite_of(files, "line", "command").plan
    other = replace(suite.plans["line"], board=board("disco_f746ng"))
    with pytest.raises(SmeltError):
        check_suite(replace(suite, plans={"command": suite.plans["command"], "line": other}))
    assert "budget" in excess(replace(suite, limits=replace(suite.limits, ram=suite.ram_bytes - 1)))
    assert not excess(replace(suite, limits=replace(suite.limits, ram=suite.ram_bytes)))


CASES = [
    ((), "Missing argument"),
    (("wake", "wake"), "would be called 'wake'"),
    (("wake", "command", "--name", "one"), "once for each"),
    (("wake", "command", "--name", "one", "--name", "one"), "would be called 'one'"),
    (("wake", "command", "--name", "one", "--name", "two words"), "two words"),
    (("wake", "command", "--suite", "wake"), "--suite another"),
    (("wake", "command", "--labels", "labels.txt"), "--labels is for one model"),
    (("wake", "--suite", "voice"), "is for several models"),
    (("wake", "--name", "one", "--name", "two"), "is for several models"),
]


@pytest.mark.parametrize(("arguments", "words"), CASES, ids=[words for _, words in CASES])
def test_nonsense_is_refused(files, arguments, words):
    code, _, err = smelt(
        "compile",
        *[files.get(a, a) if a != "wake" or n < 2 else a for n, a in enumerate(arguments)],
        "--board",
        BOARD,
        "--compiler",
        "none",
    )
    assert code == 2 and words in err


def test_what_is_about_one_model_takes_one(files, tmp_path):
    two = (files["wake"], files["command"], "--board", BOARD)
    for arguments in (
        ("profile", *two, "--curve"),
        ("verify", *two, "--layers"),
        ("run", *two, "-i", "x.npy"),
        ("tune", *two),
    ):
        code, _, err = smelt(*arguments)
        assert code == 2 and err, arguments
    odd = tmp_path / "1.tflite"
    odd.write_bytes(files["wake"].read_bytes())
    with pytest.raises(OptionError, match="can be called after the file"):
        compile_suite([odd, files["wake"]], BOARD, compiler="none")
    with pytest.raises(OptionError, match="no model"):
        compile_suite([], BOARD)


def test_the_command_line_with_several_models(files, tmp_path):
    two = (files["line"], files["command"], "--board", BOARD)
    found = answer("compile", *two, "--out", tmp_path / "out", "--keep", tmp_path / "keep")
    assert [n["share"]["network"] for n in found["networks"]] == ["line", "command"] and found["saved"]["ram_bytes"] > 0
    assert {"line_net.h", "command_net.h", "networks_memory.h", "networks_net.c", "firmware.elf"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert (tmp_path / "keep" / "3-command-plan.txt").is_file()
    verified = answer("verify", *two, "--inputs", 2)["networks"]
    assert all(v["mismatches"] == 0 and v["values"] for v in verified.values()) and set(verified) == {"line", "command"}
    for name, shape in (("line", (3, 1, 1, 5)), ("command", (2, 1, 16))):
        np.save(tmp_path / f"{name}.npy", np.zeros(shape, np.int8))
    ran = answer("run", *two, "-i", tmp_path / "line.npy", "-i", tmp_path / "command.npy")["networks"]
    assert [len(ran[name]["outputs"]) for name in ("line", "command")] == [3, 2]
    profiled = answer("profile", *two)["networks"]
    assert all(p["cycles"] > 0 for p in profiled.values())
    code, text, _ = smelt("compile", *two, "--compiler", "none")
    assert code == 0 and "shared:" in text and "about" in text


def test_folders_hold_what_the_last_compilation_needs(files, tmp_path):
    """A network that was alone joins a suite; what is the suite's cannot be overwritten by one of its networks alone."""
    alone = compile(files["wake"], BOARD, name="wake", compiler="none")
    for save, place in ((Library.save, tmp_path / "a"), (Library.keep, tmp_path / "b")):
        save(alone, place)
        save(suite_of(files, "wake", "command"), place)
        names = {p.name for p in place.rglob("*")}
        assert "wake_net.h" in names and not {"wake_net.c", "wake_weights.c", "wake_weights.h"} & names
        with pytest.raises(OptionError, match="used by the network 'networks' as well"):
            save(alone, place)
        save(suite_of(files, "line", "command"), place)
        assert not [p for p in place.rglob("wake*")]


@pytest.mark.parametrize("names", [("line", "sum", "command"), ("wake", "command")])
@pytest.mark.parametrize("dialect", ["c99", "c++"])
def test_the_c_builds_without_a_warning(files, tmp_path, names, dialect):
    need("gcc")
    compilation = suite_of(files, *names, suite="all")
    for file, text in compilation.sources.files.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    headers = "".join(f'#include "{name}_net.h"\n' for name in reversed(names))
    if dialect == "c++":
        (tmp_path / "use.cpp").write_text(f"{headers}ALL_MEMORY(memory);\nconst void *use() {{ return &memory; }}\n")
        command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only", "use.cpp"]
    else:
        (tmp_path / "use.c").write_text(
            f"{headers}int use(void);\nint use(void) {{ ALL_MEMORY(memory); return memory.main == NULL; }}\n"
        )
        command = ["gcc", *WARNINGS, "-O2", "-c", "use.c", "all_net.c", "all_weights.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


PROGRAM = """
#include <stdio.h>

int main(void)
{
    int8_t frame[WAKE_IN_X_ELEMENTS];
    if (voice_begin() != 0) {
        return 1;
    }
    while (fread(frame, sizeof frame, 1, stdin) == 1) {
        printf("%d ", voice_listen(frame));
    }
    return 0;
}
"""


def test_the_example_of_the_documentation_runs(files, tmp_path):
    text = (ROOT / "docs" / "several.md").read_text("utf-8")
    (example,) = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    wake, command = suite_of(files, "wake", "command", suite="voice").parts
    for file, content in wake.sources.files.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    (tmp_path / "main.c").write_text(
        f"#include <stdio.h>\n{example}{PROGRAM}".replace("int voice_", "static int voice_")
    )
    build = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *WARNINGS,
        "-fsanitize=undefined",
        "main.c",
        "voice_net.c",
        "voice_weights.c",
    ]
    subprocess.run([*build, "-o", "program"], cwd=tmp_path, check=True)
    frames = random_inputs(wake.model, 20)
    done = subprocess.run(
        [tmp_path / "program"], input=b"".join(f.tobytes() for (f,) in frames), capture_output=True, check=True
    )
    heard = [int(run(command.model, f)[0].argmax()) if run(wake.model, f)[0][0, 1] >= 64 else -1 for f in frames]
    assert done.stdout.split() == [str(n).encode() for n in heard] and -1 in heard and max(heard) >= 0
