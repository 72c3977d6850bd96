"""Passes: a prepared graph computes the same bits, and each pass removes what it promises to."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smelt.importers import load
from smelt.model import reference
from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dequantize,
    Lookup,
    MaxPool2D,
    Pad,
    Padding,
    Quantize,
    Reshape,
    Slice,
    Transpose,
    Unary,
)
from smelt.model.rescale import linear_rescale
from smelt.passes import PREPARE, prepare
from smelt.passes.wider_channels import whole_words, widen_channels
from tests.paths import INT8_MODELS

Q = Quantization((0.05,), (-10,))
Q2 = Quantization((0.03,), (20,))


class Sketch:
    """Writes small graphs down: every method adds an op and returns its result."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.inputs: list[Tensor] = []
        self.ops: list[Op] = []

    def input(self, *shape: int, q: Quantization | None = Q) -> Tensor:
        x = Tensor(f"x{len(self.inputs)}", shape, "int8" if q else "float32", q)
        self.inputs.append(x)
        return x

    def constant(self, *shape: int, q: Quantization = Q) -> Tensor:
        return Tensor(f"c{len(self.ops)}", shape, "int8", q, self.random.integers(-128, 128, shape, np.int8))

    def y(self, *shape: int, q: Quantization | None = Q) -> Tensor:
        return Tensor(f"t{len(self.ops)}", shape, "int8" if q else "float32", q)

    def add(self, op: Op) -> Tensor:
        self.ops.append(op)
        return op.y

    def weights(self, *shape: int) -> Tensor:
        values = self.random.integers(-127, 128, shape, np.int8)
        q = Quantization((0.01,), (0,))
        return Tensor(f"w{len(self.ops)}", shape, "int8", q, values)

    def bias(self, n: int) -> Tensor:
        return Tensor(f"b{len(self.ops)}", (n,), "int32", None, self.random.integers(-500, 500, n).astype(np.int32))

    def conv(self, x: Tensor, size: int, channels: int, stride: int, pad: Padding, q: Quantization = Q) -> Tensor:
        weights = self.weights(channels, size, size, x.shape[3])
        y = self.y(*image(x, size, stride, pad, channels), q=q)
        common = dict(x=x, weights=weights, y=y, rescale=linear_rescale(x, weights, y))
        return self.add(Conv2D(**common, bias=self.bias(channels), stride=(stride, stride), pad=pad))

    def depthwise(self, x: Tensor, size: int, stride: int, pad: Padding, q: Quantization = Q) -> Tensor:
        channels = x.shape[3]
        weights, y = self.weights(1, size, size, channels), self.y(*image(x, size, stride, pad, channels), q=q)
        bias = self.bias(channels)
        common = dict(x=x, weights=weights, y=y, rescale=linear_rescale(x, weights, y))
        return self.add(DepthwiseConv2D(**common, bias=bias, stride=(stride, stride), pad=pad))

    def pool(self, kind: type[MaxPool2D] | type[AveragePool2D], x: Tensor, size: int, pad: Padding) -> Tensor:
        y = self.y(*image(x, size, 1, pad, x.shape[3]), q=x.quantization)
        return self.add(kind(x=x, y=y, size=(size, size), pad=pad))

    def dense(self, x: Tensor, units: int) -> Tensor:
        weights, y = self.weights(units, prod(x.shape)), self.y(1, units)
        rescale = linear_rescale(x, weights, y)
        return self.add(Dense(x=x, weights=weights, bias=self.bias(units), y=y, rescale=rescale))

    def pad(self, x: Tensor, before: tuple[int, ...], after: tuple[int, ...], value: int) -> Tensor:
        shape = tuple(b + n + a for b, n, a in zip(before, x.shape, after, strict=True))
        return self.add(Pad(x=x, y=self.y(*shape, q=x.quantization), before=before, after=after, value=value))

    def unary(self, x: Tensor, function: str, q: Quantization | None = None) -> Tensor:
        if function in ("logistic", "tanh"):  # their results have one quantisation, whatever is asked for
            q = Quantization((1 / 256,), (-128,)) if function == "logistic" else Quantization((1 / 128,), (0,))
        return self.add(Unary(x=x, y=self.y(*x.shape, q=q or x.q), function=function, alpha=0.25))  # type: ignore[arg-type]

    def reshape(self, x: Tensor, *shape: int) -> Tensor:
        return self.add(Reshape(x=x, y=self.y(*shape, q=x.quantization)))

    def graph(self, *outputs: Tensor) -> Graph:
        return Graph("sketch", tuple(self.inputs), outputs, tuple(self.ops)).check()


def image(x: Tensor, size: int, stride: int, pad: Padding, channels: int) -> tuple[int, int, int, int]:
    rows = (x.shape[1] + pad.top + pad.bottom - size) // stride + 1
    columns = (x.shape[2] + pad.left + pad.right - size) // stride + 1
    return x.shape[0], rows, columns, channels


def random_inputs(graph: Graph, seed: int) -> list[Array]:
    random = np.random.default_rng(seed)
    return [
        random.integers(-128, 128, t.shape, np.int8)
        if t.dtype == "int8"
        else random.normal(0, 4, t.shape).astype(np.float32)
        for t in graph.inputs
    ]


def same(before: Graph, after: Graph, runs: int = 2) -> None:
    """Both graphs have the same interface and give the same bits."""
    for old, new in zip(before.inputs + before.outputs, after.inputs + after.outputs, strict=True):
        assert (old.name, old.shape, old.dtype, old.quantization) == (new.name, new.shape, new.dtype, new.quantization)
    for seed in range(runs):
        inputs = random_inputs(before, seed)
        for a, b in zip(reference.run(before, inputs), reference.run(after, inputs), strict=True):
            np.testing.assert_array_equal(a, b)


def kinds(graph: Graph) -> list[str]:
    return [type(op).__name__ for op in graph.ops]


def prepared(graph: Graph) -> Graph:
    after = prepare(graph)
    same(graph, after)
    return after


NONE = Padding()


@pytest.mark.parametrize("model", INT8_MODELS)
def test_real_models_compute_the_same_after_every_pass(model: str) -> None:
    before = load(INT8_MODELS[model])
    after = before
    for change in PREPARE:
        after = change(after).check()
    same(before, after, runs=1)
    assert len(after.ops) <= len(before.ops)
    assert not {"Unary", "Dequantize", "Pad"} & set(kinds(after))
    assert kinds(prepare(after)) == kinds(after)


def test_constants_flow_through_chains_and_into_outputs() -> None:
    s = Sketch()
    x, c = s.input(4), s.constant(2, 2)
    turned = s.add(Transpose(x=c, y=s.y(2, 2), permutation=(1, 0)))
    flat = s.reshape(turned, 4)
    known = s.unary(flat, "relu")
    y = s.add(Add(x=x, x2=known, y=s.y(4)))
    after = prepared(s.graph(y, known, known))
    assert kinds(after) == ["Slice", "Add"]
    assert all(op.y in after.outputs for op in after.ops)


def test_constant_that_is_itself_an_output_is_written_by_an_op() -> None:
    s = Sketch()
    x, c = s.input(4), s.constant(4)
    y = s.add(Add(x=x, x2=c, y=s.y(4)))
    graph = s.graph(y, c)
    after = prepare(graph)
    assert [t.name for t in after.outputs] == [t.name for t in graph.outputs]
    assert not any(t.is_constant for t in after.outputs)
    inputs = random_inputs(graph, 0)
    for a, b in zip(reference.run(graph, inputs), reference.run(after, inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pad_goes_into_every_convolution_that_reads_it() -> None:
    s = Sketch()
    padded = s.pad(s.input(1, 5, 4, 2), (0, 1, 0, 0), (0, 2, 3, 0), Q.zero_point)
    first = s.conv(padded, 3, 3, 1, Padding(1, 0, 0, 1))
    second = s.depthwise(padded, 2, 2, NONE)
    after = prepared(s.graph(first, second))
    assert kinds(after) == ["Conv2D", "DepthwiseConv2D"]
    assert after.ops[0].pad == Padding(2, 2, 0, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("value, channels", [(Q.zero_point + 1, 0), (Q.zero_point, 1)])
def test_pad_stays_where_the_convolution_would_pad_otherwise(value: int, channels: int) -> None:
    s = Sketch()
    padded = s.pad(s.input(1, 4, 4, 2), (0, 1, 1, 0), (0, 1, 1, channels), value)
    assert kinds(prepared(s.graph(s.conv(padded, 3, 2, 1, NONE)))) == ["Pad", "Conv2D"]


def test_pad_stays_where_one_reader_or_an_output_needs_it() -> None:
    s = Sketch()
    padded = s.pad(s.input(1, 4, 4, 2), (0, 1, 1, 0), (0, 1, 1, 0), Q.zero_point)
    y = s.conv(padded, 3, 2, 1, NONE)
    assert kinds(prepared(s.graph(y, padded))) == ["Pad", "Conv2D"]
    y2 = s.pool(AveragePool2D, padded, 2, NONE)
    assert kinds(prepared(s.graph(y, y2))) == ["Pad", "Conv2D", "AveragePool2D"]


@pytest.mark.parametrize(
    "value, size, amount, relu, fused",
    [(-128, 3, 1, False, True), (-10, 3, 1, False, False), (-10, 3, 1, True, True), (-128, 2, 2, False, False)],
)
def test_pad_goes_into_maximum_pools_only_where_it_cannot_win(
    value: int, size: int, amount: int, relu: bool, fused: bool
) -> None:
    s = Sketch()
    x = s.conv(s.input(1, 4, 4, 2), 1, 2, 1, NONE)
    x = s.unary(x, "relu") if relu else x
    padded = s.pad(x, (0, amount, amount, 0), (0, amount, amount, 0), value)
    after = prepared(s.graph(s.pool(MaxPool2D, padded, size, NONE)))
    assert ("Pad" not in kinds(after)) == fused


def test_activations_become_clamps() -> None:
    s = Sketch()
    x = s.conv(s.input(1, 3, 3, 2), 3, 4, 1, Padding(1, 1, 1, 1))
    six = s.unary(s.unary(x, "relu"), "relu6")
    y = s.unary(s.add(Add(x=six, x2=s.input(*six.shape), y=s.y(*six.shape))), "relu")
    after = prepared(s.graph(y))
    assert kinds(after) == ["Conv2D", "Add"]
    assert after.ops[0].clamp == (-10, 110)  # type: ignore[attr-defined]


def test_activations_stay_where_their_operand_is_needed_or_rescaled() -> None:
    s = Sketch()
    x = s.conv(s.input(1, 3, 3, 2), 1, 2, 1, NONE)
    assert kinds(prepared(s.graph(s.unary(x, "relu"), x))) == ["Conv2D", "Lookup"]
    assert kinds(prepared(s.graph(s.unary(x, "relu", Q2)))) == ["Conv2D", "Lookup"]


def test_reshapes_vanish_before_dense_in_chains_and_where_nothing_changes() -> None:
    s = Sketch()
    x = s.input(1, 2, 3, 2)
    flat = s.reshape(s.reshape(x, 1, 12), 2, 6)
    y = s.dense(flat, 3)
    assert kinds(prepared(s.graph(y))) == ["Dense"]
    again = s.reshape(y, 1, 3)
    assert kinds(prepared(s.graph(again))) == ["Dense"]
    turned = s.add(Transpose(x=again, y=s.y(3, 1), permutation=(1, 0)))
    assert kinds(prepared(s.graph(turned))) == ["Dense", "Reshape"]


def test_two_outputs_of_the_same_value_and_inputs_that_are_outputs_keep_their_names() -> None:
    s = Sketch()
    x = s.input(1, 4)
    y = s.unary(x, "leaky_relu")
    first, second, third = s.reshape(y, 1, 4), s.reshape(y, 1, 4), s.reshape(x, 1, 4)
    after = prepared(s.graph(first, second, third, x))
    assert kinds(after) == ["Lookup", "Reshape", "Reshape"]


def test_chains_of_functions_become_one_table_and_equal_tables_one_constant() -> None:
    s = Sketch()
    x = s.input(1, 8)
    chain = s.add(Dequantize(x=s.unary(s.unary(x, "logistic"), "leaky_relu", Q2), y=s.y(1, 8, q=None)))
    back = s.add(Quantize(x=chain, y=s.y(1, 8)))
    after = prepared(s.graph(s.unary(x, "tanh"), s.unary(x, "tanh"), back))
    assert kinds(after) == ["Lookup"] * 3
    tables = {id(op.table) for op in after.ops if isinstance(op, Lookup)}
    assert len(tables) == 2


def test_tables_stay_apart_where_the_value_between_is_needed() -> None:
    s = Sketch()
    between = s.unary(s.input(1, 8), "tanh")
    y = s.unary(between, "leaky_relu", Q2)
    assert kinds(prepared(s.graph(y, between))) == ["Lookup", "Lookup"]


def test_channels_between_convolutions_become_whole_words_and_others_stay() -> None:
    s = Sketch(8)
    x = s.input(1, 5, 4, 3)
    inner = s.depthwise(s.conv(x, 3, 6, 1, Padding(1, 1, 1, 1)), 3, 1, Padding(1, 1, 1, 1))
    many = s.conv(inner, 1, 262, 1, NONE)
    pooled = s.pool(MaxPool2D, s.conv(many, 1, 5, 1, NONE), 2, NONE)
    before = s.graph(s.conv(inner, 1, 7, 1, NONE), pooled)
    after = widen_channels(before, whole_words).check()
    same(before, after)
    widths = {y.name: y.shape[-1] for op in after.ops for y in op.ys}
    assert list(widths.values()) == [8, 8, 268, 5, 5, 7]
    assert [whole_words(n) for n in (1, 62, 64, 256, 260, 486)] == [4, 64, 64, 260, 260, 492]


def test_dead_and_idle_ops_vanish() -> None:
    s = Sketch()
    x = s.input(1, 2, 2, 2)
    s.unary(x, "tanh")
    one = s.add(Concat(xs=(x,), y=s.y(1, 2, 2, 2), axis=3))
    two = s.add(Slice(x=one, y=s.y(1, 2, 2, 2), begin=(0, 0, 0, 0), stride=(-1, 1, 1, 1)))
    three = s.add(Transpose(x=two, y=s.y(1, 2, 2, 2), permutation=(0, 1, 2, 3)))
    four = s.unary(s.pad(three, (0,) * 4, (0,) * 4, 0), "requantize")
    y = s.conv(four, 1, 1, 1, NONE)
    assert kinds(prepared(s.graph(y))) == ["Conv2D"]


def test_names_of_new_tables_do_not_clash() -> None:
    s = Sketch()
    x = s.input(1, 8)
    y = s.unary(x, "tanh")
    z = s.unary(y, "leaky_relu")
    named = replace(z, name=f"{y.name}.table")
    graph = s.graph(y, z).substitute({z: named})
    assert kinds(prepared(graph.check())) == ["Lookup", "Lookup"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small graphs of images in which every pass finds something to do."""
    s = Sketch(draw(st.integers(0, 1000)))
    images = [s.input(1, draw(st.integers(2, 4)), draw(st.integers(2, 4)), 2)]
    if draw(st.booleans()):
        images.append(s.constant(*images[0].shape))
    for _ in range(draw(st.integers(1, 9))):
        images.append(draw_op(draw, s, draw(st.sampled_from(images))))
    made = [op.y for op in s.ops]
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    return s.graph(*outputs)


def draw_op(draw: st.DrawFn, s: Sketch, x: Tensor) -> Tensor:
    amounts = st.integers(0, 1)
    q = draw(st.sampled_from([Q, Q2]))
    match draw(
        st.sampled_from(["conv", "depthwise", "pad", "max", "average", "unary", "add", "same", "turn", "float"])
    ):
        case "conv":
            return s.conv(x, draw(st.integers(1, 2)), 2, 1, Padding(*(draw(amounts) for _ in range(4))), q)
        case "depthwise":
            return s.depthwise(x, draw(st.integers(1, 2)), 1, Padding(*(draw(amounts) for _ in range(4))), q)
        case "pad":
            value = draw(st.sampled_from([x.q.zero_point, x.q.zero_point, -128, 3]))
            before, after = (0, draw(amounts), draw(amounts), 0), (0, draw(amounts), draw(amounts), 0)
            return s.pad(x, before, after, value)
        case "max":
            return s.pool(MaxPool2D, x, 2, Padding(bottom=draw(amounts), left=draw(amounts)))
        case "average":
            return s.pool(AveragePool2D, x, 1, NONE)
        case "unary":
            functions = ["relu", "relu6", "relu", "leaky_relu", "logistic", "tanh", "hard_swish", "requantize"]
            function = draw(st.sampled_from(functions))
            keep = function in ("relu", "relu6", "requantize") and draw(st.booleans())
            return s.unary(x, function, x.q if keep or function == "relu6" else q)
        case "add":
            return s.add(Add(x=x, x2=x, y=s.y(*x.shape, q=q)))
        case "same":
            flat = s.reshape(x, prod(x.shape))
            return s.reshape(flat, *x.shape)
        case "turn":
            n, rows, columns, channels = x.shape
            y = s.y(n, columns, rows, channels, q=x.quantization)
            return s.add(Transpose(x=x, y=y, permutation=(0, 2, 1, 3)))
        case _:
            real = s.add(Dequantize(x=x, y=s.y(*x.shape, q=None)))
            return s.add(Quantize(x=real, y=s.y(*x.shape, q=q)))


def small_enough(graph: Graph) -> bool:
    return all(min(t.shape) > 0 for t in graph.tensors)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(graphs().filter(small_enough))
def test_generated_graphs_compute_the_same(graph: Graph) -> None:
    after = graph
    for change in PREPARE:
        after = change(after).check()
        same(graph, after, runs=1)
    assert kinds(prepare(after)) == kinds(after)
