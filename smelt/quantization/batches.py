"""Graphs on many inputs at once: every tensor has as many images as there are inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.ops import (
    AveragePool2D,
    Binary,
    Concat,
    Dequantize,
    Linear,
    Lookup,
    MaxPool2D,
    Pad,
    Quantize,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Transpose,
    Unary,
)
from smelt.model.ops_pointwise import L2Normalization, LogSoftmax, Prelu
from smelt.model.reference import evaluate, is_real, run
from smelt.quantization.products import Floats, is_product, sums_of

Seen = Callable[[Op, Tensor, Array], Array]
"""Is shown every value, with the op that made it, and says what is taken in its stead."""

BY_IMAGE = (Linear, AveragePool2D, MaxPool2D, Resize, Binary, Reshape, Softmax, LogSoftmax, L2Normalization, Prelu)
MOST_BYTES = 64 << 20
"""What the largest tensor of a batch may take."""


def can_batch(graph: Graph) -> bool:
    """Whether inputs can be computed side by side: nothing mixes what has different indices on the first axis, and nothing is
    remembered from one to the next."""
    tensors = [t for t in graph.tensors if not t.is_constant]
    return not graph.states and all(t.shape[:1] == (1,) for t in tensors) and all(_by_image(op) for op in graph.ops)


def _by_image(op: Op) -> bool:
    match op:
        case Reduce():
            return 0 not in op.axes
        case Concat():
            return op.axis % len(op.y.shape) != 0
        case Pad():
            return op.before[0] == op.after[0] == 0
        case Slice():
            return op.begin[0] == 0
        case Transpose():
            return op.permutation[0] == 0
        case Unary() | Lookup() | Quantize() | Dequantize():
            return True
    return isinstance(op, BY_IMAGE)


def batch_size(graph: Graph, most: int = 64) -> int:
    """How many inputs at once keep the largest tensor, and its patches, within bounds."""
    largest = max((4 * t.elements for t in graph.tensors if not t.is_constant), default=1)
    return max(1, min(most, MOST_BYTES // (16 * largest)))


def forward(
    graph: Graph, inputs: Sequence[Array], seen: Seen | None = None, constants: Mapping[Tensor, Array] | None = None
) -> tuple[Array, ...]:
    """The outputs for inputs that are stacked along their first axis. `constants` replace those of the graph.

    Sums of reals are added up in another order than in firmware: their last bits differ.
    """
    values: dict[Tensor, Array] = dict(zip(graph.inputs, inputs, strict=True))
    known = constants or {}
    last = {tensor: number for number, op in enumerate(graph.ops) for tensor in op.inputs}
    for number, op in enumerate(graph.ops):
        y = computed(op, [known.get(t, t.constant) if t.is_constant else values[t] for t in op.inputs])
        values[op.y] = y if seen is None else seen(op, op.y, y)
        for tensor in op.inputs:
            if last[tensor] == number and tensor not in graph.outputs:
                values.pop(tensor, None)
    return tuple(values[t] for t in graph.outputs)


def computed(op: Op, operands: Sequence[Array]) -> Array:
    """What an op makes of stacked operands."""
    if is_real(op) and is_product(op) and isinstance(op, Linear):
        total = sums_of(op, operands[0], operands[1])
        return limited(op, total if op.bias is None else total + operands[2])
    images = next(len(a) for t, a in zip(op.inputs, operands, strict=True) if not t.is_constant)
    return evaluate(for_images(op, images), *operands)


def limited(op: Linear, total: Floats) -> Floats:
    """Sums within the limits of an op, float32."""
    low, high = op.clamp
    return np.clip(total, np.float32(low), np.float32(high)).astype(np.float32, copy=False)


def for_images(op: Op, images: int) -> Op:
    """The op for that many images."""
    tensors = {t for t in (*op.inputs, *op.ys) if not t.is_constant}
    return op.substitute({t: replace(t, shape=(images, *t.shape[1:])) for t in tensors})


def outputs_of(graph: Graph, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """The outputs for stacked inputs, side by side where that is possible, else one by one."""
    if can_batch(graph):
        return forward(graph, inputs)
    each = [
        run(graph, [a[i : i + 1].reshape(t.shape) for a, t in zip(inputs, graph.inputs, strict=True)])
        for i in range(len(inputs[0]))
    ]
    return tuple(
        np.concatenate([y.reshape(1, *y.shape[1:]) if y.shape[:1] == (1,) else y[None] for y in ys])
        for ys in zip(*each, strict=True)
    )
