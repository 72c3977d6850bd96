"""Small models for the tests of the importer, and the three ways in which loading one ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from smelt.errors import ModelError, Unsupported
from smelt.importers.tflite import load_tflite
from smelt.model.graph import Graph
from tests.tflite_writer import ModelWriter

Q = (0.5, 3)  # the scale and zero point of most tensors
Case = tuple[ModelWriter, Sequence[int], Sequence[int]]


def graph_of(writer: ModelWriter, inputs: Sequence[int], outputs: Sequence[int]) -> Graph:
    """The graph of a model that can be loaded."""
    return load_tflite(writer.finish(inputs, outputs), "model")


def refusal(writer: ModelWriter, inputs: Sequence[int], outputs: Sequence[int]) -> tuple[str, ...]:
    """The reasons for which a model is refused."""
    with pytest.raises(Unsupported) as refused:
        graph_of(writer, inputs, outputs)
    return refused.value.reasons


def contradiction(writer: ModelWriter, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    """The message with which a model is refused that contradicts itself."""
    with pytest.raises(ModelError) as refused:
        graph_of(writer, inputs, outputs)
    return str(refused.value)


def one_op(code, x_shape, y_shape, *constants, q=Q, y_q=None, **options) -> Case:
    """One operator from x (and int32 constants) to y."""
    w = ModelWriter()
    x = w.tensor("x", x_shape, "int8", *q)
    rest = [w.constant(f"c{i}", value) for i, value in enumerate(constants)]
    y = w.tensor("y", y_shape, "int8", *(y_q or q))
    w.op(code, [x, *rest], [y], **options)
    return w, [x], [y]


def conv(
    code="CONV_2D", x=(1, 5, 7, 2), weights=(3, 3, 3, 2), y=(1, 5, 7, 3), axis=0, scales=(0.1,) * 3, zero=0, **o
) -> Case:
    """One convolution, depthwise with axis 3."""
    w = ModelWriter()
    channels = len(scales) if len(scales) > 1 else weights[axis]
    xi = w.tensor("x", x, "int8", *Q)
    wi = w.tensor("w", weights, "int8", scales, zero, data=np.ones(weights, np.int8), axis=axis)
    bi = w.tensor("b", (channels,), "int32", [0.5 * s for s in scales], 0, data=np.arange(channels))
    yi = w.tensor("y", y, "int8", 0.1, -128)
    w.op(code, [xi, wi, bi], [yi], **{"StrideW": 1, "StrideH": 1, **o})
    return w, [xi], [yi]


def dense(x_shape=(1, 8), y_shape=(1, 3), bias=True, bias_shape=(3,), bias_scale=0.05) -> Case:
    """One FULLY_CONNECTED of three units."""
    w = ModelWriter()
    x = w.tensor("x", x_shape, "int8", *Q)
    weights = w.tensor("w", (3, 8), "int8", 0.1, data=np.ones((3, 8)))
    b = w.tensor("b", bias_shape, "int32", bias_scale, data=np.zeros(bias_shape)) if bias else -1
    y = w.tensor("y", y_shape, "int8", 0.2, 0)
    w.op("FULLY_CONNECTED", [x, weights, b], [y], version=4)
    return w, [x], [y]


def strided(x, y, begin, end, stride, **masks) -> Case:
    """One STRIDED_SLICE."""
    return one_op("STRIDED_SLICE", x, y, begin, end, stride, **masks)


def relu_chain(names, outputs=(-1,)) -> Case:
    """RELU after RELU through tensors of these names; the outputs are positions in the chain."""
    w = ModelWriter()
    tensors = [w.tensor(name, (4,), "int8", *Q) for name in names]
    for x, y in pairwise(tensors):
        w.op("RELU", [x], [y])
    return w, [tensors[0]], [tensors[i] for i in outputs]
