"""Dense in portable C: blocks of units share every element of x."""

from __future__ import annotations

from collections.abc import Iterable

from smelt.kernels.conv2d import ChannelBlock, channel_blocks, in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.requantize import requantizer, store_outputs
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import cast
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
            windows = [k.window("ws", w, (unit + c) * depth) for c in range(count)]
            with k.loop("i", 0, depth) as i:
                value = k.let("value", xs[i])
                for total, ws in zip(sums, windows, strict=True):
                    k.assign(total, total + cast(total.type, value * ws[i]))
            for c in range(count):
                store_outputs(k, r, table, unit + c, [sums[c]], y, [row * units + unit + c])
    return KernelCall(k.finish(), (op.x, weights.reshape(-1), r.table, op.y))


def schedules(op: Dense, core: Core) -> Iterable[ChannelBlock]:
    return channel_blocks(op.weights.shape[0], 4, 2, 1, 8)


DENSE_PORTABLE = Implementation("dense_portable", Dense, schedules, build_dense)
