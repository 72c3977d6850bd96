"""Quantised operators of ONNX files, in QDQ and QOperator form, against onnxruntime with quantised operators fused.

Weights have seven bits: without VNNI, onnxruntime adds pairs of products in 16 bits, which saturate else.
"""

import random

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.harness import Finding
from fuzz.qdq import Table, compared
from fuzz.qdq_growth import grown
from smelt.errors import Unsupported
from smelt.importers.onnx_load import load_onnx
from smelt.model.reference import computes_reals
from smelt.passes import prepare
from tests.onnx_models import by_onnxruntime, by_smelt, int4, model, node, random_inputs

MS = "com.microsoft"


def zero(value, dtype):
    return np.array(value, dtype)


class Builder:
    """A QDQ graph under construction: names of values, and constants."""

    def __init__(self, dtype="int8", seed=0):
        self.dtype, self.nodes, self.constants, self.generator = dtype, [], {}, np.random.default_rng(seed)

    def name(self, stem):
        return f"{stem}{len(self.nodes)}_{len(self.constants)}"

    def constant(self, stem, value):
        name = self.name(stem)
        self.constants[name] = value
        return name

    def add(self, op, inputs, domain="", **attributes):
        y = self.name(op.lower())
        self.nodes.append(node(op, inputs, y, domain, **attributes))
        return y

    def q(self, x, scale, z, dtype=None):
        s, zp = self.constant("s", np.float32(scale)), self.constant("z", zero(z, dtype or self.dtype))
        return self.add("QuantizeLinear", f"{x} {s} {zp}")

    def dq(self, x, scale, z, dtype=None):
        s, zp = self.constant("s", np.float32(scale)), self.constant("z", zero(z, dtype or self.dtype))
        return self.add("DequantizeLinear", f"{x} {s} {zp}")

    def qdq(self, x, scale, z, dtype=None):
        return self.dq(self.q(x, scale, z, dtype), scale, z, dtype)

    def weights(self, shape, scales, axis=0):
        w = self.constant("w", self.generator.integers(-63, 64, shape).astype(np.int8))
        scales = np.asarray(scales, np.float32)
        s, z = self.constant("s", scales), self.constant("z", np.zeros(scales.shape, np.int8))
        return self.add("DequantizeLinear", f"{w} {s} {z}", axis=axis)

    def bias(self, channels, scales, axis=0):
        b = self.constant("b", self.generator.integers(-2000, 2000, channels).astype(np.int32))
        s, z = (
            self.constant("s", np.asarray(scales, np.float32)),
            self.constant("z", np.zeros(np.shape(scales), np.int32)),
        )
        return self.add("DequantizeLinear", f"{b} {s} {z}", axis=axis)

    def conv(self, x, x_scale, channels, depth, size=3, group=1, float_bias=False, **attributes):
        scales = self.generator.uniform(0.002, 0.02, channels).astype(np.float32)
        w = self.weights((channels, depth // group, size, size), scales)
        if float_bias:
            b = self.constant("b", self.generator.normal(0, 1, channels).astype(np.float32))
        else:
            b = self.bias(channels, np.float32(x_scale) * scales)
        return self.add("Conv", f"{x} {w} {b}", group=group, **attributes)

    def file(self, shapes, y, opset=17, types=None):
        return model(self.nodes, dict(zip(("x", "x2"), shapes, strict=False)), [y], self.constants, opset, types)


def both(file, shapes, seed=0, layout="channels_last"):
    arrays = random_inputs(shapes, seed)
    (wanted,) = by_onnxruntime(file, arrays)
    (found,) = by_smelt(file, arrays, layout)
    assert found.shape == wanted.shape
    return found.astype(np.float64), wanted.astype(np.float64)


def integers_only(file):
    """Whether nothing but the edges computes in float32."""
    return not computes_reals(prepare(load_onnx(file, "net")))


IMAGE = (1, 4, 9, 8)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("float_bias", [False, True])
def test_convolutions_are_equal(dtype, group, float_bias):
    b = Builder(dtype, group)
    z = 3 if dtype == "int8" else 131
    x = b.qdq("x", 0.024, z)
    y = b.qdq(b.conv(x, 0.024, 8, 4, 3, group, float_bias, pads=[1, 0, 1, 2], strides=[2, 1]), 0.031, z - 9)
    file = b.file([IMAGE], y)
    found, wanted = both(file, [IMAGE])
    assert np.array_equal(found, wanted) and integers_only(file)


@pytest.mark.parametrize("transposed", [0, 1])
def test_dense_behind_flatten_is_equal(transposed):
    b = Builder()
    x = b.qdq("x", 0.024, 3)
    c = b.qdq(b.conv(x, 0.024, 5, 4), 0.05, -20)
    flat = b.qdq(b.add("Flatten", c), 0.05, -20)
    scales = b.generator.uniform(0.002, 0.02, 6).astype(np.float32)
    shape, axis = ((6, 210), 0) if transposed else ((210, 6), 1)
    w = b.weights(shape, scales, axis)
    bias = b.bias(6, np.float32(0.05) * scales)
    file = b.file([IMAGE], b.qdq(b.add("Gemm", f"{flat} {w} {bias}", transB=transposed), 0.2, 5))
    found, wanted = both(file, [IMAGE])
    assert np.array_equal(found, wanted) and integers_only(file)


def test_matmul_and_add_are_dense():
    b = Builder()
    x = b.qdq("x", 0.02, 3)
    w = b.weights((7, 5), [0.01])
    product = b.add("MatMul", f"{x} {w}")
    bias = b.constant("bias", np.arange(5, dtype=np.float32))
    file = b.file([(2, 7)], b.qdq(b.add("Add", f"{product} {bias}"), 0.05, -3))
    graph = prepare(load_onnx(file, "net"))
    assert [type(op).__name__ for op in graph.ops if type(op).__name__ != "Reshape"] == ["Quantize", "Dense", "Lookup"]
    found, wanted = both(file, [(2, 7)])
    assert np.max(np.abs(found - wanted)) <= 0.0501  # onnxruntime adds the bias in float32, before it rounds


@pytest.mark.parametrize("limits", [(0, 6), (0, None)])
@pytest.mark.parametrize("placed", ["before", "between"])
def test_activations_become_limits(limits, placed):
    """Relu and relu6 before the quantiser, and between two quantisers of the same parameters, as PT2E writes them."""
    b = Builder()
    x = b.qdq("x", 0.024, 3)
    c = b.conv(x, 0.024, 8, 4)
    if placed == "between":
        c = b.qdq(c, 0.05, -20)
    low, high = (b.constant("m", np.float32(v)) if v is not None else "-" for v in limits)
    r = b.add("Clip", f"{c} {low} {high}")
    file = b.file([IMAGE], b.qdq(r, 0.05, -20))
    graph = prepare(load_onnx(file, "net"))
    assert [type(op).__name__ for op in graph.ops] == ["Quantize", "Conv2D", "Lookup"]
    found, wanted = both(file, [IMAGE])
    assert np.max(np.abs(found - wanted)) <= 0.0501 and np.mean(found != wanted) < 0.01


def test_few_bits_as_brevitas_writes_them():
    """Integers clipped between the quantiser and what reads them."""
    b = Builder("uint8")
    x = b.qdq("x", 0.024, 131)
    q = b.q(b.conv(x, 0.024, 8, 4), 0.3, 0)
    low, high = b.constant("l", np.uint8(0)), b.constant("h", np.uint8(15))
    file = b.file([IMAGE], b.dq(b.add("Clip", f"{q} {low} {high}"), 0.3, 0))
    graph = prepare(load_onnx(file, "net"))
    assert graph.ops[1].limits == (-128, -113)
    found, wanted = both(file, [IMAGE])
    assert np.max(np.abs(found - wanted)) <= 0.301 and np.mean(found != wanted) < 0.01


def test_weights_of_four_bits():
    b = Builder()
    x = b.qdq("x", 0.02, 3)
    b.constants["w"] = int4("w", b.generator.integers(-8, 8, (6, 10)))
    s, z = b.constant("s", np.full(6, 0.03, np.float32)), int4("wz", np.zeros(6, np.int64))
    b.constants["wz"] = z
    w = b.add("DequantizeLinear", f"w {s} wz", axis=0)
    file = b.file([(1, 10)], b.qdq(b.add("Gemm", f"{x} {w}", transB=1), 0.05, 1), opset=21)
    graph = load_onnx(file, "net")
    dense = next(op for op in graph.ops if type(op).__name__ == "Dense")
    assert dense.weights.dtype == "int4"
    found, wanted = both(file, [(1, 10)])
    assert np.max(np.abs(found - wanted)) <= 0.0501


POINTWISE = {
    "add": ("Add", 0.05, 0.0),
    "sub": ("Sub", 0.05, 0.01),
    "mul": ("Mul", 0.08, 0.01),
}


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("name", POINTWISE)
def test_sums_and_products(name, dtype):
    op, scale, share = POINTWISE[name]
    b = Builder(dtype)
    z = 3 if dtype == "int8" else 131
    x, x2 = b.qdq("x", 0.024, z), b.qdq("x2", 0.023, z - 8)
    file = b.file([IMAGE, IMAGE], b.qdq(b.add(op, f"{x} {x2}"), scale, z - 5))
    found, wanted = both(file, [IMAGE, IMAGE])
    assert integers_only(file) and np.mean(found != wanted) <= share and np.max(np.abs(found - wanted)) <= scale * 1.001


@pytest.mark.parametrize(("left", "right"), [("int8", "int8"), ("uint8", "uint8"), ("uint8", "int8")])
def test_products_of_two_values_are_equal(left, right):
    """An attention head: queries times keys that are transposed, a softmax, times values."""
    b = Builder(left)
    z, z2 = (3 if dtype == "int8" else 131 for dtype in (left, right))
    x, x2 = b.qdq("x", 0.024, z), b.qdq("x2", 0.05, z2 - 8, right)
    scores = b.qdq(b.add("MatMul", f"{x} {b.add('Transpose', x2, perm=[0, 2, 1])}"), 0.11, z + 4)
    file = b.file([(2, 9, 12), (2, 7, 12)], scores)
    found, wanted = both(file, [(2, 9, 12), (2, 7, 12)])
    assert integers_only(file) and np.array_equal(found, wanted) and np.unique(found).size > 60
    soft = b.qdq(b.add("Softmax", scores, axis=-1), 1 / 256, -128 if left == "int8" else 0)
    file = b.file([(2, 9, 12), (2, 7, 12)], b.qdq(b.add("MatMul", f"{soft} {x2}"), 0.03, z - 9))
    found, wanted = both(file, [(2, 9, 12), (2, 7, 12)])
    assert integers_only(file) and np.mean(found != wanted) < 0.02 and np.max(np.abs(found - wanted)) <= 0.0301


def test_the_fully_connected_product_of_two_values_is_equal():
    b = Builder()
    x, x2 = b.qdq("x", 0.024, 3), b.qdq("x2", 0.05, -8)
    file = b.file([(9, 12), (7, 12)], b.qdq(b.add("Gemm", f"{x} {x2}", transB=1), 0.11, 4))
    found, wanted = both(file, [(9, 12), (7, 12)])
    assert integers_only(file) and np.array_equal(found, wanted)


FUNCTIONS = {
    "LeakyRelu": {}, "Sigmoid": {}, "Tanh": {}, "HardSigmoid": {}, "HardSwish": {}, "Elu": {}, "Abs": {}, "Erf": {},
    "Softmax": {"axis": 1}, "GlobalAveragePool": {}, "AveragePool": {"kernel_shape": [3, 2]},
    "ReduceMean": {"axes": [2, 3]}, "MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]},
}  # fmt: skip


@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions_between_quantisers(op):
    """Within one step on less than one value of a hundred, but softmax."""
    b = Builder()
    x = b.qdq("x", 0.024, 3)
    scale, z = (0.024, 3) if op == "MaxPool" else (1 / 256, -128) if op == "Softmax" else (0.011, -7)
    file = b.file([IMAGE], b.qdq(b.add(op, x, **FUNCTIONS[op]), scale, z))
    found, wanted = both(file, [IMAGE])
    assert integers_only(file)
    assert np.max(np.abs(found - wanted)) <= scale * 1.001 and np.mean(found != wanted) <= 0.02


def test_a_chain_of_functions_of_one_byte_is_one_table():
    b = Builder()
    x = b.qdq("x", 0.024, 3)
    h = b.add("HardSigmoid", x)
    m = b.add("Mul", f"{x} {h}")
    k = b.constant("k", np.float32(0.5))
    y = b.q(b.add("Mul", f"{m} {k}"), 0.02, 0)
    graph = prepare(load_onnx(b.file([IMAGE], y, types={y: onnx.TensorProto.INT8}), "net"))
    assert [type(op).__name__ for op in graph.ops] == ["Quantize", "Lookup"]


def test_moves_commute_with_quantisation():
    """Concatenation of several scales, padding, slicing, nearest resizing, transposition: no value leaves the integers."""
    b = Builder()
    x, x2 = b.qdq("x", 0.024, 3), b.qdq("x2", 0.05, -8)
    c = b.qdq(b.add("Concat", f"{x} {x2}", axis=1), 0.05, -8)
    pads = b.constant("p", np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64))
    p = b.add("Pad", f"{c} {pads}")
    s, e = b.constant("s", np.array([1], np.int64)), b.constant("e", np.array([7], np.int64))
    a = b.constant("a", np.array([1], np.int64))
    cut = b.add("Slice", f"{p} {s} {e} {a}")
    scales = b.constant("k", np.array([1, 1, 2, 2], np.float32))
    up = b.add(
        "Resize",
        f"{cut} - {scales}",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    file = b.file([IMAGE, IMAGE], b.qdq(b.add("Transpose", up, perm=[0, 2, 3, 1]), 0.05, -8))
    found, wanted = both(file, [IMAGE, IMAGE])
    assert integers_only(file) and np.array_equal(found, wanted)


def test_int16_is_moved_and_quantised_anew_and_computed_with_as_written():
    """onnxruntime has no fused operators of int16: what computes is float32, and equal."""
    b = Builder("int16")
    x, x2 = b.qdq("x", 0.001, 0), b.qdq("x2", 0.002, 0)
    pool = b.qdq(b.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 0.001, 0)
    both_scales = b.qdq(b.add("Concat", f"{pool} {x2}", axis=1), 0.002, 0)
    file = b.file([IMAGE, IMAGE], both_scales, opset=21)
    found, wanted = both(file, [IMAGE, IMAGE])
    assert np.array_equal(found, wanted) and integers_only(file)
    words = b.qdq(b.add("Add", f"{x} {x2}"), 0.003, 0)
    file = b.file([IMAGE, IMAGE], b.qdq(b.add("Relu", words), 0.03, -5, "int8"), opset=21)
    found, wanted = both(file, [IMAGE, IMAGE])
    assert np.array_equal(found, wanted) and np.unique(found).size > 60


def test_a_zero_point_for_each_channel_of_an_activation_is_computed_as_written():
    b = Builder("uint8")
    scales = b.constant("s", np.array([0.02, 0.03, 0.04, 0.05], np.float32))
    zeros = b.constant("z", np.array([128, 120, 110, 130], np.uint8))
    q = b.add("QuantizeLinear", f"x {scales} {zeros}", axis=1)
    file = b.file([IMAGE], b.add("DequantizeLinear", f"{q} {scales} {zeros}", axis=1))
    found, wanted = both(file, [IMAGE])
    assert np.allclose(found, wanted, rtol=1e-6, atol=1e-7)
    assert any("zero points for each channel" in remark for remark in load_onnx(file, "net").remarks)


@pytest.mark.parametrize("behind", ["depthwise", "reals", "clipped"])
def test_one_zero_point_and_scales_for_each_channel_are_bytes(behind):
    """As NNCF writes them: scales for each channel become part of the weights behind them, or of reals where there are none."""
    b = Builder()
    x = b.qdq("x", 0.024, 3)
    c = b.qdq(b.conv(x, 0.024, 4, 4, pads=[1] * 4), 0.02, 3)
    total = b.add("Add", f"{c} {b.qdq(b.add('Tanh', c), 0.01, 3)}")
    scales = b.constant("s", np.array([0.02, 0.03, 0.04, 0.05], np.float32))
    zeros = b.constant("z", np.full(4, 128, np.uint8))
    q = b.add("QuantizeLinear", f"{total} {scales} {zeros}", axis=1)
    if behind == "clipped":
        q = b.add("Clip", f"{q} {b.constant('l', np.uint8(100))} {b.constant('h', np.uint8(150))}")
    y = b.add("DequantizeLinear", f"{q} {scales} {zeros}", axis=1)
    if behind == "depthwise":
        y = b.qdq(b.conv(y, 0.03, 8, 4, 3, 4, float_bias=True, pads=[1] * 4), 0.05, -20)
    file = b.file([IMAGE], y)
    found, wanted = both(file, [IMAGE])
    graph = prepare(load_onnx(file, "net"))
    assert sum(type(op).__name__ == "Quantize" for op in graph.ops) == 2
    assert not any("kept as float32" in remark for remark in graph.remarks)
    if behind == "depthwise":
        (conv,) = (op for op in graph.ops if type(op).__name__ == "DepthwiseConv2D")
        assert conv.x.dtype == conv.y.dtype == "int8"
        assert np.max(np.abs(found - wanted)) <= 0.0501 and np.mean(found != wanted) < 0.01
    else:
        assert np.array_equal(found, wanted)


def test_only_weights_are_quantised():
    """Then the product is one of reals; onnxruntime is told not to make activations int8 (its MatMulNBits would)."""
    b = Builder()
    w = b.weights((64, 16), b.generator.uniform(0.002, 0.02, 16), 1)
    file = b.file([(5, 64)], b.add("MatMul", f"x {w}"), opset=21)
    found, wanted = both(file, [(5, 64)])
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_weights_of_nine_bits_are_reals(form):
    """uint8 with a zero point far from 128: not integers of smelt's, but no reason to refuse the file."""
    b = Builder("uint8")
    w = b.constant("w", b.generator.integers(90, 150, (6, 10)).astype(np.uint8))
    b.constants[w][0, 0] = 250
    s, z = b.constant("s", np.float32(0.01)), b.constant("wz", np.uint8(100))
    if form == "QDQ":
        x = b.qdq("x", 0.024, 131)
        y = b.qdq(b.add("Gemm", f"{x} {b.add('DequantizeLinear', f'{w} {s} {z}')}", transB=1), 0.05, 120)
    else:
        xs, xz = b.constant("xs", np.float32(0.024)), b.constant("xz", np.uint8(131))
        ys, yz = b.constant("ys", np.float32(0.05)), b.constant("yz", np.uint8(120))
        q = b.add("QLinearConv", f"{b.q('x', 0.024, 131)} {xs} {xz} {w} {s} {z} {ys} {yz}")
        b.constants[w] = b.constants[w].reshape(6, 10, 1, 1)
        y = b.dq(q, 0.05, 120)
    shape = (5, 10) if form == "QDQ" else (1, 10, 3, 4)
    file = b.file([shape], y)
    assert any("computed in float32" in remark for remark in load_onnx(file, "net").remarks)
    found, wanted = both(file, [shape])
    assert np.max(np.abs(found - wanted)) <= 0.0501 and np.mean(found != wanted) <= 0.02


def test_one_value_may_be_several_outputs():
    """Also seen in another shape, which reads what is an output itself."""
    b = Builder()
    c = b.q(b.conv(b.qdq("x", 0.024, 3), 0.024, 8, 4), 0.05, -20)
    flat = b.add("Flatten", c)
    nodes = [*b.nodes, node("Identity", c, "same"), node("Flatten", "same", "flat_again")]
    names = [c, flat, "same", "flat_again"]
    types = dict.fromkeys(names, onnx.TensorProto.INT8)
    file = model(nodes, {"x": IMAGE}, names, b.constants, types=types)
    arrays = random_inputs([IMAGE])
    for found, wanted in zip(by_smelt(file, arrays), by_onnxruntime(file, arrays), strict=True):
        assert np.array_equal(found.reshape(wanted.shape), wanted)


def test_a_float_head_and_tail_work():
    b = Builder()
    head = b.add("Tanh", "x")
    x = b.qdq(head, 0.01, 3)
    c = b.qdq(b.conv(x, 0.01, 8, 4), 0.05, -20)
    file = b.file([IMAGE], b.add("Softmax", c, axis=1))
    found, wanted = both(file, [IMAGE])
    assert np.allclose(found, wanted, atol=1e-2)


# QOperator form


def triples(b, operands, y):
    """The operands of an operator of integers: (value, scale, zero point) of each, then the scale and zero point of the result."""
    words = []
    for value, scale, z in operands:
        words += [value, b.constant("s", np.asarray(scale, np.float32)), b.constant("z", z)]
    scale, z = y
    words += [b.constant("s", np.asarray(scale, np.float32)), b.constant("z", z)]
    return words


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_network_of_qoperators_is_equal(dtype):
    z = np.array(3 if dtype == "int8" else 131, dtype)
    b = Builder(dtype)
    w = b.constant("w", b.generator.integers(-63, 64, (8, 4, 3, 3)).astype(np.int8))
    bias = b.constant("b", b.generator.integers(-2000, 2000, 8).astype(np.int32))
    scales = b.generator.uniform(0.002, 0.02, 8).astype(np.float32)
    q = b.q("x", 0.024, z, dtype)
    words = triples(b, [(q, 0.024, z), (w, scales, np.zeros(8, np.int8))], (0.05, z))
    c = b.add("QLinearConv", " ".join([*words, bias]), pads=[1, 1, 1, 1])
    r = b.add("QLinearLeakyRelu", " ".join(triples(b, [(c, 0.05, z)], (0.04, z))), MS, alpha=0.1)
    a = b.add("QLinearAdd", " ".join(triples(b, [(c, 0.05, z), (r, 0.04, z)], (0.08, z))), MS)
    m = b.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    s = b.add("QLinearSigmoid", " ".join(triples(b, [(m, 0.08, z)], (0.004, z))), MS)
    p = b.add("QLinearMul", " ".join(triples(b, [(m, 0.08, z), (s, 0.004, z)], (0.07, z))), MS)
    ys, yz = b.constant("s", np.float32(0.08)), b.constant("z", z)
    ends = [
        b.constant("s", np.float32(0.08)),
        b.constant("z", z),
        b.constant("s", np.float32(0.07)),
        b.constant("z", z),
    ]
    j = b.add("QLinearConcat", f"{ys} {yz} {m} {ends[0]} {ends[1]} {p} {ends[2]} {ends[3]}", MS, axis=1)
    g = b.add("QLinearGlobalAveragePool", " ".join(triples(b, [(j, 0.08, z)], (0.03, z))), MS, channels_last=0)
    f = b.add("Flatten", g)
    v = b.constant("v", b.generator.integers(-63, 64, (5, 16)).astype(np.int8))
    vs, vz = b.constant("s", np.float32(0.01)), b.constant("z", np.int8(0))
    fs, fz = b.constant("s", np.float32(0.03)), b.constant("z", z)
    os_, oz = b.constant("s", np.float32(0.05)), b.constant("z", z)
    d = b.add("QGemm", f"{f} {fs} {fz} {v} {vs} {vz} - {os_} {oz}", MS, transB=1)
    file = b.file([IMAGE], b.dq(d, 0.05, z, dtype))
    found, wanted = both(file, [IMAGE])
    assert integers_only(file) and np.array_equal(found, wanted)


# Random graphs


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_random_graphs(dice):
    """Nothing crashes, all is computed in integers but averages that do not count their padding, and every operator is equal to
    onnxruntime's, or a step beside it at near-ties. `python -m fuzz.qdq` tries more of them, and on boards."""
    graph = grown(dice)
    assert compared(graph, Table()) <= any("does not count" in block.kind for block in graph.blocks)


def test_a_step_beside_is_found(monkeypatch):
    """What is said to be equal is compared, and so are shares."""
    monkeypatch.setattr("fuzz.qdq.by_smelt", lambda file, arrays: [y + y.dtype.type(1) for y in by_smelt(file, arrays)])
    with pytest.raises(Finding, match="differs by"):
        for seed in range(20):
            compared(grown(random.Random(seed)), Table())
    table = Table()
    table.add("Add", np.array([0] * 99 + [1] * 2))
    assert table.show() == 1 and table.rows["Add"].largest == 1


def test_clipped_integers_that_are_kept_as_reals_are_refused():
    b = Builder("uint8")
    scales = b.constant("s", np.array([0.02, 0.03, 0.04, 0.05], np.float32))
    zeros = b.constant("z", np.array([128, 120, 110, 130], np.uint8))
    q = b.add("QuantizeLinear", f"x {scales} {zeros}", axis=1)
    q = b.add("Clip", f"{q} {b.constant('l', np.uint8(100))} {b.constant('h', np.uint8(150))}")
    file = b.file([IMAGE], b.add("DequantizeLinear", f"{q} {scales} {zeros}", axis=1))
    with pytest.raises(Unsupported, match="float32 are clipped"):
        load_onnx(file, "net")


@pytest.mark.parametrize(
    ("opset", "said"), [(11, {}), (11, {"axis": 1}), (11, {"axis": 2}), (13, {}), (13, {"axis": 1})]
)
def test_the_axis_of_a_quantised_softmax(opset, said):
    """Unsaid it is the last one, in old operator sets, too: onnxruntime's quantiser carries such nodes over without it."""
    constants = {"s": np.float32(0.05), "z": zero(128, "uint8"), "t": np.float32(1 / 256), "n": zero(0, "uint8")}
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearSoftmax", "q s z t n", "p", MS, opset=opset, **said),
        node("DequantizeLinear", "p t n", "y"),
    ]
    file = model(nodes, {"x": (1, 3, 6, 5)}, ["y"], constants)
    inputs = random_inputs([(1, 3, 6, 5)])
    assert np.array_equal(by_smelt(file, inputs)[0], by_onnxruntime(file, inputs)[0])
