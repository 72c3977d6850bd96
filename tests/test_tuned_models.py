"""Whatever a tuning log says is fastest is computed exactly: whole models in QEMU, with steps done another way than by default."""

import functools
from collections.abc import Callable

import pytest

from smelt.compile import compile
from smelt.devices.simulators.version import model_of_time
from smelt.errors import OptionError
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL, IMPLEMENTATIONS
from smelt.passes import prepare
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Measurement, Origin
from smelt.planner.ways import Way
from smelt.report.verify import verify
from smelt.targets.boards import board
from smelt.tuning.works import Work, works
from tests.paths import INT8_MODELS
from tests.tiny_firmware import need

MODEL_FILES = {name: INT8_MODELS[name] for name in ("hello", "AD", "KWS", "IC")}
Pick = Callable[[Work], Way]


def another_implementation(work: Work) -> Way:
    default, *others = work.candidates
    return next((c for c in others if c.implementation is not default.implementation), work.candidates[-1])


def the_last(work: Work) -> Way:
    return work.candidates[-1]


def the_middle(work: Work) -> Way:
    return work.candidates[len(work.candidates) // 2]


PICKS: tuple[Pick, ...] = (another_implementation, the_last, the_middle)


@functools.cache
def graph(model: str):
    return prepare(load(MODEL_FILES[model]))


@functools.cache
def every_work(model: str, name: str, goal: str) -> tuple[Work, ...]:
    """The candidates of a model on a board, which are many: built once for all picks."""
    return works(graph(model), board(name), IMPLEMENTATIONS if goal == "speed" else FRUGAL)


@functools.cache
def defaults(model: str, name: str) -> frozenset[str]:
    """The kernels that are taken without any measurement."""
    compilation = compile(MODEL_FILES[model], board(name), goal="speed", compiler="none", log=TuningLog.empty)
    return frozenset(call.kernel.name for call in compilation.plan.calls)


def pretended(model: str, name: str, pick: Pick, goal: str) -> tuple[TuningLog, dict[str, str]]:
    """A log in which the picked candidate of every step is faster than all others, and the kernels picked, by operation."""
    target = board(name)
    origin = Origin(model_of_time(target) or "device openocd", toolchain(target))
    entries, kernels = list[Measurement](), dict[str, str]()
    for work in every_work(model, name, goal):
        picked = pick(work)
        kernels[work.op_key] = picked.kernel
        for candidate in work.candidates:
            how = candidate.kernel, work.op_key, *candidate.names
            entries.append(Measurement(*how, target.name, 1 if candidate is picked else 100, origin=origin))
    return TuningLog(tuple(entries)), kernels


def check_in_qemu(compilation, model: str) -> None:
    inputs = random_inputs(compilation.model, 2, seed=11)
    verification = verify(compilation, inputs, "reference", MODEL_FILES[model], "qemu")
    assert verification.device == "qemu"
    assert verification.values > 0 and not verification.mismatches, verification.verdict


@pytest.mark.parametrize("pick", PICKS, ids=lambda pick: pick.__name__)
@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("hello", "mps2_an386"),
        ("hello", "mps2_an505"),
        ("hello", "mps3_an547"),
        ("KWS", "mps2_an386"),
        ("KWS", "mps2_an500"),
    ],
)
def test_a_tuned_model_is_exact_in_qemu(model, name, pick):
    need("qemu-system-arm")
    log, kernels = pretended(model, name, pick, "speed")
    compilation = compile(MODEL_FILES[model], board(name), goal="speed", log=log)
    used = {call.kernel.name for call in compilation.plan.calls}
    assert used == {*kernels.values()}
    assert used != defaults(model, name)
    check_in_qemu(compilation, model)


@pytest.mark.parametrize("name", ["mps2_an386", "mps2_an500", "mps2_an505", "mps3_an547"])
@pytest.mark.parametrize("model", ["AD", "KWS"])
def test_the_goal_speed_is_exact_in_qemu(model, name):
    need("qemu-system-arm")
    check_in_qemu(compile(MODEL_FILES[model], board(name), goal="speed", log=TuningLog.empty), model)


def test_the_largest_kernels_are_exact_in_qemu():
    """What `--for speed` alone offers (transformed weights) in every convolution that has it."""
    need("qemu-system-arm")

    def speedy(work: Work) -> Way:
        frugal = {i.name for i in FRUGAL}
        return next((c for c in work.candidates if c.implementation.name not in frugal), work.candidates[0])

    log, kernels = pretended("IC", "mps2_an500", speedy, "speed")
    compilation = compile(MODEL_FILES["IC"], board("mps2_an500"), goal="speed", log=log)
    assert {*kernels.values()} <= {call.kernel.name for call in compilation.plan.calls}
    assert not {way.implementation.name for some in compilation.plan.ways for way in some.ways} <= {
        i.name for i in FRUGAL
    }
    check_in_qemu(compilation, "IC")


def test_a_log_of_another_board_is_refused_for_boards_of_qemu_too():
    log, _ = pretended("hello", "mps2_an386", the_last, "balanced")
    with pytest.raises(OptionError, match="no measurement of mps3_an547"):
        compile(MODEL_FILES["hello"], board("mps3_an547"), log=log)
