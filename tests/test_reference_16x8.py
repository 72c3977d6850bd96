"""int16 activations with int8 weights, and int4 weights, against TensorFlow Lite Micro."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import Unsupported
from smelt.importers import load
from smelt.model.reference import run
from tests.oracle import Oracle
from tests.reference_check import activations, cases, powers, seeds, values
from tests.tflite_writer import ModelWriter

CODES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("wide") / "model.tflite"


def model(
    code: str, x_type: str, w_type: str, bias: str, seed: int, per_channel: bool, gain: float, activation: int
) -> tuple:
    """A layer of 3 x 4 (dense: 11) inputs: the file, and an input."""
    rng, w = np.random.default_rng(seed), ModelWriter()
    depth, channels = 5, 5 if code == "DEPTHWISE_CONV_2D" else 4
    shapes = {
        "CONV_2D": ((1, 3, 4, depth), (channels, 2, 3, depth), (1, 3, 4, channels)),
        "DEPTHWISE_CONV_2D": ((1, 3, 4, depth), (1, 2, 3, channels), (1, 3, 4, channels)),
        "FULLY_CONNECTED": ((2, 11), (channels, 11), (2, channels)),
        "TRANSPOSE_CONV": ((1, 3, 4, depth), (channels, 2, 3, depth), (1, 6, 8, channels)),
    }
    x_shape, w_shape, y_shape = shapes[code]
    axis = 3 if code == "DEPTHWISE_CONV_2D" else 0
    wide, packed = x_type == "int16", w_type == "int4"
    count = channels if per_channel and not (code == "FULLY_CONNECTED" and packed) else 1
    w_scales = [float(np.float32(s)) for s in rng.uniform(0.001, 0.02, count)]
    x_scale = float(np.float32(0.02 / (256 if wide else 1)))
    terms = np.prod(w_shape) / channels
    y_scale = float(np.float32(x_scale * max(w_scales) * (7 if packed else 100) * sqrt(terms) * gain))
    zeros = (
        (0, 0) if wide and code != "FULLY_CONNECTED" else (int(rng.integers(-128, 128)), int(rng.integers(-128, 128)))
    )
    x, y = w.tensor("x", x_shape, x_type, x_scale, zeros[0]), w.tensor("y", y_shape, x_type, y_scale, zeros[1])
    low, high = (-7, 8) if packed else (-127, 128)
    weights = w.tensor("w", w_shape, w_type, w_scales, data=rng.integers(low, high, w_shape), axis=axis)
    inputs = [x, weights]
    if code == "TRANSPOSE_CONV":
        inputs = [w.constant("shape", list(y_shape)), weights, x]
    if bias:
        most = 2**34 if bias == "int64" and seed % 3 == 0 else 3000
        data = rng.integers(-most, most, channels)
        inputs.append(w.tensor("b", (channels,), bias, [x_scale * s for s in w_scales], data=data))
    options = {} if code == "FULLY_CONNECTED" else dict(Padding=0, StrideH=1, StrideW=1)
    if code == "TRANSPOSE_CONV":
        options |= dict(StrideH=2, StrideW=2)
    else:
        options |= dict(FusedActivationFunction=activation)
    if code == "DEPTHWISE_CONV_2D":
        options |= dict(DepthMultiplier=1)
    w.op(code, inputs, [y], version=3, **options)
    return w.finish([x], [y]), values(rng, x_shape, x_type)


def check(file, made: tuple) -> None:
    data, array = made
    file.write_bytes(data)
    np.testing.assert_array_equal(run(load(file), [array])[0], Oracle(data).run([array])[0])


@pytest.mark.parametrize("bias", ["int64", "int32", ""])
@pytest.mark.parametrize("code", CODES)
@cases(12)
@given(seed=seeds, per_channel=st.booleans(), gain=powers(-3, 4), activation=activations)
def test_int16_activations(file, code, bias, seed, per_channel, gain, activation):
    if bias == "int32" and code in ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        made = model(code, "int16", "int8", bias, seed, per_channel, gain, activation)
        file.write_bytes(made[0])
        with pytest.raises(Unsupported, match="int64"):  # the oracle reads it as int64
            load(file)
        return
    check(file, model(code, "int16", "int8", bias, seed, per_channel, gain, activation))


@pytest.mark.parametrize("code", CODES[:3])
@cases(12)
@given(seed=seeds, per_channel=st.booleans(), gain=powers(-3, 4), activation=activations)
def test_int4_weights(file, code, seed, per_channel, gain, activation):
    check(file, model(code, "int8", "int4", "int32", seed, per_channel, gain, activation))
