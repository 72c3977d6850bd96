"""Operators that move elements to computed places, and blocks of images, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.reference_check import Bench, agree, cases, scales, seeds, shapes, zeros

FEW, EVERY = ("int8", "float32"), ("int8", "uint8", "int16", "int32", "int64", "bool", "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gathers")


@st.composite
def benches(draw, types=FEW):
    """A bench, and how all its tensors are quantised and of what type they are: one that the oracle takes."""
    dtype = draw(st.sampled_from(types))
    return Bench(draw(seeds)), (draw(scales), draw(zeros) if dtype == "int8" else 0, dtype)


def indices(bench, shape, size, name="indices"):
    return bench.w.constant(name, bench.rng.integers(0, size, shape))


@st.composite
def gathers(draw):
    (bench, q), shape = draw(benches()), draw(shapes(1, 4, most=5))
    axis = draw(st.integers(0, len(shape) - 1))
    batch = draw(st.integers(0, axis))
    chosen = (*shape[:batch], *draw(shapes(0 if batch else 1, 2, most=4)))
    result = (*shape[:axis], *chosen[batch:], *shape[axis + 1 :])
    assume(result)
    x, y = bench.x(shape, *q), bench.y(result, *q)
    named = axis - draw(st.sampled_from([0, len(shape)]))
    bench.w.op("GATHER", [x, indices(bench, chosen, shape[axis])], [y], version=5, Axis=named, BatchDims=batch)
    return bench


@given(gathers())
@cases(30)
def test_gather(folder, bench):
    agree(bench, folder, 1)


@st.composite
def gathers_nd(draw):
    (bench, q), shape = draw(benches()), draw(shapes(1, 4, most=5))
    depth = draw(st.integers(1, len(shape)))
    lead = draw(shapes(1, 2, most=4))
    places = np.stack([bench.rng.integers(0, n, lead) for n in shape[:depth]], -1)
    x, y = bench.x(shape, *q), bench.y((*lead, *shape[depth:]), *q)
    bench.w.op("GATHER_ND", [x, bench.w.constant("places", places)], [y], version=2)
    return bench


@given(gathers_nd())
@cases(25)
def test_gather_nd(folder, bench):
    agree(bench, folder, 1)


@pytest.mark.parametrize(("table", "y"), [("int8", "int8"), ("float32", "float32"), ("int8", "float32")])
def test_embedding_lookup(folder, table, y):
    bench = Bench(3)
    x = bench.x((7, 2, 3), 0.25, 0, table)
    result = bench.y((4, 2, 3), 0.25, 0, y)
    bench.w.op("EMBEDDING_LOOKUP", [bench.w.constant("rows", [6, 0, 0, 3]), x], [result], version=3)
    agree(bench, folder, 1)


@st.composite
def broadcasts(draw):
    (bench, q), shape = draw(benches(EVERY)), draw(shapes(1, 4, most=5))
    kept = tuple(n if draw(st.booleans()) else 1 for n in shape)[draw(st.integers(0, len(shape) - 1)) :]
    bench.w.op("BROADCAST_TO", [bench.x(kept, *q), bench.w.constant("shape", shape)], [bench.y(shape, *q)], version=3)
    return bench


@given(broadcasts())
@cases(20)
def test_broadcast_to(folder, bench):
    agree(bench, folder, 1)


@st.composite
def mirrored(draw):
    (bench, q), shape, mode = draw(benches()), draw(shapes(1, 4, most=5)), draw(st.integers(0, 1))
    amounts = np.array([[draw(st.integers(0, n - 1 + mode)) for _ in range(2)] for n in shape])
    x, y = bench.x(shape, *q), bench.y(np.array(shape) + amounts.sum(axis=1), *q)
    bench.w.op("MIRROR_PAD", [x, bench.w.constant("amounts", amounts)], [y], version=2, Mode=mode)
    return bench


@given(mirrored())
@cases(25)
def test_mirror_pad(folder, bench):
    agree(bench, folder, 1)


@st.composite
def reversals(draw):
    (bench, q), shape = draw(benches(EVERY)), draw(shapes(1, 4, most=5))
    first = draw(st.integers(0, len(shape) - 1))
    axes = list(range(first, draw(st.integers(first + 1, len(shape)))))  # the oracle wants them next to each other
    bench.w.op("REVERSE_V2", [bench.x(shape, *q), bench.w.constant("axes", axes)], [bench.y(shape, *q)], version=3)
    return bench


@given(reversals())
@cases(20)
def test_reverse(folder, bench):
    agree(bench, folder, 1)


@st.composite
def updates(draw):
    (bench, q), shape = draw(benches(("int8", "int16", "int32", "float32"))), draw(shapes(1, 4, most=5))
    part = [draw(st.integers(1, n)) for n in shape]
    start = [draw(st.integers(-2, n + 1)) for n in shape]
    operands = [bench.x(shape, *q), bench.x(part, *q), bench.w.constant("start", start)]
    bench.w.op("DYNAMIC_UPDATE_SLICE", operands, [bench.y(shape, *q)], version=1)
    return bench


@given(updates())
@cases(20)
def test_dynamic_update_slice(folder, bench):
    agree(bench, folder, 1)


@st.composite
def blocks(draw, code):
    """DEPTH_TO_SPACE and its inverse."""
    (bench, q), block = draw(benches()), draw(st.integers(1, 3))
    batch, rows, columns, channels = (draw(st.integers(1, 3)) for _ in range(4))
    deep, wide = (batch, rows, columns, channels * block**2), (batch, rows * block, columns * block, channels)
    shape, result = (deep, wide) if code == "DEPTH_TO_SPACE" else (wide, deep)
    bench.w.op(code, [bench.x(shape, *q)], [bench.y(result, *q)], version=2, BlockSize=block)
    return bench


@pytest.mark.parametrize("code", ["DEPTH_TO_SPACE", "SPACE_TO_DEPTH"])
@given(st.data())
@cases(20)
def test_depth_and_space(folder, code, data):
    agree(data.draw(blocks(code)), folder, 1)


@st.composite
def batches(draw, code):
    """SPACE_TO_BATCH_ND (without paddings: there the oracle reads what it never wrote) and its inverse."""
    (bench, q), axes = draw(benches()), draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 3)) for _ in range(axes)]
    small = [draw(st.integers(1, 3)) for _ in range(axes)]
    channels, batch = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    margins = np.zeros((axes, 2), int)
    if code == "BATCH_TO_SPACE_ND":
        margins = np.array(
            [[draw(st.integers(0, n * b - 1)) for _ in range(2)] for n, b in zip(small, sizes, strict=True)]
        )
    wide = [n * b - m.sum() for n, b, m in zip(small, sizes, margins, strict=True)]
    assume(min(wide) > 0)
    blocked, image = (batch * int(np.prod(sizes)), *small, channels), (batch, *wide, channels)
    shape, result = (image, blocked) if code == "SPACE_TO_BATCH_ND" else (blocked, image)
    operands = [bench.x(shape, *q), bench.w.constant("sizes", sizes), bench.w.constant("margins", margins)]
    bench.w.op(code, operands, [bench.y(result, *q)], version=3)
    return bench


@pytest.mark.parametrize("code", ["SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"])
@given(st.data())
@cases(25)
def test_batch_and_space(folder, code, data):
    agree(data.draw(batches(code)), folder, 1)


@st.composite
def nearest(draw):
    bench, (scale, zero, dtype) = draw(benches(("int8", "int16", "float32")))
    batch, rows, columns, channels = (draw(st.integers(1, 5)) for _ in range(4))
    size = [draw(st.integers(1, 9)) for _ in range(2)]
    align = draw(st.booleans())
    x, y = (
        bench.x((batch, rows, columns, channels), scale, zero, dtype),
        bench.y((batch, *size, channels), scale, zero, dtype),
    )
    options = dict(AlignCorners=align, HalfPixelCenters=not align and draw(st.booleans()))
    bench.w.op("RESIZE_NEAREST_NEIGHBOR", [x, bench.w.constant("size", size)], [y], version=3, **options)
    return bench


@given(nearest())
@cases(25)
def test_resize_nearest(folder, bench):
    agree(bench, folder, 1)


@pytest.mark.parametrize("dtype", ["int8", "int32", "float32"])
def test_fill_of_a_value_that_is_computed(folder, dtype):
    bench = Bench(1)
    x, y = bench.x((), 0.5, 0, dtype), bench.y((3, 5), 0.5, 0, dtype)
    bench.w.op("FILL", [bench.w.constant("sizes", [3, 5]), x], [y])
    agree(bench, folder, 2)
