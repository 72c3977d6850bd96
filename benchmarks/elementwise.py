"""Operators that do not multiply and accumulate, on the simulated boards: `python benchmarks/elementwise.py [--only add,mul]`.

A line for each: cycles per element of its result on each board, and how it was computed there. Each is a network of its own, run
from flash on random inputs and compared with the reference; `wrong` counts the values that differ. Beside them what CMSIS-NN is
known to execute on the M4, in instructions per element (shared/facts/peers.md).
"""

import argparse
from dataclasses import replace

import numpy as np
from tables import show

from smelt import board
from smelt.compile import Compilation
from smelt.firmware import build, emit, render, render_harness
from smelt.inputs import random_inputs
from smelt.kernels import FRUGAL
from smelt.model import ops
from smelt.model.graph import Graph, Quantization, Tensor
from smelt.model.ops_pointwise import Prelu
from smelt.model.reference import run
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.evidence import evidence
from smelt.planner.known import Known
from smelt.planner.ways import Ways
from smelt.report.execute import execute

BOARDS = ("nucleo_l4r5zi", "disco_f746ng", "nucleo_u575zi_q")
IMAGE = (1, 16, 16, 32)
HALF, TWICE, POOLED = (1, 8, 8, 32), (1, 32, 32, 32), (1, 1, 1, 32)
SOFTMAX = Quantization((1 / 256,), (-128,))


def tensor(name, shape, scale=0.05, zero=-3, dtype="int8"):
    """A tensor with one scale."""
    return Tensor(name, shape, dtype, Quantization((scale,), (zero,)))


def constant(name, shape, scale=0.01, zero=0):
    """A tensor of random bytes."""
    data = np.random.default_rng(5).integers(-128, 128, shape).astype(np.int8)
    return replace(tensor(name, shape, scale, zero), data=data)


def binary(op, first, second, result=0.07, shape=IMAGE, other=IMAGE, dtype="int8", **more):
    """Of two images with these scales."""
    zero = -3 if dtype == "int8" else 0
    x, x2 = tensor("x", shape, first, zero, dtype), tensor("x2", other, second, zero and 5, dtype)
    return op(x=x, x2=x2, y=tensor("y", shape, result, zero and -20, dtype), **more)


def alike(op, shape, **more):
    """Of one image, to another in the same numbers."""
    return op(x=tensor("x", IMAGE), y=tensor("y", shape), **more)


def softmax(rows, classes):
    x = tensor("x", (rows, classes), 0.1)
    return ops.Softmax(x=x, y=Tensor("y", x.shape, "int8", SOFTMAX), beta=1.0)


def unary(function, **more):
    return ops.Unary(x=tensor("x", IMAGE), y=tensor("y", IMAGE, 0.04, 7), function=function, **more)


def pool(op):
    return alike(op, HALF, size=(2, 2), stride=(2, 2), pad=ops.Padding(0, 0, 0, 0))


def prelu():
    """With a slope for each channel."""
    alpha = constant("alpha", (1, 1, 32), 0.004)
    return Prelu(x=tensor("x", IMAGE), alpha=alpha, y=tensor("y", IMAGE, 0.04, 7))


CASES = {
    "add": lambda: binary(ops.Add, 0.05, 0.031),
    "add alike": lambda: binary(ops.Add, 0.05, 0.05),
    "add far apart": lambda: binary(ops.Add, 0.05, 0.0003),
    "add of channels": lambda: binary(ops.Add, 0.05, 0.031, other=(1, 1, 1, 32)),
    "subtract": lambda: binary(ops.Add, 0.05, 0.031, subtract=True),
    "add int16": lambda: binary(ops.Add, 0.05, 0.031, dtype="int16"),
    "mul": lambda: binary(ops.Mul, 0.05, 0.031, 0.2),
    "mul of channels": lambda: binary(ops.Mul, 0.05, 0.031, 0.2, other=(1, 1, 1, 32)),
    "mul int16": lambda: binary(ops.Mul, 0.05, 0.00031, 0.2, dtype="int16"),
    "maximum": lambda: binary(ops.Maximum, 0.05, 0.05),
    "prelu": prelu,
    "leaky_relu": lambda: unary("leaky_relu", alpha=0.1),
    "quantize int8": lambda: unary("requantize"),
    "softmax of 10": lambda: softmax(64, 10),
    "softmax of 1000": lambda: softmax(1, 1000),
    "mean of image": lambda: ops.Mean(x=tensor("x", IMAGE), y=tensor("y", (1, 32), 0.02), axes=(1, 2)),
    "mean of channels": lambda: ops.Mean(x=tensor("x", IMAGE), y=tensor("y", IMAGE[:3], 0.02), axes=(3,)),
    "average of 2x2": lambda: pool(ops.AveragePool2D),
    "max of 2x2": lambda: pool(ops.MaxPool2D),
    "average of image": lambda: alike(
        ops.AveragePool2D, POOLED, size=(16, 16), stride=(1, 1), pad=ops.Padding(0, 0, 0, 0)
    ),
    "resize_bilinear": lambda: alike(ops.ResizeBilinear, TWICE, align_corners=False, half_pixel_centers=False),
    "resize_nearest": lambda: alike(ops.ResizeNearest, TWICE, align_corners=False, half_pixel_centers=False),
    "concat": lambda: ops.Concat(xs=(tensor("x", IMAGE), tensor("x2", IMAGE)), y=tensor("y", (1, 16, 16, 64)), axis=3),
    "pad": lambda: alike(ops.Pad, (1, 18, 18, 32), before=(0, 1, 1, 0), after=(0, 1, 1, 0), value=-3),
}
PEERS = {name: "55 to 81" for name in ("add", "add alike", "add far apart", "subtract")}
# Results are counted, but for means and pools of images, of which x's elements are.
BY_INPUT = ("mean of image", "mean of channels", "average of image")


def compiled(op, target):
    """A network of one op for a board, by first guesses."""
    model = Graph("network", tuple(op.activations), (op.y,), (op,))
    graph = prepare(model)
    known = Known(target)
    plan = make_plan(graph, target, Ways(target.core, FRUGAL), known=known)
    program = emit(plan, "network")
    sources = render(program)
    image = build(render_harness(program, sources, ()), target, "zig")
    return Compilation(model, graph, plan, program, sources, image, evidence(plan, known))


def measured(name, target):
    """Cycles per element, how, and how many values are wrong."""
    op = CASES[name]()
    made = compiled(op, target)
    inputs = random_inputs(made.model, 1)
    done = execute(made, inputs)
    wrong = int(np.sum(done.outputs[0][0] != run(made.model, inputs[0])[0]))
    counted = op.inputs[0] if name in BY_INPUT else op.y
    step = made.plan.steps[0]
    return sum(done.run.step_cycles) / counted.elements, f"{' '.join(step.way.names)}", wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="operators, such as add,mul")
    parser.add_argument("--boards", default=",".join(BOARDS))
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    given = parser.parse_args()
    names, boards = given.only.split(",") if given.only else CASES, given.boards.split(",")
    lines = []
    for name in names:
        found = [measured(name, board(b)) for b in boards]
        ways = dict.fromkeys(way for _, way, _ in found)
        wrong = sum(count for *_, count in found)
        lines.append(
            (name, *(f"{cycles:.2f}" for cycles, *_ in found), PEERS.get(name, "-"), "; ".join(ways), str(wrong))
        )
    show(
        "Cycles per element, simulated",
        ("operator", *boards, "CMSIS-NN", "by", "wrong"),
        lines,
        given.markdown,
        width=150,
    )


if __name__ == "__main__":
    main()
