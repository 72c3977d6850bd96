"""Element-wise operators of several operands, of every integer type, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model.reference import run
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
    values,
    zeros_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("binary")


@st.composite
def broadcast_shapes(draw):
    """Two shapes and what they broadcast to."""
    y = draw(shapes(1, 4))
    if draw(st.booleans()):
        return y, y, y
    first, second = (tuple(1 if draw(st.booleans()) else n for n in y) for _ in range(2))
    second = second[draw(st.integers(0, len(y) - 1)) :]
    return first, second, np.broadcast_shapes(first, second)


def bench_of(draw, code, dtypes, quantizations, version=2, **options) -> Bench:
    """`code` from x and x2 to y, of these types and (scale, zero point) or (); x2 may be a constant."""
    first, second, result = draw(broadcast_shapes())
    bench = Bench(draw(seeds))
    x = bench.x(first, *quantizations[0], dtype=dtypes[0])
    if draw(st.booleans()):
        x2 = bench.x(second, *quantizations[1], dtype=dtypes[1])
    else:
        x2 = bench.w.tensor("constant", second, dtypes[1], *quantizations[1], data=values(bench.rng, second, dtypes[1]))
    y = bench.y(result, *quantizations[2], dtype=dtypes[2])
    bench.w.op(
        code, [x, x2] if draw(st.booleans()) or dtypes[0] != dtypes[1] else [x2, x], [y], version=version, **options
    )
    return bench


NONE = (((),),) * 3  # scales


@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"])
@given(st.data())
@cases(30)
def test_int16(folder, code, data):
    draw = data.draw
    x_scale = draw(powers(-15, -2))
    x2_scale = x_scale * draw(ratios(-6, 6))
    zeros = [0, 0, 0]
    match code:
        case "MUL":
            y_scale = x_scale * x2_scale * draw(powers(0.5, 20))
        case "SQUARED_DIFFERENCE":
            y_scale = max(x_scale, x2_scale) ** 2 * draw(powers(3, 18))
        case _:
            y_scale, zeros = max(x_scale, x2_scale) / draw(ratios(-5, 3)), [draw(zeros_of("int16")) for _ in zeros]
    options = {} if code == "SQUARED_DIFFERENCE" else dict(FusedActivationFunction=draw(activations))
    numbers = tuple(zip((x_scale, x2_scale, y_scale), zeros, strict=True))
    agree(bench_of(draw, code, ("int16",) * 3, numbers, **options), folder)


@given(st.data())
@cases(30)
def test_squared_difference(folder, data):
    draw = data.draw
    x_scale = draw(scales)
    x2_scale = x_scale * draw(ratios(-6, 6))
    y_scale = max(x_scale, x2_scale) ** 2 * draw(powers(-3, 10))
    numbers = tuple((scale, draw(zeros_of("int8"))) for scale in (x_scale, x2_scale, y_scale))
    agree(bench_of(draw, "SQUARED_DIFFERENCE", ("int8",) * 3, numbers), folder)


@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "MINIMUM", "MAXIMUM"])
@given(st.data())
@cases(12)
def test_int32(folder, code, data):
    options = dict(FusedActivationFunction=data.draw(activations)) if code in ("ADD", "SUB", "MUL") else {}
    agree(bench_of(data.draw, code, ("int32",) * 3, NONE, **options), folder)


@pytest.mark.parametrize("code", ["MINIMUM", "MAXIMUM"])
@pytest.mark.parametrize("dtype", ["int16", "int64"])
@given(st.data())
@cases(8)
def test_order(folder, code, dtype, data):
    agree(bench_of(data.draw, code, (dtype,) * 3, ((0.5,),) * 3 if dtype == "int16" else NONE), folder)


@given(st.data())
@cases(40)
def test_div(folder, data):
    """All pairs of int8 but those where the oracle shifts by more than 31 bits, which C leaves undefined, or divides by zero."""
    draw, bench = data.draw, Bench(0)
    x_scale, x2_scale = draw(scales), draw(scales)
    y_scale = x_scale / x2_scale / draw(ratios(-6, 6))
    zeros = [draw(zeros_of("int8")) for _ in range(3)]
    x, x2 = bench.x((256, 1), x_scale, zeros[0]), bench.x((1, 256), x2_scale, zeros[1])
    bench.w.op(
        "DIV", [x, x2], [bench.y((256, 256), y_scale, zeros[2])], version=2, FusedActivationFunction=draw(activations)
    )
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    every = np.arange(-128, 128).astype(np.int8)
    inputs = [every.reshape(256, 1), every.reshape(1, 256)]
    (ours,), (theirs,) = run(load(path), inputs), Oracle(bench.model).run(inputs)
    a, b = (i.astype(np.int64) - z for i, z in zip(inputs, zeros, strict=False))
    bits = [np.frexp(np.abs(np.where(v < 0, -1 - v, v)).astype(float))[1] for v in (np.where(b < 0, -a, a), np.abs(b))]
    shift = np.frexp(np.float64(np.float32(x_scale)) / (np.float32(x2_scale) * np.float64(np.float32(y_scale))))[1]
    sound = ((bits[1] - 1) + (31 - bits[0]) - shift <= 31) & (b != 0)
    assert np.array_equal(ours[sound], theirs[sound])
    quotients = np.abs(a * x_scale / np.where(b == 0, 1, b) / x2_scale / y_scale)
    assert np.all(quotients[~sound & (b != 0)] < 1), (
        "where the oracle's shift is undefined, the quotient is next to nothing"
    )


@given(st.data())
@cases(12)
def test_div_of_plain_integers(folder, data):
    """Not by zero, which stops the oracle, and not -2**31 / -1, which kills it."""
    bench = Bench(data.draw(seeds))
    x = bench.x((4, 1, 5), (), dtype="int32")
    x2 = bench.x((1, 3, 5), (), dtype="int32")
    bench.w.op("DIV", [x, x2], [bench.y((4, 3, 5), (), dtype="int32")], FusedActivationFunction=data.draw(activations))
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    divisors = values(bench.rng, (1, 3, 5), "int32")
    compare(
        load(path),
        Oracle(bench.model),
        [values(bench.rng, (4, 1, 5), "int32") | 1, np.where(divisors == 0, 7, divisors)],
    )


RELATIONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


@pytest.mark.parametrize("code", RELATIONS)
@given(st.data())
@cases(12)
def test_compare_int8(folder, code, data):
    """All pairs."""
    draw, bench = data.draw, Bench(0)
    x_scale = draw(powers(-12, -0.01))
    x2_scale = x_scale if draw(st.booleans()) else min(x_scale * draw(ratios(-4, 4)), 0.999)
    x, x2 = bench.x((256, 1), x_scale, draw(zeros_of("int8"))), bench.x((1, 256), x2_scale, draw(zeros_of("int8")))
    bench.w.op(code, [x, x2], [bench.y((256, 256), (), dtype="bool")])
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    every = np.arange(-128, 128).astype(np.int8)
    compare(load(path), Oracle(bench.model), [every.reshape(256, 1), every.reshape(1, 256)])


@pytest.mark.parametrize("code", RELATIONS)
@given(st.data())
@cases(8)
def test_compare_plain(folder, code, data):
    dtype = data.draw(
        st.sampled_from(
            ["int32", "int64", "float32", *(["bool"] if "EQUAL" in code[-9:] and "_EQUAL" not in code[4:] else [])]
        )
    )
    bench = bench_of(data.draw, code, (dtype, dtype, "bool"), NONE)
    agree(bench, folder)


@pytest.mark.parametrize("code", ["LOGICAL_AND", "LOGICAL_OR"])
@given(st.data())
@cases(6)
def test_logical(folder, code, data):
    agree(bench_of(data.draw, code, ("bool",) * 3, NONE), folder)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@given(st.data())
@cases(10)
def test_select(folder, dtype, data):
    draw, bench = data.draw, Bench(data.draw(seeds))
    y = draw(shapes(1, 4))
    parts = [tuple(1 if draw(st.booleans()) else n for n in y) for _ in range(3)]
    scale = () if dtype == "float32" else 0.5
    operands = [bench.x(parts[0], (), dtype="bool"), *(bench.x(part, scale, dtype=dtype) for part in parts[1:])]
    bench.w.op("SELECT_V2", operands, [bench.y(np.broadcast_shapes(*parts), scale, dtype=dtype)])
    agree(bench, folder)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@given(st.data())
@cases(25)
def test_prelu(folder, dtype, data):
    draw = data.draw
    x_scale, alpha_scale = draw(powers(-10, 2)), draw(powers(-9, 0))
    y_scale = x_scale / draw(ratios(-5, 3))
    zero = zeros_of("int8") if dtype == "int8" else st.just(0)
    numbers = ((x_scale, draw(zero)), (alpha_scale, draw(zeros_of("int8"))), (y_scale, draw(zero)))
    bench, shape = Bench(draw(seeds)), draw(shapes(1, 4))
    alpha = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, len(shape) - 1)) :]
    x = bench.x(shape, *numbers[0], dtype=dtype)
    slopes = bench.w.tensor("alpha", alpha, "int8", *numbers[1], data=values(bench.rng, alpha, "int8"))
    bench.w.op("PRELU", [x, slopes], [bench.y(shape, *numbers[2], dtype=dtype)])
    agree(bench, folder)


@given(st.data())
@cases(15)
def test_add_n(folder, data):
    draw, bench, shape = data.draw, Bench(data.draw(seeds)), data.draw(shapes(1, 3))
    scale, zero = draw(scales), draw(zeros_of("int8"))
    xs = [bench.x(shape, scale, zero) for _ in range(draw(st.integers(2, 5)))]
    bench.w.op("ADD_N", xs, [bench.y(shape, scale / draw(ratios(-5, 5)), draw(zeros_of("int8")))])
    agree(bench, folder)
