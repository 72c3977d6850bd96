"""Dense in portable C: blocks of units share every element of x."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.feeds.nibbles import bind_weights
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.portable import (
    ChannelBlock,
    blocks_for,
    interleave,
    interleave_pairs,
    multiply,
    multiply_pairs,
    step_of,
)
from smelt.kernels.requantize import store_outputs
from smelt.kernels.requantize48 import epilogue
from smelt.loops.ir import Buffer
from smelt.model.ops import Dense
from smelt.targets.types import Core


def build_dense(op: Dense, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    r = epilogue(op, weights, folded=True)
    k = CallBuilder("dense")
    x, w, table, y = k.operand("x", op.x), _weights(k, op, schedule), r.bind(k), k.result("y", op.y)
    in_pairs = w.type == "uint8_t"
    with k.loop("row", 0, op.x.elements // depth) as row:
        xs = k.window("xs", x, row * depth)
        for first, count in in_blocks(k, "block", units, schedule.channels):
            unit = k.let("unit", first)
            sums = [k.var("sum", r.bias(table, unit + c)) for c in range(count)]
            ws = k.window("ws", w, unit * depth // 2 if in_pairs else unit * depth)
            (multiply_pairs if in_pairs else multiply)(k, xs, ws, depth // step_of(depth), step_of(depth), 0, sums)
            for c in range(count):
                store_outputs(k, r, table, unit + c, [sums[c]], y, [row * units + unit + c])
    return k.finish_call()


def _weights(k: CallBuilder, op: Dense, schedule: ChannelBlock) -> Buffer:
    weights = op.weights.constant[np.newaxis]
    if op.weights.element.is_packed and not schedule.unpacked:
        return k.table("weights", interleave_pairs(weights, schedule.channels))
    return bind_weights(k, op.weights, interleave(weights, schedule.channels))


def schedules(op: Dense, core: Core) -> Iterable[ChannelBlock]:
    return blocks_for(op.weights, op.weights.shape[0], 0, (4, 2, 1, 8))


DENSE_PORTABLE = Implementation("dense_portable", Dense, schedules, build_dense)
