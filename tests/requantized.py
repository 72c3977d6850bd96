"""Networks of int8 with other numbers: weights of int4, activations of int16. Nothing is trained: it is about what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smelt.importers import load
from smelt.model.graph import Op, Tensor
from smelt.model.ops import AveragePool2D, Conv2D, Dense, DepthwiseConv2D, Reshape, Softmax
from tests.tflite_writer import ModelWriter

Scaled = tuple[int, tuple[float, ...]]  # a tensor of the new file, and its scales


def requantized(model: Path, x_type: str = "int8", w_type: str = "int8") -> bytes:
    """A chain of convolutions, pools and dense layers of int8 as another .tflite file, with activations of `x_type` and weights of
    `w_type`."""
    return _Rewriter(x_type, w_type).network(model)


class _Rewriter:
    def __init__(self, x_type: str, w_type: str) -> None:
        self.writer, self.x_type, self.w_type = ModelWriter(), x_type, w_type
        self.made: dict[Tensor, int] = {}

    def network(self, model: Path) -> bytes:
        graph = load(model)
        for op in graph.ops:
            self._op(op)
        inputs, outputs = [self.made[t] for t in graph.inputs], [self.made[t] for t in graph.outputs]
        return self.writer.finish(inputs, outputs)

    def _scale(self, tensor: Tensor) -> float:
        """Of an activation: int16 has no zero point, and holds the largest magnitude."""
        if self.x_type == "int8":
            return tensor.q.scale
        reach = max(tensor.q.zero_point + 128, 127 - tensor.q.zero_point)
        return float(np.float32(tensor.q.scale * reach / 2**15))

    def _activation(self, tensor: Tensor, scale: float | None = None) -> int:
        if tensor not in self.made:
            zero = tensor.q.zero_point if self.x_type == "int8" else 0
            size = self._scale(tensor) if scale is None else scale
            self.made[tensor] = self.writer.tensor(f"t{len(self.made)}", tensor.shape, self.x_type, size, zero)
        return self.made[tensor]

    def _weights(self, op: Conv2D | DepthwiseConv2D | Dense) -> Scaled:
        tensor, axis = op.weights, op.channel_axis % len(op.weights.shape)
        scales, data = np.asarray(tensor.q.scales), tensor.constant.astype(np.float64)
        if self.w_type == "int4":
            others = tuple(a for a in range(data.ndim) if a != axis)
            most = np.abs(data).max() if scales.size == 1 else np.abs(data).max(axis=others)
            wider = np.maximum(most, 1) / 7
            shape = [-1 if a == axis else 1 for a in range(data.ndim)]
            data, scales = np.rint(data / (wider if scales.size == 1 else wider.reshape(shape))), scales * wider
        kept = tuple(float(np.float32(s)) for s in scales)
        index = self.writer.tensor(
            f"w{len(self.made)}", data.shape, self.w_type, kept, data=data.astype(int), axis=axis
        )
        return index, kept

    def _linear(self, op: Conv2D | DepthwiseConv2D | Dense, code: str, **options: int) -> None:
        x, (weights, scales) = self._activation(op.x), self._weights(op)
        biases = [float(np.float32(self._scale(op.x) * s)) for s in scales]
        assert op.bias is not None
        reals = op.bias.constant * op.x.q.scale * np.asarray(op.weights.q.scales)
        wide = self.x_type == "int16"
        bias = self.writer.tensor(
            f"b{len(self.made)}", op.bias.shape, "int64" if wide else "int32", biases, data=np.rint(reals / biases)
        )  # fmt: skip
        relu = op.y.q.zero_point == -128
        self.writer.op(
            code, [x, weights, bias], [self._activation(op.y)], version=5, FusedActivationFunction=int(relu), **options
        )

    def _op(self, op: Op) -> None:
        match op:
            case Conv2D() | DepthwiseConv2D():
                code = "CONV_2D" if isinstance(op, Conv2D) else "DEPTHWISE_CONV_2D"
                more = {} if isinstance(op, Conv2D) else {"DepthMultiplier": op.multiplier}
                self._linear(op, code, Padding=0 if op.pad else 1, StrideH=op.stride[0], StrideW=op.stride[1], **more)
            case Dense():
                self._linear(op, "FULLY_CONNECTED")
            case AveragePool2D():
                (rows, columns), (down, right) = op.size, op.stride
                x = self._activation(op.x)
                self.writer.op(
                    "AVERAGE_POOL_2D", [x], [self._activation(op.y, self._scale(op.x))],
                    Padding=1, StrideH=down, StrideW=right, FilterHeight=rows, FilterWidth=columns,
                )  # fmt: skip
            case Reshape():
                shape = self.writer.constant(f"shape{len(self.made)}", list(op.y.shape))
                self.writer.op("RESHAPE", [self._activation(op.x), shape], [self._activation(op.y, self._scale(op.x))])
            case Softmax():
                x = self._activation(op.x)
                y = self._activation(op.y, 2.0**-8 if self.x_type == "int8" else 2.0**-15)
                self.writer.op("SOFTMAX", [x], [y], Beta=op.beta)
            case _:
                raise TypeError(f"{type(op).__name__} is not among the operators of keyword spotters")
