"""Models of a few layers, for tests of everything around them."""

import numpy as np

from tests.tflite_writer import ModelWriter


def dense_model(units=(12, 5)) -> bytes:
    """The bytes of a model of 16 int8 inputs, FULLY_CONNECTED layers, and SOFTMAX."""
    random, writer = np.random.default_rng(1), ModelWriter()
    first = last = writer.tensor("x", (1, 16), "int8", 0.1, 3)
    depth = 16
    for n, size in enumerate(units):
        weights = random.integers(-127, 128, (size, depth), np.int8)
        w = writer.tensor(f"w{n}", (size, depth), "int8", 0.01, 0, data=weights)
        y = writer.tensor(f"y{n}", (1, size), "int8", 0.15, -4)
        writer.op("FULLY_CONNECTED", [last, w, -1], [y])
        last, depth = y, size
    scores = writer.tensor("scores", (1, depth), "int8", 1 / 256, -128)
    writer.op("SOFTMAX", [last], [scores], Beta=1.0)
    return writer.finish([first], [scores])
