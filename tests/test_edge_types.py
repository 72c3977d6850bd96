"""Other types at the edges than the file has: the same numbers inside, and nearly nothing to pay for bytes."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from smelt.cli import main
from smelt.compile import compile
from smelt.errors import OptionError
from smelt.importers.tflite import load_tflite
from smelt.model.ops import Dequantize, Quantize
from smelt.model.reference import run
from smelt.passes.edge_types import with_edge_types
from smelt.report.verify import verify
from tests.oracle import Oracle
from tests.small_models import dense_model
from tests.tflite_writer import ModelWriter

EVERY = np.arange(256, dtype=np.uint8)


def wrapped(dtype: str, zero: int) -> bytes:
    """x of one type through QUANTIZE (or int8 as it is), TANH, and QUANTIZE or DEQUANTIZE back."""
    w = ModelWriter()
    scale = () if dtype == "float32" else 0.05
    first, x = w.tensor("first", (1, 256), dtype, scale, zero + 3), w.tensor("x", (1, 256), "int8", 0.05, 3)
    y, last = w.tensor("y", (1, 256), "int8", 1 / 128, 0), w.tensor("last", (1, 256), dtype, scale and 1 / 128, zero)
    w.op("QUANTIZE", [first], [x])
    w.op("TANH", [x], [y])
    w.op("DEQUANTIZE" if dtype == "float32" else "QUANTIZE", [y], [last])
    return w.finish([first], [last])


def test_uint8_at_the_edges_is_what_the_oracle_computes():
    model = wrapped("uint8", 128)
    graph, inputs = load_tflite(model, "model"), [EVERY.reshape(1, 256)]
    (got,), (want,) = run(graph, inputs), Oracle(model).run(inputs)
    assert np.array_equal(got, want.reshape(got.shape)) and got.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_edges_become_what_is_beneath(dtype):
    """int8 where the file quantises and dequantises: nothing of that is left."""
    graph = load_tflite(wrapped(dtype, 128 if dtype == "uint8" else 0), "model")
    changed = with_edge_types(graph, "int8", "int8")
    assert [t.dtype for t in (*changed.inputs, *changed.outputs)] == ["int8", "int8"]
    assert [t.name for t in (*changed.inputs, *changed.outputs)] == ["first", "last"]
    x = EVERY.view(np.int8).reshape(1, 256)
    if dtype == "uint8":
        (want,) = run(graph, [(x.view(np.uint8) ^ 0x80)])
        assert np.array_equal(run(changed, [x])[0], (want ^ 0x80).view(np.int8))
    else:
        (want,) = run(graph, [(x.astype(np.float32) - 3) * np.float32(0.05)])
        assert np.array_equal(run(changed, [x])[0].astype(np.float32) / 128, want)


@pytest.mark.parametrize(
    ("inputs", "outputs"), [("uint8", None), (None, "uint8"), ("uint8", "float32"), ("float32", "uint8")]
)
def test_int8_models_with_other_edges(inputs, outputs):
    graph = load_tflite(dense_model(), "model")
    changed = with_edge_types(graph, inputs, outputs)
    assert (changed.inputs[0].dtype, changed.outputs[0].dtype) == (inputs or "int8", outputs or "int8")
    x = np.random.default_rng(1).integers(-128, 128, (1, 16), np.int8)
    q = graph.inputs[0].q
    given = {"uint8": (x.view(np.uint8) ^ 0x80), "float32": ((x - np.float32(q.zero_point)) * np.float32(q.scale))}.get(
        inputs, x
    )
    (want,), (got,) = run(graph, [x]), run(changed, [given])
    assert np.array_equal(
        got, {"uint8": want.view(np.uint8) ^ 0x80, "float32": (want.astype(np.float32) + 128) / 256}.get(outputs, want)
    )


def test_bytes_are_flipped_four_at_a_time(tmp_path):
    """No table, and no tensor of its own: the input's bytes flip where they are."""
    path = tmp_path / "model.tflite"
    path.write_bytes(dense_model())
    plain = compile(path, "disco_f746ng", compiler="none")
    flipped = compile(path, "disco_f746ng", compiler="none", input_type="uint8", output_type="uint8")
    used = [way.implementation.name for some in flipped.plan.ways for way in some.ways]
    assert used.count("flip") == 2 and len(used) == len(plain.plan.steps) + 2
    memory = flipped.plan.board.chip.rams[0].name
    assert flipped.plan.used(memory) == plain.plan.used(memory)


def test_the_command_line_knows_the_options(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(dense_model())
    board = ["--board", "disco_f746ng", "--compiler", "none", "--out", str(tmp_path / "c")]
    done = CliRunner().invoke(main, ["compile", str(path), *board, "--input-type", "uint8", "--output-type", "float32"])
    assert done.exit_code == 0, done.output
    header = (tmp_path / "c" / "network_net.h").read_text("utf-8")
    assert "uint8_t" in header and "float" in header


def test_the_oracle_knows_only_the_types_of_the_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(dense_model())
    compilation = compile(path, "disco_f746ng", compiler="none", input_type="uint8")
    with pytest.raises(OptionError, match="--oracle reference"):
        verify(compilation, [], "tflm", path)


def test_edges_that_stay_float32():
    w = ModelWriter()
    x, y = w.tensor("x", (1, 4), "float32"), w.tensor("y", (1, 4), "float32")
    w.op("RESHAPE", [x], [y])
    graph = load_tflite(w.finish([x], [y]), "model")
    with pytest.raises(OptionError, match="input 'x' stays float32"):
        with_edge_types(graph, "int8", None)
    with pytest.raises(OptionError, match="output 'y' stays float32"):
        with_edge_types(graph, None, "uint8")


def test_float_edges_are_quantised_as_the_oracle_does():
    graph = with_edge_types(load_tflite(dense_model(), "model"), "float32", "float32")
    assert isinstance(graph.ops[0], Quantize) and isinstance(graph.ops[-1], Dequantize)
