"""Models that have every operator that can be imported: files to be damaged."""

from __future__ import annotations

import numpy as np

from tests.tflite_writer import ModelWriter

Q = (0.5, 3)  # the scale and zero point of most tensors


class Zoo:
    """Writes one chain with every operator that can be imported."""

    def __init__(self) -> None:
        self.w = ModelWriter()
        self.count = 0

    def new(self, shape, q=Q, dtype="int8") -> int:
        self.count += 1
        return self.w.tensor(f"t{self.count}", shape, dtype, *q)

    def op(self, code, x, shape, *constants, q=Q, before=(), **options) -> int:
        y = self.new(shape, q)
        rest = [self.w.constant(f"{code}{self.count}", value) for value in constants]
        self.w.op(code, [*before, x, *rest], [y], **options)
        return y

    def weights(self, shape, axis, channels) -> tuple[int, int]:
        w = self.w.tensor("w", shape, "int8", [0.1] * channels, 0, data=np.ones(shape), axis=axis)
        return w, self.w.tensor("b", (channels,), "int32", [0.05] * channels, 0, data=np.zeros(channels))

    def convolve(self, code, x, shape, weights, axis=0, **options) -> int:
        y = self.new(shape)
        tensors = [x, *self.weights(weights, axis, weights[axis])]
        if code == "TRANSPOSE_CONV":
            tensors = [self.w.constant("shape", shape), tensors[1], x, tensors[2]]
        self.w.op(code, tensors, [y], **options)
        return y


def computing() -> bytes:
    """Convolutions, pools, pointwise operators."""
    z, one, two = Zoo(), {"StrideW": 1, "StrideH": 1}, {"StrideW": 2, "StrideH": 2}
    first = z.new((1, 8, 8, 2), ((), 0), "float32")
    x = z.op("QUANTIZE", first, (1, 8, 8, 2))
    x = z.convolve("CONV_2D", x, (1, 4, 4, 4), (4, 3, 3, 2), FusedActivationFunction=3, **two)
    x = z.convolve("DEPTHWISE_CONV_2D", x, (1, 2, 2, 8), (1, 3, 3, 8), 3, DepthMultiplier=2, Padding=1, **one)
    x = z.convolve("TRANSPOSE_CONV", x, (1, 4, 4, 2), (2, 3, 3, 8), **two)
    x = z.op("AVERAGE_POOL_2D", x, (1, 2, 2, 2), FilterWidth=2, FilterHeight=2, **two)
    x = z.op("RESIZE_NEAREST_NEIGHBOR", x, (1, 4, 4, 2), [4, 4])
    x = z.op("RESIZE_BILINEAR", x, (1, 6, 6, 2), [6, 6], HalfPixelCenters=True)
    x = z.op("MAX_POOL_2D", x, (1, 3, 3, 2), FilterWidth=2, FilterHeight=2, **two)
    for code in ("RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU"):
        x = z.op(code, x, (1, 3, 3, 2))
    for code in ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM"):
        factor = z.w.tensor("constant", (2,), "int8", *Q, data=[1, 2])
        x = z.op(code, x, (1, 3, 3, 2), before=[factor])
    x = z.op("MEAN", x, (1, 2), [1, 2])
    y = z.new((1, 3))
    z.w.op("FULLY_CONNECTED", [x, *z.weights((3, 2), 0, 3)], [y])
    x = z.op("TANH", z.op("LOGISTIC", y, (1, 3), q=(1 / 256, -128)), (1, 3), q=(1 / 128, 0))
    x = z.op("SOFTMAX", x, (1, 3), q=(1 / 256, -128), Beta=1.0)
    last = z.new((1, 3), ((), 0), "float32")
    z.w.op("DEQUANTIZE", [x], [last])
    return z.w.finish([first], [last])


def moving() -> bytes:
    """Reshapes, slices, paddings, and a shape that is computed."""
    z = Zoo()
    first = x = z.new((1, 4, 6))
    x = z.op("PAD", x, (1, 6, 6), [[0, 0], [1, 1], [0, 0]])
    x = z.op("TRANSPOSE", x, (6, 6, 1), [1, 2, 0])
    x = z.op("SQUEEZE", x, (6, 6), SqueezeDims=[2])
    x = z.op("EXPAND_DIMS", x, (6, 1, 6), 1)
    x = z.op("RESHAPE", x, (4, 9), [4, -1], NewShape=[4, 9])
    x = z.op("SLICE", x, (2, 9), [1, 0], [2, -1])
    x = z.op("STRIDED_SLICE", x, (2, 3), [0, 8], [2, 0], [1, -3], BeginMask=1, EndMask=2)
    halves = [z.new((1, 3)) for _ in range(2)]
    z.w.op("SPLIT", [z.w.constant("axis", 0), x], halves, NumSplits=2)
    packed, joined = z.new((2, 1, 3)), z.new((2, 3))
    z.w.op("PACK", halves, [packed], Axis=0, ValuesCount=2)
    rows = [z.new((1, 3)) for _ in range(2)]
    z.w.op("UNPACK", [packed], rows, Axis=0, Num=2)
    z.w.op("CONCATENATION", rows, [joined], Axis=0)
    parts = [z.new((2, 1)), z.new((2, 2))]
    z.w.op("SPLIT_V", [joined, z.w.constant("sizes", [1, -1]), z.w.constant("axis", 1)], parts, NumSplits=2)
    shape, wanted = z.w.tensor("shape", (2,), "int32"), z.w.tensor("wanted", (1,), "int32")
    z.w.op("SHAPE", [parts[1]], [shape])
    z.w.op("STRIDED_SLICE", [shape, *(z.w.constant(f"s{v}", [v]) for v in (0, 1, 1))], [wanted])
    y = z.new((2, 2))
    z.w.op("RESHAPE", [parts[1], z.w.constant("two", [2, 2])], [y])
    value = z.w.tensor("value", (), "int8", *Q, data=7)
    last = z.new((4, 2))
    z.w.op("PADV2", [y, z.w.constant("paddings", [[1, 1], [0, 0]]), value], [last])
    return z.w.finish([first], [last, parts[0], packed])


def gathering() -> bytes:
    """Gathers, blocks of images, and the other moves to computed places."""
    z = Zoo()
    first = x = z.new((1, 4, 6, 4))
    x = z.op("SPACE_TO_DEPTH", x, (1, 2, 3, 16), BlockSize=2)
    x = z.op("DEPTH_TO_SPACE", x, (1, 4, 6, 4), BlockSize=2)
    x = z.op("SPACE_TO_BATCH_ND", x, (6, 3, 2, 4), [2, 3], [[1, 1], [0, 0]])
    x = z.op("BATCH_TO_SPACE_ND", x, (1, 4, 6, 4), [2, 3], [[1, 1], [0, 0]])
    x = z.op("GATHER", x, (1, 3, 6, 4), [3, 0, 0], Axis=1)
    x = z.op("GATHER_ND", x, (2, 6, 4), [[0, 2], [0, 0]])
    x = z.op("MIRROR_PAD", x, (2, 8, 4), [[0, 0], [1, 1], [0, 0]])
    x = z.op("REVERSE_V2", x, (2, 8, 4), [1])
    x = z.op("REVERSE_SEQUENCE", x, (2, 8, 4), [3, 8], SeqDim=1, BatchDim=0)
    x = z.op("TILE", x, (4, 8, 4), [2, 1, 1])
    x = z.op("EMBEDDING_LOOKUP", x, (3, 8, 4), before=[z.w.constant("rows", [0, 3, 1])])
    value = z.w.tensor("value", (), "int8", *Q, data=7)
    update = z.new((1, 2, 1))
    z.w.op("FILL", [z.w.constant("sizes", [1, 2, 1]), value], [update])
    y = z.new((3, 8, 4))
    z.w.op("DYNAMIC_UPDATE_SLICE", [x, update, z.w.constant("start", [1, 7, 0])], [y])
    last, places = z.new((5, 8, 4)), z.w.constant("places", [[4], [0], [2]])
    z.w.op("SCATTER_ND", [places, y, z.w.constant("whole", [5, 8, 4])], [last])
    wide = z.op("BROADCAST_TO", last, (2, 5, 8, 4), [2, 5, 8, 4])
    return z.w.finish([first], [wide])


def remembering() -> bytes:
    """Variables, one with a first value from a subgraph, and a tensor that is variable."""
    z, shape = Zoo(), (1, 3, 4)
    inner = z.w.subgraph()
    there = inner.tensor("there", (), "resource")
    values = inner.tensor("values", shape, "int8", *Q, data=np.arange(12).reshape(shape))
    inner.op("VAR_HANDLE", [], [there], SharedName="first", Container="c")
    inner.op("ASSIGN_VARIABLE", [there, values], [])
    z.w.op("CALL_ONCE", [], [], InitSubgraphIndex=1)
    x = entry = z.new((1, 1, 4))
    for name in ("first", "second"):
        handle, old = z.w.tensor(f"handle {name}", (), "resource"), z.new(shape)
        z.w.op("VAR_HANDLE", [], [handle], SharedName=name, Container="c")
        z.w.op("READ_VARIABLE", [handle], [old])
        joined = z.new((1, 4, 4))
        z.w.op("CONCATENATION", [old, x], [joined], Axis=1)
        kept = z.op("SLICE", joined, shape, [0, 1, 0], [1, 3, 4])
        z.w.op("ASSIGN_VARIABLE", [handle, kept], [])
        x = z.op("SLICE", joined, (1, 1, 4), [0, 0, 0], [1, 1, 4])
    flat = z.op("RESHAPE", x, (1, 4), [1, 4], NewShape=(1, 4))
    constants = [
        z.w.tensor("weights", (4, 4), "int8", 0.1, 0, data=np.ones((4, 4))),
        z.w.tensor("time", (4, 5), "int8", 0.1, 0, data=np.ones((4, 5))),
        z.w.tensor("bias", (2,), "int32", 0.05, 0, data=np.zeros(2)),
    ]
    state, y = z.w.tensor("state", (1, 20), "int8", 0.5, 3, variable=True), z.new((1, 2))
    z.w.op("SVDF", [flat, *constants, state], [y], Rank=2, FusedActivationFunction=1)
    return z.w.finish([entry], [y])
