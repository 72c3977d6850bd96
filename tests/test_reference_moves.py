"""Operators that only move elements against the oracle."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.reference_check import Bench, agree, cases, scales, seeds, shapes, zeros


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("moves")


EVERY = ("int8", "uint8", "int16", "int32", "int64", "bool", "float32")
TYPES = {
    "PAD": ("int8", "int16", "int32", "float32"),
    "PADV2": ("int8", "int16", "int32", "float32"),
    "RESHAPE": EVERY,
    "SQUEEZE": EVERY,
    "EXPAND_DIMS": ("int8", "int16", "float32"),
    "CONCATENATION": ("int8", "int16", "int32", "int64", "bool", "float32"),
    "PACK": ("int8", "int16", "int32", "int64", "float32"),
    "UNPACK": ("int8", "int16", "int32", "float32"),
    "SPLIT": ("int8", "int16", "int32", "float32"),
    "SPLIT_V": ("int8", "int16", "int32", "float32"),
    "SLICE": ("int8", "int16", "int32", "bool", "float32"),
    "STRIDED_SLICE": ("int8", "int16", "int32", "bool", "float32"),
    "TRANSPOSE": ("int8", "int16", "float32"),
}
"""What the oracle takes."""


@st.composite
def benches(draw, code):
    """A bench and the one quantisation and type of all its tensors; int8 as often as all others together."""
    dtype = draw(st.just("int8") | st.sampled_from(TYPES[code]))
    return Bench(draw(seeds)), (draw(scales), draw(zeros) if dtype == "int8" else 0, dtype)


@st.composite
def pads(draw, code):
    (bench, q), shape = draw(benches(code)), draw(shapes(1, 4, most=5))
    margins = np.array([[draw(st.integers(0, 3)), draw(st.integers(0, 3))] for _ in shape])
    x, y = bench.x(shape, *q), bench.y(np.array(shape) + margins.sum(axis=1), *q)
    inputs = [x, bench.w.constant("margins", margins)]
    if code == "PADV2":
        scale, zero, dtype = q
        inputs.append(
            bench.w.tensor("value", (1,), dtype, () if dtype == "float32" else scale, zero, data=[draw(zeros)])
        )
    bench.w.op(code, inputs, [y], version=2)
    return bench


@pytest.mark.parametrize("code", ["PAD", "PADV2"])
@given(st.data())
@cases(25)
def test_pad(folder, code, data):
    agree(data.draw(pads(code)), folder, 1)


@st.composite
def reshapes(draw, code):
    """To shapes with the same elements in the same order."""
    (bench, q), shape = draw(benches(code)), draw(shapes(1, 4, most=4))
    x = bench.x(shape, *q)
    match code:
        case "RESHAPE":
            target = draw(st.permutations(shape))
            target = target if draw(st.booleans()) else [int(np.prod(shape))]
            bench.w.op(code, [x, bench.w.constant("shape", target)], [bench.y(target, *q)], NewShape=target)
        case "EXPAND_DIMS":
            assume(len(shape) < 4)
            axis = draw(st.integers(-len(shape) - 1, len(shape)))
            at = axis % (len(shape) + 1)
            bench.w.op(code, [x, bench.w.constant("axis", [axis])], [bench.y((*shape[:at], 1, *shape[at:]), *q)])
        case "SQUEEZE":
            axes = [a for a, n in enumerate(shape) if n == 1 and draw(st.booleans())]
            dropped = axes or [a for a, n in enumerate(shape) if n == 1]
            target = [n for a, n in enumerate(shape) if a not in dropped]
            assume(target)
            bench.w.op(code, [x], [bench.y(target, *q)], SqueezeDims=axes)
    return bench


@pytest.mark.parametrize("code", ["RESHAPE", "EXPAND_DIMS", "SQUEEZE"])
@given(st.data())
@cases(25)
def test_reshape(folder, code, data):
    agree(data.draw(reshapes(code)), folder, 1)


@st.composite
def concatenations(draw):
    (bench, q), shape = draw(benches("CONCATENATION")), draw(shapes(1, 4, most=4))
    axis, extents = draw(st.integers(-len(shape), len(shape) - 1)), draw(shapes(1, 4))
    parts = [tuple(n if a == axis % len(shape) else m for a, m in enumerate(shape)) for n in extents]
    xs = [bench.x(part, *q) for part in parts]
    whole = tuple(sum(extents) if a == axis % len(shape) else m for a, m in enumerate(shape))
    bench.w.op("CONCATENATION", xs, [bench.y(whole, *q)], version=2, Axis=axis)
    return bench


@given(concatenations())
@cases(25)
def test_concatenation(folder, bench):
    agree(bench, folder, 1)


@st.composite
def packs(draw):
    (bench, q), shape, count = draw(benches("PACK")), draw(shapes(1, 3, most=5)), draw(st.integers(1, 4))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    at = axis % (len(shape) + 1)
    xs = [bench.x(shape, *q) for _ in range(count)]
    y = bench.y((*shape[:at], count, *shape[at:]), *q)
    bench.w.op("PACK", xs, [y], version=2, Axis=axis, ValuesCount=count)
    return bench


@st.composite
def unpacks(draw):
    (bench, q), shape = draw(benches("UNPACK")), draw(shapes(2, 4, most=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    at = axis % len(shape)
    x = bench.x(shape, *q)
    ys = [bench.y((*shape[:at], *shape[at + 1 :]), *q) for _ in range(shape[at])]
    bench.w.op("UNPACK", [x], ys, version=2, Axis=axis, Num=shape[at])
    return bench


@given(packs())
@cases(25)
def test_pack(folder, bench):
    agree(bench, folder, 1)


@given(unpacks())
@cases(25)
def test_unpack(folder, bench):
    agree(bench, folder, 1)


@st.composite
def splits(draw, code):
    (bench, q), shape, count = draw(benches(code)), draw(shapes(1, 4, most=4)), draw(st.integers(1, 4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    at, extent = axis % len(shape), draw(st.integers(1, 4))
    extents = [extent] * count if code == "SPLIT" else draw(shapes(count, count))
    parts = [tuple(n if a == at else m for a, m in enumerate(shape)) for n in extents]
    x = bench.x(tuple(sum(extents) if a == at else m for a, m in enumerate(shape)), *q)
    ys = [bench.y(part, *q) for part in parts]
    place = bench.w.constant("axis", [axis])
    inputs = [place, x] if code == "SPLIT" else [x, bench.w.constant("extents", extents), place]
    bench.w.op(code, inputs, ys, version=2, NumSplits=count)
    return bench


@pytest.mark.parametrize("code", ["SPLIT", "SPLIT_V"])
@given(st.data())
@cases(25)
def test_split(folder, code, data):
    agree(data.draw(splits(code)), folder, 1)


@st.composite
def slices(draw):
    (bench, q), shape = draw(benches("SLICE")), draw(shapes(1, 4))
    begin = [draw(st.integers(0, n - 1)) for n in shape]
    size = [draw(st.integers(1, n - b)) for n, b in zip(shape, begin, strict=True)]
    to_the_end = [-1 if b + s == n and draw(st.booleans()) else s for n, b, s in zip(shape, begin, size, strict=True)]
    x, y = bench.x(shape, *q), bench.y(size, *q)
    bench.w.op("SLICE", [x, bench.w.constant("begin", begin), bench.w.constant("size", to_the_end)], [y], version=2)
    return bench


@given(slices())
@cases(25)
def test_slice(folder, bench):
    agree(bench, folder, 1)


@st.composite
def strided_slices(draw):
    """Python's slices: negative positions and strides, ends left open by masks, axes dropped."""
    (bench, q), shape = draw(benches("STRIDED_SLICE")), draw(shapes(1, 4))
    axes = range(len(shape))
    begin = [draw(st.integers(-n, n - 1)) for n in shape]
    end = [draw(st.integers(-n - 1, n + 1)) for n in shape]
    stride = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in shape]
    masks = [draw(st.integers(0, 2 ** len(shape) - 1)) for _ in range(3)]
    drop = masks[2] if draw(st.booleans()) else 0

    def one_axis(a):
        if drop >> a & 1:
            return begin[a]
        open_begin, open_end = masks[0] >> a & 1, masks[1] >> a & 1
        return slice(None if open_begin else begin[a], None if open_end else end[a], stride[a])

    stride = [1 if drop >> a & 1 else s for a, s in enumerate(stride)]
    result = np.empty(shape)[tuple(one_axis(a) for a in axes)]
    assume(result.size > 0 and result.ndim > 0)
    x, y = bench.x(shape, *q), bench.y(result.shape, *q)
    inputs = [x, *(bench.w.constant(n, v) for n, v in (("begin", begin), ("end", end), ("stride", stride)))]
    options = dict(BeginMask=masks[0] & ~drop, EndMask=masks[1] & ~drop, ShrinkAxisMask=drop)
    bench.w.op("STRIDED_SLICE", inputs, [y], version=2, **options)
    return bench


@given(strided_slices())
@cases(40)
def test_strided_slice(folder, bench):
    agree(bench, folder, 1)


@st.composite
def transposes(draw):
    (bench, q), shape = draw(benches("TRANSPOSE")), draw(shapes(1, 5, most=5))
    order = draw(st.permutations(range(len(shape))))
    x, y = bench.x(shape, *q), bench.y([shape[a] for a in order], *q)
    bench.w.op("TRANSPOSE", [x, bench.w.constant("order", order)], [y], version=2)
    return bench


@given(transposes())
@cases(25)
def test_transpose(folder, bench):
    agree(bench, folder, 1)
