"""The oracle: TensorFlow Lite Micro, through the `tflite-micro` wheel."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest


def need_oracle() -> None:
    """Skip where there is no TFLM."""
    if sys.platform != "linux":
        pytest.skip("platform: the tflite-micro wheel exists for Linux only")


class Oracle:
    """One model in TFLM, with an arena that is large enough."""

    def __init__(self, model: bytes) -> None:
        need_oracle()
        from tflite_micro import runtime

        self._interpreter = _smallest_arena(runtime, model)
        self.outputs = _outputs(model)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs of one inference. Raises RuntimeError where TFLM fails."""
        for index, array in enumerate(inputs):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(index)) for index in range(self.outputs)]


def run(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of one inference of `model`. Raises RuntimeError where TFLM refuses the model."""
    return Oracle(model).run(inputs)


def _smallest_arena(runtime, model: bytes):
    """TFLM says only that it failed, not why: try with little memory first, then with plenty."""
    for size in (1 << 18, 1 << 23):
        try:
            return runtime.Interpreter.from_bytes(model, arena_size=size)
        except RuntimeError:
            continue
    return runtime.Interpreter.from_bytes(model, arena_size=1 << 26)


def _outputs(model: bytes) -> int:
    import tflite

    return tflite.Model.GetRootAs(model).Subgraphs(0).OutputsLength()
