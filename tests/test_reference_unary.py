"""Functions of one value of every integer type against the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model.graph import Graph
from smelt.model.reference import run
from tests.oracle import Oracle
from tests.paths import DATA
from tests.reference_check import Bench, cases, compare, every_value, integers, powers, ratios, seeds, zeros_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unary")


def loaded(bench: Bench, folder: Path) -> tuple[Graph, Oracle]:
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    return load(path), Oracle(bench.model)


# The pairs that the oracle has; smelt takes any pair by the same formula.
PAIRS = (
    ("int8", "int8"), ("int8", "uint8"), ("int8", "int16"), ("int8", "int32"), ("uint8", "int8"), ("int16", "int8"),
    ("int16", "int16"), ("int16", "int32"), ("int32", "int8"), ("int32", "int16"),
)  # fmt: skip


@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(st.data())
@cases(12)
def test_quantize_between_integers(folder, source, target, data):
    """Every value of 8 and 16 bits."""
    draw, bench = data.draw, Bench(data.draw(seeds))
    x_scale = draw(powers(-12, 2))
    most = 8 if source == "int8" else 14
    y_scale = x_scale / draw(ratios(-8, most) if source != "int32" else ratios(-24, -4))
    values = integers(bench.rng, (1, 512), source) if source == "int32" else every_value(source)
    x = bench.x(values.shape, x_scale, draw(zeros_of(source)), source)
    bench.w.op("QUANTIZE", [x], [bench.y(values.shape, y_scale, draw(zeros_of(target)), target)])
    compare(*loaded(bench, folder), [values])


@given(st.data())
@cases(20)
def test_quantize_to_int16(folder, data):
    draw, bench = data.draw, Bench(data.draw(seeds))
    scale, zero = draw(powers(-20, 10)), draw(zeros_of("int16"))
    bench.w.op("QUANTIZE", [bench.x((1, 999), dtype="float32")], [bench.y((1, 999), scale, zero, "int16")])
    halves = (bench.rng.integers(-40000, 40000, (1, 999)) + 0.5 - zero) * scale
    near = np.nextafter(halves.astype(np.float32), np.float32(bench.rng.choice([-np.inf, np.inf])))
    for x in (halves.astype(np.float32), near, bench.rng.normal(0, 9000 * scale, (1, 999)).astype(np.float32)):
        compare(*loaded(bench, folder), [x])


@pytest.mark.parametrize("source", ["int16", "uint8"])
@given(st.data())
@cases(12)
def test_dequantize(folder, source, data):
    draw, bench, values = data.draw, Bench(0), every_value(source)
    x = bench.x(values.shape, draw(powers(-30, 30)), draw(zeros_of(source)), source)
    bench.w.op("DEQUANTIZE", [x], [bench.y(values.shape, dtype="float32")], version=3)
    compare(*loaded(bench, folder), [values])


@pytest.mark.parametrize("code", ["RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "ABS", "RSQRT"])
@given(st.data())
@cases(12)
def test_int16(folder, code, data):
    """Every value."""
    draw, bench, values = data.draw, Bench(0), every_value("int16")
    x_scale, options = draw(powers(-15, 2)), {}
    y_scale = x_scale / draw(ratios(-5, 3))
    match code:
        case "LOGISTIC" | "TANH":
            y_scale = 2.0**-15
        case "RELU6":
            y_scale = x_scale
        case "LEAKY_RELU":
            options = dict(Alpha=draw(st.floats(-2, 2, width=32) | ratios(-4, 1)))
        case "RSQRT":
            y_scale = draw(powers(-12, -2)) / x_scale**0.5
            values = np.abs(np.maximum(values, -32767))
    x, y = bench.x(values.shape, x_scale, 0, "int16"), bench.y(values.shape, y_scale, 0, "int16")
    bench.w.op(code, [x], [y], version=4 if code in ("LEAKY_RELU",) else 3, **options)
    compare(*loaded(bench, folder), [values])


@pytest.mark.parametrize("code", ["ELU", "ABS", "RSQRT"])
@given(st.data())
@cases(12)
def test_int8(folder, code, data):
    draw, bench, values = data.draw, Bench(0), every_value("int8")
    x_scale, zero = draw(powers(-12, 2)), draw(zeros_of("int8"))
    y_scale = x_scale / draw(ratios(-5, 3))
    if code == "RSQRT":
        values, y_scale = np.maximum(values, np.int8(zero)), draw(powers(-9, 0)) / x_scale**0.5
    x, y = bench.x(values.shape, x_scale, zero), bench.y(values.shape, y_scale, draw(zeros_of("int8")))
    bench.w.op(code, [x], [y], version=2)
    compare(*loaded(bench, folder), [values])


NUMBERS = ("float32", "int8", "int16", "int32", "uint32", "bool")


@pytest.mark.parametrize("source", NUMBERS)
@given(st.data())
@cases(12)
def test_cast(folder, source, data):
    target, bench = data.draw(st.sampled_from([t for t in NUMBERS if t != source])), Bench(data.draw(seeds))
    scales = [0.5 if dtype in ("int8", "int16") else () for dtype in (source, target)]
    bench.w.op("CAST", [bench.x((1, 64), scales[0], dtype=source)], [bench.y((1, 64), scales[1], dtype=target)])
    if source == "float32":
        exponents = bench.rng.integers(-4, 36, (1, 64))
        values = (bench.rng.normal(0, 1, (1, 64)) * 2.0**exponents).astype(np.float32)
        values[0, :8] = [0.0, -0.0, 0.999999, -0.999999, 2**31, -(2**31), np.nan, np.inf]
    elif source == "bool":
        values = bench.rng.random((1, 64)) < 0.5
    else:
        values = integers(bench.rng, (1, 64), source)
    compare(*loaded(bench, folder), [values])


def test_logical_not(folder):
    bench = Bench(0)
    bench.w.op("LOGICAL_NOT", [bench.x((1, 2), (), dtype="bool")], [bench.y((1, 2), (), dtype="bool")])
    compare(*loaded(bench, folder), [np.array([[True, False]])])


RECORDED = np.load(DATA / "cases" / "litert_unary.npz")


@pytest.mark.parametrize("number", range(len(RECORDED["codes"])))
def test_what_only_litert_has(folder, number):
    """Its results for all bytes, as its reference kernels gave them."""
    code, dtype = str(RECORDED["codes"][number]), str(RECORDED["dtypes"][number])
    x_scale, x_zero, y_scale, y_zero = RECORDED["numbers"][number]
    bench, values = Bench(0), every_value(dtype)
    x, y = bench.x(values.shape, x_scale, int(x_zero), dtype), bench.y(values.shape, y_scale, int(y_zero), dtype)
    options = dict(Approximate="approximate" in code) if code.startswith("GELU") else {}
    bench.w.op(code.split()[0], [x], [y], **options)
    path = folder / "model.tflite"
    path.write_bytes(bench.model)
    (result,) = run(load(path), [values])
    assert np.array_equal(result.reshape(-1), RECORDED["results"][number])
