"""The arithmetic of onnxruntime's quantised operators against onnxruntime itself: single nodes with random numbers.

Its provider for x86 with VNNI is the oracle; other machines may compute sums, or `QLinearAdd`, differently.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from smelt.model.graph import Array, Op, Quantization, Tensor
from smelt.model.ops import Add, AveragePool2D, Conv2D, Dense, Dequantize, Mean, Mul, Padding, Quantize, Softmax
from smelt.model.parameters import softmax_steps
from smelt.model.reference import evaluate
from smelt.model.rescale import linear_rescale, mean_rescale, product_rescale
from smelt.model.tables import dequantize_integers, every_value, quantize_floats
from smelt.model.terms import fused_terms

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="platform: onnxruntime computes otherwise on other processors"
)
TYPES = ("int8", "uint8")


def run(kind: str, inputs: list[Array], y: Any, domain: str = "", **attributes: Any) -> Array:
    """The result of one node, whose inputs are all given as numbers."""
    helper = onnx.helper
    names = [f"i{n}" for n in range(len(inputs))]
    kinds = [helper.np_dtype_to_tensor_dtype(np.asarray(i).dtype) for i in inputs]
    node = helper.make_node(kind, names, ["y"], domain=domain, **attributes)
    fed = [
        helper.make_tensor_value_info(n, k, np.asarray(i).shape) for n, k, i in zip(names, kinds, inputs, strict=True)
    ]
    result = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(y)), None)
    # Scales and zero points are constants, as in models.
    constants = [onnx.numpy_helper.from_array(np.asarray(i), n) for n, i in zip(names[1:], inputs[1:], strict=True)]
    graph = helper.make_graph([node], "one", fed[:1], [result], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if inputs[0].dtype == np.uint8:  # without VNNI sums of pairs would saturate
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"i0": inputs[0]})[0])


class Random:
    """Tensors of the file, and the same as smelt has them: int8, 128 less where they are unsigned."""

    def __init__(self, seed: int, dtype: str) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype, self.more = np.dtype(dtype), 128 if dtype == "uint8" else 0

    def scale(self, low: float = 0.003, high: float = 0.06) -> np.float32:
        return np.float32(self.random.uniform(low, high))

    def tensor(self, name: str, shape: tuple[int, ...], scale: np.float32, zero: int | None = None) -> Tensor:
        zero = int(self.random.integers(-128, 128)) if zero is None else zero
        return Tensor(name, shape, "int8", Quantization((float(scale),), (zero,)))

    def values(self, shape: tuple[int, ...]) -> NDArray[np.int8]:
        return self.random.integers(-128, 128, shape).astype(np.int8)

    def filed(self, values: Array) -> Array:
        return (values.astype(np.int64) + self.more).astype(self.dtype)

    def parameters(self, tensor: Tensor) -> list[Array]:
        zero = np.asarray(tensor.q.zero_point + self.more, self.dtype)
        return [np.asarray(tensor.q.scale, np.float32), zero]

    def ours(self, op: Op, *values: Array) -> Array:
        """What smelt's reference makes of int8, as the file has it."""
        return self.filed(evaluate(op, *values))


def per_channel(random: Random, shape: tuple[int, ...], pow2: bool) -> tuple[Tensor, Array]:
    weights = random.random.integers(-127, 128, shape).astype(np.int8)
    scales = random.random.uniform(0.001, 0.02, shape[0]).astype(np.float32)
    scales = np.exp2(np.rint(np.log2(scales))).astype(np.float32) if pow2 else scales
    kept = tuple(float(s) for s in scales)
    return Tensor("w", shape, "int8", Quantization(kept, (0,) * len(kept), 0), weights), weights


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("pow2", [False, True], ids=["any", "pow2"])
@pytest.mark.parametrize("seed", range(3))
def test_convolutions_are_equal(seed: int, dtype: str, pow2: bool) -> None:
    r = Random(seed, dtype)
    x_scale, y_scale = (np.float32(2.0**-6), np.float32(2.0**-2)) if pow2 else (r.scale(), r.scale(0.1, 0.9))
    x, y = r.tensor("x", (1, 12, 12, 6), x_scale), r.tensor("y", (1, 12, 12, 9), y_scale)
    w, weights = per_channel(r, (9, 3, 3, 6), pow2)
    bias = r.random.integers(-9000, 9000, 9).astype(np.int32)
    rescale = linear_rescale(x, w, y, rounding="ties_even")
    op = Conv2D(
        y=y, x=x, weights=w, bias=Tensor("b", (9,), "int32", None, bias), rescale=rescale, pad=Padding(1, 1, 1, 1)
    )
    value = r.values(x.shape)
    inputs = [r.filed(value).transpose(0, 3, 1, 2), *r.parameters(x), weights.transpose(0, 3, 1, 2)]
    inputs += [np.asarray(w.q.scales, np.float32), np.zeros(9, np.int8), *r.parameters(y), bias]
    theirs = run("QLinearConv", inputs, dtype, pads=[1, 1, 1, 1])
    assert np.array_equal(r.ours(op, value, weights, bias), theirs.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("dtype", TYPES)
def test_dense_layers_are_equal(dtype: str) -> None:
    r = Random(5, dtype)
    x, y = r.tensor("x", (64, 70), r.scale()), r.tensor("y", (64, 24), r.scale(0.1, 0.9))
    w, weights = per_channel(r, (24, 70), False)
    bias = r.random.integers(-9000, 9000, 24).astype(np.int32)
    op = Dense(
        y=y, x=x, weights=w, bias=Tensor("b", (24,), "int32", None, bias),
        rescale=linear_rescale(x, w, y, rounding="ties_even"),
    )  # fmt: skip
    value = r.values(x.shape)
    inputs = [r.filed(value), *r.parameters(x), weights, np.asarray(w.q.scales, np.float32), np.zeros(24, np.int8)]
    theirs = run("QGemm", [*inputs, bias, *r.parameters(y)], dtype, "com.microsoft", transB=1)
    assert np.array_equal(r.ours(op, value, weights, bias), theirs)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scales", [None, (0.25, 0.25, 0.5), (0.125, 0.25, 0.25)], ids=["any", "halves", "pow2"])
def test_sums_are_equal(dtype: str, scales: tuple[float, ...] | None) -> None:
    """Of all pairs of operands."""
    for seed in range(12):
        r = Random(seed, dtype)
        of_x, of_x2, of_y = map(np.float32, scales) if scales else (r.scale(), r.scale(), r.scale(0.01, 0.1))
        x, x2, y = (r.tensor(n, (256, 256), s) for n, s in (("x", of_x), ("x2", of_x2), ("y", of_y)))
        op = Add(y=y, x=x, x2=x2, terms=fused_terms(x, x2, y, unsigned=dtype == "uint8"))
        value, value2 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
        value, value2 = value.astype(np.int8), value2.astype(np.int8)
        inputs = [r.filed(value), *r.parameters(x), r.filed(value2), *r.parameters(x2), *r.parameters(y)]
        theirs = run("QLinearAdd", inputs, dtype, "com.microsoft")
        assert np.array_equal(r.ours(op, value, value2), theirs), (seed, x, x2, y)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scales", [None, (0.125, 0.25, 0.5)], ids=["any", "pow2"])
def test_products_are_equal(dtype: str, scales: tuple[float, ...] | None) -> None:
    for seed in range(12):
        r = Random(seed, dtype)
        of_x, of_x2, of_y = map(np.float32, scales) if scales else (r.scale(), r.scale(), r.scale(0.001, 0.1))
        x, x2, y = (r.tensor(n, (256, 256), s) for n, s in (("x", of_x), ("x2", of_x2), ("y", of_y)))
        op = Mul(y=y, x=x, x2=x2, rescale=product_rescale(x, x2, y, unsigned=dtype == "uint8"))
        value, value2 = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
        value, value2 = value.astype(np.int8), value2.astype(np.int8)
        inputs = [r.filed(value), *r.parameters(x), r.filed(value2), *r.parameters(x2), *r.parameters(y)]
        theirs = run("QLinearMul", inputs, dtype, "com.microsoft")
        assert np.array_equal(r.ours(op, value, value2), theirs), (seed, x, x2, y)


@pytest.mark.parametrize("dtype", TYPES)
def test_global_averages_are_equal(dtype: str) -> None:
    for seed in range(8):
        r = Random(seed, dtype)
        scale = r.scale()
        x, y = (
            r.tensor("x", (1, 7, 5, 640), scale),
            r.tensor("y", (1, 640), np.float32(scale * r.random.uniform(0.2, 1))),
        )
        op = Mean(y=y, x=x, axes=(1, 2), rescale=mean_rescale(x, 35, y))
        value = r.values(x.shape)
        inputs = [r.filed(value).transpose(0, 3, 1, 2), *r.parameters(x), *r.parameters(y)]
        theirs = run("QLinearGlobalAveragePool", inputs, dtype, "com.microsoft", channels_last=0)
        assert np.array_equal(r.ours(op, value), theirs.reshape(1, 640))


@pytest.mark.parametrize("dtype", TYPES)
def test_averages_differ_at_ties_alone(dtype: str) -> None:
    """onnxruntime adds up reals, whose sums depend on their order: near ties it may be one step beside the one rounding here."""
    different = made = 0
    for seed in range(8):
        r = Random(seed, dtype)
        x, y = (r.tensor(n, (1, *s, 48), r.scale(0.01, 0.02)) for n, s in (("x", (12, 12)), ("y", (6, 6))))
        op = AveragePool2D(y=y, x=x, size=(3, 3), stride=(2, 2), pad=Padding(1, 1, 1, 1), rescale=mean_rescale(x, 9, y))
        value = r.values(x.shape)
        inputs = [r.filed(value).transpose(0, 3, 1, 2), *r.parameters(x), *r.parameters(y)]
        more = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}
        theirs = run("QLinearAveragePool", inputs, dtype, "com.microsoft", **more)
        beside = r.ours(op, value).astype(np.int64) - theirs.transpose(0, 2, 3, 1)
        assert np.abs(beside).max() <= 1
        different, made = different + np.count_nonzero(beside), made + beside.size
    assert different <= made // 1000, f"{different} of {made}"


@pytest.mark.parametrize("y_scale", [1 / 256, 1 / 255, 0.0035, 0.005])
@pytest.mark.parametrize("dtype", TYPES)
def test_softmax(dtype: str, y_scale: float) -> None:
    """A probability near a tie may go either way."""
    r = Random(3, dtype)
    x, y = r.tensor("x", (3000, 10), r.scale(0.05, 0.2)), r.tensor("y", (3000, 10), np.float32(y_scale), -128)
    op = Softmax(y=y, x=x, steps=softmax_steps(y))
    value = r.values(x.shape)
    inputs = [r.filed(value), *r.parameters(x), *r.parameters(y)]
    theirs = run("QLinearSoftmax", inputs, dtype, "com.microsoft", axis=-1, opset=13)
    beside = r.ours(op, value).astype(np.int64) - theirs
    assert np.abs(beside).max() <= 1 and np.count_nonzero(beside) <= 2


@pytest.mark.parametrize("dtype", TYPES)
def test_edges_are_equal(dtype: str) -> None:
    """Quantising and what undoes it, ties and ends included; requantising is one table."""
    r = Random(4, dtype)
    for scale in (np.float32(0.25), r.scale(), r.scale()):
        x, y = Tensor("x", (5000,), "float32"), r.tensor("y", (5000,), scale)
        value = (r.random.integers(-600, 600, 5000) * np.float32(0.5) * scale).astype(np.float32)
        value[::3] = r.random.normal(0, 100 * scale, len(value[::3]))
        value[:4] = [np.inf, -np.inf, 3e38, -3e38]
        op = Quantize(y=y, x=x, rounding="ties_even")
        assert np.array_equal(r.ours(op, value), run("QuantizeLinear", [value, *r.parameters(y)], dtype))
        bytes_ = r.values((5000,))
        back = Dequantize(y=x, x=y)
        theirs = run("DequantizeLinear", [r.filed(bytes_), *r.parameters(y)], "float32")
        assert np.array_equal(evaluate(back, bytes_), theirs)
        z = r.tensor("z", (5000,), r.scale())
        table = quantize_floats(dequantize_integers(every_value(y), y), z)
        assert np.array_equal(
            r.filed(table[bytes_.astype(int) + 128]), run("QuantizeLinear", [theirs, *r.parameters(z)], dtype)
        )
