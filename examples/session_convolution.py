"""Drive a bare-metal board from Python: load a convolution, call it with NumPy arrays, read the result back.

    python examples/session_convolution.py [BOARD]

The board is a simulated one here; with a debug link instead of the board, the same lines drive real hardware.
"""

import sys
from typing import Any

import numpy as np

import smelt
from smelt.devices.session import Session
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Quantization, Tensor
from smelt.model.ops import Conv2D, Padding
from smelt.model.reference import evaluate
from smelt.model.rescale import linear_rescale
from smelt.planner.ways import Ways


def convolution(rows: int = 8, channels_in: int = 4, channels_out: int = 6) -> Conv2D:
    """An int8 convolution of 3x3 with random weights; images are (batch, rows, columns, channels)."""
    random = np.random.default_rng(1)
    data = random.integers(-127, 128, (channels_out, 3, 3, channels_in)).astype(np.int8)
    bias = random.integers(-2000, 2000, channels_out).astype(np.int32)
    x = Tensor("x", (1, rows, rows, channels_in), "int8", Quantization((0.5,), (3,)))
    weights = Tensor("weights", data.shape, "int8", Quantization((0.25,), (0,)), data)
    y = Tensor("y", (1, rows, rows, channels_out), "int8", Quantization((40.0,), (-5,)))
    return Conv2D(
        x=x,
        weights=weights,
        bias=Tensor("bias", bias.shape, "int32", None, bias),
        y=y,
        pad=Padding(1, 1, 1, 1),
        rescale=linear_rescale(x, weights, y),  # from sums to y's int8
    )


def run(device: Any, op: Conv2D, x: np.ndarray) -> tuple[np.ndarray, int | None]:
    """The convolution of `x` on a device, and the cycles that it took."""
    with Session(device) as session:
        call: KernelCall = Ways(session.board.core, IMPLEMENTATIONS).first(op).call
        module = session.load(call)  # compiled, linked for a free place in RAM, written there
        y = session.empty(op.y.shape, op.y.dtype)
        done = module[call](x, y)  # weights and tables come with the call; it waits in the queue...
        return y.numpy(), done.cycles  # ...until somebody wants to know


def main(name: str = "nucleo_l4r5zi") -> None:
    op = convolution()
    x = np.random.default_rng(2).integers(-128, 128, op.x.shape).astype(np.int8)
    y, cycles = run(smelt.board(name), op, x)
    expected = evaluate(op, x, op.weights.constant, op.bias.constant)
    equal = "equal to" if np.array_equal(y, expected) else "DIFFERENT from"
    print(f"{name}: {y.size} values in {cycles} cycles, {equal} the reference")


if __name__ == "__main__":
    main(*sys.argv[1:])
