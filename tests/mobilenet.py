"""MobileNetV2 with random weights, as a .tflite file: as large as people's models are."""

from __future__ import annotations

from math import sqrt

import numpy as np

from tests.tflite_writer import ModelWriter

BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Factor of expansion, channels, repetitions, stride of the first (Sandler et al., MobileNetV2, table 2)."""

SPREAD = 40.0
"""Standard deviation of activations, as stored."""


def divisible(channels: float) -> int:
    """The multiple of eight that the paper's code takes for a number of channels."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def mobilenet_v2(size: int, width: float, classes: int = 10) -> bytes:
    """The bytes of the int8 network for pictures of `size` x `size`, with `width` times the channels."""
    return _Network(size).whole(width, classes)


class _Network:
    def __init__(self, size: int) -> None:
        self.writer, self.random, self.names = ModelWriter(), np.random.default_rng(7), 0
        self.size, self.channels, self.scale = size, 3, 1 / 64
        self.input = self.last = self.writer.tensor("x", (1, size, size, 3), "int8", self.scale, 0)

    def whole(self, width: float, classes: int) -> bytes:
        self.conv(divisible(32 * width), 3, 2, relu=True)
        for factor, channels, count, stride in BLOCKS:
            for n in range(count):
                self.block(factor, divisible(channels * width), stride if n == 0 else 1)
        self.conv(divisible(1280 * max(width, 1.0)), 1, 1, relu=True)
        mean = self.tensor((1, self.channels), self.scale)
        axes = self.writer.constant("axes", [1, 2])
        self.writer.op("MEAN", [self.last, axes], [mean], KeepDims=False)
        weights, scale = self.weights((classes, self.channels), self.channels)
        bias = self.writer.tensor("b", (classes,), "int32", self.scale * scale, 0, data=np.zeros(classes, np.int32))
        y = self.tensor((1, classes), self.spread(scale, self.channels))
        self.writer.op("FULLY_CONNECTED", [mean, weights, bias], [y])
        return self.writer.finish([self.input], [y])

    def block(self, factor: int, channels: int, stride: int) -> None:
        """Expansion, depthwise convolution, projection; the sum with the input where the two have the same shape."""
        x, before, scale = self.last, self.channels, self.scale
        if factor > 1:
            self.conv(factor * before, 1, 1, relu=True)
        self.depthwise(stride)
        self.conv(channels, 1, 1, relu=False)
        if stride == 1 and channels == before:
            total = max(scale, self.scale) * 1.4
            y = self.tensor((1, self.size, self.size, channels), total)
            self.writer.op("ADD", [x, self.last], [y])
            self.last, self.scale = y, total

    def conv(self, channels: int, kernel: int, stride: int, relu: bool) -> None:
        terms = kernel * kernel * self.channels
        weights, scale = self.weights((channels, kernel, kernel, self.channels), terms)
        self.convolved("CONV_2D", weights, scale, terms, channels, stride, relu, {})

    def depthwise(self, stride: int) -> None:
        weights, scale = self.weights((1, 3, 3, self.channels), 9)
        self.convolved("DEPTHWISE_CONV_2D", weights, scale, 9, self.channels, stride, True, {"DepthMultiplier": 1})

    def convolved(
        self,
        op: str,
        weights: int,
        scale: float,
        terms: int,
        channels: int,
        stride: int,
        relu: bool,
        more: dict[str, int],
    ) -> None:
        data = self.random.integers(-2000, 2000, channels).astype(np.int32)
        bias = self.writer.tensor(self.name("b"), (channels,), "int32", self.scale * scale, 0, data=data)
        self.size, self.channels = -(-self.size // stride), channels
        mine = self.spread(scale, terms)
        y = self.tensor((1, self.size, self.size, channels), mine, -128 if relu else 0)
        function = 1 if relu else 0
        options = {"StrideH": stride, "StrideW": stride, "Padding": 0, "FusedActivationFunction": function, **more}
        self.writer.op(op, [self.last, weights, bias], [y], **options)
        self.last, self.scale = y, mine

    def weights(self, shape: tuple[int, ...], terms: int) -> tuple[int, float]:
        scale = 1 / (73 * sqrt(terms))
        data = self.random.integers(-127, 128, shape, np.int8)
        return self.writer.tensor(self.name("w"), shape, "int8", scale, 0, data=data), scale

    def spread(self, scale: float, terms: int) -> float:
        """The scale of a result that leaves its values spread over the bytes."""
        return self.scale * scale * 73 * sqrt(terms)

    def tensor(self, shape: tuple[int, ...], scale: float, zero_point: int = 0) -> int:
        return self.writer.tensor(self.name("y"), shape, "int8", scale, zero_point)

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}{self.names}"
