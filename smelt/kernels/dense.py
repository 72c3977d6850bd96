"""Dense in portable C: blocks of units share every element of x."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.conv2d import ChannelBlock, channel_blocks, in_blocks, interleave, multiply, step_of
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.model.ops import Dense
from smelt.targets.types import Core


def build_dense(op: Dense, schedule: ChannelBlock) -> KernelCall:
    weights = op.weights.constant
    units, depth = weights.shape
    r = requantizer(op, weights, folded=True)
    k = KernelBuilder("dense")
    x = k.input("x", "int8_t", op.x.elements)
    w = k.constant("weights", "int8_t", weights.size)
    table = r.bind(k)
    y = k.output("y", "int8_t", op.y.elements)
    with k.loop("row", 0, op.x.elements // depth) as row:
        xs = k.window("xs", x, row * depth)
        for first, count in in_blocks(k, "block", units, schedule.channels):
            unit = k.let("unit", first)
            sums = [k.var("sum", r.bias(table, unit + c)) for c in range(count)]
            multiply(k, xs, k.window("ws", w, unit * depth), depth // step_of(depth), step_of(depth), 0, sums)
            for c in range(count):
                store_outputs(k, r, table, unit + c, [sums[c]], y, [row * units + unit + c])
    return KernelCall(k.finish(), (op.x, interleave(weights[np.newaxis], schedule.channels), r.table, op.y))


def schedules(op: Dense, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.weights.shape[0], 4, 2, 1, 8)


DENSE_PORTABLE = Implementation("dense_portable", Dense, schedules, build_dense)
