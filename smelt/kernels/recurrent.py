"""SVDF and LSTM: loops over units, with all gates of a unit at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.accepts import has_dual_mac
from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.widened import Order, widen
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.inner.packed import dot, pack_weights, quads
from smelt.kernels.interpolation import logistic16, logistic_table, tanh16
from smelt.kernels.rescale import clamped, requantize, requantize48
from smelt.loops.ir import AnyBuffer, Const, Expr, Type, Var, cast, maximum, minimum
from smelt.model.arithmetic16 import LOGISTIC_Q12
from smelt.model.graph import Tensor
from smelt.model.ops_recurrent import AnyLstm, Lstm, Svdf
from smelt.model.parameters import Factor
from smelt.targets.types import Core

INT16 = (-(2**15), 2**15 - 1)
GATES = 4
INPUT, FORGET, OUTPUT, CANDIDATE = range(GATES)  # how gates lie in scratch: those that are opened alike side by side
PLACES = (INPUT, FORGET, CANDIDATE, OUTPUT)  # of the gates in the order of the op


def integer_tensors(op: Svdf | Lstm, core: Core) -> bool:
    """x is int8 or int16"""
    return op.x.dtype in ("int8", "int16")


def build_svdf(op: Svdf, schedule: Plain) -> KernelCall:
    n, memory, filters = op.numbers, op.memory, op.filters
    k = CallBuilder("svdf", in_place=True)  # ages move down by one, the youngest comes last
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
class Gates:
    """How the sums of the four gates are made: an element at a time, or, where `dual`, in pairs of halfwords."""

    dual: bool

    def __str__(self) -> str:
        return "gates(dual)" if self.dual else "gates"


def plain_gates(op: Lstm, core: Core) -> Iterable[Gates]:
    return (Gates(False),)


def dual_gates(op: Lstm, core: Core) -> Iterable[Gates]:
    return (Gates(True),)


def sums_fit(op: Lstm, core: Core) -> bool:
    """the sums over x and over the hidden state fit 32 bits"""
    return all(part.type == "int32_t" for part in _parts(op))


@dataclass(frozen=True, eq=False)
class _Sums:
    """The sums of all gates over one operand: weights (units, gates, depth), folded starts (units, gates), how each gate's sum
    becomes 12 fraction bits, and the greatest magnitude of each."""

    name: str
    weights: NDArray[np.int8]
    starts: NDArray[np.int64]
    rescales: tuple[Factor, ...]
    reach: tuple[int, ...]

    @property
    def depth(self) -> int:
        return int(self.weights.shape[2])

    @property
    def type(self) -> Type:
        return "int32_t" if max(self.reach) < 2**31 else "int64_t"


def _parts(op: Lstm) -> tuple[_Sums, _Sums]:
    """Over x, with the biases, and over the hidden state."""
    n = op.numbers
    biases = np.stack([b.constant.astype(np.int64) for b in op.biases], axis=-1)
    return (
        _sums("x", op.weights, biases, n.x_zero, op.x.element.high, n.inputs),
        _sums("hidden", op.recurrent_weights, 0 * biases, n.hidden_zero, op.x.element.high, n.recurrents),
    )


def _sums(
    name: str, weights: tuple[Tensor, ...], bias: NDArray[np.int64], zero: int, high: int, rescales: tuple[Factor, ...]
) -> _Sums:
    stacked = np.stack([w.constant for w in weights], axis=1)
    wide = stacked.astype(np.int64)
    starts = bias - zero * wide.sum(axis=2)
    reach = (np.abs(starts) + (high + 1) * np.abs(wide).sum(axis=2)).max(axis=0)
    return _Sums(name, stacked, starts, rescales, tuple(int(r) for r in reach))


def build_lstm(op: Lstm, schedule: Gates) -> KernelCall:
    units, order = op.units, Order(mixed=False)
    k = CallBuilder("lstm")
    x, hidden, cell = k.operand("x", op.x), k.operand("hidden", op.hidden), k.operand("cell", op.cell)
    sums = [_Bound.bound(k, part, schedule) for part in _parts(op)]
    table = logistic_table(k)
    wide = schedule.dual and op.x.dtype == "int8"
    current = k.scratch("current", "int16_t", 4 * quads(op.depth)) if schedule.dual else None
    last = k.scratch("last", "int16_t" if wide else hidden.type, 4 * quads(units))
    gates = k.scratch("gates", "int16_t", GATES * units)
    y = k.result("y", op.y)
    next_hidden, next_cell = k.result("next_hidden", op.next_hidden), k.result("next_cell", op.next_cell)

    def take(target: AnyBuffer, source: AnyBuffer, first: Expr, count: int) -> None:
        """Elements for the sums, as halfwords where these want them."""
        if wide:
            widen(k, order, target, Const(0), source, first, count)
        else:
            k.copy(target, 0, source, first, count)

    with k.loop("image", 0, op.batch) as image:
        take(last, hidden, image * units, units)
        k.copy(next_cell, image * units, cell, image * units, units)
        with k.loop("step", 0, op.steps) as step:
            row = k.let("row", row_of(op, image, step))
            if current is not None:
                take(current, x, row * op.depth, op.depth)
            xs, to = current or k.window("xs", x, row * op.depth), k.window("to", y, row * units)
            with k.loop("unit", 0, units) as unit:
                found = [part.of(k, op, unit, values) for part, values in zip(sums, (xs, last), strict=True)]
                for place, a, b in zip(PLACES, *found, strict=True):
                    k.store(gates, place * units + unit, minimum(maximum(a + b, INT16[0]), INT16[1]))
            cells = k.window("cells", next_cell, image * units)
            _open(k, table, gates, units)
            _update(k, op, gates, cells)
            _leave(k, op, table, gates, cells, to)
            take(last, y, row * units, units)
        k.copy(next_hidden, image * units, y, row_of(op, image, Const(op.steps - 1)) * units, units)
    return k.finish_call()


def row_of(op: AnyLstm, image: Expr, step: Expr) -> Expr:
    """Which row of x and y a step of an image is."""
    return step * op.batch + image if op.time_major else image * op.steps + step


@dataclass(frozen=True, eq=False)
class _Bound:
    """Sums with their tables in a kernel."""

    part: _Sums
    dual: bool
    weights: AnyBuffer
    starts: AnyBuffer

    @staticmethod
    def bound(k: CallBuilder, part: _Sums, schedule: Gates) -> _Bound:
        if schedule.dual:  # the words of the four gates lie side by side
            weights = pack_weights(part.weights.reshape(-1, 1, part.depth), GATES, mixed=False)
        else:
            weights = part.weights.transpose(0, 2, 1)
        starts = part.starts.astype(np.int32 if part.type == "int32_t" else np.int64)
        return _Bound(
            part, schedule.dual, k.table(f"weights_{part.name}", weights), k.table(f"starts_{part.name}", starts)
        )

    def of(self, k: CallBuilder, op: Lstm, unit: Expr, values: AnyBuffer) -> list[Expr]:
        """The sums of a unit's gates with 12 fraction bits, saturated."""
        part, depth = self.part, self.part.depth
        sums = [k.var("sum", self.starts[unit * GATES + g], part.type) for g in range(GATES)]
        if self.dual:
            words = k.window("words", self.weights, unit * (GATES * quads(depth)))
            dot(k, Order(mixed=False), values, [0], words, depth, [[s] for s in sums], unroll=1)
        else:
            with k.loop("i", 0, depth) as i:
                value = k.let("value", values[i])
                for g, total in enumerate(sums):
                    product = value * self.weights[(unit * depth + i) * GATES + g]
                    k.assign(total, total + cast(part.type, product))
        return [_saturated(k, op, s, r, by) for s, r, by in zip(sums, part.reach, part.rescales, strict=True)]


def _saturated(k: CallBuilder, op: Lstm, total: Var, reach: int, by: Factor) -> Expr:
    if op.x.dtype == "int16":
        scaled, limit = requantize48(total, reach, by.multiplier, by.shift)
    else:
        scaled, limit = requantize(k, total, reach, by.multiplier, by.shift)
    return k.let("part", clamped(k, scaled, INT16, (-limit, limit)))


# One loop for each thing that is done to all units, so that each stays in a small instruction cache.


def _open(k: CallBuilder, table: AnyBuffer, gates: AnyBuffer, units: int) -> None:
    """The three gates become what they let pass, the candidate what it adds."""
    with k.loop("i", 0, CANDIDATE * units) as i:
        k.store(gates, i, logistic16(k, table, gates[i], LOGISTIC_Q12))
    with k.loop("i", CANDIDATE * units, GATES * units) as i:
        k.store(gates, i, tanh16(k, table, gates[i], LOGISTIC_Q12))


def _update(k: CallBuilder, op: Lstm, gates: AnyBuffer, cells: AnyBuffer) -> None:
    n, units = op.numbers, op.units
    low, high = INT16 if n.cell_limit is None else (-n.cell_limit, n.cell_limit)
    with k.loop("unit", 0, units) as unit:
        kept = _product(k, gates[FORGET * units + unit], cells[unit], n.forget)
        new = _product(k, gates[INPUT * units + unit], gates[CANDIDATE * units + unit], n.update)
        k.store(cells, unit, minimum(maximum(kept + new, low), high))


def _leave(k: CallBuilder, op: Lstm, table: AnyBuffer, gates: AnyBuffer, cells: AnyBuffer, y: AnyBuffer) -> None:
    """The new hidden state."""
    n, units = op.numbers, op.units
    with k.loop("unit", 0, units) as unit:
        activated = k.let("activated", tanh16(k, table, cells[unit], n.cell))
        product = k.let("product", activated * gates[OUTPUT * units + unit])
        scaled, limit = requantize(k, product, 2**30, n.output.multiplier, n.output.shift)
        reach = (n.hidden_zero - limit, n.hidden_zero + limit)
        k.store(y, unit, clamped(k, scaled + n.hidden_zero, op.hidden.element.range, reach))


def _product(k: CallBuilder, a: Expr, b: Expr, by: Factor) -> Expr:
    """A gate times what passes it, as int16."""
    scaled, limit = requantize(k, k.let("product", a * b), 2**30, by.multiplier, by.shift)
    return k.let("part", clamped(k, scaled, INT16, (-limit, limit)))


RECURRENT: tuple[Implementation, ...] = (
    Implementation("svdf", Svdf, plain, build_svdf, (integer_tensors,)),
    Implementation("lstm_dual", Lstm, dual_gates, build_lstm, (integer_tensors, has_dual_mac, sums_fit)),
    Implementation("lstm", Lstm, plain_gates, build_lstm, (integer_tensors,)),
)
