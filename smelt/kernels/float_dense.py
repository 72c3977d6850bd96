"""Dense layers in float32: blocks of rows and units. Each weight is read once for a block of rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import (
    FloatBlock,
    Outputs,
    float_blocks,
    multiply,
    real_or_half_weights,
    side_by_side,
    weight_table,
    zeros,
)
from smelt.kernels.routines import DENSE_EIGHTS
from smelt.loops.routine import At
from smelt.model.ops import Dense
from smelt.targets.intrinsics import FMA
from smelt.targets.types import Core

LINES = FloatBlock(1, 8, fused=True)
"""One row and as many units as a line of a cache has weights: there is a routine for that."""


def build_dense(op: Dense, schedule: FloatBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    k = CallBuilder("dense_floats")
    x = k.operand("x", op.x)
    w = weight_table(k, "weights", side_by_side(weights[np.newaxis], schedule.channels))
    whole = units // LINES.channels * LINES.channels if schedule == LINES and w.type == "float" else 0
    bias = np.zeros(units, np.float32) if op.bias is None else op.bias.constant
    outputs = Outputs(k.table("bias", bias), op.clamp) if whole else Outputs.bound(k, op.bias, op.clamp)
    y = k.result("y", op.y)
    for row, rows in in_blocks(k, "row", op.x.elements // depth, schedule.pixels):
        first = k.let("first_row", row)
        if whole and outputs.bias is not None:
            pointers = At(y, first * units), At(x, first * depth), At(w), At(outputs.bias)
            _lines(k, pointers, depth, whole)
            outputs.limit(k, y, first * units, whole)
        for start, count in in_blocks(k, "block", units - whole, schedule.channels):
            unit = k.let("unit", whole + start)
            sums = zeros(k, rows, count)
            xs = [k.window("xs", x, (first + r) * depth) for r in range(rows)]
            multiply(k, xs, k.window("ws", w, unit * depth), depth, sums, schedule.fused)
            outputs.store(k, y, [(first + r) * units for r in range(rows)], unit, sums)
    return k.finish_call()


def _lines(k: CallBuilder, pointers: tuple[At, ...], depth: int, units: int) -> None:
    """The sums of a row and their biases."""
    work = ((FMA, depth * units),)
    k.routine(DENSE_EIGHTS, (*pointers, depth, units // LINES.channels), work, depth * units * 5 // 8 + units * 3)


def schedules(op: Dense, core: Core) -> Iterable[FloatBlock]:
    return float_blocks(op.x.elements // op.weights.shape[1], op.weights.shape[0], core)


DENSE_FLOATS = Implementation("dense_floats", Dense, schedules, build_dense, (real_or_half_weights,))
