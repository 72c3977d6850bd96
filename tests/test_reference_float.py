"""float32 against the oracle: the reference is hers bit for bit where nothing but sums and products occurs."""

from __future__ import annotations

from math import erfc, exp, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model.graph import Tensor
from smelt.model.ops import Unary
from smelt.model.reference import results, run
from tests.oracle import Oracle
from tests.reference_check import Bench, activations, cases, compare, seeds
from tests.test_reference_linear import channel_counts, images, out_size, windows

SAME = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("float")


def numbers(bench: Bench, shape) -> np.ndarray:
    return (bench.rng.normal(0, 1, shape) * 2.0 ** bench.rng.integers(-6, 6)).astype(np.float32)


def constant(bench: Bench, name: str, shape) -> int:
    return bench.w.constant(name, numbers(bench, shape), "float32")


def check(bench: Bench, folder, times: int = 2, tolerance: float = 0.0, positive: bool = False) -> None:
    """The reference gives what the oracle gives: bit for bit, or with a relative tolerance."""
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    graph, oracle = load(path), Oracle(bench.model)
    for _ in range(times):
        inputs = [numbers(bench, t.shape) for t in graph.inputs]
        inputs = [np.abs(x) for x in inputs] if positive else inputs
        if not tolerance:
            compare(graph, oracle, inputs)
            continue
        for got, want in zip(run(graph, inputs), oracle.run(inputs), strict=True):
            np.testing.assert_allclose(got.reshape(-1), want.reshape(-1), rtol=tolerance, atol=tolerance * 1e-6)


@st.composite
def convolutions(draw, depthwise: bool):
    image, size, stride, dilation, padding = draw(windows())
    bench, depth, channels = Bench(draw(seeds)), draw(channel_counts), draw(channel_counts)
    multiplier = draw(st.integers(1, 3))
    channels = depth * multiplier if depthwise else channels
    rows, columns = (out_size(*v, padding) for v in zip(image[1:], size, stride, dilation, strict=True))
    x = bench.x((*image, depth), dtype="float32")
    y = bench.y((image[0], rows, columns, channels), dtype="float32")
    shape = (1, *size, channels) if depthwise else (channels, *size, depth)
    inputs = [x, constant(bench, "weights", shape)]
    if draw(st.booleans()):
        inputs.append(constant(bench, "bias", (channels,)))
    geometry = dict(StrideH=stride[0], StrideW=stride[1], DilationHFactor=dilation[0], DilationWFactor=dilation[1])
    code, extra = ("DEPTHWISE_CONV_2D", {"DepthMultiplier": multiplier}) if depthwise else ("CONV_2D", {})
    activation = draw(activations)
    bench.w.op(code, inputs, [y], version=3, Padding=padding, FusedActivationFunction=activation, **geometry, **extra)
    return bench


@given(convolutions(depthwise=False))
@cases(40)
def test_conv_2d(folder, bench):
    check(bench, folder)


@given(convolutions(depthwise=True))
@cases(40)
def test_depthwise_conv_2d(folder, bench):
    check(bench, folder)


@st.composite
def dense_layers(draw):
    bench, rows, depth, units = (
        Bench(draw(seeds)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 40)),
        draw(channel_counts),
    )
    x, y = bench.x((rows, depth), dtype="float32"), bench.y((rows, units), dtype="float32")
    inputs = [x, constant(bench, "weights", (units, depth))]
    if draw(st.booleans()):
        inputs.append(constant(bench, "bias", (units,)))
    bench.w.op("FULLY_CONNECTED", inputs, [y], FusedActivationFunction=draw(activations))
    return bench


@given(dense_layers())
@cases(30)
def test_fully_connected(folder, bench):
    check(bench, folder)


@st.composite
def transposed(draw):
    bench, channels, depth = Bench(draw(seeds)), draw(channel_counts), draw(channel_counts)
    rows, columns, size = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.tuples(*[st.integers(1, 4)] * 2))
    stride, padding = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.sampled_from([0, 1]))
    out = [n * s if padding == SAME else (n - 1) * s + k for n, s, k in zip((rows, columns), stride, size, strict=True)]
    x, y = bench.x((1, rows, columns, depth), dtype="float32"), bench.y((1, *out, channels), dtype="float32")
    shape = bench.w.constant("shape", [1, *out, channels])
    inputs = [shape, constant(bench, "weights", (channels, *size, depth)), x]
    bench.w.op("TRANSPOSE_CONV", inputs, [y], version=3, Padding=padding, StrideH=stride[0], StrideW=stride[1])
    return bench


@given(transposed())
@cases(30)
def test_transpose_conv(folder, bench):
    check(bench, folder)


@st.composite
def pools(draw, code):
    image, size, stride, _, padding = draw(windows())
    bench, depth = Bench(draw(seeds)), draw(channel_counts)
    rows, columns = (out_size(*v, 1, padding) for v in zip(image[1:], size, stride, strict=True))
    fits = padding == SAME or all(n >= k for n, k in zip(image[1:], size, strict=True))
    padding = padding if fits else SAME
    rows, columns = (out_size(*v, 1, padding) for v in zip(image[1:], size, stride, strict=True))
    x = bench.x((*image, depth), dtype="float32")
    y = bench.y((image[0], rows, columns, depth), dtype="float32")
    geometry = dict(StrideH=stride[0], StrideW=stride[1], FilterHeight=size[0], FilterWidth=size[1])
    bench.w.op(code, [x], [y], Padding=padding, FusedActivationFunction=draw(activations), **geometry)
    return bench


@pytest.mark.parametrize("code", ["AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"])
@given(st.data())
@cases(25)
def test_pools(folder, code, data):
    check(data.draw(pools(code)), folder)


@st.composite
def binaries(draw, code):
    bench, shape = Bench(draw(seeds)), draw(images())
    second = tuple(n if draw(st.booleans()) else 1 for n in shape[draw(st.integers(0, 2)) :])
    x, x2 = bench.x(shape, dtype="float32"), bench.x(second, dtype="float32")
    y = bench.y(np.broadcast_shapes(shape, second), dtype="float32")
    fused = {"FusedActivationFunction": draw(activations)} if code in ("ADD", "SUB", "MUL", "DIV") else {}
    bench.w.op(code, [x, x2], [y], **fused)
    return bench


@pytest.mark.parametrize(
    "code", ["ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD"]
)
@given(st.data())
@cases(20)
def test_binary(folder, code, data):
    check(data.draw(binaries(code)), folder)


@given(st.data())
@cases(20)
def test_softmax(folder, data):
    """C's exp is not hers on every machine: within a few units in the last place."""
    bench, columns = Bench(data.draw(seeds)), data.draw(st.sampled_from([1, 2, 10, 100]))
    shape = (data.draw(st.integers(1, 3)), columns)
    x, y = bench.x(shape, dtype="float32"), bench.y(shape, dtype="float32")
    bench.w.op("SOFTMAX", [x], [y], Beta=data.draw(st.sampled_from([1.0, 0.5])))
    check(bench, folder, tolerance=2e-6)


PLAIN_FUNCTIONS = (
    *("RELU", "RELU6", "HARD_SWISH", "ABS", "NEG", "SQUARE", "SQRT", "RSQRT", "FLOOR", "CEIL", "ROUND"),
    "LEAKY_RELU",
)
LIBRARY_FUNCTIONS = (
    "LOGISTIC",
    "TANH",
    "ELU",
    "EXP",
    "LOG",
    "SIN",
    "COS",
)  # C's library, which is not correctly rounded


@pytest.mark.parametrize("code", [*PLAIN_FUNCTIONS, *LIBRARY_FUNCTIONS])
@given(st.data())
@cases(12)
def test_unary(folder, code, data):
    bench = Bench(data.draw(seeds))
    x, y = bench.x((1, 200), dtype="float32"), bench.y((1, 200), dtype="float32")
    bench.w.op(code, [x], [y], **({"Alpha": data.draw(st.floats(-2, 2, width=32))} if code == "LEAKY_RELU" else {}))
    positive = code in ("SQRT", "RSQRT", "LOG")
    check(bench, folder, tolerance=0.0 if code in PLAIN_FUNCTIONS else 4e-7, positive=positive)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu(approximate):
    """Which TensorFlow Lite Micro lacks: against the definition, in double precision."""
    x = np.concatenate([np.linspace(-12, 12, 4001), [-60, 60, -1e-20, 0]]).astype(np.float32)
    tensors = {name: Tensor(name, x.shape, "float32") for name in "xy"}
    (found,) = results(Unary(**tensors, function="gelu_tanh" if approximate else "gelu"), x)
    for real, y in zip(x.astype(float), found.astype(float), strict=True):
        u = sqrt(2 / pi) * (real + 0.044715 * real**3)
        wanted = real / (1 + exp(min(-2 * u, 700))) if approximate else 0.5 * real * erfc(-real / sqrt(2))
        # what the exponential is of is rounded; where it leaves float32, y is 0, and should be less than 4e-38
        assert abs(y - wanted) <= (4 + 2 * real**2 + abs(8 * u)) * 2**-24 * abs(wanted) + 4e-38


@pytest.mark.parametrize("code", ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"])
@given(st.data())
@cases(15)
def test_reductions(folder, code, data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
    axes = sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = data.draw(st.booleans())
    out = [1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes]
    bench = Bench(data.draw(seeds))
    x, y = bench.x(shape, dtype="float32"), bench.y(out, dtype="float32")
    bench.w.op(code, [x, bench.w.constant("axes", axes)], [y], KeepDims=keep)
    check(bench, folder)


@given(st.data())
@cases(15)
def test_cumulative_sums(folder, data):
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple))
    bench, axis = Bench(data.draw(seeds)), data.draw(st.integers(-len(shape), len(shape) - 1))
    x, y = bench.x(shape, dtype="float32"), bench.y(shape, dtype="float32")
    flags = dict(Exclusive=data.draw(st.booleans()), Reverse=data.draw(st.booleans()))
    bench.w.op("CUMSUM", [x, bench.w.constant("axis", axis)], [y], **flags)
    check(bench, folder)


@pytest.mark.parametrize("code", ["LOG_SOFTMAX", "L2_NORMALIZATION"])
@given(st.data())
@cases(12)
def test_rows(folder, code, data):
    bench, shape = Bench(data.draw(seeds)), (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 60)))
    x, y = bench.x(shape, dtype="float32"), bench.y(shape, dtype="float32")
    bench.w.op(code, [x], [y])
    check(bench, folder, tolerance=3e-6)


@given(st.data())
@cases(15)
def test_resize_bilinear(folder, data):
    bench, image = Bench(data.draw(seeds)), data.draw(images())
    size, channels = [data.draw(st.integers(1, 9)) for _ in range(2)], data.draw(channel_counts)
    x, y = bench.x((*image, channels), dtype="float32"), bench.y((image[0], *size, channels), dtype="float32")
    flags = data.draw(st.sampled_from([{}, {"AlignCorners": True}, {"HalfPixelCenters": True}]))
    bench.w.op("RESIZE_BILINEAR", [x, bench.w.constant("size", size)], [y], version=3, **flags)
    check(bench, folder)


@given(st.data())
@cases(15)
def test_prelu(folder, data):
    bench, shape = Bench(data.draw(seeds)), (*data.draw(images()), data.draw(channel_counts))
    x, y = bench.x(shape, dtype="float32"), bench.y(shape, dtype="float32")
    bench.w.op("PRELU", [x, constant(bench, "alpha", (1, 1, shape[-1]))], [y])
    check(bench, folder)


def test_add_n(folder):
    bench = Bench(5)
    xs, y = [bench.x((3, 4), dtype="float32") for _ in range(4)], bench.y((3, 4), dtype="float32")
    bench.w.op("ADD_N", xs, [y])
    check(bench, folder)
