"""SVDF and LSTM: loops over units, with all gates of a unit at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.interpolation import logistic16, logistic_table, tanh16
from smelt.kernels.rescale import clamped, requantize, requantize48
from smelt.loops.ir import AnyBuffer, Expr, Type, Var, cast, maximum, minimum
from smelt.model.arithmetic16 import LOGISTIC_Q12
from smelt.model.ops_recurrent import Lstm, Svdf
from smelt.model.parameters import Rescale
from smelt.targets.types import Core

INT16 = (-(2**15), 2**15 - 1)
GATES = 4


def integer_tensors(op: Svdf | Lstm, core: Core) -> bool:
    """x is int8 or int16"""
    return op.x.dtype in ("int8", "int16")


def build_svdf(op: Svdf, schedule: Plain) -> KernelCall:
    n, memory, filters = op.numbers, op.memory, op.filters
    k = CallBuilder("svdf")
    x, state = k.operand("x", op.x), k.operand("state", op.state)
    weights, time_weights = k.operand("weights", op.weights), k.operand("time_weights", op.time_weights)
    wide = op.weights.constant.astype(np.int64)
    starts = k.table("starts", (-n.x_zero * wide.sum(axis=1)).astype(np.int32))
    bias = k.operand("bias", op.bias)
    y, following = k.result("y", op.y), k.result("next_state", op.next_state)
    reach = int(np.abs(wide).sum(axis=1).max()) * (op.x.element.high - op.x.element.low)
    total_type = _sum_type(_svdf_reach(op))
    with k.loop("image", 0, op.x.shape[0]) as image, k.loop("unit", 0, filters // op.rank) as unit:
        total = k.var("total", cast(total_type, bias[unit]))
        with k.loop("filter", unit * op.rank, (unit + 1) * op.rank) as f:
            column = k.var("column", starts[f])
            with k.loop("i", 0, op.x.shape[1]) as i:
                k.assign(column, column + x[image * op.x.shape[1] + i] * weights[f * op.x.shape[1] + i])
            old = k.window("old", state, (image * filters + f) * memory)
            new = k.window("new", following, (image * filters + f) * memory)
            by = k.window("by", time_weights, f * memory)
            with k.loop("age", 0, memory - 1) as age:
                value = k.let("value", old[age + 1])
                k.store(new, age, value)
                k.assign(total, total + cast(total_type, (value - n.state_zero) * by[age]))
            scaled, limit = requantize(k, column, reach, n.column.multiplier, n.column.shift)
            newest = clamped(k, scaled, op.state.element.range, (-limit, limit)) + n.state_zero
            k.store(new, memory - 1, newest)
            k.assign(total, total + cast(total_type, (new[memory - 1] - n.state_zero) * by[memory - 1]))
        scaled, limit = requantize(k, cast("int32_t", total), 2**31, n.output.multiplier, n.output.shift)
        reach_y = (-limit + n.y_zero, limit + n.y_zero)
        k.store(y, image * (filters // op.rank) + unit, clamped(k, scaled + n.y_zero, op.y.element.range, reach_y))
    return k.finish_call()


def _svdf_reach(op: Svdf) -> int:
    """The greatest magnitude of any partial sum over the state."""
    value = op.state.element.high - op.state.element.low
    per_filter = np.abs(op.time_weights.constant.astype(np.int64)).sum(axis=1) * value
    per_unit = per_filter.reshape(-1, op.rank).sum(axis=1)
    return int((per_unit + np.abs(op.bias.constant.astype(np.int64))).max())


def _sum_type(reach: int) -> Type:
    """Sums that may leave int32 wrap, as unsigned ones do in C."""
    return "int32_t" if reach < 2**31 else "uint32_t"


@dataclass(frozen=True)
class _Sums:
    """The sums of all gates over one operand: interleaved weights, folded starts, how each sum becomes 12 fraction bits."""

    weights: AnyBuffer
    starts: AnyBuffer
    depth: int
    type: Type
    reach: tuple[int, ...]
    rescales: tuple[Rescale, ...]


def build_lstm(op: Lstm, schedule: Plain) -> KernelCall:
    n, units = op.numbers, op.units
    k = CallBuilder("lstm")
    x, hidden, cell = k.operand("x", op.x), k.operand("hidden", op.hidden), k.operand("cell", op.cell)
    biases = [b.constant.astype(np.int64) for b in op.biases]
    nothing = [np.zeros(units, np.int64)] * GATES
    of_x = _sums(k, "x", [w.constant for w in op.weights], biases, n.x_zero, op.x.element.high, n.inputs)
    of_hidden = _sums(
        k, "hidden", [w.constant for w in op.recurrent_weights], nothing, n.hidden_zero, op.x.element.high, n.recurrents
    )
    table = logistic_table(k)
    last = k.scratch("last", hidden.type, units)
    y = k.result("y", op.y)
    next_hidden, next_cell = k.result("next_hidden", op.next_hidden), k.result("next_cell", op.next_cell)
    with k.loop("image", 0, op.batch) as image:
        k.copy(last, 0, hidden, image * units, units)
        k.copy(next_cell, image * units, cell, image * units, units)
        with k.loop("step", 0, op.steps) as step:
            row = k.let("row", step * op.batch + image if op.time_major else image * op.steps + step)
            xs, to = k.window("xs", x, row * op.depth), k.window("to", y, row * units)
            with k.loop("unit", 0, units) as unit:
                gates = _gates(k, op, unit, ((of_x, xs), (of_hidden, last)))
                k.store(to, unit, _unit(k, op, table, gates, next_cell, image * units + unit))
            k.copy(last, 0, y, row * units, units)
        k.copy(next_hidden, image * units, last, 0, units)
    return k.finish_call()


def _sums(
    k: CallBuilder,
    name: str,
    weights: Sequence[NDArray[np.int8]],
    biases: Sequence[NDArray[np.int64]],
    zero: int,
    high: int,
    rescales: tuple[Rescale, ...],
) -> _Sums:
    wide = np.stack(weights, axis=-1).astype(np.int64)  # (units, depth, gates)
    starts = np.stack(biases, axis=-1) - zero * wide.sum(axis=1)
    reach = np.abs(starts) + (high + 1) * np.abs(wide).sum(axis=1)
    narrow = bool(reach.max() < 2**31)
    folded = starts.astype(np.int32 if narrow else np.int64)
    return _Sums(
        k.table(f"weights_{name}", np.stack(weights, axis=-1)),
        k.table(f"starts_{name}", folded),
        wide.shape[1],
        "int32_t" if narrow else "int64_t",
        tuple(int(r) for r in reach.max(axis=0)),
        rescales,
    )


def _gates(k: CallBuilder, op: Lstm, unit: Expr, parts: tuple[tuple[_Sums, AnyBuffer], ...]) -> list[Expr]:
    """The sums of a unit's gates with 12 fraction bits, saturated."""
    found: list[list[Expr]] = []
    for part, values in parts:
        sums = [k.var("sum", part.starts[unit * GATES + g], part.type) for g in range(GATES)]
        with k.loop("i", 0, part.depth) as i:
            value = k.let("value", values[i])
            for g, total in enumerate(sums):
                k.assign(total, total + cast(part.type, value * part.weights[(unit * part.depth + i) * GATES + g]))
        found.append([_saturated(k, op, s, r, by) for s, r, by in zip(sums, part.reach, part.rescales, strict=True)])
    return [k.let("gate", minimum(maximum(a + b, INT16[0]), INT16[1])) for a, b in zip(*found, strict=True)]


def _saturated(k: CallBuilder, op: Lstm, total: Var, reach: int, by: Rescale) -> Expr:
    if op.x.dtype == "int16":
        scaled, limit = requantize48(total, reach, by.multiplier, by.shift)
    else:
        scaled, limit = requantize(k, total, reach, by.multiplier, by.shift)
    return k.let("part", clamped(k, scaled, INT16, (-limit, limit)))


def _unit(k: CallBuilder, op: Lstm, table: AnyBuffer, gates: list[Expr], cells: AnyBuffer, index: Expr) -> Expr:
    """The new cell is stored, the new hidden value returned."""
    n = op.numbers

    def gate(value: Expr) -> Expr:
        return k.let("open", logistic16(k, table, value, LOGISTIC_Q12))

    candidate = k.let("candidate", tanh16(k, table, gates[2], LOGISTIC_Q12))
    kept = _product(k, gate(gates[1]), cells[index], n.forget)
    new = _product(k, gate(gates[0]), candidate, n.update)
    limits = INT16 if n.cell_limit is None else (-n.cell_limit, n.cell_limit)
    value = k.let("new_cell", minimum(maximum(minimum(maximum(kept + new, INT16[0]), INT16[1]), limits[0]), limits[1]))
    k.store(cells, index, value)
    product = k.let("product", k.let("activated", tanh16(k, table, value, n.cell)) * gate(gates[3]))
    scaled, limit = requantize(k, product, 2**30, n.output.multiplier, n.output.shift)
    return clamped(k, scaled + n.hidden_zero, op.hidden.element.range, (n.hidden_zero - limit, n.hidden_zero + limit))


def _product(k: CallBuilder, a: Expr, b: Expr, by: Rescale) -> Expr:
    """A gate times what passes it, as int16."""
    scaled, limit = requantize(k, k.let("product", a * b), 2**30, by.multiplier, by.shift)
    return k.let("part", clamped(k, scaled, INT16, (-limit, limit)))


RECURRENT: tuple[Implementation, ...] = (
    Implementation("svdf", Svdf, plain, build_svdf, (integer_tensors,)),
    Implementation("lstm", Lstm, plain, build_lstm, (integer_tensors,)),
)
