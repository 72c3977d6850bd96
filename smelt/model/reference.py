"""What every operator means, bit for bit as TensorFlow Lite Micro computes it, and graphs of them.

`evaluate` runs one op, `run` a graph, `trace` a graph keeping every tensor, `run_many` a graph on many inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from smelt.errors import OptionError, Unsupported
from smelt.model import ops
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.reference_linear import conv2d, dense, depthwise_conv2d, transpose_conv2d
from smelt.model.reference_pointwise import (
    add,
    dequantize,
    look_up,
    maximum,
    minimum,
    mul,
    quantize,
    softmax,
    unary,
)
from smelt.model.reference_spatial import average_pool2d, max_pool2d, mean, resize_bilinear, resize_nearest

Inputs = Mapping[str, Array] | Sequence[Array]


def run(graph: Graph, inputs: Inputs) -> tuple[Array, ...]:
    """The outputs of `graph` for one input: arrays by name or in the graph's order, of the graph's shapes and types.

    Raises OptionError where the inputs do not fit the graph.
    """
    values = _evaluate_all(graph, inputs)
    return tuple(_value(values, tensor) for tensor in graph.outputs)


def run_many(graph: Graph, inputs: Iterable[Inputs]) -> tuple[Array, ...]:
    """The outputs for each of several inputs, stacked: an array of shape (inputs, *shape) for every output."""
    results = [run(graph, one) for one in inputs]
    return tuple(np.stack(outputs) for outputs in zip(*results, strict=True))


def trace(graph: Graph, inputs: Inputs) -> dict[str, Array]:
    """Every tensor that is not a constant, by name, for one input."""
    return {tensor.name: value for tensor, value in _evaluate_all(graph, inputs).items()}


def evaluate(op: Op, *arrays: Array) -> Array:
    """The result of one op. `arrays` are the values of `op.inputs`, constants included, in that order."""
    result = np.ascontiguousarray(_compute(op, arrays))
    return result.reshape(op.y.shape)


def _evaluate_all(graph: Graph, inputs: Inputs) -> dict[Tensor, Array]:
    values = dict(zip(graph.inputs, _ordered(graph, inputs), strict=True))
    for op in graph.ops:
        values[op.y] = evaluate(op, *(_value(values, tensor) for tensor in op.inputs))
    return values


def _value(values: Mapping[Tensor, Array], tensor: Tensor) -> Array:
    return values[tensor] if tensor.data is None else tensor.data


def _ordered(graph: Graph, inputs: Inputs) -> list[Array]:
    """The inputs in the graph's order, checked."""
    names = [tensor.name for tensor in graph.inputs]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise OptionError(f"the graph's inputs are {_quoted(names)}, not {_quoted(inputs)}")
        inputs = [inputs[name] for name in names]
    if len(inputs) != len(names):
        raise OptionError(f"the graph has {len(names)} inputs ({_quoted(names)}), {len(inputs)} were given")
    for tensor, array in zip(graph.inputs, inputs, strict=True):
        _check_input(tensor, array)
    return list(inputs)


def _check_input(tensor: Tensor, array: Array) -> None:
    if array.shape != tensor.shape or array.dtype != np.dtype(tensor.dtype):
        wanted, given = f"{tensor.dtype} {tensor.shape}", f"{array.dtype} {array.shape}"
        raise OptionError(f"input '{tensor.name}' is {wanted}, but {given} was given")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _compute(op: Op, a: tuple[Array, ...]) -> Array:
    """One arm per operator; layout operators, which only move elements, are spelled out here."""
    match op:
        case ops.Conv2D():
            return conv2d(op, *a)
        case ops.DepthwiseConv2D():
            return depthwise_conv2d(op, *a)
        case ops.TransposeConv2D():
            return transpose_conv2d(op, *a)
        case ops.Dense():
            return dense(op, *a)
        case ops.AveragePool2D():
            return average_pool2d(op, *a)
        case ops.MaxPool2D():
            return max_pool2d(op, *a)
        case ops.Mean():
            return mean(op, *a)
        case ops.Add():
            return add(op, *a)
        case ops.Mul():
            return mul(op, *a)
        case ops.Minimum():
            return minimum(op, *a)
        case ops.Maximum():
            return maximum(op, *a)
        case ops.Softmax():
            return softmax(op, *a)
        case ops.Unary():
            return unary(op, *a)
        case ops.Lookup():
            return look_up(a[1], a[0])
        case ops.Quantize():
            return quantize(op, *a)
        case ops.Dequantize():
            return dequantize(op, *a)
        case ops.ResizeNearest():
            return resize_nearest(op, *a)
        case ops.ResizeBilinear():
            return resize_bilinear(op, *a)
        case ops.Pad():
            return np.pad(a[0], list(zip(op.before, op.after, strict=True)), constant_values=op.value)
        case ops.Reshape():
            return a[0]
        case ops.Concat():
            return np.concatenate(a, axis=op.axis)
        case ops.Slice():
            return _slice(op, a[0])
        case ops.Transpose():
            return a[0].transpose(op.permutation)
    raise Unsupported(str(op), (f"there is no reference for {type(op).__name__}",))


def _slice(op: ops.Slice, x: Array) -> Array:
    begin, stride, extents = op.begin, op.stride, op.y.shape
    indices = (b + s * np.arange(n) for b, s, n in zip(begin, stride, extents, strict=True))
    return np.asarray(x[np.ix_(*indices)])
