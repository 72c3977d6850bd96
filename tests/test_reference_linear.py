"""Convolutions and the dense layer against the oracle."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from tests.oracle import Oracle
from tests.reference_check import Bench, activations, agree, cases, compare, powers, scales, seeds, zeros


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("linear")


SAME, VALID = 0, 1
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
dilations = st.sampled_from([(1, 1)] * 3 + [(2, 1), (1, 2), (3, 2)])
channel_counts = st.integers(1, 9)


def out_size(size: int, window: int, stride: int, dilation: int, padding: int) -> int:
    """The extent of the result of a window that slides."""
    extent = 1 if padding == SAME else (window - 1) * dilation + 1
    return (size - extent) // stride + 1


@st.composite
def images(draw, smallest=(1, 1)):
    """(batch, rows, columns) with room for a window."""
    return draw(st.sampled_from([1, 1, 1, 2])), *(draw(st.integers(low, low + 7)) for low in smallest)


@st.composite
def weight_scales(draw, channels):
    """One scale, or one per channel."""
    count = draw(st.sampled_from([1, channels]))
    return draw(st.lists(powers(-12, 0), min_size=count, max_size=count))


@st.composite
def operands(draw, channels, terms):
    """Scales of x, weights and y such that the results use the range of int8, more or less, and the other numbers."""
    x, w = draw(scales), draw(weight_scales(channels))
    # About one standard deviation of a sum, times something between far too small and far too large.
    y = x * max(w) * 127 * sqrt(terms) * draw(powers(-9, 3))
    bias = draw(st.sampled_from([None, 1.0, 5000.0]))
    return dict(x=x, w=w, y=y, bias=bias, x_zero=draw(zeros), y_zero=draw(zeros))


def windowed_op(code, image, size, stride, dilation, padding, depth, shape, axis, numbers, seed, **options):
    """A model of one convolution."""
    bench, n = Bench(seed), numbers
    channels = shape[axis]
    rows, columns = (out_size(*v, padding) for v in zip(image[1:], size, stride, dilation, strict=True))
    x = bench.x((*image, depth), n["x"], n["x_zero"])
    y = bench.y((image[0], rows, columns, channels), n["y"], n["y_zero"])
    inputs = [x, bench.weights(shape, n["w"], axis)]
    if n["bias"] is not None:
        inputs.append(bench.bias(channels, [n["x"] * s for s in n["w"]], n["bias"]))
    geometry = dict(StrideH=stride[0], StrideW=stride[1], DilationHFactor=dilation[0], DilationWFactor=dilation[1])
    bench.w.op(code, inputs, [y], version=3, Padding=padding, **geometry, **options)
    return bench


@st.composite
def windows(draw):
    size, dilation, padding = draw(sizes), draw(dilations), draw(st.sampled_from([SAME, VALID]))
    smallest = [1 if padding == SAME else (s - 1) * d + 1 for s, d in zip(size, dilation, strict=True)]
    return draw(images(smallest)), size, draw(strides), dilation, padding


@st.composite
def convolutions(draw):
    image, size, stride, dilation, padding = draw(windows())
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    depth, channels = draw(channel_counts), groups * draw(channel_counts)
    numbers = draw(operands(channels, depth * size[0] * size[1]))
    window = (image, size, stride, dilation, padding)
    shape, activation = (channels, *size, depth), draw(activations)
    return windowed_op(
        "CONV_2D", *window, depth * groups, shape, 0, numbers, draw(seeds), FusedActivationFunction=activation
    )


@given(convolutions())
@cases(40)
def test_conv2d(folder, bench):
    agree(bench, folder)


@st.composite
def depthwise_convolutions(draw):
    image, size, stride, dilation, padding = draw(windows())
    depth, multiplier = draw(channel_counts), draw(st.sampled_from([1, 1, 2, 3]))
    numbers = draw(operands(depth * multiplier, size[0] * size[1]))
    window = (image, size, stride, dilation, padding)
    shape, activation = (1, *size, depth * multiplier), draw(activations)
    options = dict(DepthMultiplier=multiplier, FusedActivationFunction=activation)
    return windowed_op("DEPTHWISE_CONV_2D", *window, depth, shape, 3, numbers, draw(seeds), **options)


@given(depthwise_convolutions())
@cases(40)
def test_depthwise_conv2d(folder, bench):
    agree(bench, folder)


@st.composite
def dense_layers(draw):
    units, depth, batch = draw(channel_counts), draw(st.integers(1, 700)), draw(st.integers(1, 3))
    n, keep = draw(operands(units, depth)), draw(st.booleans())
    bench = Bench(draw(seeds))
    x = bench.x((batch, depth), n["x"], n["x_zero"])
    y = bench.y((batch, units), n["y"], n["y_zero"])
    inputs = [x, bench.weights((units, depth), n["w"], 0)]
    inputs.append(-1 if n["bias"] is None else bench.bias(units, [n["x"] * s for s in n["w"]], n["bias"]))
    bench.w.op("FULLY_CONNECTED", inputs, [y], version=4, KeepNumDims=keep, FusedActivationFunction=draw(activations))
    return bench


@given(dense_layers())
@cases(60)
def test_dense(folder, bench):
    agree(bench, folder)


@st.composite
def transposed_convolutions(draw):
    (batch, rows, columns), size, stride = draw(images()), draw(sizes), draw(strides)
    padding, depth, channels = draw(st.sampled_from([SAME, VALID])), draw(channel_counts), draw(channel_counts)
    n, bench = draw(operands(channels, depth * size[0] * size[1])), Bench(draw(seeds))
    if padding == SAME:
        height, width = (a * s - draw(st.integers(0, s - 1)) for a, s in zip((rows, columns), stride, strict=True))
    else:
        height, width = ((a - 1) * s + k for a, s, k in zip((rows, columns), stride, size, strict=True))
    shape = (batch, height, width, channels)
    inputs = [bench.w.constant("shape", shape), bench.weights((channels, *size, depth), n["w"], 0)]
    inputs.append(bench.x((batch, rows, columns, depth), n["x"], n["x_zero"]))
    if n["bias"] is not None:
        inputs.append(bench.bias(channels, [n["x"] * s for s in n["w"]], n["bias"]))
    y = bench.y(shape, n["y"], n["y_zero"])
    bench.w.op("TRANSPOSE_CONV", inputs, [y], version=3, Padding=padding, StrideH=stride[0], StrideW=stride[1])
    return bench


@given(transposed_convolutions())
@cases(40)
def test_transpose_conv2d(folder, bench):
    agree(bench, folder)


@st.composite
def edges(draw, code):
    """Accumulators that are biases alone (x is zero), each next to a number whose result is a half: 24 bits decide."""
    bench, channels = Bench(draw(seeds)), 48
    x_scale, y_scale, zero = draw(scales), draw(scales), draw(zeros)
    w_scales = [s * y_scale / x_scale * 2.0**-24 for s in draw(weight_scales(channels))]
    w_scales = [float(np.float32(s / max(w_scales) * y_scale / x_scale * 2.0**-23)) for s in w_scales]
    reals = np.resize([x_scale * s / y_scale for s in w_scales], channels)
    results = bench.rng.integers(-128, 127, channels) + 0.5
    biases = np.clip(np.round(results / reals), -(2**31) + 64, 2**31 - 65) + bench.rng.integers(-3, 4, channels)
    x_shape, y_shape, weights, axis = {
        "CONV_2D": ((1, 1, 1, 1), (1, 1, 1, channels), (channels, 1, 1, 1), 0),
        "DEPTHWISE_CONV_2D": ((1, 1, 1, 1), (1, 1, 1, channels), (1, 1, 1, channels), 3),
        "FULLY_CONNECTED": ((1, 1), (1, channels), (channels, 1), 0),
        "TRANSPOSE_CONV": ((1, 1, 1, 1), (1, 1, 1, channels), (channels, 1, 1, 1), 0),
    }[code]
    inputs = [bench.x(x_shape, x_scale, zero), bench.weights(weights, w_scales, axis)]
    if code == "TRANSPOSE_CONV":
        inputs = [bench.w.constant("shape", y_shape), inputs[1], inputs[0]]
    bias_scales = [x_scale * s for s in w_scales]
    inputs.append(bench.w.tensor("bias", (channels,), "int32", bias_scales, 0, biases.astype(np.int32), 0))
    options = {} if code == "FULLY_CONNECTED" else dict(StrideH=1, StrideW=1, Padding=VALID)
    if code == "DEPTHWISE_CONV_2D":
        options["DepthMultiplier"] = channels
    bench.w.op(code, inputs, [bench.y(y_shape, y_scale, draw(zeros))], version=3, **options)
    return bench, np.full(x_shape, zero, np.int8)


@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"])
@given(st.data())
@cases(30)
def test_rounding_at_the_edges(folder, code, data):
    bench, x = data.draw(edges(code))
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    compare(load(path), Oracle(bench.model), [x])
