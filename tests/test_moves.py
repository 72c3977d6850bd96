"""Tables that a DMA moves to RAM while the step before computes: chosen, proved, programmed, bit-exact in the simulator."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest

from smelt.devices.faults import Fault
from smelt.devices.graph_runner import GraphRunner
from smelt.devices.session import Session
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.simulator import Simulator
from smelt.errors import SmeltError
from smelt.firmware import build, emit, render
from smelt.firmware.harness import render_harness
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.loops.ir import Scratch
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import check, make_plan
from smelt.planner.known import Known
from smelt.planner.placement import Placement, Stage
from smelt.planner.predict import Predictor
from smelt.planner.staging import staged
from smelt.targets.boards import board
from tests.paths import KWS, ROOT
from tests.tiny_firmware import need

H743 = board("nucleo_h743zi")


def with_flash(first):
    """The board with a flash for which the core waits so long; a DMA sees it as before."""
    flash, *others = H743.chip.memories
    slow = replace(flash, path=replace(flash.path, first=first, line=first + 2))
    return replace(H743, chip=replace(H743.chip, memories=(slow, *others)))


@pytest.fixture(scope="module")
def graph():
    return prepare(load(KWS))


@pytest.fixture(scope="module")
def plain(graph):
    return make_plan(graph, with_flash(400))


@pytest.fixture(scope="module")
def plan(plain):
    """Of a board where moves pay."""
    return staged(plain, Predictor(Known(plain.board)))


def test_tables_are_moved_where_that_pays(plain, plan):
    assert len(plan.stages) >= 2 and not plain.stages
    assert all(s.last == s.first + 1 and s.table.nbytes >= 1024 for s in plan.stages)
    quick = make_plan(plain.graph, with_flash(0))
    assert not staged(quick, Predictor(Known(quick.board))).stages
    other = make_plan(plain.graph, board("disco_f746ng"))
    assert staged(other, Predictor(Known(other.board))) is other


def test_the_budget_of_ram_is_kept(plain):
    limited = replace(plain, limits=replace(plain.limits, ram=plain.ram_bytes))
    found = staged(limited, Predictor(Known(plain.board)))
    assert found.ram_bytes <= plain.ram_bytes


def changed(plan, number=0, **changes):
    """The plan with one of its moves changed."""
    stages = list(plan.stages)
    stages[number] = replace(stages[number], **changes)
    return replace(plan, stages=tuple(stages))


def placed(plan, stage, **changes):
    """The plan with the place of a moved table changed."""
    return replace(
        plan, placements=tuple(replace(p, **changes) if p.scratch is stage.buffer else p for p in plan.placements)
    )


def test_moves_of_wrong_plans_are_found(plan):
    """By what the program does to bytes, whatever the plan says."""
    stage = plan.stages[1]
    step = plan.steps[stage.first]
    where = plan.placement(step.ys[0])

    def problem(wrong):
        with pytest.raises(SmeltError) as caught:
            check(wrong)
        return str(caught.value)

    assert check(plan) is plan
    assert "into whose bytes a table is being moved" in problem(
        placed(plan, stage, offset=where.offset, memory=where.memory)
    )
    assert "no such steps" in problem(changed(plan, 1, last=len(plan.steps)))
    assert "no such table" in problem(changed(plan, 1, table=np.zeros(4, np.int8)))
    assert "no place" in problem(changed(plan, 1, buffer=Scratch(4096)))
    assert "no place" in problem(changed(plan, 1, first=stage.first - 1))
    assert "no DMA" in problem(replace(plan, board=replace(plan.board, chip=replace(plan.board.chip, dma=()))))
    early = placed(plan, stage, first=0, offset=where.offset, memory=where.memory)
    assert "touches" in problem(changed(early, 1, first=0)) or "is not at" in problem(changed(early, 1, first=0))


def firmware(plan, change=lambda text: text):
    program = emit(plan)
    sources = render_harness(program, render(program))
    files = {name: change(text) if name == "network_net.c" else text for name, text in sources.files.items()}
    return build(replace(sources, files=files), plan.board)


def test_a_network_with_moves_is_bit_exact(plan):
    (inputs,) = random_inputs(plan.graph, 1)
    done = Simulator(plan.board).run(firmware(plan), b"".join(x.tobytes() for x in inputs))
    assert done.outputs == b"".join(y.tobytes() for y in run(plan.graph, inputs))
    text = render(emit(plan)).files["network_net.c"]
    assert text.count("smelt_mdma_move(") == text.count("smelt_mdma_wait(") == len(plan.stages)
    assert "RCC_AHB3ENR" in text


def test_a_move_that_is_not_waited_for_is_found(plan):
    (inputs,) = random_inputs(plan.graph, 1)

    def without_waits(text):
        return "\n".join(line for line in text.splitlines() if "smelt_mdma_wait(" not in line)

    with pytest.raises(Fault) as caught:
        Simulator(plan.board).run(firmware(plan, without_waits), b"".join(x.tobytes() for x in inputs))
    assert caught.value.kind in ("access in flight", "wrong use of a DMA")


@pytest.mark.parametrize("way", ["chip", "host"])
def test_the_c_of_moves_is_strict_and_compiles_without_a_dma(plan, way, tmp_path):
    """As the rest of the library: for other chips and the host, where the core copies."""
    compiler, *flags = plan.board.core.gcc if way == "chip" else ("gcc", "-DSMELT_WITHOUT_DMA")
    need(compiler)
    for name, text in render(emit(plan)).files.items():
        (tmp_path / name).write_text(text)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wundef", "-pedantic", "-Werror", "-fsyntax-only"]
    support = ["-ffreestanding", "-I", str(ROOT / "smelt" / "firmware" / "support")]
    command = [compiler, *flags, *strict, *support, "network_net.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]


def test_sessions_have_what_moves_would_bring(plan):
    (inputs,) = random_inputs(plan.graph, 1)
    with Session(SimulatorLink(plan.board)) as session, GraphRunner(session, emit(plan)) as runner:
        (y,) = runner.run(inputs)
    assert np.array_equal(y, run(plan.graph, inputs)[0])


def test_plans_name_their_moves(plan):
    assert f"{len(plan.stages)} tables" in plan.in_full()
    assert "moved from step" in plan.stages[0].in_full()
    assert any(line.startswith("  move ") for line in emit(plan).in_full().splitlines())
    assert isinstance(plan.stages[0], Stage) and all(isinstance(p, Placement) for p in plan.placements)
