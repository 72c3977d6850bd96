"""Float operators of ONNX files, each against onnxruntime, with edges in either layout."""

import numpy as np
import pytest

from smelt.importers.onnx_load import load_onnx
from smelt.model.ops import Transpose
from smelt.passes import prepare
from tests.onnx_cases import CASES, IMAGE, built, reals
from tests.onnx_models import by_onnxruntime, by_smelt, model, node


@pytest.mark.parametrize("layout", ["channels_last", "keep"])
@pytest.mark.parametrize("name", CASES)
def test_each_operator_computes_what_onnxruntime_does(name, layout):
    """Within 32 units in the last place of the largest value: sums of 120 products, in another order."""
    file, arrays = built(name)
    (wanted,) = by_onnxruntime(file, arrays)
    (found,) = by_smelt(file, arrays, layout)
    assert found.shape == wanted.shape
    assert np.max(np.abs(found - wanted), initial=0) <= 32 * 2.0**-24 * max(1, np.max(np.abs(wanted)))


@pytest.mark.parametrize(
    "name", ["conv relu6", "conv batch norm", "flatten gemm", "flatten relu matmul", "global pools"]
)
def test_nothing_is_transposed_within_a_cnn(name):
    graph = prepare(load_onnx(built(name)[0], "net"))
    assert not [op for op in graph.ops if isinstance(op, Transpose)]
    assert not any("transposition" in remark for remark in graph.remarks)


def test_normalisations_and_activations_move_into_the_convolution():
    graph = prepare(load_onnx(built("conv batch norm")[0], "net"))
    assert [type(op).__name__ for op in graph.ops] == ["Conv2D"]
    graph = prepare(load_onnx(built("conv scaled by channel")[0], "net"))
    assert [type(op).__name__ for op in graph.ops] == ["Conv2D"]


def test_a_shuffle_of_channels_is_one_transposition():
    nodes = [
        node("Conv", "x w", "c"),
        node("Reshape", "c s", "r"),
        node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t s2", "h"),
        node("Conv", "h v", "y"),
    ]
    constants = {"w": reals(4, 4, 1, 1), "v": reals(2, 4, 1, 1), **CASES["reshape transposed"][2]}
    graph = prepare(load_onnx(model(nodes, {"x": IMAGE}, ["y"], constants), "net"))
    assert [type(op).__name__ for op in graph.ops if type(op).__name__ != "Reshape"] == [
        "Conv2D",
        "Transpose",
        "Conv2D",
    ]
    assert any("1 transposition(s) had to stay" in remark for remark in graph.remarks)


def test_a_constant_is_cast_to_the_type_of_what_is_computed():
    """As exporters that do not optimise write biases of convolutions that have none, and the bounds of relu6, which limit sums."""
    nodes = [
        node("Shape", "w", "s", start=0, end=1),
        node("CastLike", "n x", "zero"),
        node("Expand", "zero s", "b"),
        node("Conv", "x w b", "c"),
        node("CastLike", "n c", "low"),
        node("Clip", "c low", "y"),
    ]
    file = model(nodes, {"x": IMAGE}, ["y"], {"w": reals(6, 4, 3, 3), "n": np.array(2, np.int64)})
    x = reals(*IMAGE)
    assert np.allclose(by_smelt(file, [x])[0], by_onnxruntime(file, [x])[0], atol=1e-5)
    assert [type(op).__name__ for op in prepare(load_onnx(file, "net")).ops] == ["Conv2D"]
