"""Importing .tflite files: the real models, the surprises that real files hold, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from smelt.errors import ModelError, Unsupported
from smelt.importers import SUPPORTED, describe, load
from smelt.model.graph import Graph
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
from tests.paths import MODELS
from tests.tflite_writer import ModelWriter

REAL = (
    ("mlperf_tiny/pretrainedResnet_quant", 16, 12_501_632, (1, 32, 32, 3), (1, 10)),
    ("mlperf_tiny/vww_96_int8", 31, 7_489_664, (1, 96, 96, 3), (1, 2)),
    ("mlperf_tiny/kws_ref_model", 13, 2_656_768, (1, 49, 10, 1), (1, 12)),
    ("mlperf_tiny/ad01_int8", 10, 264_192, (1, 640), (1, 640)),
    ("mlperf_tiny/str_ww_ref_model", 11, 826_368, (1, 30, 1, 40), (1, 3)),
    ("tflm/person_detect", 31, 7_157_888, (1, 96, 96, 1), (1, 2)),
    ("tflm/micro_speech_quantized", 4, 336_000, (1, 1960), (1, 4)),
    ("tflm/hello_world_int8", 3, 288, (1, 1), (1, 1)),
)
FLOAT = (
    "mlperf_tiny/pretrainedResnet",
    "mlperf_tiny/vww_96_float",
    "mlperf_tiny/kws_ref_model_float32",
    "mlperf_tiny/ad01_fp32",
    "tflm/hello_world_float",
)

needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")
Q = (0.5, 3)


@pytest.fixture
def graph_of(tmp_path):
    """Writes the file that a writer makes and loads it."""

    def make(writer: ModelWriter, inputs, outputs) -> Graph:
        path = tmp_path / "model.tflite"
        path.write_bytes(writer.finish(inputs, outputs))
        return load(path)

    return make


@pytest.fixture
def refusal(graph_of):
    """The reasons for which a model is refused."""

    def reasons(writer: ModelWriter, inputs, outputs) -> tuple[str, ...]:
        with pytest.raises(Unsupported) as refused:
            graph_of(writer, inputs, outputs)
        return refused.value.reasons

    return reasons


@pytest.fixture
def contradiction(graph_of):
    """The message with which a model is refused that contradicts itself."""

    def message(writer: ModelWriter, inputs, outputs) -> str:
        with pytest.raises(ModelError) as refused:
            graph_of(writer, inputs, outputs)
        return str(refused.value)

    return message


# Real models


@needs_models
@pytest.mark.parametrize(("name", "ops", "macs", "x", "y"), REAL, ids=[case[0].split("/")[1] for case in REAL])
def test_real_models(name, ops, macs, x, y):
    graph = load(MODELS / f"{name}.tflite")
    assert (len(graph.ops), graph.macs) == (ops, macs)
    assert [t.shape for t in graph.inputs] == [x] and [t.shape for t in graph.outputs] == [y]
    assert graph.inputs[0].dtype == graph.outputs[0].dtype == "int8"
    assert all(op.origin for op in graph.ops)
    assert graph.name == name.split("/")[1]


@needs_models
@pytest.mark.parametrize(("name", "ops", "macs", "x", "y"), REAL, ids=[case[0].split("/")[1] for case in REAL])
def test_real_models_are_described(name, ops, macs, x, y):
    summary = describe(MODELS / f"{name}.tflite")
    assert (len(summary.operators), summary.macs, summary.problems) == (ops, macs, ())
    assert summary.inputs[0].shape == x and summary.inputs[0].quantization


@needs_models
@pytest.mark.parametrize("name", FLOAT, ids=[name.split("/")[1] for name in FLOAT])
def test_float_models_get_one_clear_reason(name):
    path = MODELS / f"{name}.tflite"
    with pytest.raises(Unsupported) as refused:
        load(path)
    (reason,) = refused.value.reasons
    assert "float32" in reason and "int8" in reason and path.name in str(refused.value)
    summary = describe(path)
    assert summary.problems == (reason,) and summary.operators and summary.operators[0].inputs[0].dtype == "float32"


@needs_models
def test_resnet_in_detail():
    first = load(MODELS / "mlperf_tiny/pretrainedResnet_quant.tflite").ops[0]
    assert isinstance(first, Conv2D)
    assert (first.stride, first.pad, first.clamp) == ((1, 1), Padding(1, 1, 1, 1), (-128, 127))
    assert first.weights.q.axis == 0 and len(first.weights.q.scales) == 16 and first.bias.shape == (16,)


# Files that are no models


def test_what_is_no_model(tmp_path):
    empty, text, folder = tmp_path / "a.tflite", tmp_path / "b.tflite", tmp_path / "c.tflite"
    empty.write_bytes(b"")
    text.write_text("hello, this is not a model")
    folder.mkdir()
    for path, words in ((empty, "empty"), (text, "not a model"), (folder, "folder"), (tmp_path / "no", "no file")):
        with pytest.raises(ModelError, match=words):
            load(path)
        with pytest.raises(ModelError, match=words):
            describe(path)


@pytest.mark.parametrize("name", ["net.onnx", "net.h5", "net.pt"])
def test_other_formats_say_what_to_do(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x08\x07something")
    with pytest.raises(Unsupported, match="int8"):
        load(path)


def test_a_file_that_is_only_a_beginning(tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(b"\x1c\x00\x00\x00TFL3")
    with pytest.raises(ModelError, match="cut off"):
        load(path)


# Single operators


def one_op(code, x_shape, y_shape, *constants, q=Q, y_q=None, **options):
    """A writer with one operator from x (and int32 constants) to y."""
    w = ModelWriter()
    x = w.tensor("x", x_shape, "int8", *q)
    rest = [w.constant(f"c{i}", value) for i, value in enumerate(constants)]
    y = w.tensor("y", y_shape, "int8", *(y_q or q))
    w.op(code, [x, *rest], [y], **options)
    return w, [x], [y]


def conv(code="CONV_2D", x=(1, 5, 7, 2), weights=(3, 3, 3, 2), y=(1, 5, 7, 3), axis=0, scales=(0.1,) * 3, zero=0, **o):
    w = ModelWriter()
    channels = len(scales) if len(scales) > 1 else weights[axis]
    xi = w.tensor("x", x, "int8", *Q)
    wi = w.tensor("w", weights, "int8", scales, zero, data=np.ones(weights, np.int8), axis=axis)
    bi = w.tensor("b", (channels,), "int32", [0.5 * s for s in scales], 0, data=np.arange(channels))
    yi = w.tensor("y", y, "int8", 0.1, -128)
    w.op(code, [xi, wi, bi], [yi], **{"StrideW": 1, "StrideH": 1, **o})
    return w, [xi], [yi]


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
def test_padding_as_the_oracle_computes_it(graph_of, size, kernel, stride, dilation, padding, count, before, after):
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
        (1, 1e-38, 3, (3, 127)),
    ],
)
def test_fused_activations_become_clamps(graph_of, activation, scale, zero, clamp):
    w = ModelWriter()
    a, b = w.tensor("a", (4,), "int8", scale, zero), w.tensor("b", (4,), "int8", scale, zero)
    y = w.tensor("y", (4,), "int8", scale, zero)
    w.op("ADD", [a, b], [y], FusedActivationFunction=activation)
    (op,) = graph_of(w, [a, b], [y]).ops
    assert isinstance(op, Add) and op.clamp == clamp


def test_grouped_and_depthwise_convolution(graph_of):
    (op,) = graph_of(*conv(x=(1, 5, 7, 6), weights=(3, 3, 3, 2))).ops
    assert isinstance(op, Conv2D) and op.macs == 5 * 7 * 3 * 18
    case = conv("DEPTHWISE_CONV_2D", weights=(1, 3, 3, 4), y=(1, 5, 7, 4), axis=3, scales=(0.1,) * 4, DepthMultiplier=2)
    (op,) = graph_of(*case).ops
    assert isinstance(op, DepthwiseConv2D) and op.multiplier == 2 and op.macs == 5 * 7 * 4 * 9


def test_transpose_convolution(graph_of):
    w = ModelWriter()
    x = w.tensor("x", (1, 4, 4, 2), "int8", *Q)
    weights = w.tensor("w", (3, 3, 3, 2), "int8", 0.1, data=np.ones((3, 3, 3, 2)))
    y = w.tensor("y", (1, 8, 8, 3), "int8", 0.1, 0)
    w.op("TRANSPOSE_CONV", [w.constant("shape", [1, 8, 8, 3]), weights, x], [y], StrideW=2, StrideH=2)
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, TransposeConv2D) and op.bias is None
    assert (op.pad.top, op.pad.left) == (0, 0) and op.macs == 4 * 4 * 2 * 27


def dense(x_shape=(1, 8), y_shape=(1, 3), bias=True, bias_shape=(3,), bias_scale=0.05):
    w = ModelWriter()
    x = w.tensor("x", x_shape, "int8", *Q)
    weights = w.tensor("w", (3, 8), "int8", 0.1, data=np.ones((3, 8)))
    b = w.tensor("b", bias_shape, "int32", bias_scale, data=np.zeros(bias_shape)) if bias else -1
    y = w.tensor("y", y_shape, "int8", 0.2, 0)
    w.op("FULLY_CONNECTED", [x, weights, b], [y], version=4)
    return w, [x], [y]


@pytest.mark.parametrize(("x", "y"), [((1, 8), (1, 3)), ((1, 4, 8), (4, 3)), ((2, 2, 2), (1, 3)), ((8,), (3,))])
def test_dense_reads_any_shape(graph_of, x, y):
    (op,) = graph_of(*dense(x, y)).ops
    assert isinstance(op, Dense) and op.bias.shape == (3,)


def test_dense_without_bias_and_with_an_odd_one(graph_of):
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
def test_reshapes(graph_of, case, y):
    (op,) = graph_of(*case).ops
    assert isinstance(op, Reshape) and op.y.shape == y


def strided(x, y, begin, end, stride, **masks):
    return one_op("STRIDED_SLICE", x, y, begin, end, stride, **masks)


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
    ids=str,
)
def test_strided_slices_mean_what_python_means(graph_of, case):
    wanted, model = case
    slicing, *reshaping = graph_of(*model).ops
    assert isinstance(slicing, Slice) and all(isinstance(op, Reshape) for op in reshaping)
    x = np.arange(np.prod(slicing.x.shape)).reshape(slicing.x.shape)
    axes = zip(slicing.begin, slicing.stride, slicing.y.shape, strict=True)
    got = x[np.ix_(*([b + i * s for i in range(n)] for b, s, n in axes))]
    assert np.array_equal(got.reshape((*reshaping, slicing)[0].y.shape), x[wanted])


def test_split_pack_unpack(graph_of):
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


def test_split_v_with_a_rest(graph_of):
    w = ModelWriter()
    x = w.tensor("x", (7,), "int8", *Q)
    ys = [w.tensor(f"y{size}", (size,), "int8", *Q) for size in (2, 4, 1)]
    w.op("SPLIT_V", [x, w.constant("sizes", [2, -1, 1]), w.constant("axis", [0])], ys, NumSplits=3)
    assert [op.begin for op in graph_of(w, [x], ys).ops] == [(0,), (2,), (6,)]


def test_quantize_means_two_things(graph_of):
    w = ModelWriter()
    x, middle = w.tensor("x", (4,), "float32"), w.tensor("m", (4,), "int8", *Q)
    y = w.tensor("y", (4,), "int8", 0.25, 0)
    w.op("QUANTIZE", [x], [middle])
    w.op("QUANTIZE", [middle], [y])
    first, second = graph_of(w, [x], [y]).ops
    assert isinstance(first, Quantize) and isinstance(second, Unary) and second.function == "requantize"


# Surprises


def relu_chain(names, outputs=(-1,)):
    """RELU after RELU through tensors of these names; the outputs are positions in the chain."""
    w = ModelWriter()
    tensors = [w.tensor(name, (4,), "int8", *Q) for name in names]
    for x, y in pairwise(tensors):
        w.op("RELU", [x], [y])
    return w, [tensors[0]], [tensors[i] for i in outputs]


def test_names_become_unique(graph_of):
    graph = graph_of(*relu_chain(["a", "a", "", "a_2", "a"]))
    assert [t.name for t in graph.tensors] == ["a", "a_2", "tensor_2", "a_2_2", "a_3"]


def test_outputs_may_be_intermediate_or_inputs(graph_of):
    graph = graph_of(*relu_chain(["a", "b", "c"], outputs=(2, 1, 0)))
    assert [t.name for t in graph.outputs] == ["c", "b", "a"] and graph.outputs[2] is graph.inputs[0]


def test_a_tensor_with_several_consumers(graph_of):
    w = ModelWriter()
    x, a, b = (w.tensor(name, (4,), "int8", *Q) for name in "xab")
    y = w.tensor("y", (4,), "int8", *Q)
    w.op("RELU", [x], [a])
    w.op("RELU6", [x], [b])
    w.op("MAXIMUM", [a, b], [y])
    graph = graph_of(w, [x], [y])
    assert len(graph.consumers(graph.inputs[0])) == 2


def test_dynamic_batch_and_a_flatten_computed_from_the_shape(graph_of):
    w = ModelWriter()
    x = w.tensor("x", (1, 2, 3), "int8", *Q, signature=(-1, 2, 3))
    shape, batch, wanted = (w.tensor(n, s, "int32") for n, s in (("shape", (3,)), ("batch", ()), ("wanted", (2,))))
    y = w.tensor("y", (1, 6), "int8", *Q)
    w.op("SHAPE", [x], [shape])
    bounds = [w.constant("begin", [0]), w.constant("end", [1]), w.constant("stride", [1])]
    w.op("STRIDED_SLICE", [shape, *bounds], [batch], ShrinkAxisMask=1)
    w.op("PACK", [batch, w.constant("six", 6)], [wanted], Axis=0, ValuesCount=2)
    w.op("RESHAPE", [x, wanted], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert isinstance(op, Reshape) and op.y.shape == (1, 6)


def test_weights_may_come_through_operators_on_constants(graph_of):
    w = ModelWriter()
    x = w.tensor("x", (1, 6), "int8", *Q)
    stored = w.tensor("stored", (18,), "int8", 0.1, data=np.arange(18))
    weights, y = w.tensor("weights", (3, 6), "int8", 0.1), w.tensor("y", (1, 3), "int8", 0.5, 0)
    w.op("RESHAPE", [stored, w.constant("shape", [3, 6])], [weights])
    w.op("FULLY_CONNECTED", [x, weights, -1], [y])
    reshape, op = graph_of(w, [x], [y]).ops
    assert reshape.x.is_constant and isinstance(op, Dense) and op.weights is reshape.y


def test_scalars_and_broadcasting(graph_of):
    w = ModelWriter()
    x = w.tensor("x", (2, 3, 4), "int8", *Q)
    one = w.tensor("one", (), "int8", 0.1, 0, data=5)
    y = w.tensor("y", (2, 3, 4), "int8", *Q)
    w.op("MUL", [x, one], [y])
    (op,) = graph_of(w, [x], [y]).ops
    assert op.x2.shape == () and int(op.x2.constant) == 5


# What is refused


def test_all_reasons_at_once(refusal):
    w = ModelWriter()
    a, b = w.tensor("a", (1, 4), "int8", *Q), w.tensor("b", (1, 4), "int8", *Q)
    c, d = w.tensor("c", (1, 4), "int8", *Q), w.tensor("d", (1, 4), "int8", *Q)
    w.op("ELU", [a], [b])
    w.op("SOFTMAX", [b], [c], Beta=1.0)
    w.op("TANH", [c], [d])
    reasons = refusal(w, [a], [d])
    assert len(reasons) == 3
    assert "ELU" in reasons[0] and "LEAKY_RELU" in reasons[0]
    assert "operator 1 SOFTMAX 'c'" in reasons[1] and "1/256" in reasons[1]
    assert "operator 2 TANH 'd'" in reasons[2] and "1/128" in reasons[2]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (conv(zero=1), "zero point other than 0"),
        (conv(scales=(0.1,) * 2, axis=3, weights=(2, 3, 3, 2), y=(1, 5, 7, 2)), "axis 3"),
        (conv(FusedActivationFunction=4), "TANH"),
        (dense(bias_scale=5.0), "scale of bias"),
        (one_op("MAX_POOL_2D", (1, 4, 4, 1), (1, 2, 2, 1), y_q=(0.1, 0), **dict.fromkeys(
            ("StrideW", "StrideH", "FilterWidth", "FilterHeight"), 2)), "quantised differently"),
        (one_op("RELU", (4,), (4,), q=((), 0)), "no quantisation"),
        (one_op("RELU", (0,), (0,)), "empty"),
    ],
    ids=["zero point", "axis", "activation", "bias scale", "pool", "unquantised", "empty"],
)  # fmt: skip
def test_reasons(refusal, case, words):
    assert words in "\n".join(refusal(*case))


@pytest.mark.parametrize(("dtype", "words"), [("uint8", "legacy"), ("int16", "int16"), ("int32", "int32")])
def test_other_types(refusal, dtype, words):
    w = ModelWriter()
    x, y = w.tensor("x", (4,), dtype, 0.5, 0), w.tensor("y", (4,), dtype, 0.5, 0)
    w.op("RELU", [x], [y])
    assert words in "\n".join(refusal(w, [x], [y]))


def test_dynamic_shapes_other_than_the_batch(refusal):
    w = ModelWriter()
    x, y = (w.tensor(name, (1, 1, 3), "int8", *Q, signature=(-1, -1, 3)) for name in "xy")
    w.op("RELU", [x], [y])
    assert "only the batch" in refusal(w, [x], [y])[0]


def test_weights_that_are_computed(refusal):
    w = ModelWriter()
    x, weights = w.tensor("x", (1, 6), "int8", *Q), w.tensor("w", (3, 6), "int8", 0.1, 0)
    y = w.tensor("y", (1, 3), "int8", *Q)
    w.op("FULLY_CONNECTED", [x, weights, -1], [y])
    assert "constants are supported" in refusal(w, [x, weights], [y])[0]


def test_a_shape_that_is_an_input(refusal):
    w = ModelWriter()
    x, permutation = w.tensor("x", (2, 6), "int8", *Q), w.tensor("p", (2,), "int32")
    y = w.tensor("y", (6, 2), "int8", *Q)
    w.op("TRANSPOSE", [x, permutation], [y])
    assert "must be constant" in "\n".join(refusal(w, [x, permutation], [y]))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (conv(y=(1, 5, 8, 3)), "[1, 5, 8, 3], but the operator computes [1, 5, 7, 3]"),
        (conv(x=(1, 5, 7, 3)), "do not fit"),
        (conv(StrideH=0), "stride is 0"),
        (conv(DilationHFactor=-1), "dilation is -1"),
        (conv(Padding=7), "neither SAME nor VALID"),
        (conv(x=(1, 2, 7, 2), y=(1, 1, 5, 3), Padding=1), "does not fit"),
        (conv(x=(5, 7, 2)), "4 axes"),
        (dense(x_shape=(1, 9)), "do not fit"),
        (dense(bias_shape=(4,)), "3 channels"),
        (one_op("RESHAPE", (2, 4), (9,), [9]), "cannot become"),
        (one_op("RESHAPE", (2, 4), (4, 2), [-1, -1]), "makes no sense"),
        (one_op("SQUEEZE", (1, 4), (1,), SqueezeDims=[1]), "size 1"),
        (one_op("TRANSPOSE", (1, 4), (4, 1), [0, 0]), "permutation"),
        (one_op("PAD", (4,), (6,), [[1, 2]]), "[6], but the operator computes [7]"),
        (one_op("PAD", (4,), (4,), [[-1, 1]]), "negative"),
        (one_op("SLICE", (4,), (2,), [3], [2]), "outside"),
        (one_op("MEAN", (1, 4), (1,), [2]), "axis 2 does not exist"),
        (strided((4,), (4,), [0], [4], [0]), "stride is 0"),
        (strided((4,), (), [4], [5], [1], ShrinkAxisMask=1), "outside"),
        (one_op("RELU", (1 << 20, 1 << 20, 1 << 20), (1,)), "impossible shape"),
        (one_op("RELU", (4,), (4,), q=(float("nan"), 0)), "not a positive number"),
        (one_op("RELU", (4,), (4,), q=(0.5, 200)), "zero point outside"),
        (one_op("RELU", (4,), (5,)), "[5], but the operator computes [4]"),
    ],
)  # fmt: skip
def test_contradictions_name_the_operator(contradiction, case, words):
    assert words in contradiction(*case)


def test_graphs_that_cannot_run(contradiction):
    w = ModelWriter()
    x, y, z = (w.tensor(name, (4,), "int8", *Q) for name in "xyz")
    w.op("RELU", [y], [z])
    w.op("RELU", [x], [y])
    assert "before it is computed" in contradiction(w, [x], [z])
    assert "no outputs" in contradiction(w, [x], [])
    w.op("RELU", [x], [y])
    assert "already has a value" in contradiction(w, [x], [z])


def test_constants_of_the_wrong_size(contradiction):
    w = ModelWriter()
    x, y = w.tensor("x", (4,), "int8", *Q), w.tensor("y", (4,), "int8", *Q)
    w.op("ADD", [x, w.tensor("c", (4,), "int8", *Q, data=np.zeros(3))], [y])
    assert "needs 4 bytes, but its buffer has 3" in contradiction(w, [x], [y])


def test_supported_is_the_issues_list():
    names = {operator.name for operator in SUPPORTED}
    assert len(names) == len(SUPPORTED) == 36 and {"CONV_2D", "HARD_SWISH", "TRANSPOSE_CONV", "UNPACK"} <= names
