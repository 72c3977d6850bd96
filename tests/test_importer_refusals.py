"""What is refused: the sound but unsupported with all reasons, the contradictory with the operator's name."""

from __future__ import annotations

import numpy as np
import pytest

from tests.importer_cases import Q, contradiction, conv, dense, one_op, refusal, strided
from tests.tflite_writer import ModelWriter


def test_all_reasons_at_once():
    w = ModelWriter()
    a, b = w.tensor("a", (1, 4), "int8", *Q), w.tensor("b", (1, 4), "int8", *Q)
    c, d = w.tensor("c", (1, 4), "int8", *Q), w.tensor("d", (1, 4), "int8", *Q)
    w.op("CONV_3D", [a], [b])
    w.op("SOFTMAX", [b], [c], Beta=1.0)
    w.op("TANH", [c], [d])
    reasons = refusal(w, [a], [d])
    assert len(reasons) == 3
    assert "CONV_3D" in reasons[0] and "CONV_2D" in reasons[0]
    assert "operator 1 SOFTMAX 'c'" in reasons[1] and "1/256" in reasons[1]
    assert "operator 2 TANH 'd'" in reasons[2] and "1/128" in reasons[2]


def test_an_operator_that_has_no_floats_is_named():
    w = ModelWriter()
    x, y, z = (w.tensor(name, (4,), "float32") for name in "xyz")
    w.op("SQUARE", [x], [y])
    w.op("LOGICAL_AND", [y, y], [z])
    (reason,) = refusal(w, [x], [z])
    assert reason.startswith(
        "operator 1 computes in float32; LOGICAL_AND in bool is supported; quantise the whole model"
    )


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (conv(zero=1), "zero point other than 0"),
        (conv(scales=(0.1,) * 2, axis=3, weights=(2, 3, 3, 2), y=(1, 5, 7, 2)), "axis 3"),
        (conv(FusedActivationFunction=4), "TANH"),
        (dense(bias_scale=5.0), "scale of bias"),
        (one_op("MAX_POOL_2D", (1, 4, 4, 1), (1, 2, 2, 1), y_q=(0.1, 0), **dict.fromkeys(
            ("StrideW", "StrideH", "FilterWidth", "FilterHeight"), 2)), "quantised differently"),
        (one_op("RELU", (4,), (4,), q=((), 0)), "no quantisation"),
        (one_op("RELU", (0,), (0,)), "empty"),
    ],
    ids=["zero point", "axis", "activation", "bias scale", "pool", "unquantised", "empty"],
)  # fmt: skip
def test_reasons(case, words):
    assert words in "\n".join(refusal(*case))


@pytest.mark.parametrize(("dtype", "words"), [("int32", "int32")])
def test_other_types(dtype, words):
    w = ModelWriter()
    x, y = w.tensor("x", (4,), dtype, 0.5, 0), w.tensor("y", (4,), dtype, 0.5, 0)
    w.op("RELU", [x], [y])
    assert words in "\n".join(refusal(w, [x], [y]))


def test_dynamic_shapes_other_than_the_batch():
    w = ModelWriter()
    x, y = (w.tensor(name, (1, 1, 3), "int8", *Q, signature=(-1, -1, 3)) for name in "xy")
    w.op("RELU", [x], [y])
    assert "only the batch" in refusal(w, [x], [y])[0]


def test_weights_that_are_computed():
    w = ModelWriter()
    x, weights = w.tensor("x", (1, 2, 2, 6), "int8", *Q), w.tensor("w", (3, 1, 1, 6), "int8", 0.1, 0)
    y = w.tensor("y", (1, 2, 2, 3), "int8", *Q)
    w.op("TRANSPOSE_CONV", [w.constant("shape", [1, 2, 2, 3]), weights, x], [y], Padding=0, StrideH=1, StrideW=1)
    assert "weights 'w' is computed while the model runs" in refusal(w, [x, weights], [y])[0]


def test_a_shape_that_is_an_input():
    w = ModelWriter()
    x, permutation = w.tensor("x", (2, 6), "int8", *Q), w.tensor("p", (2,), "int32")
    y = w.tensor("y", (6, 2), "int8", *Q)
    w.op("TRANSPOSE", [x, permutation], [y])
    assert "input 1 'p' is computed while the model runs" in "\n".join(refusal(w, [x, permutation], [y]))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (conv(y=(1, 5, 8, 3)), "[1, 5, 8, 3], but the operator computes [1, 5, 7, 3]"),
        (conv(x=(1, 5, 7, 3)), "do not fit"),
        (conv(StrideH=0), "stride is 0"),
        (conv(DilationHFactor=-1), "dilation is -1"),
        (conv(Padding=7), "neither SAME nor VALID"),
        (conv(x=(1, 2, 7, 2), y=(1, 1, 5, 3), Padding=1), "does not fit"),
        (conv(x=(5, 7, 2)), "4 axes"),
        (dense(x_shape=(1, 9)), "do not fit"),
        (dense(bias_shape=(4,)), "3 channels"),
        (one_op("RESHAPE", (2, 4), (9,), [9]), "cannot become"),
        (one_op("RESHAPE", (2, 4), (4, 2), [-1, -1]), "makes no sense"),
        (one_op("SQUEEZE", (1, 4), (1,), SqueezeDims=[1]), "size 1"),
        (one_op("TRANSPOSE", (1, 4), (4, 1), [0, 0]), "permutation"),
        (one_op("PAD", (4,), (6,), [[1, 2]]), "[6], but the operator computes [7]"),
        (one_op("PAD", (4,), (4,), [[-1, 1]]), "negative"),
        (one_op("SLICE", (4,), (2,), [3], [2]), "outside"),
        (one_op("MEAN", (1, 4), (1,), [2]), "axis 2 does not exist"),
        (strided((4,), (4,), [0], [4], [0]), "stride is 0"),
        (strided((4,), (), [4], [5], [1], ShrinkAxisMask=1), "outside"),
        (one_op("RELU", (1 << 20, 1 << 20, 1 << 20), (1,)), "impossible shape"),
        (one_op("RELU", (1 << 30, 0, 1 << 30), (1,)), "impossible shape"),
        (one_op("RELU", (4,), (4,), q=(float("nan"), 0)), "not a positive number"),
        (one_op("RELU", (4,), (4,), q=(0.5, 200)), "zero point outside"),
        (one_op("RELU", (4,), (5,)), "[5], but the operator computes [4]"),
    ],
)  # fmt: skip
def test_contradictions_name_the_operator(case, words):
    assert words in contradiction(*case)


def test_graphs_that_cannot_run():
    w = ModelWriter()
    x, y, z = (w.tensor(name, (4,), "int8", *Q) for name in "xyz")
    w.op("RELU", [y], [z])
    w.op("RELU", [x], [y])
    assert "before it is computed" in contradiction(w, [x], [z])
    assert "no outputs" in contradiction(w, [x], [])
    w.op("RELU", [x], [y])
    assert "already has a value" in contradiction(w, [x], [z])


def test_constants_of_the_wrong_size():
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "int8", *Q), w.tensor("y", (4,), "int8", *Q)
    w.op("ADD", [x, w.tensor("c", (4,), "int8", *Q, data=np.zeros(3))], [y])
    assert "needs 4 bytes, but its buffer has 3" in contradiction(w, [x], [y])


def test_constants_without_data():
    w = ModelWriter()
    x, weights = w.tensor("x", (1, 6), "int8", *Q), w.tensor("w", (3, 6), "int8", 0.1, 0)
    y = w.tensor("y", (1, 3), "int8", *Q)
    w.op("FULLY_CONNECTED", [x, weights, -1], [y])
    assert "weights 'w' has no data" in contradiction(w, [x], [y])
