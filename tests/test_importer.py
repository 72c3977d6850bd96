"""Importing .tflite files: the real models, files that are none, and the surprises that real files hold."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.errors import ModelError, Unsupported
from smelt.importers import describe, load
from smelt.model.ops import Conv2D, Dense, Padding, Reshape
from tests.importer_cases import Q, graph_of, relu_chain
from tests.paths import HELLO_FLOAT, IC, INT8_MODELS, KWS_FLOAT, SHARED
from tests.tflite_writer import ModelWriter

REAL = (
    ("IC", 16, 12_501_632, (1, 32, 32, 3), (1, 10)),
    ("VWW", 31, 7_489_664, (1, 96, 96, 3), (1, 2)),
    ("KWS", 13, 2_656_768, (1, 49, 10, 1), (1, 12)),
    ("AD", 10, 264_192, (1, 640), (1, 640)),
    ("SWW", 11, 826_368, (1, 30, 1, 40), (1, 3)),
    ("person", 31, 7_157_888, (1, 96, 96, 1), (1, 2)),
    ("speech", 4, 336_000, (1, 1960), (1, 4)),
    ("hello", 3, 288, (1, 1), (1, 1)),
)
SHARED_FLOAT = ("pretrainedResnet", "vww_96_float", "ad01_fp32")
FLOAT = (
    KWS_FLOAT,
    HELLO_FLOAT,
    *(
        pytest.param(SHARED / "models" / "mlperf_tiny" / f"{name}.tflite", marks=pytest.mark.extra)
        for name in SHARED_FLOAT
    ),
)


# Real models


@pytest.mark.parametrize(("name", "ops", "macs", "x", "y"), REAL, ids=[case[0] for case in REAL])
def test_real_models(name, ops, macs, x, y):
    graph = load(INT8_MODELS[name])
    assert (len(graph.ops), graph.macs) == (ops, macs)
    assert [t.shape for t in graph.inputs] == [x] and [t.shape for t in graph.outputs] == [y]
    assert graph.inputs[0].dtype == graph.outputs[0].dtype == "int8"
    assert all(op.origin for op in graph.ops)
    assert graph.name == INT8_MODELS[name].stem


@pytest.mark.parametrize(("name", "ops", "macs", "x", "y"), REAL, ids=[case[0] for case in REAL])
def test_real_models_are_described(name, ops, macs, x, y):
    summary = describe(INT8_MODELS[name])
    assert (len(summary.operators), summary.macs, summary.problems) == (ops, macs, ())
    assert summary.inputs[0].shape == x and summary.inputs[0].quantization


@pytest.mark.parametrize("path", FLOAT, ids=lambda path: path.stem)
def test_float_models(path):
    """All that they multiply by is float32: int8 weights (of hybrid models) are dequantised here."""
    graph, summary = load(path), describe(path)
    assert graph.macs == summary.macs > 0 and not summary.problems
    constants = {op.weights.dtype for op in graph.ops if op.macs}
    assert constants == {"float32"} and {t.dtype for t in (*graph.inputs, *graph.outputs)} == {"float32"}


def test_resnet_in_detail():
    first = load(IC).ops[0]
    assert isinstance(first, Conv2D)
    assert (first.stride, first.pad, first.clamp) == ((1, 1), Padding(1, 1, 1, 1), (-128, 127))
    assert first.weights.q.axis == 0 and len(first.weights.q.scales) == 16 and first.bias.shape == (16,)


# Files that are no models


def test_what_is_no_model(tmp_path):
    empty, text, folder = tmp_path / "a.tflite", tmp_path / "b.tflite", tmp_path / "c.tflite"
    empty.write_bytes(b"")
    text.write_text("hello, this is not a model")
    folder.mkdir()
    for path, words in ((empty, "empty"), (text, "not a model"), (folder, "folder"), (tmp_path / "no", "no file")):
        with pytest.raises(ModelError, match=words):
            load(path)
        with pytest.raises(ModelError, match=words):
            describe(path)


@pytest.mark.parametrize("name", ["net.h5", "net.pt"])
def test_other_formats_say_what_to_do(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x08\x07something")
    with pytest.raises(Unsupported, match=r"TFLiteConverter|torch\.onnx\.export"):
        load(path)


def test_a_file_that_is_only_a_beginning(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3")
    with pytest.raises(ModelError, match="cut off"):
        load(path)


# Surprises


def test_names_become_unique():
    graph = graph_of(*relu_chain(["a", "a", "", "a_2", "a"]))
    assert [t.name for t in graph.tensors] == ["a", "a_2", "tensor_2", "a_2_2", "a_3"]


def test_outputs_may_be_intermediate_or_inputs():
    graph = graph_of(*relu_chain(["a", "b", "c"], outputs=(2, 1, 0)))
    assert [t.name for t in graph.outputs] == ["c", "b", "a"] and graph.outputs[2] is graph.inputs[0]


def test_a_tensor_with_several_consumers():
    w = ModelWriter()
    x, a, b = (w.tensor(name, (4,), "int8", *Q) for name in "xab")
    y = w.tensor("y", (4,), "int8", *Q)
    w.op("RELU", [x], [a])
    w.op("RELU6", [x], [b])
    w.op("MAXIMUM", [a, b], [y])
    graph = graph_of(w, [x], [y])
    assert sum(graph.inputs[0] in op.inputs for op in graph.ops) == 2


def test_dynamic_batch_and_a_flatten_computed_from_the_shape():
    w = ModelWriter()
    x = w.tensor("x", (1, 2, 3), "int8", *Q, signature=(-1, 2, 3))
    shape, batch, wanted = (w.tensor(n, s, "int32") for n, s in (("shape", (3,)), ("batch", ()), ("wanted", (2,))))
    y = w.tensor("y", (1, 6), "int8", *Q)
    w.op("SHAPE", [x], [shape])
    bounds = [w.constant("begin", [0]), w.constant("end", [1]), w.constant("stride", [1])]
    w.op("STRIDED_SLICE", [shape, *bounds], [batch], ShrinkAxisMask=1)
    w.op("PACK", [batch, w.constant("six", 6)], [wanted], Axis=0, ValuesCount=2)
    w.op("RESHAPE", [x, wanted], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, Reshape) and op.y.shape == (1, 6)


def test_weights_may_come_through_operators_on_constants():
    w = ModelWriter()
    x = w.tensor("x", (1, 6), "int8", *Q)
    stored = w.tensor("stored", (18,), "int8", 0.1, data=np.arange(18))
    weights, y = w.tensor("weights", (3, 6), "int8", 0.1), w.tensor("y", (1, 3), "int8", 0.5, 0)
    w.op("RESHAPE", [stored, w.constant("shape", [3, 6])], [weights])
    w.op("FULLY_CONNECTED", [x, weights, -1], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, Dense) and np.array_equal(op.weights.constant, np.arange(18).reshape(3, 6))


def test_scalars_and_broadcasting():
    w = ModelWriter()
    x = w.tensor("x", (2, 3, 4), "int8", *Q)
    one = w.tensor("one", (), "int8", 0.1, 0, data=5)
    y = w.tensor("y", (2, 3, 4), "int8", *Q)
    w.op("MUL", [x, one], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert op.x2.shape == () and int(op.x2.constant) == 5
