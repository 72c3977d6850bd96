"""Element-wise ops that are a function of one byte become one table."""

from __future__ import annotations

import numpy as np
import pytest

from smelt.importers.tflite import load_tflite
from smelt.model.graph import Graph
from smelt.model.ops import Lookup
from smelt.model.ops_pointwise import ChannelFunction
from smelt.model.reference import run
from smelt.passes import prepare
from tests.tflite_writer import ModelWriter

Q = (0.05, 3)


class Bench:
    """A model of one input of all bytes."""

    def __init__(self, dtype: str = "int8", elements: int = 64) -> None:
        self.w, self.count, self.shape = ModelWriter(), 0, (1, elements, 4)
        self.x = self.w.tensor("x", self.shape, dtype, *Q)

    def op(self, code: str, *operands: int, q=Q, **options) -> int:
        self.count += 1
        y = self.w.tensor(f"t{self.count}", self.shape, "int8", *q)
        self.w.op(code, operands, [y], version=2, **options)
        return y

    def constant(self, values, q=(0.02, -5)) -> int:
        self.count += 1
        data = np.array(values, np.int8)
        return self.w.tensor(f"c{self.count}", data.shape, "int8", *q, data=data)

    def graph(self, *outputs: int) -> Graph:
        return load_tflite(self.w.finish([self.x], outputs), "model")


def prepared(graph: Graph) -> Graph:
    """The prepared graph, which computes the same for every byte in every channel."""
    after = prepare(graph)
    for shift in range(4):
        every = np.resize(np.roll(np.arange(-128, 128), shift * 65).astype(np.int8), graph.inputs[0].shape)
        for a, b in zip(run(graph, [every]), run(after, [every]), strict=True):
            assert np.array_equal(a, b)
    return after


def swish(b: Bench) -> int:
    return b.op("MUL", b.x, b.op("LOGISTIC", b.x, q=(1 / 256, -128)), q=(0.04, -100))


def decomposed_prelu(b: Bench, slope: int) -> int:
    """relu(x) + slope * relu(-x)"""
    above, mirrored = b.op("RELU", b.x), b.op("MUL", b.x, b.constant(-128, (1 / 128, 0)))
    return b.op("ADD", above, b.op("MUL", b.op("RELU", mirrored), slope))


def test_swish():
    b = Bench()
    (op,) = prepared(b.graph(swish(b))).ops
    assert isinstance(op, Lookup)


def test_decomposed_prelu():
    b = Bench()
    (op,) = prepared(b.graph(decomposed_prelu(b, b.constant([-37] * 4)))).ops
    assert isinstance(op, Lookup)


def test_functions_of_functions():
    b = Bench()
    first = swish(b)
    last = b.op("SUB", first, b.op("TANH", first, q=(1 / 128, 0)))
    (op,) = prepared(b.graph(b.op("MAXIMUM", last, last))).ops
    assert isinstance(op, Lookup)


def test_slopes_of_their_own_stay():
    b = Bench()
    after = prepared(b.graph(decomposed_prelu(b, b.constant([-37, -36, -35, -34]))))
    assert len(after.ops) == 4


SLOPES = (-37, -36, -35, 100)


def test_slopes_of_channels_become_one_function_of_large_images():
    b = Bench(elements=260)
    (op,) = prepared(b.graph(decomposed_prelu(b, b.constant(SLOPES)))).ops
    assert isinstance(op, ChannelFunction) and str(op.steps) == "Lookup+Lookup+Mul+Add"


def test_prelu_of_channels_becomes_a_function():
    b = Bench(elements=256)
    (op,) = prepared(b.graph(b.op("PRELU", b.x, b.constant([SLOPES])))).ops
    assert isinstance(op, ChannelFunction) and str(op.steps) == "Prelu"


def test_slopes_of_places_stay():
    b = Bench(elements=256)
    slopes = np.arange(256).reshape(256, 1) % 100
    (op,) = prepared(b.graph(b.op("PRELU", b.x, b.constant(slopes)))).ops
    assert not isinstance(op, ChannelFunction)


def test_a_product_by_channels_is_no_function():
    """It takes less time than a table."""
    b = Bench(elements=256)
    (op,) = prepared(b.graph(b.op("MUL", b.x, b.constant(SLOPES)))).ops
    assert not isinstance(op, ChannelFunction)


@pytest.mark.parametrize("others", ["output", "reader"])
def test_what_others_read_stays(others):
    """The logistic is computed in any case: the product has one operand less to wait for without a table."""
    b = Bench()
    gate = b.op("LOGISTIC", b.x, q=(1 / 256, -128))
    y = b.op("MUL", b.x, gate, q=(0.04, -100))
    second = gate if others == "output" else b.op("MUL", gate, b.constant([1, 2, 3, 4]))
    after = prepared(b.graph(y, second))
    assert sum(isinstance(op, Lookup) for op in after.ops) == 1


def test_two_operands_stay():
    b = Bench()
    second = b.w.tensor("second", (1, 64, 4), "int8", *Q)
    y = b.op("ADD", b.x, second)
    graph = load_tflite(b.w.finish([b.x, second], [y]), "model")
    assert len(prepare(graph).ops) == 1 and not isinstance(prepare(graph).ops[0], Lookup)
