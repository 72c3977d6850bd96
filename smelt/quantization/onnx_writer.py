"""A network with its scales and integers, as an .onnx file with QuantizeLinear and DequantizeLinear around every operator.

Activations are uint8, which onnxruntime fuses on every processor: smelt's int8 plus 128. Images have their channels second, as ONNX
wants them; what has four axes is an image where anything slides a window over one. Transposes are written where an image becomes
rows of numbers, or rows an image, and smelt's importer takes them out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod

import numpy as np

from smelt.errors import Unsupported
from smelt.model.graph import Array, Graph, Op, Quantization, Tensor
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Clamp,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Linear,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Padding,
    Pool,
    Reshape,
    Resize,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Windowed,
)
from smelt.quantization.layers import Layer
from smelt.quantization.onnx_message import Message, Value, edge, initialiser, model, node
from smelt.quantization.products import groups_of
from smelt.quantization.scheme import FUNCTIONS, Scheme

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axes of images: where the file's are in smelt's, and smelt's in the file's."""


def onnx_bytes(graph: Graph, given: Scheme, layers: Mapping[Linear, Layer], metadata: Mapping[str, str]) -> bytes:
    """The file for a graph of reals."""
    return _Writer(graph, given, layers).file(metadata)


class _Writer:
    """Collects operators and constants. What an op computes is called as its tensor is, and what is read of it `read`; of an
    output of the graph it is the other way around."""

    def __init__(self, graph: Graph, given: Scheme, layers: Mapping[Linear, Layer]) -> None:
        self.graph, self.given, self.layers = graph, given, layers
        self.nodes: list[Message] = []
        self.constants: dict[str, Message] = {}
        self.turned = any(isinstance(op, Windowed | Pool | Resize) for op in graph.ops)

    def file(self, metadata: Mapping[str, str]) -> bytes:
        for tensor in self.graph.inputs:
            self.quantised(tensor, tensor.name)
        for op in self.graph.ops:
            self.quantised(op.y, self.op(op))
        inputs = [edge(t.name, self.shape(t)) for t in self.graph.inputs]
        outputs = [edge(t.name, self.shape(t)) for t in self.graph.outputs]
        return model(self.graph.name, self.nodes, [*self.constants.values()], inputs, outputs, metadata)

    # Names and shapes

    def is_image(self, tensor: Tensor) -> bool:
        return self.turned and len(tensor.shape) == 4

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """As the file has it."""
        return tuple(tensor.shape[a] for a in FIRST) if self.is_image(tensor) else tensor.shape

    def axis(self, tensor: Tensor, axis: int) -> int:
        """An axis of a tensor, in the file."""
        axis %= len(tensor.shape)
        return FIRST.index(axis) if self.is_image(tensor) else axis

    def along(self, tensor: Tensor, numbers: Sequence[int]) -> list[int]:
        """One number for each axis of a tensor, in the file's order."""
        return [numbers[a] for a in FIRST] if self.is_image(tensor) else [*numbers]

    def read(self, tensor: Tensor, rank: int = 0) -> str:
        """The name of the reals that an op reads, those of a constant among operands of so many axes."""
        if not tensor.is_constant:
            return tensor.name if tensor in self.graph.outputs else f"{tensor.name}/read"
        data = tensor.constant.reshape((1,) * max(rank - len(tensor.shape), 0) + tensor.shape)
        if self.turned and data.ndim == 4:
            data = data.transpose(FIRST)
        q = self.given[tensor]
        stored = np.clip(np.rint(data / np.float32(q.scale)) + q.zero_point, -128, 127) + 128
        return self.dequantised(f"{tensor.name}/{rank}", stored, "uint8", [q.scale], [q.zero_point + 128])

    # What is written

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Value) -> str:
        self.nodes.append(node(op, inputs, output, attributes))
        return output

    def constant(self, name: str, data: Array, dtype: str) -> str:
        self.constants.setdefault(name, initialiser(name, data, dtype))
        return name

    def integers(self, name: str, numbers: Sequence[int]) -> str:
        return self.constant(name, np.array(numbers, np.int64), "int64")

    def dequantised(
        self,
        name: str,
        stored: Array,
        dtype: str,
        scales: Sequence[float],
        zeros: Sequence[int],
        axis: int | None = None,
    ) -> str:
        """The reals of a constant of integers."""
        if f"{name}/stored" not in self.constants:
            shape = () if axis is None else (len(scales),)
            parts = [
                self.constant(f"{name}/stored", stored, dtype),
                self.constant(f"{name}/scale", np.array(scales, np.float32).reshape(shape), "float32"),
                self.constant(f"{name}/zero", np.array(zeros).reshape(shape), dtype),
            ]
            self.add("DequantizeLinear", parts, name, **({} if axis is None else {"axis": axis}))
        return name

    def quantised(self, tensor: Tensor, real: str) -> None:
        """Q and DQ of reals, under the name that readers know."""
        q, wide = self.given[tensor], tensor in self.given.wide
        name, zero = tensor.name, q.zero_point + (0 if wide else 128)
        scale = self.constant(f"{name}/scale", np.array(q.scale, np.float32), "float32")
        point = self.constant(f"{name}/zero", np.array(zero), "int16" if wide else "uint8")
        stored = self.add("QuantizeLinear", [real, scale, point], f"{name}/stored")
        self.add("DequantizeLinear", [stored, scale, point], self.read(tensor))

    def limited(self, real: str, clamp: Clamp, out: str) -> str:
        """Reals within limits."""
        if clamp == (0.0, inf):
            return self.add("Relu", [real], out)
        ends = [
            "" if np.isinf(end) else self.constant(f"{out}/{what}", np.array(end, np.float32), "float32")
            for end, what in zip(clamp, ("low", "high"), strict=True)
        ]
        return self.add("Clip", [real, *ends], out)

    # Operators

    def op(self, op: Op) -> str:
        """The reals that an op computes, and its activation, where that is more than the ends of the integers."""
        y = op.y
        out = f"{y.name}/real" if y in self.graph.outputs else y.name
        clamp = op.limits if isinstance(op, Linear | Add | Mul | Pool) else None
        if clamp is None or is_implied(self.given[y], clamp, y in self.given.wide):
            return self.computed(op, out)
        return self.limited(self.computed(op, f"{y.name}/unlimited"), clamp, out)

    def computed(self, op: Op, out: str) -> str:
        """What an op computes without an activation."""
        match op:
            case Dense():
                return self.dense(op, out)
            case Conv2D() | DepthwiseConv2D():
                return self.convolution(op, out)
            case MaxPool2D() | AveragePool2D():
                window = {"kernel_shape": [*op.size], "strides": [*op.stride]}
                pads = _pads(op.x, op.y, op.size, op.stride, (1, 1), op.pad)
                kind = "MaxPool" if isinstance(op, MaxPool2D) else "AveragePool"
                return self.add(kind, [self.read(op.x)], out, **window, pads=pads)
            case Add() | Mul():
                kind = "Mul" if isinstance(op, Mul) else "Sub" if op.subtract else "Add"
                rank = len(op.y.shape)
                return self.add(kind, [self.read(op.x, rank), self.read(op.x2, rank)], out)
            case Mean():
                return self.mean(op, out)
            case Softmax():
                return self.add("Softmax", [self.read(op.x)], out, axis=self.axis(op.x, -1))
            case Unary(function="relu6"):
                return self.limited(self.read(op.x), (0.0, 6.0), out)
            case Unary():
                alpha: dict[str, Value] = {"alpha": float(op.alpha)} if op.function == "leaky_relu" else {}
                return self.add(FUNCTIONS[op.function], [self.read(op.x)], out, **alpha)
            case Reshape():
                return self.reshaped(self.read(op.x), op.x, op.y, out)
        return self.moved(op, out)

    def moved(self, op: Op, out: str) -> str:
        """What an op moves."""
        match op:
            case Concat():
                names = [self.read(x, len(op.y.shape)) for x in op.xs]
                return self.add("Concat", names, out, axis=self.axis(op.y, op.axis))
            case Pad():
                ends = [*self.along(op.x, op.before), *self.along(op.x, op.after)]
                value = self.constant(f"{out}/value", np.array(op.value, np.float32), "float32")
                return self.add("Pad", [self.read(op.x), self.integers(f"{out}/pads", ends), value], out)
            case Slice():
                numbers = (op.begin, _ends(op), range(len(op.begin)), op.stride)
                given = [self.along(op.x, n) for n in numbers]
                given[2] = [*range(len(op.begin))]
                names = [
                    self.integers(f"{out}/{what}", n)
                    for what, n in zip(("from", "to", "axes", "by"), given, strict=True)
                ]
                return self.add("Slice", [self.read(op.x), *names], out)
            case Transpose():
                order = [
                    self.axis(op.x, op.permutation[a])
                    for a in (FIRST if self.is_image(op.y) else range(len(op.permutation)))
                ]
                return self.add("Transpose", [self.read(op.x)], out, perm=order)
            case ResizeNearest():
                sizes = self.integers(f"{out}/sizes", self.shape(op.y))
                mode = "half_pixel" if op.half_pixel_centers else "align_corners" if op.align_corners else "asymmetric"
                nearest = "round_prefer_ceil" if mode == "align_corners" else "floor"
                return self.add(
                    "Resize", [self.read(op.x), "", "", sizes], out,
                    mode="nearest", coordinate_transformation_mode=mode, nearest_mode=nearest,
                )  # fmt: skip
        raise Unsupported("writing it as ONNX", (f"{type(op).__name__} has no form there",))

    def convolution(self, op: Conv2D | DepthwiseConv2D, out: str) -> str:
        layer, size = self.layers[op], op.weights.shape[1:3]
        order = (3, 0, 1, 2) if isinstance(op, DepthwiseConv2D) else FIRST
        weights, bias = self.constants_of(layer, layer.stored.transpose(order), out)
        return self.add(
            "Conv", [self.read(op.x), weights, bias], out,
            kernel_shape=[*size], strides=[*op.stride], dilations=[*op.dilation], group=groups_of(op),
            pads=_pads(op.x, op.y, size, op.stride, op.dilation, op.pad),
        )  # fmt: skip

    def dense(self, op: Dense, out: str) -> str:
        layer, (units, depth) = self.layers[op], op.weights.shape
        rows = Tensor("", (op.x.elements // depth, depth), "float32")
        x = self.read(op.x)
        if op.x.shape != rows.shape:
            x = self.reshaped(x, op.x, rows, f"{out}/rows")
        weights, bias = self.constants_of(layer, layer.stored, out)
        found = Tensor("", (rows.shape[0], units), "float32")
        y = self.add("Gemm", [x, weights, bias], out, transB=1)
        return y if op.y.shape == found.shape else self.reshaped(y, found, op.y, f"{out}/shaped")

    def constants_of(self, layer: Layer, stored: Array, out: str) -> tuple[str, str]:
        """Weights, their channels on the first axis, and bias."""
        scales, zeros = layer.scales.tolist(), [0] * len(layer.scales)
        dtype = "int4" if layer.bits <= 4 else "int8"
        weights = self.dequantised(f"{out}/weights", stored, dtype, scales, zeros, 0)
        products = (np.float32(self.given[layer.op.x].scale) * layer.scales).tolist()
        return weights, self.dequantised(f"{out}/bias", layer.bias, "int32", products, zeros, 0)

    def mean(self, op: Mean, out: str) -> str:
        axes = sorted(self.axis(op.x, a) for a in op.axes)
        kept = len(op.y.shape) == len(op.x.shape)
        if self.is_image(op.x) and axes == [2, 3] and kept:
            return self.add("GlobalAveragePool", [self.read(op.x)], out)
        if self.is_image(op.x) and not kept and axes != [2, 3]:
            x = self.add("Transpose", [self.read(op.x)], f"{out}/rows", perm=[*LAST])
            return self.add("ReduceMean", [x, self.integers(f"{out}/axes", op.axes)], out, keepdims=0)
        return self.add("ReduceMean", [self.read(op.x), self.integers(f"{out}/axes", axes)], out, keepdims=int(kept))

    def reshaped(self, x: str, before: Tensor, after: Tensor, out: str) -> str:
        """The same numbers in smelt's order under another shape."""
        if self.is_image(before) and not _same_bytes(before):
            x = self.add("Transpose", [x], f"{out}/last", perm=[*LAST])
        if not self.is_image(after) or _same_bytes(after):
            return self.add("Reshape", [x, self.integers(f"{out}/shape", self.shape(after))], out)
        x = self.add("Reshape", [x, self.integers(f"{out}/shape", after.shape)], f"{out}/shaped")
        return self.add("Transpose", [x], out, perm=[*FIRST])


def is_implied(q: Quantization, clamp: Clamp, wide: bool) -> bool:
    """Whether the integers of a value end where an activation cuts it off, or before."""
    low, high = (-32768, 32767) if wide else (-128, 127)
    ends = np.rint(np.asarray(clamp, np.float32) / np.float32(q.scale)) + q.zero_point
    return bool(ends[0] <= low and ends[1] >= high)


def _same_bytes(tensor: Tensor) -> bool:
    """Whether an image has the same bytes with its channels first and last."""
    return tensor.shape[3] == 1 or prod(tensor.shape[1:3]) == 1


def _ends(op: Slice) -> list[int]:
    """Where a slice ends, per axis; far below 0 where it goes down to the first."""
    found = []
    for begin, stride, extent in zip(op.begin, op.stride, op.y.shape, strict=True):
        end = begin + extent * stride
        found.append(end if end >= 0 else -(1 << 31))
    return found


def _pads(
    x: Tensor, y: Tensor, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int], pad: Padding
) -> list[int]:
    before = [pad.top, pad.left]
    after = [
        max((y.shape[a + 1] - 1) * stride[a] + (size[a] - 1) * dilation[a] + 1 - before[a] - x.shape[a + 1], 0)
        for a in (0, 1)
    ]
    return [*before, *after]
