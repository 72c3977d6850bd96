"""Networks whose early layers are larger than the memory there is: they run in bands, and compute the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smelt import board, compile
from smelt.devices.simulators.simulator import Simulator
from smelt.model import reference
from tests.mobilenet import mobilenet_v2

BOARD = board("nucleo_l4r5zi")
BUDGET = 48 * 1024
"""Of RAM, for pictures of 96 x 96."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mobilenet") / "mobilenet.tflite"
    path.write_bytes(mobilenet_v2(96, 0.35))
    return path


def test_mobilenet_runs_in_a_fraction_of_what_its_layers_take(model: Path) -> None:
    compilation = compile(model, BOARD, max_ram=BUDGET)
    largest = max(op.y.bytes for op in compilation.graph.ops)
    assert largest > BUDGET, "a single tensor does not fit"
    assert any(len(step.pieces) > 1 for step in compilation.plan.steps) and compilation.plan.ram_bytes <= BUDGET
    (x,) = compilation.graph.inputs
    picture = np.random.default_rng(3).integers(-128, 128, x.shape, np.int8)
    assert compilation.image is not None
    run = Simulator(BOARD).run(compilation.image, picture.tobytes(), 10**10)
    assert run.outputs == b"".join(y.tobytes() for y in reference.run(compilation.graph, [picture]))
