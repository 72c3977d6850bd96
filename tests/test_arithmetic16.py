"""The arithmetic of int16 activations against TensorFlow Lite Micro: every input there is."""

import numpy as np
import pytest

from smelt.kernels import interpolation
from smelt.kernels.calls import CallBuilder
from smelt.model import arithmetic16
from smelt.model.arithmetic16 import halved_multiplier, logistic16, requantize48, table_input, tanh16
from smelt.model.graph import Tensor
from tests import oracle
from tests.kernels_host import run_calls
from tests.tflite_writer import ModelWriter

EVERY = np.arange(-(2**15), 2**15).astype(np.int16)[None]


@pytest.mark.parametrize("code, function", [("LOGISTIC", logistic16), ("TANH", tanh16)])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 2.0**-13, 2.0**-15, 1e-3, 3.1e-5, 0.01])
def test_tables_with_interpolation(code, function, scale):
    w = ModelWriter()
    x, y = w.tensor("x", EVERY.shape, "int16", scale), w.tensor("y", EVERY.shape, "int16", 2.0**-15)
    w.op(code, [x], [y])
    (expected,) = oracle.run(w.finish([x], [y]), [EVERY])
    found = function(EVERY, table_input(float(np.float32(scale)), tanh=code == "TANH"))
    np.testing.assert_array_equal(found, expected)


def test_requantisation_of_48_bits_rounds_once_halves_up():
    assert (
        halved_multiplier(0x7FFF0000) == 0x7FFF == halved_multiplier(0x7FFFFFFF)
        and halved_multiplier(1 << 30) == 1 << 14
    )
    x = np.array([1, 3, -1, -3, 2**40], np.int64)
    assert requantize48(x, 1 << 30, 0).tolist()[:4] == [1, 2, 0, -1]
    assert requantize48(x, 1 << 30, -20)[4] == 1 << 19


@pytest.mark.parametrize("name", ["logistic16", "tanh16"])
def test_kernels_interpolate_alike(name):
    """Every input, at scales that need no multiplier, one, and one so large that products wrap."""
    expression, function, tanh = getattr(interpolation, name), getattr(arithmetic16, name), name == "tanh16"
    x, y = Tensor("x", EVERY.shape, "int16"), Tensor("y", EVERY.shape, "int16")
    inputs = [table_input(scale, tanh) for scale in (2.0**-12, 2.0**-11, 1e-3, 3.1e-5, 0.8, 7.3, 1000.0)]
    calls = []
    for by in inputs:
        k = CallBuilder("interpolated")
        source, table, target = k.operand("x", x), interpolation.logistic_table(k), k.result("y", y)
        with k.loop("i", 0, EVERY.size) as i:
            k.store(target, i, expression(k, table, source[i], by))
        calls.append(k.finish_call())
    results = run_calls(calls, [{x: EVERY}] * len(calls), sanitize=True)
    for by, result in zip(inputs, results, strict=True):
        np.testing.assert_array_equal(result, function(EVERY, by), err_msg=str(by))
