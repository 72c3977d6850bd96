"""Real models as real firmware on every simulated board: bit-exact, and what they cost in a golden table."""

import json
import tomllib
from importlib.metadata import version

import numpy as np
import pytest

from smelt.compile import compile
from smelt.inputs import random_inputs, read_inputs
from smelt.report.execute import execute
from smelt.report.profile import profile
from smelt.report.verify import verify
from smelt.targets.boards import PRODUCTS, board
from tests.paths import INT8_MODELS, PICTURES, ROOT
from tests.tiny_firmware import need

# The largest sets of live tensors where results lie over operands that die (without: 55,296 of VWW, 16,000 of KWS; facts/peers.md).
LEAST_TENSORS = {"IC": 32_768, "VWW": 36_864, "KWS": 8_064, "AD": 768}
# TensorFlow Lite Micro with CMSIS-NN on Cortex-M4/M7 (facts/peers.md): instructions; bytes of code without the model; bytes of RAM:
# arena, data and stack.
TFLM = {
    "IC": (28_500_000, 52_000, 54_996 + 2_500),
    "VWW": (22_600_000, 52_000, 100_708 + 2_500),
    "KWS": (7_230_000, 52_000, 22_820 + 2_500),
    "AD": (573_000, 28_500, 2_580 + 1_100),
}
GOLDEN = ROOT / "tests" / "golden" / "costs.json"


def pinned() -> list[str]:
    """What the tests are installed with."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["test"]


def on_boards() -> list[tuple[str, str]]:
    """Every model on every board; the large ones on one board of each core, turn about."""
    boards: dict[str, list[str]] = {}
    for b in PRODUCTS:
        boards.setdefault(b.core.name, []).append(b.name)
    found = []
    for at, model in enumerate(INT8_MODELS):
        large = INT8_MODELS[model].stat().st_size > 90_000 and model != "AD"  # which has few MACs for its weights
        found += [
            (model, b) for of_core in boards.values() for b in ([of_core[at % len(of_core)]] if large else of_core)
        ]
    return found


@pytest.mark.parametrize(("model", "board_name"), on_boards())
def test_equals_tflm_on_every_board(model, board_name):
    compilation = compile(INT8_MODELS[model], board(board_name))
    verification = verify(compilation, random_inputs(compilation.model, 3, seed=7), "tflm", INT8_MODELS[model])
    assert verification.mismatches == 0, verification.verdict


@pytest.mark.parametrize("model", TFLM)
@pytest.mark.costs
def test_better_than_tflm_and_no_worse_than_before(model):
    """What golden costs depend on: the compiler, to the version. The shipped log and the model of time belong to the product."""
    assert f"ziglang=={version('ziglang')}" in pinned(), "golden costs are those of another compiler"
    compilation = compile(INT8_MODELS[model], board("nucleo_l4r5zi"))
    figures = profile(compilation, execute(compilation, random_inputs(compilation.model, 1)).run)
    instructions, code, ram = TFLM[model]
    assert figures.live_tensor_bytes == LEAST_TENSORS[model]
    assert figures.instructions < instructions
    assert figures.code_bytes < code
    assert figures.ram_bytes < ram
    # AD is nothing but weights that no exact step shrinks.
    assert figures.constant_bytes < INT8_MODELS[model].stat().st_size * (0.99 if model == "AD" else 0.9)
    actual = {
        "instructions": figures.instructions,
        "cycles": figures.cycles,
        "code_bytes": figures.code_bytes,
        "constant_bytes": figures.constant_bytes,
        "tensor_bytes": figures.tensor_bytes,
        "stack_bytes": figures.stack_bytes,
    }
    golden = json.loads(GOLDEN.read_text())[model]
    assert actual == golden, f"update {GOLDEN.name} if the change is intended"


def test_steps_add_up():
    compilation = compile(INT8_MODELS["KWS"], board("disco_f746ng"))
    run = execute(compilation, random_inputs(compilation.model, 2)).run
    assert len(run.step_instructions) == sum(len(step.pieces) for step in compilation.plan.steps)
    assert run.instructions == sum(run.step_instructions) + run.overhead_instructions
    assert 0 < run.overhead_instructions < 1000


def test_cifar_pictures_are_classified_as_by_tflm():
    """One picture of each class; all 500 are the business of benchmarks/acceptance.py."""
    path = INT8_MODELS["IC"]
    compilation = compile(path, board("disco_f746ng"))
    inputs = [read_inputs((f,), compilation.model)[0] for f in PICTURES]
    assert verify(compilation, inputs, "tflm", path).mismatches == 0
    classes = [int(np.argmax(y)) for (y,) in execute(compilation, inputs).outputs]
    assert sum(c == i for i, c in enumerate(classes)) >= 8


@pytest.mark.parametrize("board_name", ["nucleo_l4r5zi", "disco_f746ng", "esp32c3"])
def test_built_by_gcc(board_name):
    target = board(board_name)
    need(target.core.gcc[0])
    path = INT8_MODELS["KWS"]
    compilation = compile(path, target, compiler="gcc")
    assert verify(compilation, random_inputs(compilation.model, 2), "reference", path).mismatches == 0


def test_the_firmware_prints_the_label():
    labels = tuple(f"word {i}" for i in range(12))
    compilation = compile(INT8_MODELS["KWS"], board("disco_f746ng"), labels=labels)
    execution = execute(compilation, random_inputs(compilation.model, 1))
    (scores,) = execution.outputs[0]
    best = int(scores.argmax())
    assert execution.run.text == f"prediction: word {best} ({(int(scores.flat[best]) + 128) / 256 + 1e-9:.2f})\n"
