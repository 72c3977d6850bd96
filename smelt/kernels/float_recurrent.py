"""SVDF and LSTM in float32. The sums of an LSTM's gates are those of dense layers over x and over the hidden state, in blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import (
    FloatBlock,
    add_products,
    float_blocks,
    limited,
    multiply,
    real_or_half_weights,
    side_by_side,
    weight_table,
    zeros,
)
from smelt.kernels.recurrent import CANDIDATE, FORGET, GATES, INPUT, OUTPUT, PLACES, row_of
from smelt.loops.ir import AnyBuffer, real
from smelt.model.graph import Array, Tensor
from smelt.model.ops_recurrent import RealLstm, RealSvdf
from smelt.targets.intrinsics import LOGISTIC, TANH
from smelt.targets.types import Core


def svdf_schedules(op: RealSvdf, core: Core) -> Iterable[FloatBlock]:
    return float_blocks(1, op.filters, core)


def build_svdf(op: RealSvdf, schedule: FloatBlock) -> KernelCall:
    memory, filters, units, depth = op.memory, op.filters, op.filters // op.rank, op.x.shape[1]
    k = CallBuilder("svdf_floats", in_place=True)  # ages move down by one, the youngest comes last
    x, state = k.operand("x", op.x), k.operand("state", op.state)
    weights = weight_table(k, "weights", side_by_side(op.weights.constant[np.newaxis], schedule.channels))
    time_weights, bias = k.operand("time_weights", op.time_weights), k.operand("bias", op.bias)
    columns = k.scratch("columns", "float", filters)
    y, following = k.result("y", op.y), k.result("next_state", op.next_state)
    with k.loop("image", 0, op.x.shape[0]) as image:
        xs = k.window("xs", x, image * depth)
        for start, count in in_blocks(k, "block", filters, schedule.channels):
            first, sums = k.let("first", start), zeros(k, 1, count)
            multiply(k, [xs], k.window("ws", weights, first * depth), depth, sums, schedule.fused)
            for place, column in enumerate(sums[0]):
                k.store(columns, first + place, column)
        with k.loop("unit", 0, units) as unit:
            total = k.var("total", bias[unit])
            with k.loop("filter", unit * op.rank, (unit + 1) * op.rank) as f:
                old = k.window("old", state, (image * filters + f) * memory)
                new = k.window("new", following, (image * filters + f) * memory)
                by, ages = k.window("by", time_weights, f * memory), k.var("ages", real(0.0))
                with k.loop("age", 0, memory - 1) as age:
                    value = k.let("value", old[age + 1])
                    k.store(new, age, value)
                    add_products(k, [ages], value, [by[age]], schedule.fused)
                k.store(new, memory - 1, columns[f])
                add_products(k, [ages], columns[f], [by[memory - 1]], schedule.fused)
                k.assign(total, total + ages)
            k.store(y, image * units + unit, limited(k, total, op.clamp))
    return k.finish_call()


def lstm_schedules(op: RealLstm, core: Core) -> Iterable[FloatBlock]:
    return float_blocks(1, GATES * op.units, core)


def build_lstm(op: RealLstm, schedule: FloatBlock) -> KernelCall:
    units = op.units
    k = CallBuilder("lstm_floats")
    x, hidden, cell = k.operand("x", op.x), k.operand("hidden", op.hidden), k.operand("cell", op.cell)
    weights = weight_table(k, "weights", _blocked(op.weights, schedule.channels))
    recurrent = weight_table(k, "recurrent_weights", _blocked(op.recurrent_weights, schedule.channels))
    bias = k.table("bias", _by_place(op.biases).reshape(-1))
    last, gates = k.scratch("last", "float", units), k.scratch("gates", "float", GATES * units)
    y = k.result("y", op.y)
    next_hidden, next_cell = k.result("next_hidden", op.next_hidden), k.result("next_cell", op.next_cell)
    with k.loop("image", 0, op.batch) as image:
        k.copy(last, 0, hidden, image * units, units)
        k.copy(next_cell, image * units, cell, image * units, units)
        cells = k.window("cells", next_cell, image * units)
        with k.loop("step", 0, op.steps) as step:
            row = k.let("row", row_of(op, image, step))
            xs = k.window("xs", x, row * op.depth)
            for start, count in in_blocks(k, "block", GATES * units, schedule.channels):
                first = k.let("first", start)
                of_x, of_hidden = zeros(k, 1, count), zeros(k, 1, count)
                multiply(k, [xs], k.window("ws", weights, first * op.depth), op.depth, of_x, schedule.fused)
                multiply(k, [last], k.window("rs", recurrent, first * units), units, of_hidden, schedule.fused)
                for g, (a, b) in enumerate(zip(of_x[0], of_hidden[0], strict=True)):
                    k.store(gates, first + g, (a + bias[first + g]) + b)
            _open(k, gates, units)
            _advance(k, op, gates, cells, last)
            k.copy(y, row * units, last, 0, units)
        k.copy(next_hidden, image * units, last, 0, units)
    return k.finish_call()


def _by_place(tensors: tuple[Tensor, ...]) -> Array:
    """What the gates have, in the order in which they lie in scratch."""
    return np.stack([tensors[PLACES.index(place)].constant for place in range(GATES)])


def _blocked(weights: tuple[Tensor, ...], block: int) -> Array:
    stacked = _by_place(weights)
    return side_by_side(stacked.reshape(1, -1, stacked.shape[2]), block)


def _open(k: CallBuilder, gates: AnyBuffer, units: int) -> None:
    """The three gates become what they let pass, the candidate what it adds."""
    with k.loop("i", 0, CANDIDATE * units) as i:
        k.store(gates, i, k.call(LOGISTIC, gates[i]))
    with k.loop("i", CANDIDATE * units, GATES * units) as i:
        k.store(gates, i, k.call(TANH, gates[i]))


def _advance(k: CallBuilder, op: RealLstm, gates: AnyBuffer, cells: AnyBuffer, last: AnyBuffer) -> None:
    """The new cell and the new hidden state."""
    limit = float("inf") if op.cell_limit is None else op.cell_limit
    with k.loop("unit", 0, op.units) as unit:
        kept = k.let("kept", gates[FORGET * op.units + unit] * cells[unit])
        new = k.let("new", gates[INPUT * op.units + unit] * gates[CANDIDATE * op.units + unit])
        value = k.let("cell", limited(k, kept + new, (-limit, limit)))
        k.store(cells, unit, value)
        k.store(last, unit, k.call(TANH, value) * gates[OUTPUT * op.units + unit])


RECURRENT_FLOATS: tuple[Implementation, ...] = (
    Implementation("svdf_floats", RealSvdf, svdf_schedules, build_svdf, (real_or_half_weights,)),
    Implementation("lstm_floats", RealLstm, lstm_schedules, build_lstm, (real_or_half_weights,)),
)
