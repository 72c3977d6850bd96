"""Weights and biases that are computed: reference against TensorFlow Lite Micro, kernels against it, networks on boards."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt import compile, random_inputs
from smelt.errors import Unsupported
from smelt.importers import load
from smelt.kernels.computed import COMPUTED
from smelt.model.reference import evaluate, run
from smelt.report.verify import verify
from smelt.targets.cores.cortex_m4 import CORTEX_M4
from tests.kernels_host import run_calls
from tests.oracle import Oracle, need_oracle
from tests.reference_check import activations, cases, powers, seeds, values
from tests.tflite_writer import ModelWriter

CODES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
BIASES = {"int8": "int32", "int16": "int64", "float32": "float32"}
WHICH = ("weights", "bias", "both")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("computed") / "model.tflite"


def model(code: str, x_type: str, which: str, seed: int, gain: float, activation: int, has_bias: bool = True):
    """A layer of 3 x 4 (dense: 2 rows of 11) inputs, whose weights or bias or both are inputs of the network: file and inputs."""
    rng, w = np.random.default_rng(seed), ModelWriter()
    depth, channels = 4, 8 if code == "DEPTHWISE_CONV_2D" else 6
    groups = 2 if code == "CONV_2D" and seed % 2 else 1
    x_shape, w_shape, y_shape = {
        "CONV_2D": ((2, 3, 4, depth), (channels, 2, 3, depth // groups), (2, 3, 4, channels)),
        "DEPTHWISE_CONV_2D": ((1, 3, 4, depth), (1, 2, 3, channels), (1, 3, 4, channels)),
        "FULLY_CONNECTED": ((2, 11), (channels, 11), (2, channels)),
    }[code]
    real, wide = x_type == "float32", x_type == "int16"
    w_type = "float32" if real else "int8"
    x_scale, w_scale = (float(np.float32(s)) for s in (0.02 / (256 if wide else 1), rng.uniform(0.001, 0.02)))
    y_scale = float(np.float32(x_scale * w_scale * 70 * sqrt(np.prod(w_shape) / channels) * gain))
    zeros = [int(z) for z in rng.integers(-128, 128, 3)]
    if code != "FULLY_CONNECTED":
        zeros = [0, 0, 0] if wide else [zeros[0], 0, zeros[2]]
    x_q, w_q, y_q = ((), ()) if real else (x_scale, zeros[0]), (w_scale, zeros[1]), (y_scale, zeros[2])
    if real:
        x_q = w_q = y_q = ((), 0)
    x, y = w.tensor("x", x_shape, x_type, *x_q), w.tensor("y", y_shape, x_type, *y_q)
    w_data = values(rng, w_shape, w_type)
    computed = which != "bias"
    weights = w.tensor("w", w_shape, w_type, *(w_q if computed else (w_q[0], 0)), data=None if computed else w_data)
    operands, inputs, arrays = [x, weights], [x], [values(rng, x_shape, x_type)]
    if computed:
        inputs.append(weights)
        arrays.append(w_data)
    if has_bias or which != "weights":
        b_type = BIASES[x_type]
        data = rng.normal(0, 1, channels).astype("f4") if real else rng.integers(-3000, 3000, channels, b_type)
        bias = w.tensor(
            "b", (channels,), b_type, () if real else x_scale * w_scale, data=data if which == "weights" else None
        )
        operands.append(bias)
        if which != "weights":
            inputs.append(bias)
            arrays.append(data)
    options = {} if code == "FULLY_CONNECTED" else dict(Padding=0, StrideH=1, StrideW=1)
    if code == "DEPTHWISE_CONV_2D":
        options |= dict(DepthMultiplier=2)
    w.op(code, operands, [y], version=5, FusedActivationFunction=activation, **options)
    return w.finish(inputs, [y]), arrays


@pytest.mark.parametrize("x_type", BIASES)
@pytest.mark.parametrize("code", CODES)
@cases(12)
@given(which=st.sampled_from(WHICH), seed=seeds, gain=powers(-3, 3), activation=activations, bias=st.booleans())
def test_the_reference_is_the_oracle(file, code, x_type, which, seed, gain, activation, bias):
    data, arrays = model(code, x_type, which, seed, gain, activation, bias)
    file.write_bytes(data)
    np.testing.assert_array_equal(run(load(file), arrays)[0], Oracle(data).run(arrays)[0])


@pytest.mark.parametrize("way", COMPUTED, ids=lambda way: way.name)
def test_every_schedule_is_the_reference(file, way):
    made = []
    code = dict(zip(COMPUTED, CODES, strict=True))[way]
    for number in range(12):
        x_type, which = (*BIASES,)[number % 3], WHICH[number // 3 % 3]
        data, arrays = model(code, x_type, which, number, 1.0, number % 2, number % 4 > 0)
        file.write_bytes(data)
        graph = load(file)
        (op,) = graph.ops
        assert way.takes(op, CORTEX_M4)
        known = dict(zip(graph.inputs, arrays, strict=True))
        operands = [known[t] if t.data is None else t.data for t in op.inputs]
        made += [(op, way.build(op, schedule), operands) for schedule in way.schedules(op, CORTEX_M4)]
    inputs = [dict(zip(op.inputs, operands, strict=True)) for op, _, operands in made]
    found = run_calls([call for _, call, _ in made], inputs, sanitize=True)
    for (op, _, operands), result in zip(made, found, strict=True):
        np.testing.assert_array_equal(result, evaluate(op, *operands), err_msg=str(op))


@pytest.mark.parametrize("code", CODES[:2])
def test_a_zero_point_that_the_oracle_ignores_is_refused(file, code):
    w, shape = ModelWriter(), (1, 1, 1, 3)
    x, weights = w.tensor("x", shape, "int8", 0.1, 3), w.tensor("w", shape, "int8", 0.1, 5)
    y = w.tensor("y", (1, 1, 1, 1) if code == "CONV_2D" else shape, "int8", 0.1, 0)
    more = {} if code == "CONV_2D" else dict(DepthMultiplier=1)
    w.op(code, [x, weights], [y], Padding=0, StrideH=1, StrideW=1, **more)
    file.write_bytes(w.finish([x, weights], [y]))
    with pytest.raises(Unsupported, match="zero point other than 0"):
        load(file)


@pytest.mark.parametrize("board", ["nucleo_l4r5zi", "esp32c3"])
def test_a_network_that_compares_rows_with_each_other(board, tmp_path):
    """The heart of attention: the products of all rows with all rows, which are operand and weights at once; and with others."""
    need_oracle()
    w = ModelWriter()
    x = w.tensor("x", (6, 8), "int8", 0.05, -7)
    rows = w.tensor("rows", (6, 8), "int8", 0.06, 3)
    w.op("ADD", [x, w.tensor("c", (1, 8), "int8", 0.02, 0, data=np.arange(8))], [rows], FusedActivationFunction=0)
    scores, shares = w.tensor("scores", (6, 6), "int8", 0.1, 4), w.tensor("shares", (6, 6), "int8", 2.0**-8, -128)
    w.op("FULLY_CONNECTED", [rows, rows], [scores], FusedActivationFunction=0)
    w.op("SOFTMAX", [scores], [shares], Beta=1.0)
    turned, y = w.tensor("turned", (8, 6), "int8", 0.06, 3), w.tensor("y", (6, 8), "int8", 0.05, 0)
    w.op("TRANSPOSE", [rows, w.constant("p", [1, 0])], [turned])
    w.op("FULLY_CONNECTED", [shares, turned], [y], FusedActivationFunction=0)
    path = tmp_path / "rows.tflite"
    path.write_bytes(w.finish([x], [y]))
    compilation = compile(path, board)
    found = verify(compilation, random_inputs(compilation.model, 5), "tflm", path)
    assert not found.mismatches, found.verdict
