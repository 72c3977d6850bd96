"""What each TFLite operator becomes."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.model.ops import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Padding,
    Quantize,
    Reshape,
    Slice,
    TransposeConv2D,
    Unary,
)
from tests.importer_cases import Q, conv, dense, graph_of, one_op, strided
from tests.tflite_writer import ModelWriter


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding", "count", "before", "after"),
    [
        (5, 3, 1, 1, 0, 5, 1, 1),
        (6, 3, 2, 1, 0, 3, 0, 1),  # odd padding goes behind
        (7, 3, 2, 1, 0, 4, 1, 1),
        (5, 2, 1, 1, 0, 5, 0, 1),
        (5, 3, 1, 2, 0, 5, 2, 2),
        (7, 3, 2, 1, 1, 3, 0, 0),
        (8, 3, 2, 1, 1, 3, 0, 0),
        (9, 3, 1, 3, 1, 3, 0, 0),
        (5, 1, 3, 1, 0, 2, 0, 0),
    ],
)
def test_padding_as_the_oracle_computes_it(size, kernel, stride, dilation, padding, count, before, after):
    options = {"StrideH": stride, "DilationHFactor": dilation, "Padding": padding}
    case = conv(x=(1, size, 1, 2), weights=(3, kernel, 1, 2), y=(1, count, 1, 3), **options)
    (op,) = graph_of(*case).ops
    assert op.pad == Padding(top=before, bottom=after)
    assert (op.stride, op.dilation) == ((stride, 1), (dilation, 1))


@pytest.mark.parametrize(
    ("activation", "scale", "zero", "clamp"),
    [
        (0, 0.1, 0, (-128, 127)),
        (1, 0.1, -20, (-20, 127)),
        (3, 0.1, -128, (-128, -68)),
        (3, 0.01, -128, (-128, 127)),
        (3, 4.0, 0, (0, 2)),  # 1.5 rounds away from zero
        (2, 2.0, 10, (9, 11)),  # so does 0.5
        (1, 1e-37, 3, (3, 127)),
    ],
)
def test_fused_activations_become_clamps(activation, scale, zero, clamp):
    w = ModelWriter()
    a, b = w.tensor("a", (4,), "int8", scale, zero), w.tensor("b", (4,), "int8", scale, zero)
    y = w.tensor("y", (4,), "int8", scale, zero)
    w.op("ADD", [a, b], [y], FusedActivationFunction=activation)
    (op,) = graph_of(w, [a, b], [y]).ops
    assert isinstance(op, Add) and op.clamp == clamp


def test_grouped_and_depthwise_convolution():
    (op,) = graph_of(*conv(x=(1, 5, 7, 6), weights=(3, 3, 3, 2))).ops
    assert isinstance(op, Conv2D) and op.macs == 5 * 7 * 3 * 18
    case = conv("DEPTHWISE_CONV_2D", weights=(1, 3, 3, 4), y=(1, 5, 7, 4), axis=3, scales=(0.1,) * 4, DepthMultiplier=2)
    (op,) = graph_of(*case).ops
    assert isinstance(op, DepthwiseConv2D) and op.multiplier == 2 and op.macs == 5 * 7 * 4 * 9


def test_transpose_convolution():
    w = ModelWriter()
    x = w.tensor("x", (1, 4, 4, 2), "int8", *Q)
    weights = w.tensor("w", (3, 3, 3, 2), "int8", 0.1, data=np.ones((3, 3, 3, 2)))
    y = w.tensor("y", (1, 8, 8, 3), "int8", 0.1, 0)
    w.op("TRANSPOSE_CONV", [w.constant("shape", [1, 8, 8, 3]), weights, x], [y], StrideW=2, StrideH=2)
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, TransposeConv2D) and op.bias is None
    assert (op.pad.top, op.pad.left) == (0, 0) and op.macs == 4 * 4 * 2 * 27


@pytest.mark.parametrize(("x", "y"), [((1, 8), (1, 3)), ((1, 4, 8), (4, 3)), ((2, 2, 2), (1, 3)), ((8,), (3,))])
def test_dense_reads_any_shape(x, y):
    (op,) = graph_of(*dense(x, y)).ops
    assert isinstance(op, Dense) and op.bias.shape == (3,)


def test_dense_without_bias_and_with_an_odd_one():
    (op,) = graph_of(*dense(bias=False)).ops
    assert op.bias is None
    (op,) = graph_of(*dense(bias_shape=(1, 3))).ops
    assert op.bias.shape == (3,)


@pytest.mark.parametrize(
    ("case", "y"),
    [
        (one_op("RESHAPE", (2, 4), (8,), [8]), (8,)),
        (one_op("RESHAPE", (2, 4), (4, 2), [4, -1]), (4, 2)),
        (one_op("RESHAPE", (2, 4), (8, 1), NewShape=[-1, 1]), (8, 1)),
        (one_op("RESHAPE", (2, 4), (8,)), (8,)),  # no shape at all: the declared one
        (one_op("RESHAPE", (1, 1), (), []), ()),
        (one_op("RESHAPE", (1,), (), [0]), ()),  # how old files write a scalar
        (one_op("SQUEEZE", (1, 4, 1), (4,)), (4,)),
        (one_op("SQUEEZE", (1, 4, 1), (1, 4), SqueezeDims=[-1]), (1, 4)),
        (one_op("EXPAND_DIMS", (2, 4), (2, 1, 4), [-2]), (2, 1, 4)),
    ],
)
def test_reshapes(case, y):
    (op,) = graph_of(*case).ops
    assert isinstance(op, Reshape) and op.y.shape == y


@pytest.mark.parametrize(
    "case",
    [
        (np.s_[1:3, ::2], strided((4, 5), (2, 3), [1, 0], [3, 0], [1, 2], BeginMask=2, EndMask=2)),
        (np.s_[::-1, -1:0:-2], strided((4, 5), (4, 2), [0, -1], [0, 0], [-1, -2], BeginMask=1, EndMask=1)),
        (np.s_[-2], strided((4, 5), (5,), [-2], [0], [1], ShrinkAxisMask=1)),
        (np.s_[..., 1], strided((2, 3, 4), (2, 3), [0, 1], [0, 0], [1, 1], EllipsisMask=1, ShrinkAxisMask=2)),
        (np.s_[:, None, 1:9], strided((2, 3), (2, 1, 2), [0, 0, 1], [2, 0, 9], [1, 1, 1], NewAxisMask=2)),
        (np.s_[1:2], strided((2, 3), (1, 3), [1], [1], [1], Offset=True)),
    ],
    ids=lambda case: str(case[0]),
)
def test_strided_slices_mean_what_python_means(case):
    wanted, model = case
    slicing, *reshaping = graph_of(*model).ops
    assert isinstance(slicing, Slice) and all(isinstance(op, Reshape) for op in reshaping)
    x = np.arange(np.prod(slicing.x.shape)).reshape(slicing.x.shape)
    axes = zip(slicing.begin, slicing.stride, slicing.y.shape, strict=True)
    got = x[np.ix_(*([b + i * s for i in range(n)] for b, s, n in axes))]
    assert np.array_equal(got.reshape((*reshaping, slicing)[0].y.shape), x[wanted])


def test_split_pack_unpack():
    w = ModelWriter()
    x = w.tensor("x", (2, 6), "int8", *Q)
    halves = [w.tensor(f"h{i}", (2, 3), "int8", *Q) for i in range(2)]
    w.op("SPLIT", [w.constant("axis", 1), x], halves, NumSplits=2)
    packed = w.tensor("packed", (2, 2, 3), "int8", *Q)
    w.op("PACK", halves, [packed], Axis=1, ValuesCount=2)
    rows = [w.tensor(f"r{i}", (2, 3), "int8", *Q) for i in range(2)]
    w.op("UNPACK", [packed], rows, Axis=1, Num=2)
    graph = graph_of(w, [x], rows)
    kinds = [type(op) for op in graph.ops]
    assert kinds == [Slice, Slice, Reshape, Reshape, Concat, Slice, Reshape, Slice, Reshape]
    assert [op.begin for op in graph.ops if isinstance(op, Slice)] == [(0, 0), (0, 3), (0, 0, 0), (0, 1, 0)]


def test_split_v_with_a_rest():
    w = ModelWriter()
    x = w.tensor("x", (7,), "int8", *Q)
    ys = [w.tensor(f"y{size}", (size,), "int8", *Q) for size in (2, 4, 1)]
    w.op("SPLIT_V", [x, w.constant("sizes", [2, -1, 1]), w.constant("axis", [0])], ys, NumSplits=3)
    assert [op.begin for op in graph_of(w, [x], ys).ops] == [(0,), (2,), (6,)]


def test_quantize_means_two_things():
    w = ModelWriter()
    x, middle = w.tensor("x", (4,), "float32"), w.tensor("m", (4,), "int8", *Q)
    y = w.tensor("y", (4,), "int8", 0.25, 0)
    w.op("QUANTIZE", [x], [middle])
    w.op("QUANTIZE", [middle], [y])
    first, second = graph_of(w, [x], [y]).ops
    assert isinstance(first, Quantize) and isinstance(second, Unary) and second.function == "requantize"


def test_int16_results_have_nearly_the_scale_of_the_operator():
    """As the oracle takes them: files have 1.5259e-05 for 1/65536."""
    w = ModelWriter()
    x, y = w.tensor("x", (1, 4), "int8", *Q), w.tensor("y", (1, 4), "int16", 1.5259e-05, -32768)
    w.op("SOFTMAX", [x], [y], Beta=1.0)
    assert len(graph_of(w, [x], [y]).ops) == 1
