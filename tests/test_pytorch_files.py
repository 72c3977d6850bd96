"""Networks of PyTorch, as its exporter and the quantisers of several tools write them (tests/data/pytorch): nothing that they
quantised is left as float32, onnxruntime computes the same, and so does firmware.

`benchmarks/pytorch_differences.py --board` has all of them on a board; here every network and every tool is, in a few pairs.
"""

import pytest

from smelt.compile import compile
from smelt.importers import load
from smelt.inputs import random_inputs
from smelt.passes import prepare
from smelt.report.verify import verify
from tests.pytorch_files import FILES, compared, first_difference, read, with_whole_biases

INPUTS = 6
NETWORKS = ("resnet8", "mobilenet_v1", "mobilenet_v2", "dscnn", "autoencoder", "cnn1d", "transformer")
TOOLS = ("torch", "ort_qdq", "ort_qop", "pt2e", "brevitas", "nncf")

REAL_BIAS = {f"{network}_nncf" for network in ("mobilenet_v1", "mobilenet_v2", "dscnn", "transformer")}
"""Biases are float32, and onnxruntime leaves these convolutions in float32, since a scale for each channel is behind them; or it
adds the bias of a product behind it. smelt rounds biases to whole steps of sums."""
TIES = {"resnet8_pt2e"}
"""The mean of 16 values keeps their scale: many are exact ties, which onnxruntime, adding up float32, rounds either way."""

ON_BOARDS = {
    "resnet8_pt2e": "esp32c3", "mobilenet_v1_ort_qdq": "esp32c3", "mobilenet_v1_nncf": "pico", "mobilenet_v2_ort_qop": "pico",
    "mobilenet_v2_brevitas": "esp32c3", "dscnn_nncf": "nucleo_l4r5zi", "autoencoder_brevitas": "nucleo_h743zi",
    "cnn1d_torch": "esp32c3", "cnn1d_ort_qdq": "pico", "transformer_ort_qdq": "pico", "transformer_pt2e": "nucleo_l4r5zi",
}  # fmt: skip


def test_all_files_are_there():
    assert set(FILES) == {f"{network}_{tool}" for network in NETWORKS for tool in TOOLS}
    assert all(file.stat().st_size < 100_000 for file in FILES.values())


FLOAT_OPS = {"Mul", "Add", "Cast", "Softmax", "Reshape"}
"""At the end of networks whose last operator has no quantiser behind it: sums times scales, plus a bias, and a softmax."""


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("torch") and "transformer" not in name])
def test_what_was_quantised_is_computed_in_integers(name):
    """Quantised once, at the beginning; reals come only at the end."""
    graph = prepare(load(FILES[name]))
    kinds = [type(op).__name__ for op in graph.ops if op.y.dtype == "float32"]
    assert sum(type(op).__name__ == "Quantize" for op in graph.ops) == 1
    assert set(kinds) <= FLOAT_OPS | {"Lookup", "Dequantize"} and len(kinds) <= 4


@pytest.mark.parametrize("tool", ["ort_qdq", "ort_qop"])
def test_of_a_quantised_transformer_only_normalisations_are_reals(tool):
    graph = prepare(load(FILES[f"transformer_{tool}"]))
    real = [op.origin for op in graph.ops if op.y.dtype == "float32"]
    assert len(real) > 10 and all("LayerNormalization" in origin for origin in real[:-1])


@pytest.mark.parametrize("name", [name for name in FILES if name not in REAL_BIAS | TIES])
def test_onnxruntime_computes_the_same(name):
    """To the bit, or where reals are computed at the end, to their rounding."""
    assert compared(read(name), INPUTS).differing == 0


@pytest.mark.parametrize("name", sorted(REAL_BIAS | TIES))
def test_where_onnxruntime_rounds_otherwise(name):
    """By one step, where the reason lies, and little of the largest output in the end."""
    assert compared(read(name), INPUTS).largest < 0.02
    first = first_difference(read(name), INPUTS)
    if first is not None:
        assert first.largest == 1
        assert first.operator == "ReduceMean" if name in TIES else first.operator in ("Relu", "Clip", "Add")
        assert first.differing / first.values < (0.02 if name in TIES else 0.002)


@pytest.mark.parametrize("name", ["mobilenet_v1_nncf", "dscnn_nncf"])
def test_scales_for_each_channel_are_exact(name):
    """With biases that are whole steps nothing is left of the differences: bytes of a scale for each channel are right."""
    assert compared(read(name), INPUTS).differing > 0
    assert compared(with_whole_biases(read(name)), INPUTS).differing == 0


@pytest.mark.parametrize("name", ON_BOARDS)
def test_firmware_equals_the_reference(name):
    compilation = compile(FILES[name], ON_BOARDS[name])
    assert verify(compilation, random_inputs(compilation.model, 2), "reference", FILES[name]).mismatches == 0


def test_every_network_and_tool_is_on_a_board():
    assert {name.split("_")[0] for name in ON_BOARDS} == {network.split("_")[0] for network in NETWORKS}
    assert {tool for tool in TOOLS for name in ON_BOARDS if name.endswith(tool)} == set(TOOLS)
