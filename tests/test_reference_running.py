"""Moves whose places or values are computed while the model runs, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.errors import Unsupported
from smelt.importers import load
from smelt.model.reference import run
from tests.oracle import Oracle
from tests.reference_check import Bench, cases, compare, seeds, shapes, values


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("running") / "model.tflite"


def check(file, bench: Bench, inputs: list[np.ndarray]) -> None:
    file.write_bytes(bench.model)
    compare(load(file), Oracle(bench.model), inputs)


TYPES = st.sampled_from([("int8", 0.5, 3), ("int16", 0.5, 0), ("int32", (), 0), ("float32", (), 0)])


@cases(25)
@given(seed=seeds, shape=shapes(1, 4, most=5), kind=TYPES, places=st.sampled_from(["int32", "int64"]), data=st.data())
def test_slices_that_begin_where_is_computed(file, seed, shape, kind, places, data):
    bench, (dtype, *q) = Bench(seed), kind
    size = [data.draw(st.integers(1, n)) for n in shape]
    begin = np.array([data.draw(st.integers(0, n - s)) for n, s in zip(shape, size, strict=True)], places)
    x, at = bench.x(shape, *q, dtype), bench.x((len(shape),), (), 0, places)
    bench.w.op("SLICE", [x, at, bench.w.constant("size", size, places)], [bench.y(size, *q, dtype)], version=2)
    check(file, bench, [values(bench.rng, shape, dtype), begin])


def test_a_place_outside_is_taken_to_be_the_nearest_inside(file):
    bench = Bench(0)
    x, at, y = bench.x((5, 2), (), 0, "float32"), bench.x((2,), (), 0, "int32"), bench.y((2, 2), (), 0, "float32")
    bench.w.op("SLICE", [x, at, bench.w.constant("size", [2, 2])], [y])
    file.write_bytes(bench.model)
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    (found,) = run(load(file), [rows, np.array([4, 0], np.int32)])
    assert found.tolist() == [[8, 9], [8, 9]]


def test_a_slice_to_the_end_from_there_is_refused(file):
    bench = Bench(0)
    x, at, y = bench.x((5,), (), 0, "float32"), bench.x((1,), (), 0, "int32"), bench.y((2,), (), 0, "float32")
    bench.w.op("SLICE", [x, at, bench.w.constant("size", [-1])], [y])
    file.write_bytes(bench.model)
    with pytest.raises(Unsupported, match="a constant size is supported"):
        load(file)


@cases(20)
@given(seed=seeds, shape=shapes(1, 4, most=4), kind=TYPES, one=st.sampled_from([(), (1,)]))
def test_paddings_of_a_value_that_is_computed(file, seed, shape, kind, one):
    bench, (dtype, *q) = Bench(seed), kind
    amounts = bench.rng.integers(0, 3, (len(shape), 2))
    x, value = bench.x(shape, *q, dtype), bench.x(one, *q, dtype)
    y = bench.y([n + sum(pair) for n, pair in zip(shape, amounts, strict=True)], *q, dtype)
    bench.w.op("PADV2", [x, bench.w.constant("paddings", amounts), value], [y])
    check(file, bench, [values(bench.rng, shape, dtype), values(bench.rng, one, dtype)])


@cases(15)
@given(seed=seeds, dtype=st.sampled_from(["int32", "int64"]), axes=st.lists(st.integers(1, 4), min_size=2, max_size=2))
def test_shapes_that_go_together(file, seed, dtype, axes):
    bench = Bench(seed)
    whole = bench.rng.integers(1, 9, max(axes)).astype(dtype)
    given = [np.where(bench.rng.random(n) < 0.4, 1, whole[len(whole) - n :]).astype(dtype) for n in axes]
    xs = [bench.x((n,), (), 0, dtype) for n in axes]
    bench.w.op("BROADCAST_ARGS", xs, [bench.y((max(axes),), (), 0, dtype)])
    check(file, bench, given)
