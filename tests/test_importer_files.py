"""The ways in which .tflite files of different ages and tools say the same thing."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import tflite

from smelt.errors import ModelError, Unsupported
from smelt.importers import load
from smelt.importers.tflite import describe_tflite, load_tflite
from tests.importer_cases import Q, relu_chain
from tests.tflite_writer import ModelWriter, _Serializer


def written(serializer: _Serializer, case) -> bytes:
    w, inputs, outputs = case
    return serializer.model([(w._tensors, w._operators, inputs, outputs)], w._buffers)


class Codes(_Serializer):
    """Writes operator codes in the old field, the new one, or as a number that nobody knows."""

    def __init__(self, **fields: int | str) -> None:
        super().__init__()
        self.fields = fields

    def code(self, name: str, version: int) -> int:
        custom = self.b.CreateString(self.fields["CustomCode"]) if "CustomCode" in self.fields else None
        return self.table("OperatorCode", Version=version, **{**self.fields, "CustomCode": custom})


@pytest.mark.parametrize("fields", [{"DeprecatedBuiltinCode": 19}, {"BuiltinCode": 19}])
def test_old_and_new_operator_codes(fields):
    assert len(load_tflite(written(Codes(**fields), relu_chain("ab")), "m").ops) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"DeprecatedBuiltinCode": 32, "CustomCode": "Edge_Detector"}, "custom operator 'Edge_Detector'"),
        ({"DeprecatedBuiltinCode": 127, "BuiltinCode": 132}, "CONV_3D is not supported (operator 0); CONV_2D"),
        ({"DeprecatedBuiltinCode": 127, "BuiltinCode": 4000}, "operator code 4000"),
    ],
)
def test_unknown_operators_are_refused_by_name(fields, words):
    file = written(Codes(**fields), relu_chain("ab"))
    with pytest.raises(Unsupported) as refused:
        load_tflite(file, "m")
    (reason,) = refused.value.reasons
    assert words in reason
    assert describe_tflite(file, "m").problems == (reason,)


class Fields(_Serializer):
    """Adds fields to every tensor."""

    def __init__(self, **fields: int) -> None:
        super().__init__()
        self.fields = fields

    def table(self, name: str, **fields) -> int:
        if name != "Tensor":
            return super().table(name, **fields)
        extra = {k: super(Fields, self).table(v) if isinstance(v, str) else v for k, v in self.fields.items()}
        return super().table(name, **{**fields, **extra})


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"IsVariable": True}, "variable"), ({"Sparsity": "SparsityParameters"}, "sparsely")],
)
def test_tensors_of_other_kinds(fields, words):
    with pytest.raises(Unsupported, match=words):
        load_tflite(written(Fields(**fields), relu_chain("ab")), "m")


class Outside(_Serializer):
    """Stores buffers behind the flatbuffer, at `start` on."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def buffer(self, data: bytes) -> int:
        return self.table("Buffer", Offset=self.start, Size=len(data)) if data else self.table("Buffer", Offset=1)


def adding(constant) -> tuple:
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "int8", *Q), w.tensor("y", (4,), "int8", *Q)
    c = w.tensor("c", (4,), "int8", 0.1, 0, data=constant)
    w.op("ADD", [x, c], [y])
    return w, [x], [y]


def test_buffers_behind_the_flatbuffer():
    case, data = adding([1, 2, 3, 4]), bytes([1, 2, 3, 4])
    size = len(written(Outside(2), case))
    file = written(Outside(size), case)
    assert len(file) == size
    (op,) = load_tflite(file + data, "m").ops
    assert np.array_equal(op.x2.constant, [1, 2, 3, 4])
    with pytest.raises(ModelError, match="cut off"):
        load_tflite(file + data[:3], "m")


def test_shared_buffers():
    w = ModelWriter()
    x, y, z = (w.tensor(name, (4,), "int8", *Q) for name in "xyz")
    a, b = (w.tensor(name, (4,), "int8", scale, 0, data=[1, 2, 3, 4]) for name, scale in (("a", 0.1), ("b", 0.2)))
    w._tensors[b] = replace(w._tensors[b], buffer=w._tensors[a].buffer)
    w.op("ADD", [x, a], [y])
    w.op("MUL", [y, b], [z])
    first, second = load_tflite(w.finish([x], [z]), "m").ops
    assert np.array_equal(first.x2.constant, second.x2.constant) and second.x2.q.scale != first.x2.q.scale
    assert np.shares_memory(first.x2.constant, second.x2.constant)


def test_the_first_subgraph_is_the_model():
    w, x, y = relu_chain("ab")
    other = w.subgraph()
    other.op("RELU", [other.tensor("there", (4,))], [other.tensor("here", (4,))])
    assert len(load_tflite(w.finish(x, y), "m").ops) == 1


def test_per_channel_biases_with_any_axis():
    """Old converters wrote axis 3 for the one axis of a bias."""
    w = ModelWriter()
    x, y = w.tensor("x", (1, 4, 4, 2), "int8", *Q), w.tensor("y", (1, 4, 4, 2), "int8", *Q)
    weights = w.tensor("w", (1, 1, 1, 2), "int8", (0.1, 0.2), 0, data=np.ones((1, 1, 1, 2)), axis=3)
    bias = w.tensor("b", (2,), "int32", (0.05, 0.1), 0, data=[1, 2], axis=3)
    w.op("DEPTHWISE_CONV_2D", [x, weights, bias], [y], StrideW=1, StrideH=1, DepthMultiplier=1)
    (op,) = load_tflite(w.finish([x], [y]), "m").ops
    assert op.bias.q.axis == 0


def test_zero_points_may_not_be_left_out():
    """TensorFlow Lite Micro does not read a scale without one."""
    w = ModelWriter()
    x, y = (w.tensor(name, (4,), "int8", 0.5, ()) for name in "xy")
    w.op("RELU", [x], [y])
    with pytest.raises(Unsupported, match="no zero point"):
        load_tflite(w.finish([x], [y]), "m")


def test_the_schemas_names_are_ours():
    from smelt.importers.tflite_schema import OPERATORS

    known = {name: number for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
    assert all(OPERATORS[number] == name for name, number in known.items() if number < len(OPERATORS))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="platform: needs named pipes")
def test_a_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="not a file that holds data"):
        load(tmp_path / "pipe")
