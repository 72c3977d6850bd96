"""A network of int16 activations, and one of int4 weights, on simulated boards: every value is TensorFlow Lite Micro's."""

from __future__ import annotations

import numpy as np
import pytest

from smelt import compile, execute, profile, random_inputs
from smelt.importers import load
from smelt.model.ops import Linear
from smelt.report.verify import verify
from tests.oracle import need_oracle
from tests.paths import KWS
from tests.requantized import requantized
from tests.tflite_writer import ModelWriter


def network(x_type: str, w_type: str) -> bytes:
    """Convolution, depthwise, pointwise, sum of two branches, pool, dense, softmax: what keyword spotters are made of."""
    rng, w = np.random.default_rng(5), ModelWriter()
    wide = x_type == "int16"
    unit, bias_type, low = 256 if wide else 1, "int64" if wide else "int32", 7 if w_type == "int4" else 127

    def tensor(name: str, shape: tuple[int, ...], scale: float) -> int:
        return w.tensor(name, shape, x_type, float(np.float32(scale / unit)), 0 if wide else -128)

    def layer(
        code: str, x: int, x_scale: float, y: tuple[int, ...], weights: tuple[int, ...], axis: int, **options
    ) -> int:
        scales = [
            float(np.float32(s)) for s in rng.uniform(0.004, 0.008, 1 if code == "FULLY_CONNECTED" else weights[axis])
        ]
        data = rng.integers(-low, low + 1, weights)
        table = w.tensor(f"w{x}", weights, w_type, scales, data=data, axis=axis)
        bias = w.tensor(
            f"b{x}", (weights[axis],), bias_type, [x_scale / unit * s for s in scales],
            data=rng.integers(-200 * unit, 200 * unit, weights[axis]),
        )  # fmt: skip
        result = tensor(f"y{x}", y, 0.05)
        w.op(code, [x, table, bias], [result], version=3, FusedActivationFunction=1, **options)
        return result

    one = dict(Padding=0, StrideH=1, StrideW=1)
    x = tensor("x", (1, 12, 10, 1), 0.05)
    a = layer("CONV_2D", x, 0.05, (1, 6, 5, 8), (8, 5, 4, 1), 0, Padding=0, StrideH=2, StrideW=2)
    b = layer("DEPTHWISE_CONV_2D", a, 0.05, (1, 6, 5, 8), (1, 3, 3, 8), 3, DepthMultiplier=1, **one)
    c = layer("CONV_2D", b, 0.05, (1, 6, 5, 8), (8, 1, 1, 8), 0, **one)
    d = tensor("sum", (1, 6, 5, 8), 0.07)
    w.op("ADD", [a, c], [d], FusedActivationFunction=0)
    e = tensor("pooled", (1, 1, 1, 8), 0.07)
    w.op("AVERAGE_POOL_2D", [d], [e], Padding=1, StrideH=6, StrideW=5, FilterHeight=6, FilterWidth=5)
    flat = tensor("flat", (1, 8), 0.07)
    w.op("RESHAPE", [e, w.constant("shape", [1, 8])], [flat])
    f = layer("FULLY_CONNECTED", flat, 0.07, (1, 5), (5, 8), 0)
    y = w.tensor("y", (1, 5), x_type, 2.0**-15 if wide else 2.0**-8, 0 if wide else -128)
    w.op("SOFTMAX", [f], [y], Beta=1.0)
    return w.finish([x], [y])


@pytest.mark.parametrize("board", ["nucleo_l4r5zi", "disco_f746ng", "esp32c3"])
@pytest.mark.parametrize("x_type, w_type", [("int16", "int8"), ("int8", "int4")])
def test_networks(x_type, w_type, board, tmp_path):
    need_oracle()
    path = tmp_path / "model.tflite"
    path.write_bytes(network(x_type, w_type))
    compilation = compile(path, board)
    found = verify(compilation, random_inputs(compilation.model, 8), "tflm", path)
    assert not found.mismatches, found.verdict


@pytest.mark.parametrize("board", ["nucleo_l4r5zi", "disco_f746ng"])
def test_sums_of_64_bits(board, tmp_path):
    """So many large weights that 32 bits do not hold every sum: a convolution and a dense layer, with the instruction for it."""
    need_oracle()
    rng, w = np.random.default_rng(7), ModelWriter()
    x = w.tensor("x", (1, 4, 5, 128), "int16", 2.0**-12, 0)
    y = w.tensor("y", (1, 2, 3, 3), "int16", 2.0**-5, 0)
    filters = w.tensor("w", (3, 3, 3, 128), "int8", 2.0**-6, data=np.where(rng.random((3, 3, 3, 128)) < 0.5, -127, 127))
    w.op("CONV_2D", [x, filters], [y], version=3, Padding=1, StrideH=1, StrideW=1)
    z = w.tensor("z", (4, 2), "int16", 2.0**-5, 0)
    matrix = w.tensor("m", (2, 640), "int8", 2.0**-6, data=np.where(rng.random((2, 640)) < 0.5, -127, 127))
    w.op("FULLY_CONNECTED", [x, matrix], [z], version=3)
    path = tmp_path / "model.tflite"
    path.write_bytes(w.finish([x], [y, z]))
    compilation = compile(path, board)
    names = {way.implementation.name for some in compilation.plan.ways for way in some.ways}
    assert names == {"conv2d_dsp16", "dense_dsp16"} and "smelt_smlald" in "".join(compilation.sources.files.values())
    found = verify(compilation, random_inputs(compilation.model, 4), "tflm", path)
    assert not found.mismatches, found.verdict


def test_what_numbers_cost(tmp_path):
    """The keyword spotter of MLPerf Tiny in three kinds of numbers: int4 takes half the flash, neither much longer."""
    need_oracle()
    found = {}
    for name, numbers in {"int8": ("int8", "int8"), "int4": ("int8", "int4"), "16x8": ("int16", "int8")}.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(requantized(KWS, *numbers))
        compilation = compile(path, "nucleo_l4r5zi")
        inputs = random_inputs(compilation.model, 2)
        assert not verify(compilation, inputs, "tflm", path).mismatches, name
        found[name] = profile(compilation, execute(compilation, inputs[:1]).run)
    weights = sum(op.weights.elements for op in load(KWS).ops if isinstance(op, Linear))
    assert found["int8"].constant_bytes - found["int4"].constant_bytes >= 0.48 * weights
    assert found["int4"].cycles < 1.05 * found["int8"].cycles and found["16x8"].cycles < 1.2 * found["int8"].cycles
