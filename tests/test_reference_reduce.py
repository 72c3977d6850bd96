"""Operators that reduce axes or look at whole rows, of every integer type, against the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference_check import Bench, agree, cases, powers, ratios, scales, seeds, shapes, zeros_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reduce")


def reduction(draw, bench: Bench, code: str, dtype: str, x_number, y_number) -> Bench:
    """`code` over some axes; numbers are (scale, zero point), or (() ,)."""
    shape = draw(shapes(1, 4))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = draw(st.booleans())
    result = tuple(1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes)
    x, y = bench.x(shape, *x_number, dtype=dtype), bench.y(result, *y_number, dtype=dtype)
    given_axes = [a - len(shape) if draw(st.booleans()) else a for a in axes]
    bench.w.op(code, [x, bench.w.constant("axes", given_axes)], [y], KeepDims=keep)
    return bench


@pytest.mark.parametrize(("code", "dtype"), [("MEAN", "int16"), ("SUM", "int8"), ("SUM", "int16")])
@given(st.data())
@cases(30)
def test_sums(folder, code, dtype, data):
    draw, scale = data.draw, data.draw(scales)
    numbers = (scale, draw(zeros_of(dtype))), (scale / draw(ratios(-6, 3)), draw(zeros_of(dtype)))
    agree(reduction(draw, Bench(draw(seeds)), code, dtype, *numbers), folder)


@pytest.mark.parametrize("code", ["REDUCE_MAX", "REDUCE_MIN"])
@given(st.data())
@cases(12)
def test_extremes(folder, code, data):
    draw = data.draw
    number = draw(scales), draw(zeros_of("int8"))
    agree(reduction(draw, Bench(draw(seeds)), code, "int8", number, number), folder)


@given(st.data())
@cases(8)
def test_all(folder, data):
    agree(reduction(data.draw, Bench(data.draw(seeds)), "REDUCE_ALL", "bool", ((),), ((),)), folder)


@pytest.mark.parametrize("code", ["ARG_MAX", "ARG_MIN"])
@given(st.data())
@cases(20)
def test_arg_extremes(folder, code, data):
    """Ties are frequent: rows of few values."""
    draw, bench, shape = data.draw, Bench(data.draw(seeds)), data.draw(shapes(1, 4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    result = tuple(n for a, n in enumerate(shape) if a != axis % len(shape))
    dtype = draw(st.sampled_from(["int8", "int8", "float32"]))
    scale = draw(scales) if dtype == "int8" else ()
    x, y = bench.x(shape, scale, draw(zeros_of("int8")), dtype=dtype), bench.y(result, (), dtype="int32")
    bench.w.op(code, [x, bench.w.constant("axis", axis)], [y], OutputType=2)
    agree(bench, folder)


@given(st.data())
@cases(25)
def test_cumulative_sum(folder, data):
    draw, bench, shape, scale = data.draw, Bench(data.draw(seeds)), data.draw(shapes(1, 4)), data.draw(scales)
    x, y = (
        bench.x(shape, scale, draw(zeros_of("int8"))),
        bench.y(shape, scale / draw(ratios(-6, 3)), draw(zeros_of("int8"))),
    )
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    flags = dict(Exclusive=draw(st.booleans()), Reverse=draw(st.booleans()))
    bench.w.op("CUMSUM", [x, bench.w.constant("axis", axis)], [y], **flags)
    agree(bench, folder)


KINDS = {("int8", "int16"): (2.0**-16, -32768), ("int16", "int16"): (2.0**-15, 0)}


@pytest.mark.parametrize(("source", "target"), KINDS)
@given(st.data())
@cases(30)
def test_softmax(folder, source, target, data):
    draw, bench = data.draw, Bench(data.draw(seeds))
    shape = (*draw(shapes(0, 2, most=4)), draw(st.integers(1, 40) | st.sampled_from([511, 1000])))
    scale = draw(powers(-14, 4) if source == "int8" else powers(-15, -2))
    x = bench.x(shape, scale, draw(zeros_of(source)) if source == "int8" else 0, source)
    beta = draw(st.sampled_from([1.0]) | powers(-2, 2))
    bench.w.op("SOFTMAX", [x], [bench.y(shape, *KINDS[source, target], dtype=target)], version=3, Beta=beta)
    agree(bench, folder)


@given(st.data())
@cases(40)
def test_log_softmax(folder, data):
    draw, bench = data.draw, Bench(data.draw(seeds))
    shape = (*draw(shapes(0, 2, most=4)), draw(st.integers(1, 40) | st.sampled_from([511, 3000])))
    x = bench.x(shape, draw(powers(-14, 6)), draw(zeros_of("int8")))
    bench.w.op("LOG_SOFTMAX", [x], [bench.y(shape, 1 / 16, 127)])
    agree(bench, folder)


@given(st.data())
@cases(30)
def test_l2_normalization(folder, data):
    draw, bench = data.draw, Bench(data.draw(seeds))
    shape = (*draw(shapes(0, 3, most=4)), draw(st.integers(1, 40) | st.sampled_from([300])))
    x = bench.x(shape, draw(scales), draw(zeros_of("int8")))
    bench.w.op("L2_NORMALIZATION", [x], [bench.y(shape, 1 / 128, 0)])
    agree(bench, folder)
