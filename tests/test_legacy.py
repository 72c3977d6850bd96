"""Legacy models, uint8 throughout: the int8 model with zero points shifted, weights of any zero point included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.host import run_on_host
from smelt.importers.tflite import load_tflite
from smelt.model.arithmetic import quantize_multiplier, requantize
from smelt.model.ops import Conv2D, Dense, DepthwiseConv2D
from smelt.model.reference import run
from tests.importer_cases import refusal
from tests.oracle import Oracle
from tests.reference_check import cases, seeds
from tests.tflite_writer import ModelWriter


def model_of(code: str, seed: int, zero_w: int, spread: float = 60.0, **options):
    """One layer of uint8: its bytes, weights and bias less their zero points, and its numbers."""
    rng, w = np.random.default_rng(seed), ModelWriter()
    depthwise, dense = code == "DEPTHWISE_CONV_2D", code == "FULLY_CONNECTED"
    channels, filters = int(rng.integers(1, 7)), int(rng.integers(1, 7))
    filters = channels if depthwise else filters
    zeros = rng.integers(0, 256, 2)
    shape = (2, channels) if dense else (1, 5, 6, channels)
    w_shape = (filters, channels) if dense else (1, 3, 3, channels) if depthwise else (filters, 3, 3, channels)
    data = np.clip(rng.normal(zero_w, spread, w_shape), 0, 255).round().astype(np.uint8)
    bias = rng.integers(-3000, 3000, filters)
    x = w.tensor("x", shape, "uint8", 0.25, int(zeros[0]))
    weights = w.tensor("w", w_shape, "uint8", 0.125, zero_w, data)
    b = w.tensor("b", (filters,), "int32", 0.03125, 0, bias)
    y = w.tensor("y", (2, filters) if dense else (1, 3, 4, filters), "uint8", 8.0, int(zeros[1]))
    options |= (
        {} if dense else {"Padding": 1, "StrideW": 1, "StrideH": 1, **({"DepthMultiplier": 1} if depthwise else {})}
    )
    w.op(code, [x, weights, b], [y], **options)
    return w.finish([x], [y]), data.astype(int) - zero_w, bias, zeros


def meaning(code: str, x: np.ndarray, weights: np.ndarray, bias: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """The formula, in uint8's own numbers: sums of (x - zero) * (w - zero), rounded as TensorFlow Lite Micro does."""
    centred = x.astype(int) - zeros[0]
    if code == "FULLY_CONNECTED":
        total = centred @ weights.T
    else:
        windows = np.lib.stride_tricks.sliding_window_view(centred, (3, 3), (1, 2))
        total = np.einsum("nrcdij,oijd->nrco" if code == "CONV_2D" else "nrcdij,oijd->nrcd", windows, weights)
    multiplier, shift = quantize_multiplier(0.25 * 0.125 / 8.0)
    return np.clip(requantize(total + bias, multiplier, shift) + zeros[1], 0, 255).astype(np.uint8)


CODES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@pytest.mark.parametrize("code", CODES)
@given(seeds, st.sampled_from([0, 1, 100, 127, 128, 129, 151, 255]))
@cases(25)
def test_layers_mean_what_uint8_means(code, seed, zero_w):
    model, weights, bias, zeros = model_of(code, seed, zero_w)
    graph = load_tflite(model, "model")
    x = np.random.default_rng(seed).integers(0, 256, graph.inputs[0].shape, np.uint8)
    assert [t.dtype for t in (*graph.inputs, *graph.outputs)] == ["uint8", "uint8"]
    assert [t.name for t in (*graph.inputs, *graph.outputs)] == ["x", "y"]
    (got,) = run(graph, [x])
    assert np.array_equal(got, meaning(code, x, weights, bias, zeros))


@pytest.mark.parametrize(("code", "kind"), list(zip(CODES, (Conv2D, DepthwiseConv2D, Dense), strict=True)))
def test_weights_that_fit_a_byte_are_one_layer(code, kind):
    model, *_ = model_of(code, 3, 128, spread=20)
    ops = load_tflite(model, "model").ops
    assert [type(op) for op in ops[1:-1]] == [kind] and not any(ops[1].weights.q.zero_points)


@pytest.mark.parametrize("code", CODES)
def test_the_c_of_nine_bits(code, tmp_path):
    """Without a kernel of its own."""
    model, *_ = model_of(code, 5, 170, spread=120)
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    graph = load_tflite(model, "model")
    assert len(graph.ops) > 3
    inputs = [[np.random.default_rng(1).integers(0, 256, graph.inputs[0].shape, np.uint8)]]
    assert np.array_equal(run_on_host(path, inputs)[0][0], run(graph, inputs[0])[0])


def test_int8_dense_weights_with_a_zero_point_are_what_the_oracle_computes():
    w, rng = ModelWriter(), np.random.default_rng(2)
    x, y = w.tensor("x", (2, 12), "int8", 0.25, 7), w.tensor("y", (2, 5), "int8", 8.0, -3)
    weights = w.tensor("w", (5, 12), "int8", 0.125, -40, rng.integers(-128, 128, (5, 12)))
    w.op("FULLY_CONNECTED", [x, weights, -1], [y], version=4)
    model = w.finish([x], [y])
    values = [rng.integers(-128, 128, (2, 12), np.int8)]
    assert np.array_equal(run(load_tflite(model, "model"), values)[0], Oracle(model).run(values)[0].reshape(2, 5))


def test_reasons_name_int8_operators_once():
    """What int8 lacks, legacy models lack."""
    w = ModelWriter()
    x, y, z = (w.tensor(name, (1, 4), "uint8", 0.5, 3) for name in "xyz")
    w.op("RELU", [x], [y])
    w.op("HASHTABLE_LOOKUP", [y], [z])
    (reason,) = refusal(w, [x], [z])
    assert "HASHTABLE_LOOKUP" in reason
