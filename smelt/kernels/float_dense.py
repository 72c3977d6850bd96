"""Dense layers in float32: blocks of rows and units. Each weight is read once for a block of rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import FloatBlock, Outputs, float_blocks, multiply, real_operands, side_by_side, zeros
from smelt.model.ops import Dense
from smelt.targets.types import Core


def build_dense(op: Dense, schedule: FloatBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    k = CallBuilder("dense_floats")
    x = k.operand("x", op.x)
    w = k.table("weights", side_by_side(weights[np.newaxis], schedule.channels))
    outputs, y = Outputs.bound(k, op.bias, op.clamp), k.result("y", op.y)
    for row, rows in in_blocks(k, "row", op.x.elements // depth, schedule.pixels):
        first = k.let("first_row", row)
        for start, count in in_blocks(k, "block", units, schedule.channels):
            unit = k.let("unit", start)
            sums = zeros(k, rows, count)
            xs = [k.window("xs", x, (first + r) * depth) for r in range(rows)]
            multiply(k, xs, k.window("ws", w, unit * depth), depth, sums, schedule.fused)
            outputs.store(k, y, [(first + r) * units for r in range(rows)], unit, sums)
    return k.finish_call()


def schedules(op: Dense, core: Core) -> Iterable[FloatBlock]:
    return float_blocks(op.x.elements // op.weights.shape[1], op.weights.shape[0], core)


DENSE_FLOATS = Implementation("dense_floats", Dense, schedules, build_dense, (real_operands,))
