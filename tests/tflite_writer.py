"""Build small .tflite files:

    w = ModelWriter()
    x = w.tensor("x", (1, 4), "int8", 0.5, 3)
    y = w.tensor("y", (1, 4), "int8", 0.25, 0)
    w.op("RELU", [x], [y])
    w.op("SOFTMAX", [y], [z], Beta=1.0)
    model = w.finish([x], [z])

Options are named as the schema's accessors are; their table is found from the operator's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite
from flatbuffers import flexbuffers

from smelt.model.dtypes import DTYPES

TYPES = {name: name.upper() for name in (*DTYPES, "float16", "resource")}

# The options table of each operator; operators that are not here have none.
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SLICE": "SliceOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "PACK": "PackOptions",
    "UNPACK": "UnpackOptions",
    "TRANSPOSE": "TransposeOptions",
    "GATHER": "GatherOptions",
    "GATHER_ND": "GatherNdOptions",
    "BROADCAST_TO": "BroadcastToOptions",
    "FILL": "FillOptions",
    "TILE": "TileOptions",
    "ONE_HOT": "OneHotOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "REVERSE_V2": "ReverseV2Options",
    "REVERSE_SEQUENCE": "ReverseSequenceOptions",
    "SCATTER_ND": "ScatterNdOptions",
    "TOPK_V2": "TopKV2Options",
    "DYNAMIC_UPDATE_SLICE": "DynamicUpdateSliceOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "SOFTMAX": "SoftmaxOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "HARD_SWISH": "HardSwishOptions",
    "DIV": "DivOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "EQUAL": "EqualOptions",
    "NOT_EQUAL": "NotEqualOptions",
    "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions",
    "LESS": "LessOptions",
    "LESS_EQUAL": "LessEqualOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_OR": "LogicalOrOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
    "SELECT": "SelectOptions",
    "SELECT_V2": "SelectV2Options",
    "ADD_N": "AddNOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "FLOOR_MOD": "FloorModOptions",
    "ABS": "AbsOptions",
    "SUM": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_ALL": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "CUMSUM": "CumsumOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "GELU": "GeluOptions",
    "POW": "PowOptions",
    "NEG": "NegOptions",
    "SIGN": "SignOptions",
    "EXP": "ExpOptions",
    "QUANTIZE": "QuantizeOptions",
    "CAST": "CastOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "CALL_ONCE": "CallOnceOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "IF": "IfOptions",
    "WHILE": "WhileOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
    "SVDF": "SVDFOptions",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "BidirectionalSequenceLSTMOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}

OptionValue = int | float | bool | str | Sequence[int]


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    buffer: int
    signature: tuple[int, ...] | None
    variable: bool


@dataclass(frozen=True)
class _Operator:
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, OptionValue]
    version: int


class ModelWriter:
    """Collects tensors and operators of one subgraph; `finish` gives the bytes of the file. `subgraph` begins another one."""

    def __init__(self) -> None:
        self._tensors: list[_Tensor] = []
        self._operators: list[_Operator] = []
        self._buffers: list[bytes] = [b""]
        self._others: list[ModelWriter] = []
        self._edges: tuple[Sequence[int], Sequence[int]] = ((), ())

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "int8",
        scale: float | Iterable[float] = (),
        zero_point: int | Iterable[int] = 0,
        data: np.ndarray | Sequence[int] | None = None,
        axis: int | None = None,
        signature: Sequence[int] | None = None,
        variable: bool = False,
    ) -> int:
        """Add a tensor, return its index. Several scales make it per-channel along `axis`; no scale, unquantised. A `variable` one
        lives between inferences."""
        scales = (scale,) if isinstance(scale, int | float | np.floating) else tuple(scale)
        zeros = (zero_point,) * len(scales) if isinstance(zero_point, int | np.integer) else tuple(zero_point)
        buffer = 0 if data is None else self._buffer(_packed(np.asarray(data), dtype))
        dims = tuple(int(d) for d in shape)
        dynamic = None if signature is None else tuple(signature)
        self._tensors.append(_Tensor(name, dims, dtype, scales, zeros, axis or 0, buffer, dynamic, variable))
        return len(self._tensors) - 1

    def constant(self, name: str, data: np.ndarray | Sequence[int], dtype: str = "int32") -> int:
        """Add an unquantised constant of `data`'s own shape."""
        array = np.asarray(data, DTYPES[dtype].numpy)
        return self.tensor(name, array.shape, dtype, data=array)

    def op(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int = 1, **options: OptionValue
    ) -> None:
        """Add an operator by its schema name, or "CUSTOM name". An input of -1 is one that is left out."""
        self._operators.append(_Operator(code, tuple(inputs), tuple(outputs), options, version))

    def subgraph(self) -> ModelWriter:
        """Another subgraph of the file, empty and without edges until it is `called`. Its number is its place; the first is 1."""
        other = ModelWriter()
        other._buffers = self._buffers
        self._others.append(other)
        return other

    @property
    def subgraphs(self) -> int:
        """How many there are beside the first one; the number of the newest."""
        return len(self._others)

    def called(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Give a subgraph its inputs and outputs."""
        self._edges = (tuple(inputs), tuple(outputs))

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], metadata: bytes = b"") -> bytes:
        """The bytes of the file, with these tensors as the graph's inputs and outputs, and with metadata (another flatbuffer)."""
        others = [(w._tensors, w._operators, *w._edges) for w in self._others]
        graphs = [(self._tensors, self._operators, inputs, outputs), *others]
        number = self._buffer(metadata) if metadata else 0
        return _Serializer().model(graphs, self._buffers, number)

    def _buffer(self, data: bytes) -> int:
        self._buffers.append(data)
        return len(self._buffers) - 1


class _Serializer:
    """Writes the tables inside out, as flatbuffers wants it."""

    def __init__(self) -> None:
        self.b = flatbuffers.Builder(1024)

    def model(self, graphs, buffers, metadata=0) -> bytes:
        codes = list(dict.fromkeys((op.code, op.version) for _, operators, _, _ in graphs for op in operators))
        subgraphs = [
            self.table(
                "SubGraph",
                Tensors=self.offsets([self.tensor(t) for t in tensors]),
                Inputs=self.vector(inputs, np.int32),
                Outputs=self.vector(outputs, np.int32),
                Operators=self.offsets([self.operator(op, codes) for op in operators]),
                Name=self.b.CreateString("main"),
            )
            for tensors, operators, inputs, outputs in graphs
        ]
        entry = {"Name": self.b.CreateString("TFLITE_METADATA"), "Buffer": metadata} if metadata else {}
        more = {"Metadata": self.offsets([self.table("Metadata", **entry)])} if metadata else {}
        model = self.table(
            "Model",
            Version=3,
            OperatorCodes=self.offsets([self.code(name, version) for name, version in codes]),
            Subgraphs=self.offsets(subgraphs),
            Description=self.b.CreateString("written by a test"),
            Buffers=self.offsets([self.buffer(data) for data in buffers]),
            **more,
        )
        self.b.Finish(model, b"TFL3")
        return bytes(self.b.Output())

    def table(self, name: str, **fields) -> int:
        """A table of the schema; fields that are None stay absent."""
        getattr(tflite, f"{name}Start")(self.b)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{name}Add{field}")(self.b, value)
        return getattr(tflite, f"{name}End")(self.b)

    def vector(self, values: Sequence[float], dtype: type) -> int:
        return self.b.CreateNumpyVector(np.asarray(values, dtype).reshape(-1))

    def offsets(self, values: list[int]) -> int:
        self.b.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.b.PrependUOffsetTRelative(value)
        return self.b.EndVector()

    def tensor(self, t: _Tensor) -> int:
        return self.table(
            "Tensor",
            Shape=self.vector(t.shape, np.int32),
            Name=self.b.CreateString(t.name),
            Quantization=self.quantization(t) if t.scales else None,
            ShapeSignature=None if t.signature is None else self.vector(t.signature, np.int32),
            Type=getattr(tflite.TensorType, TYPES[t.dtype]),
            Buffer=t.buffer,
            IsVariable=t.variable or None,
        )

    def quantization(self, t: _Tensor) -> int:
        scales, zeros = self.vector(t.scales, np.float32), self.vector(t.zero_points, np.int64)
        return self.table("QuantizationParameters", Scale=scales, ZeroPoint=zeros, QuantizedDimension=t.axis)

    def operator(self, op: _Operator, codes: list[tuple[str, int]]) -> int:
        kind = OPTIONS.get(op.code)
        return self.table(
            "Operator",
            Inputs=self.vector(op.inputs, np.int32),
            Outputs=self.vector(op.outputs, np.int32),
            OpcodeIndex=codes.index((op.code, op.version)),
            BuiltinOptionsType=getattr(tflite.BuiltinOptions, kind) if kind else None,
            BuiltinOptions=self.options(kind, op.options) if kind else None,
            CustomOptions=self.aligned(bytes(flexbuffers.Dumps(op.options))) if op.code.startswith("CUSTOM ") else None,
        )

    def options(self, kind: str, options: dict[str, OptionValue]) -> int:
        return self.table(kind, **{k: self.option(v) for k, v in options.items()})

    def option(self, value: OptionValue) -> OptionValue:
        if isinstance(value, str):
            return self.b.CreateString(value)
        return self.vector(value, np.int32) if isinstance(value, Sequence) else value

    def code(self, name: str, version: int) -> int:
        builtin, _, custom = name.partition(" ")
        number = getattr(tflite.BuiltinOperator, builtin)
        return self.table(
            "OperatorCode",
            DeprecatedBuiltinCode=min(number, 127),
            CustomCode=self.b.CreateString(custom) if custom else None,
            BuiltinCode=number,
            Version=version,
        )

    def buffer(self, data: bytes) -> int:
        vector = self.aligned(data) if data else None
        return self.table("Buffer", Data=vector)

    def aligned(self, data: bytes) -> int:
        """Bytes that begin at a multiple of 16."""
        self.b.StartVector(1, len(data), 16)
        self.b.head -= len(data)
        self.b.Bytes[self.b.head : self.b.head + len(data)] = data
        return self.b.EndVector()


def _packed(data: np.ndarray, dtype: str) -> bytes:
    """float16 is a type of files, not of graphs."""
    return data.astype("<f2").tobytes() if dtype == "float16" else DTYPES[dtype].pack(data)
