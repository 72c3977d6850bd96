"""What the operators that remember compute: for one run, from the states as they were to y and the states as they will be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.arithmetic import Integers, requantize, wrap32
from smelt.model.arithmetic16 import LOGISTIC_Q12, clip_int16, logistic16, requantize48, tanh16
from smelt.model.graph import Array, Op
from smelt.model.ops_recurrent import Lstm, Svdf
from smelt.model.parameters import Factor


def svdf(op: Svdf, x: Array, weights: Array, time_weights: Array, bias: Array, state: Array) -> tuple[Array, Array]:
    """y and the next state."""
    n, batch = op.numbers, x.shape[0]
    sums = wrap32((x.astype(np.int64) - n.x_zero) @ weights.T.astype(np.int64))
    limits = np.iinfo(state.dtype)
    column = np.clip(_rescaled(sums, n.column), limits.min, limits.max) + n.state_zero
    columns = state.reshape(batch, op.filters, op.memory)
    following = np.concatenate([columns[..., 1:], column.astype(state.dtype)[..., np.newaxis]], axis=-1)
    totals = ((following.astype(np.int64) - n.state_zero) * time_weights).sum(axis=-1)
    units = totals.reshape(batch, -1, op.rank).sum(axis=-1) + bias
    y = np.clip(_rescaled(wrap32(units), n.output) + n.y_zero, *op.y.element.range)
    return y.astype(op.y.element.numpy), following.reshape(state.shape)


def _rescaled(x: Integers, by: Factor) -> Integers:
    return requantize(x, by.multiplier, by.shift)


def lstm(op: Lstm, x: Array, *operands: Array) -> tuple[Array, Array, Array]:
    """y and the next hidden state and cell."""
    weights, recurrent, biases = operands[:4], operands[4:8], operands[8:12]
    hidden, cell = (state.astype(np.int64) for state in operands[12:])
    n, low, high = op.numbers, *op.hidden.element.range
    gate = requantize48 if op.x.dtype == "int16" else requantize
    time = 0 if op.time_major else 1
    steps = []
    for row in np.moveaxis(x.astype(np.int64) - n.x_zero, time, 0):
        i, f, c, o = (
            _gate(gate, row @ w.T.astype(np.int64) + b, by, (hidden - n.hidden_zero) @ r.T.astype(np.int64), by_hidden)
            for w, b, by, r, by_hidden in zip(weights, biases, n.inputs, recurrent, n.recurrents, strict=True)
        )
        candidate = tanh16(c, LOGISTIC_Q12)
        kept = clip_int16(_rescaled(logistic16(f, LOGISTIC_Q12) * cell, n.forget))
        cell = clip_int16(kept + clip_int16(_rescaled(logistic16(i, LOGISTIC_Q12) * candidate, n.update)))
        if n.cell_limit is not None:
            cell = np.clip(cell, -n.cell_limit, n.cell_limit)
        product = tanh16(cell, n.cell) * logistic16(o, LOGISTIC_Q12)
        hidden = np.clip(_rescaled(product, n.output) + n.hidden_zero, low, high)
        steps.append(hidden)
    y = np.stack(steps, axis=time).astype(op.y.element.numpy)
    return y, hidden.astype(op.hidden.element.numpy), cell.astype(np.int16)


def _gate(
    rescale: Callable[[Integers, int, int], Integers],
    of_x: Integers,
    by_x: Factor,
    of_hidden: Integers,
    by_hidden: Factor,
) -> Integers:
    """A gate's sum with 12 fraction bits, saturated at each of three places."""
    first = clip_int16(rescale(of_x, by_x.multiplier, by_x.shift))
    return clip_int16(first + clip_int16(rescale(of_hidden, by_hidden.multiplier, by_hidden.shift)))


RECURRENT: dict[type[Op], Callable[..., tuple[Array, ...]]] = {Svdf: svdf, Lstm: lstm}
