"""The layers of DORY's experiment: convolutions and depthwise convolutions of MobileNetV1-1.0-128 (random weights of its shapes)
and of the MLPerf Tiny models."""

import numpy as np
from data import MLPERF_TINY

from smelt.importers import load
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Padding
from smelt.model.rescale import linear_rescale
from smelt.passes import prepare
from smelt.planner.tiles import can_tile

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


def convolution(name, size, depth, channels, kernel, stride, depthwise, random):
    """An op with random weights, whose results fill the range of int8."""
    rows = -(-size // stride)
    total = max((rows - 1) * stride + kernel - size, 0)
    pad = Padding(total // 2, total - total // 2, total // 2, total - total // 2)
    shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, depth)
    taps = kernel * kernel * (1 if depthwise else depth)
    x = Tensor("x", (1, size, size, depth), "int8", Quantization((0.02,), (-128,)))
    weights = Tensor(
        "weights", shape, "int8", Quantization((0.01,), (0,)), random.integers(-127, 128, shape, dtype=np.int8)
    )
    bias = Tensor("bias", (channels,), "int32", None, random.integers(-4000, 4000, channels).astype(np.int32))
    y = Tensor("y", (1, rows, rows, channels), "int8", Quantization((0.02 * 0.01 * 90 * taps**0.5,), (0,)))
    kind = DepthwiseConv2D if depthwise else Conv2D
    return name, kind(
        x=x, weights=weights, bias=bias, y=y, rescale=linear_rescale(x, weights, y), stride=(stride, stride), pad=pad
    )


def mobilenet():
    """The layers of MobileNetV1-1.0-128 but for the last two."""
    random = np.random.default_rng(7)
    yield convolution("mv1 conv0", 128, 3, 32, 3, 2, False, random)
    size, depth = 64, 32
    for n, (stride, channels) in enumerate(zip(STRIDES, CHANNELS, strict=True), 1):
        yield convolution(f"mv1 depthwise{n}", size, depth, depth, 3, stride, True, random)
        size = -(-size // stride)
        yield convolution(f"mv1 pointwise{n}", size, depth, channels, 1, 1, False, random)
        depth = channels


def of_model(name):
    """Its convolutions, each shape once."""
    seen = set()
    for op in prepare(load(MLPERF_TINY[name])).ops:
        key = (type(op), op.inputs[0].shape, op.y.shape, getattr(op, "weights", op.y).shape)
        if isinstance(op, Conv2D | DepthwiseConv2D) and key not in seen:
            seen.add(key)
            yield f"{name} {op.y.shape[1]}x{op.y.shape[2]}x{op.y.shape[3]} {type(op).__name__}", op


def layers(names):
    """Those of `names`, shapes that are there already once more under no other name."""
    seen = set()
    for source in names:
        for name, op in mobilenet() if source == "mv1" else of_model(source):
            key = (type(op), op.x.shape, op.y.shape, op.weights.shape, op.stride)
            if can_tile(op) and key not in seen:
                seen.add(key)
                yield name, op
