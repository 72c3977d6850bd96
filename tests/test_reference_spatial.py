"""Pooling, means and resizing against the oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference_check import Bench, activations, agree, cases, ratios, scales, seeds, shapes, zeros
from tests.test_reference_linear import SAME, VALID, images, out_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spatial")


sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))


@st.composite
def pools(draw, code):
    size, stride, padding = draw(sizes), draw(sizes), draw(st.sampled_from([SAME, VALID]))
    image, depth = draw(images((1, 1) if padding == SAME else size)), draw(st.integers(1, 5))
    rows, columns = (out_size(n, k, s, 1, padding) for n, k, s in zip(image[1:], size, stride, strict=True))
    bench, scale, zero = Bench(draw(seeds)), draw(scales), draw(zeros)
    x, y = bench.x((*image, depth), scale, zero), bench.y((image[0], rows, columns, depth), scale, zero)
    geometry = dict(StrideH=stride[0], StrideW=stride[1], FilterHeight=size[0], FilterWidth=size[1], Padding=padding)
    bench.w.op(code, [x], [y], version=2, FusedActivationFunction=draw(activations), **geometry)
    return bench


@pytest.mark.parametrize("code", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@given(st.data())
@cases(40)
def test_pool(folder, code, data):
    agree(data.draw(pools(code)), folder)


@st.composite
def means(draw):
    shape = draw(shapes(2, 4, most=9))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=4, unique=True))
    if draw(st.booleans()):
        axes = [a - len(shape) for a in axes]
    keep = draw(st.booleans())
    reduced = {a % len(shape) for a in axes}
    result = [1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced]
    bench, scale, zero = Bench(draw(seeds)), draw(scales), draw(zeros)
    alike = draw(st.booleans())
    x = bench.x(shape, scale, zero)
    y = bench.y(result, scale if alike else scale / draw(ratios(-3, 5)), zero if alike else draw(zeros))
    bench.w.op("MEAN", [x, bench.w.constant("axes", axes)], [y], version=2, KeepDims=keep)
    return bench


@given(means())
@cases(60)
def test_mean(folder, bench):
    agree(bench, folder)


@st.composite
def resizes(draw, code):
    (batch, rows, columns), depth = draw(images()), draw(st.integers(1, 5))
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    # Neither, one or the other: TFLM knows no meaning for both together.
    align, half = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    bench, scale, zero = Bench(draw(seeds)), draw(scales), draw(zeros)
    x, y = bench.x((batch, rows, columns, depth), scale, zero), bench.y((batch, height, width, depth), scale, zero)
    size = bench.w.constant("size", [height, width])
    bench.w.op(code, [x, size], [y], version=3, AlignCorners=align, HalfPixelCenters=half)
    return bench


@pytest.mark.parametrize("code", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
@given(st.data())
@cases(40)
def test_resize(folder, code, data):
    agree(data.draw(resizes(code)), folder)
