"""Element-wise operators and softmax against the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Dequantize, Lookup, Quantize
from smelt.model.reference import evaluate
from smelt.model.tables import dequantize_table, quantize_thresholds
from tests.oracle import Oracle
from tests.reference_check import (
    Bench,
    activations,
    agree,
    cases,
    compare,
    powers,
    ratios,
    scales,
    seeds,
    shapes,
    zeros,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pointwise")


EVERY_INT8 = np.arange(-128, 128).astype(np.int8)


@st.composite
def broadcast_shapes(draw):
    """Two shapes and what they broadcast to."""
    y = draw(shapes(1, 4))
    if draw(st.booleans()):
        return y, y, y
    first, second = (tuple(1 if draw(st.booleans()) else n for n in y) for _ in range(2))
    second = second[draw(st.integers(0, len(y) - 1)) :]
    return first, second, np.broadcast_shapes(first, second)


@st.composite
def binary_ops(draw, code, y_scale, same=False):
    """`y_scale(draw, x, x2)` chooses the scale of y; `same` gives all three the same quantisation."""
    first, second, result = draw(broadcast_shapes())
    bench, x_scale, x_zero = Bench(draw(seeds)), draw(scales), draw(zeros)
    x2_scale, x2_zero = (x_scale, x_zero) if same else (x_scale * draw(ratios(-6, 6)), draw(zeros))
    if not same and draw(st.booleans()):
        x2_scale = x_scale
    x = bench.x(first, x_scale, x_zero)
    if draw(st.booleans()):
        x2 = bench.x(second, x2_scale, x2_zero)
    else:
        x2 = bench.w.tensor(
            "constant", second, "int8", x2_scale, x2_zero, bench.rng.integers(-128, 128, second, np.int8)
        )
    y = bench.y(result, x_scale if same else y_scale(draw, x_scale, x2_scale), x_zero if same else draw(zeros))
    operands = [x, x2] if draw(st.booleans()) else [x2, x]
    options = dict(FusedActivationFunction=draw(activations)) if code in ("ADD", "SUB", "MUL") else {}
    bench.w.op(code, operands, [y], version=2, **options)
    return bench


def sum_scale(draw, x, x2):
    """TFLM aborts where the factor of the sum is one or more, that is 2**19 * y's scale below x's: far below sense."""
    return max(x, x2) / draw(ratios(-5, 8))


def product_scale(draw, x, x2):
    return x * x2 / draw(ratios(-12, 4))


@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL"])
@given(st.data())
@cases(10)
def test_every_pair(folder, code, data):
    """All 65536 combinations of two int8 numbers."""
    draw, bench = data.draw, Bench(0)
    x_scale = draw(scales)
    x2_scale = x_scale * draw(ratios(-6, 6))
    y_scale = (product_scale if code == "MUL" else sum_scale)(draw, x_scale, x2_scale)
    x, x2 = bench.x((256, 1), x_scale, draw(zeros)), bench.x((1, 256), x2_scale, draw(zeros))
    bench.w.op(code, [x, x2], [bench.y((256, 256), y_scale, draw(zeros))], version=2)
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    compare(load(path), Oracle(bench.model), [EVERY_INT8.reshape(256, 1), EVERY_INT8.reshape(1, 256)])


@given(binary_ops("ADD", sum_scale))
@cases(40)
def test_add(folder, bench):
    agree(bench, folder)


@given(binary_ops("SUB", sum_scale))
@cases(40)
def test_subtract(folder, bench):
    agree(bench, folder)


@given(binary_ops("MUL", product_scale))
@cases(40)
def test_mul(folder, bench):
    agree(bench, folder)


@pytest.mark.parametrize("code", ["MINIMUM", "MAXIMUM"])
@given(st.data())
@cases(25)
def test_minimum_and_maximum(folder, code, data):
    agree(data.draw(binary_ops(code, product_scale, same=True)), folder)


@st.composite
def softmaxes(draw):
    """Up to 511 elements a row: TFLM aborts where the sum of exponentials reaches 512."""
    shape, beta = draw(shapes(0, 3, most=5)), draw(st.sampled_from([1.0]) | powers(-2, 2))
    shape = (*shape, draw(st.integers(1, 40) | st.just(511)))
    bench = Bench(draw(seeds))
    x, y = bench.x(shape, draw(powers(-14, 6)), draw(zeros)), bench.y(shape, 1 / 256, -128)
    bench.w.op("SOFTMAX", [x], [y], version=2, Beta=beta)
    return bench


@given(softmaxes())
@cases(60)
def test_softmax(folder, bench):
    agree(bench, folder)


@st.composite
def unary_ops(draw, code):
    """Over every int8 value at once."""
    bench, x_scale, x_zero = Bench(draw(seeds)), draw(powers(-12, 2)), draw(zeros)
    y_scale, y_zero, options = x_scale / draw(ratios(-5, 3)), draw(zeros), {}
    match code:
        case "LOGISTIC":
            y_scale, y_zero = 1 / 256, -128
        case "TANH":
            y_scale, y_zero = 1 / 128, 0
        case "RELU6":
            y_scale, y_zero = x_scale, x_zero
        case "LEAKY_RELU":
            options = dict(Alpha=draw(st.floats(-2, 2, width=32) | ratios(-4, 1)))
        case "HARD_SWISH" if draw(st.booleans()):
            # Between two 16-bit multipliers: TFLM would round the other way if it computed in single precision.
            y_scale = x_scale / ((draw(st.integers(2**14, 2**15 - 1)) + 0.5) / 2 ** draw(st.integers(8, 16)))
    x, y = bench.x((1, 256), x_scale, x_zero), bench.y((1, 256), y_scale, y_zero)
    bench.w.op(code, [x], [y], version=2, **options)
    return bench


@pytest.mark.parametrize("code", ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"])
@given(st.data())
@cases(30)
def test_unary(folder, code, data):
    bench = data.draw(unary_ops(code))
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    compare(load(path), Oracle(bench.model), [EVERY_INT8.reshape(1, 256)])


def test_lookup_is_the_table():
    table = Tensor("table", (256,), "float32", data=np.arange(256, dtype=np.float32))
    op = Lookup(x=Tensor("x", (3,), "int8"), y=Tensor("y", (3,), "float32"), table=table)
    assert evaluate(op, np.int8([-128, 0, 127]), table.constant).tolist() == [0.0, 128.0, 255.0]


@st.composite
def quantize_ops(draw):
    bench = Bench(draw(seeds))
    x, y = bench.x((1, 3 * 256), dtype="float32"), bench.y((1, 3 * 256), draw(powers(-30, 30)), draw(zeros))
    bench.w.op("QUANTIZE", [x], [y], version=1)
    return bench


@given(quantize_ops())
@cases(40)
def test_quantize_at_its_thresholds(folder, bench):
    """The hardest inputs: every threshold, and its neighbours on both sides."""
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    graph = load(path)
    (op,) = graph.ops
    assert isinstance(op, Quantize)
    at = quantize_thresholds(op)
    x = np.concatenate([at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))])
    compare(graph, Oracle(bench.model), [np.append(x, np.float32([0.0, -0.0, 1e-45])).reshape(1, -1)])


def test_quantize_saturates_what_c_leaves_undefined():
    """Infinities, numbers beyond int32, and NaN."""
    x = Tensor("x", (1, 5), "float32")
    op = Quantize(x=x, y=Tensor("y", (1, 5), "int8", Quantization((0.5,), (-3,))))
    result = evaluate(op, np.float32([[np.inf, -np.inf, 1e30, -1e30, np.nan]]))
    assert result.tolist() == [[127, -128, 127, -128, -128]]


def test_thresholds_ascend_strictly():
    op = Quantize(x=Tensor("x", (1,), "float32"), y=Tensor("y", (1,), "int8", Quantization((0.1,), (5,))))
    assert quantize_thresholds(op).shape == (255,)
    assert np.all(np.diff(quantize_thresholds(op)) > 0)


@given(st.data())
@cases(30)
def test_dequantize(folder, data):
    bench = Bench(0)
    x, y = bench.x((1, 256), data.draw(powers(-30, 30)), data.draw(zeros)), bench.y((1, 256), dtype="float32")
    bench.w.op("DEQUANTIZE", [x], [y], version=2)
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    graph = load(path)
    compare(graph, Oracle(bench.model), [EVERY_INT8.reshape(1, 256)])
    assert isinstance(graph.ops[0], Dequantize)
    assert dequantize_table(graph.ops[0]).dtype == np.float32
