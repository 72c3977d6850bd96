"""Choosing under budgets: the solver against brute force, budgets kept to the byte, tables in RAM, the trade-off curve."""

import json
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.compile import Compilation, compile, corrected
from smelt.errors import DoesNotFit, OptionError, SmeltError
from smelt.firmware import build, emit, render, render_harness
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL, IMPLEMENTATIONS
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import Limits, TuningLog, make_plan, trade_offs
from smelt.planner.check import check
from smelt.planner.choice_solver import Cost, Problem, evaluate, fits, solve
from smelt.planner.code_size import code_of
from smelt.planner.evidence import Evidence
from smelt.planner.known import Known
from smelt.planner.limits import size_of
from smelt.planner.measurement import Measurement, Places
from smelt.planner.ways import Ways, op_key
from smelt.report.execute import execute
from smelt.report.profile import profile
from smelt.targets.boards import DISCO_F746NG, NUCLEO_L4R5ZI, board
from tests.paths import AD, HELLO, KWS, SPEECH
from tests.tiny_firmware import need


@pytest.fixture(scope="module")
def kws():
    return prepare(load(KWS))


@pytest.fixture(scope="module")
def speech():
    """Few steps: what asks the solver again and again takes its time."""
    return prepare(load(SPEECH))


@pytest.fixture(scope="module")
def ways():
    return Ways(NUCLEO_L4R5ZI.core, IMPLEMENTATIONS)


@pytest.fixture(scope="module")
def frugal():
    return Ways(NUCLEO_L4R5ZI.core, FRUGAL)


# --- the solver -------------------------------------------------------------------------------------------------------


def synthetic(seed):
    """A problem of four steps with three ways each that share kernels and tables, and limits that bind."""
    rng = random.Random(seed)
    kernels = tuple(rng.randrange(100, 900) for _ in range(5))
    tables = tuple(rng.randrange(50, 2000) for _ in range(6))

    def way():
        some = tuple(rng.sample(range(len(tables)), rng.randrange(3)))
        return Cost(rng.randrange(100, 1000), rng.randrange(200, 1500), (rng.randrange(5),), some, rng.random() < 0.4)

    ways = tuple(tuple(way() for _ in range(3)) for _ in range(4))
    return Problem(ways, kernels, tables, rng.randrange(400), rng.randrange(900, 4000), rng.randrange(2000, 6000))


@pytest.mark.parametrize("aims", [("cycles",), ("ram", "cycles"), ("flash", "cycles")], ids=lambda a: a[0])
def test_solver_equals_brute_force(aims):
    pytest.importorskip("ortools")
    found = 0
    for seed in range(25):
        problem = synthetic(seed)
        every = [evaluate(problem, taken) for taken in product(*(range(len(w)) for w in problem.ways))]
        allowed = [choice for choice in every if fits(problem, choice)]
        best = solve(problem, aims)
        if not allowed:
            assert best is None
            continue
        found += 1
        assert best is not None and fits(problem, best) and best.proved
        assert [getattr(best, a) for a in aims] == min([getattr(c, a) for a in aims] for c in allowed)
    assert 5 < found < 25, "some problems have a solution and some have none"


def test_without_the_solver_steps_give_way_one_by_one(monkeypatch):
    monkeypatch.setattr("smelt.planner.choice_solver.installed", lambda: False)
    for seed in range(25):
        problem = synthetic(seed)
        choice = solve(problem)
        assert choice is None or fits(problem, choice)
    fast, lean = Cost(10, 900, (0,)), Cost(20, 100, (1,))
    problem = Problem(((fast, lean),), (8, 8), (), 0, 500, 100)
    assert solve(problem).taken == (1,)


# --- budgets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"), [("20000", 20000), ("57K", 57 * 1024), ("57KB", 57 * 1024), ("1M", 1 << 20), ("1.5k", 1536)]
)
def test_sizes(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "K", "-5", "0", "12X", "5 apples", "1e3"])
def test_what_is_no_size(text):
    with pytest.raises(OptionError, match="is no size"):
        size_of(text)


def test_a_budget_of_exactly_what_is_needed_fits_and_one_byte_less_is_refused(kws, ways):
    plan = make_plan(kws, NUCLEO_L4R5ZI, ways, goal="ram")
    need = plan.ram_bytes
    assert make_plan(kws, NUCLEO_L4R5ZI, ways, goal="speed", limits=Limits(need)).ram_bytes <= need
    with pytest.raises(DoesNotFit) as refused:
        make_plan(kws, NUCLEO_L4R5ZI, ways, goal="speed", limits=Limits(need - 1))
    message = str(refused.value)
    assert f"the RAM budget of {need - 1:,} bytes on nucleo_l4r5zi" in message and f"at least {need:,}" in message
    assert "Most is alive" in message and "bytes are missing" in message


def test_a_budget_of_flash(speech, ways):
    least = make_plan(speech, NUCLEO_L4R5ZI, ways, goal="flash").flash_bytes
    assert make_plan(speech, NUCLEO_L4R5ZI, ways, goal="speed", limits=Limits(flash=least)).flash_bytes <= least
    with pytest.raises(DoesNotFit, match=rf"flash budget of {least - 1:,} bytes .*at least {least:,} bytes.*tables"):
        make_plan(speech, NUCLEO_L4R5ZI, ways, goal="speed", limits=Limits(flash=least - 1))


def test_the_code_of_kernels_is_what_it_was_in_a_firmware():
    """A plan that follows a build knows the sizes of the kernels in it, and what the rest takes: its own estimate is exact."""
    made = compile(HELLO, NUCLEO_L4R5ZI)
    limits = corrected(Limits(), made, 0)
    for kernel in made.program.kernels:
        assert (
            limits.sizes.of(code_of(kernel, NUCLEO_L4R5ZI.core)[0])
            == made.image.symbols[made.program.function(kernel)].size
        )
    assert not limits.sizes.unknown(made.plan.calls, NUCLEO_L4R5ZI.core)
    again = make_plan(made.graph, NUCLEO_L4R5ZI, FRUGAL, limits=limits)
    assert again.flash_bytes == made.image.size("flash") != made.plan.flash_bytes


def test_the_least_flash_is_that_of_firmware():
    """No estimate of code is believed that a build has shown to be wrong."""
    estimated = compile(SPEECH, NUCLEO_L4R5ZI, goal="flash", compiler="none")
    before = build(render_harness(estimated.program, estimated.sources), NUCLEO_L4R5ZI)
    made = compile(SPEECH, NUCLEO_L4R5ZI, goal="flash")
    assert made.image.size("flash") <= before.size("flash")


def test_budgets_that_do_not_go_together(speech, ways):
    ram, flash = (make_plan(speech, NUCLEO_L4R5ZI, ways, goal=goal) for goal in ("ram", "flash"))
    both = Limits(ram.ram_bytes, flash.flash_bytes)
    try:
        plan = make_plan(speech, NUCLEO_L4R5ZI, ways, goal="speed", limits=both)
        assert plan.ram_bytes <= both.ram and plan.flash_bytes <= both.flash
    except DoesNotFit as error:
        assert "at the same time" in str(error)


def test_balanced_keeps_a_budget_and_says_what_gave_way(kws, frugal):
    usual = make_plan(kws, NUCLEO_L4R5ZI, frugal)
    tight = make_plan(kws, NUCLEO_L4R5ZI, frugal, limits=Limits(usual.ram_bytes - 200))
    assert tight.ram_bytes <= usual.ram_bytes - 200
    assert tight.notes and "because that does not fit" in tight.notes[0] and tight.notes[0] in str(tight)
    assert not any(step.resident for step in tight.steps)


def test_the_check_knows_the_budgets(kws, ways):
    plan = make_plan(kws, NUCLEO_L4R5ZI, ways, goal="speed", limits=Limits(30_000, 60_000))
    assert any(step.resident for step in plan.steps) and "budgets: about" in str(plan)
    for limits, what in ((Limits(ram=plan.ram_bytes - 1), "RAM"), (Limits(flash=plan.flash_bytes - 1), "flash")):
        with pytest.raises(SmeltError, match=f"bytes of {what} are more than the budget"):
            check(replace(plan, limits=limits))
    everything = replace(plan, steps=tuple(replace(step, way=step.way.copied()) for step in plan.steps))
    with pytest.raises(SmeltError, match="bytes of RAM are more than the budget"):
        check(everything)


def test_equal_choices_twice(speech):
    first, second = (str(make_plan(speech, DISCO_F746NG, goal="speed", limits=Limits(25_000))) for _ in range(2))
    assert first == second


def test_measured_cycles_decide(kws, frugal):
    """A step whose tables in RAM were measured to be slower stays in flash; one measured to be faster does not."""
    usual = make_plan(kws, NUCLEO_L4R5ZI, frugal)
    rows = []
    for number, step in enumerate(s for s in usual.steps if s.operators == "Conv2D"):
        how = step.way.kernel, op_key(step.way.op), *step.way.names, "nucleo_l4r5zi"
        rows.append(Measurement(*how, 500))
        rows.append(Measurement(*how, 300 if number else 700, places=Places(tables="sram1")))
    plan = make_plan(
        kws, NUCLEO_L4R5ZI, FRUGAL, goal="speed", known=Known.trusting(NUCLEO_L4R5ZI, TuningLog(tuple(rows)))
    )
    found = [s for s in plan.steps if s.operators == "Conv2D"]
    assert not found[0].resident and all(s.resident for s in found[1:])
    assert [s.way.kernel for s in found] == [s.way.kernel for s in usual.steps if s.operators == "Conv2D"]


# --- tables in RAM ----------------------------------------------------------------------------------------------------


def everything_in_ram(path, board_, compiler="zig"):
    model = load(path)
    graph = prepare(model)
    plan = make_plan(graph, board_, FRUGAL)
    plan = check(replace(plan, steps=tuple(replace(step, way=step.way.copied()) for step in plan.steps)))
    program = emit(plan)
    sources = render(program)
    image = build(render_harness(program, sources), board_, compiler)
    return Compilation(model, graph, plan, program, sources, image, Evidence())


@pytest.mark.parametrize(
    ("path", "name", "compiler"),
    [
        (HELLO, "nucleo_h743zi", "zig"),
        (HELLO, "nucleo_u575zi_q", "gcc"),
        (KWS, "nucleo_l4r5zi", "gcc"),
        (KWS, "esp32c3", "zig"),
        (AD, "disco_f746ng", "zig"),
        (AD, "nucleo_l4r5zi", "zig"),
    ],
    ids=lambda v: getattr(v, "stem", v),
)
def test_tables_in_ram_are_counted_and_change_nothing(path, name, compiler):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    compilation = everything_in_ram(path, board(name), compiler)
    plan, inputs = compilation.plan, random_inputs(compilation.model, 2)
    result = execute(compilation, inputs)
    for got, values in zip(result.outputs, inputs, strict=True):
        assert np.array_equal(got[0], run(compilation.model, values)[0])
    figures = profile(compilation, result.run)
    tables = sum(m.bytes for m in figures.memory if m.purpose == "tables")
    assert plan.resident_bytes == plan.table_bytes <= tables <= plan.table_bytes + 64 and plan.resident_bytes > 0
    assert figures.constant_bytes >= plan.table_bytes, "flash has a copy"
    assert figures.ram_bytes <= plan.ram_bytes + 64 and figures.resident_bytes == plan.resident_bytes


def test_tables_go_to_the_fastest_memory_with_room():
    plan = everything_in_ram(AD, DISCO_F746NG).plan
    places = {plan.table_memory(a) for call in plan.calls for a in call.arguments if isinstance(a, np.ndarray)}
    assert places == {"dtcm", "sram1"}
    assert "tables in RAM" in str(plan)


@pytest.fixture(scope="module")
def library():
    """Sources with tables in RAM."""
    return compile(KWS, DISCO_F746NG, compiler="none", goal="speed", max_ram=30_000, log=TuningLog.empty)


@pytest.mark.parametrize(
    "compiler",
    [
        ("gcc",),
        ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mthumb"),
        ("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32"),
        (sys.executable, "-m", "ziglang", "cc"),
        (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos"),
        (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows"),
    ],
    ids=["gcc", "arm", "riscv", "clang", "macos", "windows"],
)
def test_the_library_alone_compiles_without_a_warning(compiler, library, tmp_path):
    need(compiler[0])
    data = library.sources.files["network_weights.c"]
    assert "NETWORK_RESIDENT(" in data and library.plan.resident_bytes > 0
    for name, text in library.sources.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    flags = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wundef -Werror -ffreestanding -O1".split()
    done = subprocess.run(
        [*compiler, *flags, "-c", "network_weights.c", "-o", "data.o"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    if compiler[0] == "arm-none-eabi-gcc" and shutil.which("arm-none-eabi-objdump"):
        table = subprocess.run(["arm-none-eabi-objdump", "-h", "data.o"], cwd=tmp_path, capture_output=True, text=True)
        assert ".data.smelt_tables.dtcm" in table.stdout


def test_equal_tables_are_copied_once():
    compilation = everything_in_ram(KWS, NUCLEO_L4R5ZI)
    names = [c.name for c in compilation.program.constants]
    contents = {(c.type, c.data.tobytes()) for c in compilation.program.constants}
    assert len(contents) == len(names) and all(c.memory == "sram1" for c in compilation.program.constants)


# --- what people type -------------------------------------------------------------------------------------------------


def test_a_budget_of_flash_holds_for_the_firmware():
    loose = compile(KWS, NUCLEO_L4R5ZI, goal="speed", log=TuningLog.empty)
    size = loose.image.size("flash")
    tight = compile(KWS, NUCLEO_L4R5ZI, goal="speed", max_flash=size - 500, log=TuningLog.empty)
    assert tight.image.size("flash") <= size - 500


def smelt(*words):
    return CliRunner().invoke(main, [str(w) for w in words])


def test_the_command_line_takes_budgets():
    done = smelt(
        "compile", KWS, "-b", "nucleo_l4r5zi", "--for", "energy", "--max-ram", "30K", "--log", "none", "--json"
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["resident_bytes"] > 0 and summary["resident_steps"]
    assert sum(m["bytes"] for m in summary["memory"] if m["purpose"] == "tables") >= summary["resident_bytes"]
    assert smelt("compile", KWS, "-b", "nucleo_l4r5zi", "--max-ram", "lots").exit_code == 2
    refused = smelt("compile", KWS, "-b", "nucleo_l4r5zi", "--max-ram", "2K", "--log", "none")
    assert refused.exit_code == 5 and "RAM budget of 2,048 bytes" in refused.output


def test_the_curve(speech, ways):
    points = trade_offs(speech, NUCLEO_L4R5ZI, ways)
    assert len(points) > 5
    for a, b in product(points, points):
        assert a is b or not all(x <= y for x, y in zip(a.costs, b.costs, strict=True)), "no point beats another"
    assert points[0].ram_bytes == make_plan(speech, NUCLEO_L4R5ZI, ways, goal="ram").ram_bytes
    shown = smelt("profile", HELLO, "-b", "nucleo_l4r5zi", "--curve", "--log", "none")
    assert shown.exit_code == 0 and "estimated)" in shown.output and "~" in shown.output
    found = json.loads(smelt("profile", AD, "-b", "nucleo_l4r5zi", "--curve", "--log", "none", "--json").stdout)
    assert found["points"][0]["ram_bytes"] < found["points"][-1]["ram_bytes"]


def test_the_curve_is_of_the_network_that_is_wanted():
    options = ("profile", HELLO, "-b", "nucleo_l4r5zi", "--curve", "--log", "none", "--json")
    plain, real = (
        json.loads(smelt(*options, *more).stdout)["points"][0]["steps"]
        for more in ((), ("--input-type", "float32", "--output-type", "float32"))
    )
    assert real == plain + 2
    assert json.loads(smelt(*options, "--region", "sram1=0").stdout)["points"], "the arena lies in another memory"
    for option, told in (("--feed", "no plans with --feed"), ("--region=sram9=0", "no RAM 'sram9'")):
        refused = smelt(*options, option)
        assert refused.exit_code == 2 and told in refused.output
