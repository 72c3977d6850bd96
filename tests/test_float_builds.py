"""Networks with steps in floating point use the core's unit for it; those without are built as ever."""

from __future__ import annotations

import numpy as np
import pytest

from smelt import Session, compile, execute, inspect, random_inputs
from smelt.devices.choose import run_image
from smelt.devices.qemu import QemuLink
from smelt.kernels.implementation import Plain
from smelt.kernels.quantize import build_with_floats
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Quantize
from smelt.model.reference import evaluate, run
from smelt.model.tables import quantize_thresholds
from smelt.report.rounding import wrong
from smelt.report.verify import verify
from smelt.targets.boards import BOARDS, MPS_BOARDS, PRODUCTS, board
from tests.paths import HELLO, HELLO_FLOAT
from tests.small_models import dense_model
from tests.tflite_writer import ModelWriter
from tests.tiny_firmware import need

WITH_UNIT = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi", "nucleo_u575zi_q")
COUNT = 773  # of values: three for each threshold, and eight


def quantize_model(count: int, scale: float, zero: int) -> bytes:
    writer = ModelWriter()
    x = writer.tensor("x", (1, count), "float32")
    y = writer.tensor("y", (1, count), "int8", scale, zero)
    writer.op("QUANTIZE", [x], [y])
    return writer.finish([x], [y])


def hardest(op: Quantize) -> np.ndarray:
    """Every threshold and its neighbours, zeros, and the smallest number."""
    at = quantize_thresholds(op)
    around = [at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))]
    more = np.float32([0.0, -0.0, 1e-45, -1e-45, 0.5, -0.5, 1.0, -1.0])
    return np.concatenate([*around, more]).reshape(1, -1)


def made(folder, model: bytes, name: str, compiler="zig"):
    path = folder / "model.tflite"
    path.write_bytes(model)
    return compile(path, name, compiler=compiler)


@pytest.mark.parametrize(
    ("name", "compiler"), [*((name, "zig") for name in WITH_UNIT), ("nucleo_l4r5zi", "gcc"), ("nucleo_h743zi", "gcc")]
)
def test_quantize_takes_at_most_eight_instructions_and_is_exact(name, compiler, tmp_path):
    if compiler == "gcc":
        need(board(name).core.gcc[0])
    compilation = made(tmp_path, quantize_model(COUNT, 0.0371, -7), name, compiler)
    assert compilation.program.floats and compilation.sources.floats
    (op,) = compilation.graph.ops
    inputs = [(hardest(op),), (np.float32(np.random.default_rng(1).normal(0, 3, (1, COUNT))),)]
    inputs += [(np.where(np.arange(COUNT) == place, value, 1.0).astype(np.float32).reshape(1, -1),)
               for place, value in ((0, np.inf), (5, np.nan), (772, np.nan), (9, -1e30), (11, 1e30), (40, -np.inf))]  # fmt: skip
    execution = execute(compilation, inputs)
    for given, (got,) in zip(inputs, execution.outputs, strict=True):
        assert np.array_equal(got, run(compilation.model, given)[0])
    usual = execute(compilation, inputs[:1]).run.step_instructions[0]
    assert usual <= 8 * COUNT, usual / COUNT


@pytest.mark.parametrize("b", BOARDS, ids=lambda b: b.name)
def test_only_networks_with_floats_use_the_unit(b, tmp_path):
    assert not made(tmp_path, dense_model(), b.name, "none").sources.floats
    assert made(tmp_path, quantize_model(64, 0.0371, -7), b.name, "none").sources.floats == (b.core.floats is not None)


@pytest.mark.parametrize("name", [b.name for b in MPS_BOARDS])
def test_start_up_switches_the_unit_on(name, tmp_path):
    """QEMU refuses floating-point instructions before that; whatever the simulator does."""
    need("qemu-system-arm")
    compilation = made(tmp_path, quantize_model(COUNT, 0.0371, -7), name)
    x = hardest(compilation.graph.ops[0])
    done = run_image(board(name), compilation.image, x.tobytes(), "qemu")
    assert done.outputs == run(compilation.model, (x,))[0].tobytes()


def test_a_session_runs_kernels_with_floats():
    """On a link to QEMU's machine, which refuses what is not switched on."""
    need("qemu-system-arm")
    y = Tensor("y", (1, COUNT), "int8", Quantization((float(np.float32(0.0371)),), (-7,)))
    op = Quantize(x=Tensor("x", (1, COUNT), "float32"), y=y)
    with QemuLink(board("mps2_an386")) as link, Session(link) as session:
        call = build_with_floats(op, Plain())
        result = session.empty((1, COUNT))
        session.load(call)[call](hardest(op), result)
        assert np.array_equal(result.numpy(), evaluate(op, hardest(op)))


def test_boards_without_a_unit_say_what_floating_point_costs():
    """In notes of `compile` and warnings of `inspect`; the unit says nothing, and neither do networks of integers."""
    (note,) = compile(HELLO_FLOAT, "nucleo_l152re", compiler="none").notes[:1]
    assert (
        "nucleo_l152re has no floating-point unit: 3 of 3 steps" in note and "288 products" in note and "int8" in note
    )
    assert not any("floating-point" in n for n in compile(HELLO_FLOAT, "nucleo_l4r5zi", compiler="none").notes)
    (warning,) = inspect(HELLO_FLOAT).warnings
    without = [b.name for b in PRODUCTS if b.core.floats is None]
    assert "float32" in warning and len(without) == 4 and all(name in warning for name in without)
    assert not inspect(HELLO).warnings and all(b.core.software_mac for b in PRODUCTS if b.core.floats is None)


@pytest.mark.parametrize("name", ["nucleo_l4r5zi", "disco_f746ng", "nucleo_l152re", "esp32c3", "pico"])
def test_a_float_network_is_right_with_and_without_a_unit(name):
    compilation = compile(HELLO_FLOAT, name)
    inputs = random_inputs(compilation.model, 3)
    found = verify(compilation, inputs, "reference", HELLO_FLOAT)
    assert not found.mismatches and found.largest is not None and found.largest < 1e-6


def test_a_hybrid_model_says_what_it_means(tmp_path):
    """int8 weights beside float32 activations: products of what the weights stand for, in inspect and compile alike."""
    w, rng, file = ModelWriter(), np.random.default_rng(0), tmp_path / "hybrid.tflite"
    weights, scales = rng.integers(-127, 128, (3, 5), np.int8), np.float32([0.5, 0.01, 0.3])
    x, y = w.tensor("x", (1, 5), "float32"), w.tensor("y", (1, 3), "float32")
    w.op("FULLY_CONNECTED", [x, w.tensor("weights", (3, 5), "int8", scales, 0, weights, 0)], [y])
    file.write_bytes(w.finish([x], [y]))
    compilation = compile(file, "nucleo_l4r5zi")
    ((remark, _), (same,)) = inspect(file).warnings, compilation.warnings
    assert remark == same and remark.startswith("operator 0 has weights of int8") and "made float32" in remark
    inputs, real = random_inputs(compilation.model, 1), weights * scales[:, np.newaxis]
    (values,) = inputs[0]
    found = execute(compilation, inputs).outputs[0][0]
    bound = 7 * 2.0**-24 * (np.abs(values) @ np.abs(real).T)
    assert np.all(np.abs(found - values.astype(np.float64) @ real.T.astype(np.float64)) <= bound)


def test_verification_finds_what_roundings_do_not_explain():
    theirs = np.float32([[0.1, 0.7, 0.2]])
    allowed = 2.0**-20
    assert not len(wrong(theirs * np.float32(1 + 2**-22), theirs, allowed))
    assert wrong(theirs + np.float32([[1e-4, 0, 0]]), theirs, allowed).tolist() == [[0, 0]]
    assert wrong(np.float32([[0.1, np.nan, 0.2]]), theirs, allowed).tolist() == [[0, 1]]
    near = np.float32([[0.5, 0.5000001, 0]])
    assert wrong(near[:, [1, 0, 2]], near, allowed).tolist() == [[0, 0]], "another value is the largest"
