"""What the operators that remember compute in float32, in the order of TensorFlow Lite Micro's reference kernels: one run, from the
states as they were to y and the states as they will be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_recurrent import RealLstm, RealSvdf
from smelt.model.reference_float import clamped
from smelt.model.reference_float_pointwise import logistic, rounded


def svdf(op: RealSvdf, x: Array, weights: Array, time_weights: Array, bias: Array, state: Array) -> tuple[Array, Array]:
    """y and the next state."""
    batch = x.shape[0]
    column = products(x, weights)[..., np.newaxis]
    following = np.concatenate([state.reshape(batch, op.filters, op.memory)[..., 1:], column], axis=-1)
    totals = np.zeros((batch, op.filters), np.float32)
    for age in range(op.memory):
        totals = totals + following[..., age] * time_weights[:, age]
    units = np.broadcast_to(bias, (batch, len(bias)))
    for part in range(op.rank):
        units = units + totals[:, part :: op.rank]
    return clamped(units, op.clamp), following.reshape(state.shape)


def lstm(op: RealLstm, x: Array, *operands: Array) -> tuple[Array, Array, Array]:
    """y and the next hidden state and cell."""
    weights, recurrent, biases = operands[:4], operands[4:8], operands[8:12]
    hidden, cell = operands[12:]
    limit = np.inf if op.cell_limit is None else op.cell_limit
    time = 0 if op.time_major else 1
    steps = []
    for row in np.moveaxis(x, time, 0):
        i, f, c, o = (
            products(row, w) + b + products(hidden, r) for w, r, b in zip(weights, recurrent, biases, strict=True)
        )
        cell = clamped(logistic(f) * cell + logistic(i) * rounded(np.tanh, c), (-limit, limit))
        hidden = rounded(np.tanh, cell) * logistic(o)
        steps.append(hidden)
    return np.stack(steps, axis=time), hidden, cell


def products(x: Array, weights: Array) -> Array:
    """x, (batch, depth), times weights, (units, depth): products and sums rounded one by one, in order."""
    total = np.zeros((len(x), len(weights)), np.float32)
    for element in range(weights.shape[1]):
        total = total + x[:, element, np.newaxis] * weights[:, element]
    return total


REAL_RECURRENT: dict[type[Op], Callable[..., tuple[Array, ...]]] = {RealSvdf: svdf, RealLstm: lstm}
