"""Trainings of one small network: other weights, and, where that is asked for, other scales and zero points."""

import numpy as np

from tests.tflite_writer import ModelWriter


def training(seed, scales=0, channels=8) -> bytes:
    """The bytes of a model of convolutions, a sum of two branches, a mean, a dense layer and a softmax. With another number for
    `scales` all scales and zero points are others."""
    random, numbers, w = np.random.default_rng(seed), np.random.default_rng(scales), ModelWriter()

    def activation(name, shape, zero=None):
        zero = int(numbers.integers(-60, 60)) if zero is None else zero
        return w.tensor(name, shape, "int8", float(np.float32(numbers.uniform(0.02, 0.05))), zero)

    def layer(code, x, y, shape, axis, **options):
        per = np.float32(numbers.uniform(0.002, 0.006, shape[axis]))
        bias = w.tensor(f"b{y}", (shape[axis],), "int32", data=random.integers(-500, 500, shape[axis], np.int32))
        weights = random.integers(-127, 128, shape, np.int8)
        w.op(code, [x, w.tensor(f"w{y}", shape, "int8", per, 0, data=weights, axis=axis), bias], [y], **options)

    conv = {"Padding": 0, "StrideH": 1, "StrideW": 1}
    x, a, b = (
        activation("x", (1, 8, 6, 2)),
        activation("a", (1, 8, 6, channels), -128),
        activation("b", (1, 8, 6, channels)),
    )
    layer("CONV_2D", x, a, (channels, 3, 3, 2), 0, FusedActivationFunction=1, **conv)
    layer("DEPTHWISE_CONV_2D", a, b, (1, 3, 3, channels), 3, DepthMultiplier=1, **conv)
    c, d = activation("c", (1, 8, 6, channels)), activation("d", (1, channels))
    w.op("ADD", [a, b], [c])
    w.op("MEAN", [c, w.constant("axes", [1, 2])], [d], KeepDims=False)
    e = activation("e", (1, 12))
    one = float(np.float32(numbers.uniform(0.002, 0.006)))
    dense = w.tensor("dense", (12, channels), "int8", one, 0, data=random.integers(-127, 128, (12, channels), np.int8))
    w.op("FULLY_CONNECTED", [d, dense, -1], [e])
    y = w.tensor("y", (1, 12), "int8", 1 / 256, -128)
    w.op("SOFTMAX", [e], [y], Beta=1.0)
    return w.finish([x], [y])
