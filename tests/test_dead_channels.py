"""Dead channels: what cannot matter goes, what can stays, and every bit of the outputs stays too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    Maximum,
    MaxPool2D,
    Mean,
    Mul,
    Padding,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
    TransposeConv2D,
)
from smelt.model.rescale import linear_rescale
from smelt.passes import prepare
from smelt.passes.dead import drop_dead
from smelt.passes.dead_channels import drop_dead_channels
from tests.paths import INPUTS, INT8_MODELS, PERSON, VWW
from tests.test_passes import NONE, Q2, Q, Sketch, kinds, same

AROUND = Padding(1, 1, 1, 1)


def weight_bytes(graph: Graph) -> int:
    return sum(t.bytes for t in dict.fromkeys(op.weights for op in graph.ops if hasattr(op, "weights")))


def pictures(tensor: Tensor) -> list[Array]:
    """The two real pictures in the input's size and colours."""
    _, rows, columns, channels = tensor.shape
    opened = [Image.open(f).convert("RGB" if channels == 3 else "L") for f in sorted((INPUTS / "tflm").glob("*.bmp"))]
    arrays = [np.asarray(picture.resize((columns, rows)), np.int16) for picture in opened]
    return [(a - 128).astype(np.int8).reshape(tensor.shape) for a in arrays]


# Real models


@pytest.mark.parametrize("file, macs, weights", [(VWW, 3_737_870, 29_432), (PERSON, 7_157_888, 207_968)])
def test_real_models_do_less_and_compute_the_same(file: Path, macs: int, weights: int) -> None:
    before = load(file)
    after = prepare(before)
    assert (after.macs, weight_bytes(after)) == (macs, weights)
    same(before, after, runs=3)
    real = pictures(before.inputs[0])
    assert len(real) == 2
    for picture in real:
        np.testing.assert_array_equal(reference.run(before, [picture])[0], reference.run(after, [picture])[0])


@pytest.mark.parametrize("model", ("KWS", "IC", "SWW", "AD"))
def test_models_without_dead_channels_stay_as_they_are(model: str) -> None:
    before = load(INT8_MODELS[model])
    after = prepare(before)
    assert (before.macs, weight_bytes(before)) == (after.macs, weight_bytes(after))


# Planted: a tensor of 8 channels of which 1 and 5 are dead, through one op after the other

DEAD = [1, 5]


def producer(s: Sketch, x: Tensor | None = None, channels: int = 8, **plant: object) -> Tensor:
    """A convolution 1x1; by default the filters of the dead channels hold nothing but zeros."""
    y = s.conv(s.input(1, 5, 4, 3) if x is None else x, 1, channels, 1, NONE)
    op = s.ops[-1]
    assert isinstance(op, Conv2D) and op.bias is not None
    if plant.get("zero", True):
        op.weights.constant[DEAD] = 0
        op.bias.constant[DEAD] = plant.get("bias", 700)  # 0.01 * 700 above the zero point, at these scales
    return y


def reader(s: Sketch, x: Tensor, unread: list[int] | None = None, size: int = 1, pad: Padding = NONE) -> Tensor:
    """A convolution; the weights for `unread` channels of x are zeros."""
    y = s.conv(x, size, 4, 1, pad)
    if unread:
        weights_of(s.ops[-1])[..., unread] = 0
    return y


def weights_of(op: Op) -> Array:
    assert isinstance(op, Conv2D | DepthwiseConv2D | Dense | TransposeConv2D)
    return op.weights.constant


def widths(graph: Graph) -> list[int]:
    """How many channels each op's result has."""
    return [op.y.shape[-1] for op in graph.ops]


def dropped(graph: Graph) -> Graph:
    after = drop_dead_channels(graph).check()
    same(graph, after)
    assert widths(drop_dead_channels(after)) == widths(after)
    return after


def test_constant_channels_move_into_the_bias() -> None:
    s = Sketch()
    y = reader(s, producer(s), size=3)
    after = dropped(s.graph(y))
    assert widths(after) == [6, 4]
    conv = after.ops[1]
    assert isinstance(conv, Conv2D) and conv.weights.shape == (4, 3, 3, 6)
    assert conv.bias is not None and not np.array_equal(conv.bias.constant, s.ops[1].bias.constant)  # type: ignore[attr-defined]


def test_a_bias_is_made_where_there_was_none() -> None:
    s = Sketch()
    reader(s, producer(s))
    s.ops[-1] = replace(s.ops[-1], bias=None)  # type: ignore[call-arg]
    after = dropped(s.graph(s.ops[-1].y))
    assert widths(after) == [6, 4]
    assert [t.name for t in after.ops[1].inputs if t.dtype == "int32"] == [f"{s.ops[-1].y.name}.bias"]


@pytest.mark.parametrize("bias, width", [(0, 6), (700, 8)])
def test_padding_keeps_constants_that_are_not_the_zero_point(bias: int, width: int) -> None:
    s = Sketch()
    y = reader(s, producer(s, bias=bias), size=3, pad=AROUND)
    assert widths(dropped(s.graph(y))) == [width, 4]


@pytest.mark.parametrize("pad, bias, width", [(NONE, 700, 6), (AROUND, 700, 8), (AROUND, 0, 6)])
def test_depthwise_of_a_constant_is_constant_unless_the_border_shows(pad: Padding, bias: int, width: int) -> None:
    s = Sketch()
    x = producer(s, bias=bias)
    y = reader(s, s.depthwise(x, 3, 1, pad))
    assert widths(dropped(s.graph(y))) == [width, width, 4]


def test_depthwise_filters_of_zeros_make_constants() -> None:
    s = Sketch()
    x = s.depthwise(producer(s, zero=False), 3, 1, AROUND)
    weights_of(s.ops[-1])[..., DEAD] = 0
    assert widths(dropped(s.graph(reader(s, x)))) == [6, 6, 4]


def test_sums_that_always_end_in_the_clamp_are_constants() -> None:
    s = Sketch()
    x = s.depthwise(producer(s, zero=False), 3, 1, AROUND)
    s.ops[-1].bias.constant[DEAD] = -500_000  # type: ignore[attr-defined]
    assert widths(dropped(s.graph(reader(s, x)))) == [6, 6, 4]


def test_unread_channels_go_through_everything_that_carries_them() -> None:
    s = Sketch()
    x = s.depthwise(producer(s, zero=False), 3, 1, AROUND)
    x = s.pad(x, (0, 1, 2, 0), (0, 0, 1, 0), 77)
    x = s.pool(MaxPool2D, s.pool(AveragePool2D, s.unary(x, "leaky_relu", Q2), 2, AROUND), 2, NONE)
    x = s.add(ResizeNearest(x=x, y=s.y(1, 7, 9, 8, q=Q2)))
    x = s.add(ResizeBilinear(x=x, y=s.y(1, 4, 5, 8, q=Q2)))
    x = s.add(Transpose(x=x, y=s.y(1, 5, 4, 8, q=Q2), permutation=(0, 2, 1, 3)))
    x = s.add(Mul(x=x, x2=s.constant(8), y=s.y(1, 5, 4, 8)))
    x = s.add(Mean(x=x, axes=(1,), y=s.y(1, 4, 8)))
    x = s.reshape(x, 1, 1, 4, 8)
    after = dropped(s.graph(reader(s, x, DEAD)))
    assert widths(after) == [6] * (len(s.ops) - 1) + [4]


def test_constants_go_through_everything_that_carries_them() -> None:
    s = Sketch()
    x = s.pool(AveragePool2D, s.unary(producer(s), "leaky_relu", Q2), 2, AROUND)
    x = s.pool(MaxPool2D, x, 3, AROUND)
    x = s.add(Mul(x=x, x2=s.constant(8), y=s.y(*x.shape)))
    x = s.add(Add(x=x, x2=s.constant(1, 1, 1, 8), y=s.y(*x.shape), subtract=True))
    x = s.add(Mean(x=x, axes=(1, 2), y=s.y(1, 8)))
    after = dropped(s.graph(s.dense(x, 3)))
    assert widths(after) == [6] * (len(s.ops) - 1) + [3]


def test_residual_adds_lose_a_channel_only_together() -> None:
    for unread_within, width in ((DEAD, 6), (None, 8)):
        s = Sketch()
        first = producer(s, zero=False)
        second = s.conv(first, 1, 8, 1, NONE)
        weights_of(s.ops[-1])[..., unread_within or []] = 0
        total = s.add(Add(x=first, x2=second, y=s.y(*first.shape)))
        assert widths(dropped(s.graph(reader(s, total, DEAD)))) == [width, width, width, 4]


def test_concatenations_keep_their_offsets() -> None:
    s = Sketch()
    x = s.input(1, 3, 3, 2)
    first, second = s.conv(x, 1, 4, 1, NONE), s.conv(x, 1, 6, 1, NONE)
    joined = s.add(Concat(xs=(first, second, s.constant(1, 3, 3, 2)), axis=3, y=s.y(1, 3, 3, 12)))
    after = dropped(s.graph(reader(s, joined, [0, 3, 5, 8, 10, 11])))
    assert widths(after) == [2, 4, 7, 4]


def test_slices_of_channels_begin_where_they_did() -> None:
    s = Sketch()
    x = producer(s, zero=False)
    halves = [s.add(Slice(x=x, y=s.y(1, 5, 4, 4), begin=(0, 0, 0, b), stride=(1,) * 4)) for b in (0, 4)]
    ys = [reader(s, halves[0], [0, 2]), reader(s, halves[1], [1, 2])]
    after = dropped(s.graph(*ys))
    assert widths(after) == [4, 2, 2, 4, 4]
    assert [op.begin[-1] for op in after.ops if isinstance(op, Slice)] == [0, 2]


@pytest.mark.parametrize("flat", [True, False])
def test_dense_layers_read_whole_pixels(flat: bool) -> None:
    s = Sketch()
    x = producer(s, zero=False)
    y = s.dense(s.reshape(x, 1, 160) if flat else x, 3)
    weights_of(s.ops[-1]).reshape(3, 20, 8)[:, :, DEAD] = 0
    after = dropped(s.graph(y))
    assert widths(after) == ([6, 120, 3] if flat else [6, 3])
    s = Sketch()
    x = producer(s)
    assert widths(dropped(s.graph(s.dense(x, 3)))) == [6, 3]


def test_transposed_convolutions() -> None:
    for bias, width in ((0, 6), (700, 8)):
        s = Sketch()
        x = producer(s, bias=bias)
        y = s.y(1, 10, 8, 8)
        weights, made = s.weights(8, 2, 2, 8), s.bias(8)
        rescale = linear_rescale(x, weights, y)
        x = s.add(TransposeConv2D(x=x, weights=weights, bias=made, y=y, stride=(2, 2), rescale=rescale))
        after = dropped(s.graph(reader(s, x, DEAD)))
        assert widths(after) == [width, 6, 4]


def test_scales_per_channel_go_with_their_channels() -> None:
    s = Sketch()
    x = producer(s, zero=False)
    conv = s.ops[-1]
    assert isinstance(conv, Conv2D)
    scales = Quantization(tuple(0.01 + 0.001 * i for i in range(8)), (0,) * 8, 0)
    weights = replace(conv.weights, quantization=scales)
    s.ops[-1] = replace(conv, weights=weights, rescale=linear_rescale(conv.x, weights, conv.y))
    after = dropped(s.graph(reader(s, x, DEAD)))
    assert len(after.ops[0].weights.q.scales) == 6  # type: ignore[attr-defined]


def test_shared_constants_are_cut_apart() -> None:
    s = Sketch()
    x = s.input(1, 3, 3, 2)
    first, second = s.conv(x, 1, 4, 1, NONE), s.conv(x, 1, 4, 1, NONE)
    one, two = s.ops
    assert isinstance(one, Conv2D) and isinstance(two, Conv2D)
    s.ops[1] = replace(two, weights=one.weights, bias=one.bias)
    after = dropped(s.graph(reader(s, first, [0, 1]), reader(s, second, [2, 3])))
    assert widths(after) == [2, 2, 4, 4]


def test_wholly_constant_operands_are_written_down() -> None:
    s = Sketch()
    x = producer(s, zero=False)
    known = s.conv(x, 3, 8, 1, AROUND)
    weights_of(s.ops[-1])[:] = 0
    y = s.add(Maximum(x=s.add(Add(x=x, x2=known, y=s.y(*x.shape))), x2=known, y=s.y(*x.shape)))
    after = dropped(s.graph(y))
    assert kinds(after) == ["Conv2D", "Add", "Maximum"]


# What stays


def test_inputs_and_outputs_and_grouped_convolutions_keep_their_channels() -> None:
    s = Sketch()
    x = producer(s)
    y = reader(s, x, DEAD)
    assert widths(dropped(s.graph(x, y))) == [8, 4]
    s = Sketch()
    x = producer(s)
    weights, y = s.weights(4, 1, 1, 4), s.y(1, 5, 4, 4)
    y = s.add(Conv2D(x=x, weights=weights, bias=None, y=y, rescale=linear_rescale(x, weights, y)))
    weights_of(s.ops[-1])[..., 1] = 0
    assert widths(dropped(s.graph(y))) == [8, 4]


def test_ops_that_mix_channels_keep_them() -> None:
    for width in (8, 3):
        s = Sketch()
        x = producer(s)
        if width == 8:
            x = s.add(Softmax(x=x, y=s.y(*x.shape, q=Quantization((1 / 256,), (-128,)))))
        else:
            x = s.add(Reshape(x=x, y=s.y(1, 20, 8 // 2, 2)))
            x = s.reshape(x, 1, 5, 32)
            x = s.add(Slice(x=x, y=s.y(1, 5, 3), begin=(0, 0, 5), stride=(1, 1, 3)))
        assert dropped(s.graph(s.dense(x, 3))).ops[0].y.shape[-1] == 8


def test_a_bias_that_would_overflow_keeps_the_constant() -> None:
    for bias, width in ((2**31 - 1000, 8), (0, 6)):
        s = Sketch()
        y = reader(s, producer(s))
        weights_of(s.ops[-1])[..., DEAD] = 127
        s.ops[-1].bias.constant[0] = bias  # type: ignore[attr-defined]
        graph = s.graph(y)
        after = drop_dead_channels(graph).check()
        assert widths(after) == [width, 4]


def test_one_channel_stays_where_none_is_needed_and_numbers_stay_even() -> None:
    s = Sketch()
    assert widths(dropped(s.graph(reader(s, producer(s, zero=False), list(range(8)))))) == [1, 4]
    s = Sketch()
    assert widths(dropped(s.graph(reader(s, producer(s, zero=False), [1, 2, 3])))) == [6, 4]
    s = Sketch()
    assert widths(dropped(s.graph(reader(s, producer(s, zero=False, channels=7), [1, 2])))) == [6, 4]


# Generated graphs


class Garden(Sketch):
    """Random graphs of images in which about half of all filters and columns are zeros."""

    def some(self, n: int) -> list[int]:
        count = self.random.integers(0, n + 1) if self.random.random() < 0.7 else 0
        return sorted(self.random.choice(n, count, replace=False).tolist())

    def number(self, least: int, most: int) -> int:
        return int(self.random.integers(least, most + 1))

    def padding(self) -> Padding:
        return Padding(*self.random.integers(0, 2, 4).tolist()) if self.random.random() < 0.5 else NONE

    def planted(self, y: Tensor) -> Tensor:
        """The last op with filters, columns and biases of zeros, and sums far beyond the clamp."""
        op = self.ops[-1]
        assert isinstance(op, Conv2D | DepthwiseConv2D | TransposeConv2D | Dense) and op.bias is not None
        of_y = -1 if isinstance(op, DepthwiseConv2D) else 0
        weights, bias, n = op.weights.constant, op.bias.constant, y.shape[-1]
        if of_y == 0:
            columns = op.x.shape[-1]
            weights.reshape(n, -1, columns)[..., self.some(columns)] = 0
        np.moveaxis(weights, of_y, 0)[self.some(n)] = 0
        bias[self.some(n)] = 0
        bias[self.some(n)[:1]] = self.random.choice([-(10**6), 10**6])
        return y

    def grow(self, x: Tensor, others: list[Tensor]) -> Tensor:
        """One more op on `x`."""
        _, rows, columns, n = x.shape
        size = self.number(1, min(rows, columns, 3))
        q = (Q, Q2)[self.number(0, 1)]
        kind = self.number(0, 13)
        alike = [t for t in others if t.shape == x.shape]
        beside = [t for t in others if t.shape[:3] == x.shape[:3]]
        match kind:
            case 0 | 1 | 2:
                return self.planted(self.conv(x, size, self.number(1, 6), 1, self.padding(), q))
            case 3 | 4:
                return self.planted(self.depthwise(x, size, 1, self.padding(), q))
            case 5:
                kinds_of_pool = (MaxPool2D, AveragePool2D)
                return self.pool(kinds_of_pool[self.number(0, 1)], x, max(size, 2), Padding(bottom=1, right=1))
            case 6:
                return self.unary(x, ("relu", "leaky_relu", "hard_swish")[self.number(0, 2)], q)
            case 7 | 8:
                x2 = alike[self.number(0, len(alike) - 1)]
                op = (Add, Mul, Maximum)[self.number(0, 2)]
                return self.add(op(x=x, x2=x2, y=self.y(*x.shape, q=q)))
            case 9:
                xs = (x, beside[self.number(0, len(beside) - 1)])
                return self.add(Concat(xs=xs, axis=3, y=self.y(*x.shape[:3], sum(t.shape[3] for t in xs), q=q)))
            case 10:
                return self.pad(x, (0, self.number(0, 1), 1, 0), (0, 0, self.number(0, 1), 0), self.number(-20, 0))
            case 11:
                begin = self.number(0, n - 1)
                y = self.y(1, rows, columns, n - begin, q=x.q)
                return self.add(Slice(x=x, y=y, begin=(0, 0, 0, begin), stride=(1,) * 4))
            case 12:
                y = self.y(1, rows + 1, columns + 1, channels := self.number(1, 4), q=q)
                weights, bias = self.weights(channels, 2, 2, n), self.bias(channels)
                rescale = linear_rescale(x, weights, y)
                return self.planted(self.add(TransposeConv2D(x=x, weights=weights, bias=bias, y=y, rescale=rescale)))
            case _:
                return self.reshape(x, 1, columns, rows, n)

    def end(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        match self.number(0, 3):
            case 0:
                return self.planted(self.dense(x, 3))
            case 1:
                mean = self.add(Mean(x=x, axes=(1, 2), y=self.y(1, n, q=x.q)))
                return self.planted(self.dense(mean, 2))
            case 2:
                return self.planted(self.dense(self.reshape(x, 1, x.elements), 3))
            case _:
                return self.planted(self.conv(x, 1, 3, 1, NONE))


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_generated_graphs_compute_the_same(first: int) -> None:
    removed = 0
    for seed in range(first, first + 50):
        g = Garden(seed)
        images = [g.planted(g.conv(g.input(1, 4, 3, 2), 1, 6, 1, NONE))]
        images.append(g.planted(g.conv(g.inputs[0], 1, 6, 1, NONE, Q2)))
        for _ in range(g.number(1, 8)):
            images.append(g.grow(images[-g.number(1, min(3, len(images)))], images))
        ends = [g.end(image) for image in images[-g.number(1, 2) :]]
        graph = drop_dead(g.graph(*ends))
        after = drop_dead_channels(graph).check()
        same(graph, after)
        same(graph, prepare(graph))
        removed += sum(widths(graph)) - sum(widths(after))
    assert removed > 100
