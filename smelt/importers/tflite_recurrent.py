"""The operators that remember: SVDF and LSTM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from smelt.importers.tflite_site import REAL, Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Concat, Slice, Unary
from smelt.model.ops_recurrent import Lstm, RealLstm, RealSvdf, Svdf, lstm_numbers, svdf_numbers


def matrix(at: Site, position: int, rows: int, columns: int, types: tuple[str, ...] = ("int8",)) -> Tensor:
    """Constant weights, per tensor and without a zero point; float32 where the operator computes in it."""
    if at.is_real:
        return _of_shape(at, at.weights(position, axis=0, axes=2), (rows, columns))
    tensor = at.x(position, types)
    if not tensor.is_constant:
        at.refuse(f"weights '{tensor.name}' are computed while the model runs; constants are supported")
    at.demand(tensor.q.zero_point == 0, f"weights '{tensor.name}' have a zero point other than 0")
    return _of_shape(at, tensor, (rows, columns))


def _of_shape(at: Site, weights: Tensor, shape: tuple[int, int]) -> Tensor:
    if weights.shape != shape:
        at.broken(f"weights '{weights.name}' have the shape {list(weights.shape)}, not {list(shape)}")
    return weights


def vector(at: Site, position: int, size: int, dtype: str) -> Tensor:
    """A constant bias."""
    if not at.has(position):
        at.refuse(f"it has no bias (input {position}), on which the oracle crashes; write one of zeros")
    tensor = at.operand(position)
    if not tensor.is_constant or tensor.dtype != dtype:
        at.refuse(f"bias '{tensor.name}' is no constant of {dtype}")
    if tensor.elements != size:
        at.broken(f"bias '{tensor.name}' has the shape {list(tensor.shape)}, not {[size]}")
    return tensor


def remembered(at: Site, position: int, shape: tuple[int, ...], types: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """What the last inference left, and what this one leaves."""
    read, write = at.variable(position)
    if read.dtype not in types:
        at.refuse(f"variable '{read.name}' is {read.dtype}; {' or '.join(types)} is supported")
    if read.shape != shape:
        at.broken(f"variable '{read.name}' has the shape {list(read.shape)}, not {list(shape)}")
    return read, write


def svdf(at: Site) -> tuple[Op, ...]:
    x, y, rank = at.x(), at.y(), at.positive(0, "rank")
    if len(x.shape) != 2 or len(y.shape) != 2 or len(at.operand(2).shape) != 2:
        at.broken(f"an input of shape {list(x.shape)} or its weights have not two axes")
    (batch, depth), units, memory = x.shape, y.shape[1], at.operand(2).shape[1]
    at.alike(x, y)
    at.agree(y, (batch, units))
    kept = REAL if at.is_real else ("int8", "int16")
    weights = matrix(at, 1, units * rank, depth)
    time_weights = matrix(at, 2, units * rank, memory, kept)
    bias = vector(at, 3, units, "float32" if at.is_real else "int32")
    state, following = remembered(at, 4, (batch, units * rank * memory), kept)
    operands: dict[str, Any] = dict(y=y, x=x, weights=weights, time_weights=time_weights, bias=bias)
    operands |= {"state": state, "next_state": following}
    if at.is_real and at.activation(1) == "TANH":
        before = at.like(y, y.shape, "before")
        return RealSvdf(**{**operands, "y": before}), Unary(y=y, x=before, function="tanh")
    if at.is_real:
        return (RealSvdf(**operands, clamp=at.clamp(1, y)),)
    if time_weights.dtype != state.dtype:
        at.refuse(f"its weights over time are {time_weights.dtype} and its state {state.dtype}; one type is supported")
    return (Svdf(**operands, numbers=svdf_numbers(x, weights, time_weights, state, y)),)


@dataclass(frozen=True)
class Places:
    """Where the operands of an LSTM are: the first of four for its gates, of those that must be absent, and of the two states."""

    weights: int
    recurrent: int
    peephole: int
    biases: int
    projection: int
    states: int


FORWARD = Places(1, 5, 9, 12, 16, 18)


@dataclass(frozen=True)
class Sequence:
    """The options that LSTMs have in common, and their operands along time."""

    x: Tensor
    y: Tensor
    clip: float
    time_major: bool


def sequence(at: Site, clip: int, time_major: bool) -> Sequence:
    """The options from number `clip` on: limits of the cell and of a projection."""
    x, y = at.x(), at.y()
    at.demand(at.real(clip + 1) == 0.0, "it clips a projection; without is supported")
    at.demand(at.activation(0) == "TANH", f"its activation is {at.activation(0)}; TANH is supported")
    if len(x.shape) != 3 or not y.shape:
        at.broken(f"an input of shape {list(x.shape)} has not three axes")
    at.alike(x, y)
    return Sequence(x, y, at.real(clip), time_major)


def lstm(at: Site, given: Sequence, places: Places, y: Tensor) -> Op:
    """One LSTM over the steps of x from the first to the last."""
    x, time_major, units = given.x, given.time_major, y.shape[-1]
    peephole, projection = (range(p, p + n) for p, n in ((places.peephole, 3), (places.projection, 2)))
    at.demand(not any(at.has(p) for p in peephole), "it has peephole weights; without is supported")
    at.demand(not any(at.has(p) for p in projection), "it has a projection; without is supported")
    if not all(at.has(first + g) for first in (places.weights, places.recurrent) for g in range(4)):
        at.refuse("it has no input gate of its own; all four gates are supported")
    batch = x.shape[1 if time_major else 0]
    bias = {"int8": "int32", "int16": "int64"}.get(x.dtype, x.dtype)
    weights = tuple(matrix(at, places.weights + g, units, x.shape[2]) for g in range(4))
    recurrent = tuple(matrix(at, places.recurrent + g, units, units) for g in range(4))
    biases = tuple(vector(at, places.biases + g, units, bias) for g in range(4))
    hidden, next_hidden = remembered(at, places.states, (batch, units), (x.dtype,))
    cell, next_cell = remembered(at, places.states + 1, (batch, units), REAL if at.is_real else ("int16",))
    operands: dict[str, Any] = dict(y=y, x=x, weights=weights, recurrent_weights=recurrent, biases=biases)
    operands |= dict(hidden=hidden, cell=cell, next_hidden=next_hidden, next_cell=next_cell, time_major=time_major)
    if at.is_real:
        return RealLstm(**operands, cell_limit=given.clip if given.clip > 0 else None)
    at.demand(cell.q.zero_point == 0, f"variable '{cell.name}' has a zero point other than 0")
    if x.dtype == "int16":
        at.demand(x.q.zero_point == hidden.q.zero_point == 0, "int16 activations have a zero point other than 0")
    return Lstm(**operands, numbers=lstm_numbers(x, weights, recurrent, hidden, cell, given.clip))


def unidirectional_sequence_lstm(at: Site) -> tuple[Op, ...]:
    given = sequence(at, 1, at.flag(3))
    at.demand(not any(at.has(p) for p in range(20, 24)), "it has layer normalisation; without is supported")
    y = at.agree(given.y, (*given.x.shape[:2], given.y.shape[-1]))
    return (lstm(at, given, FORWARD, y),)


DIRECTIONS = (Places(1, 5, 9, 12, 16, 35), Places(18, 22, 26, 29, 33, 37))
AUXILIARY = range(39, 48)


def bidirectional_sequence_lstm(at: Site) -> tuple[Op, ...]:
    """Two LSTMs, one of which sees the steps from the last to the first. Both results have the order of x, one behind the other in
    the last axis where they are merged."""
    given, joined = sequence(at, 1, at.flag(4, True)), tuple[Op, ...]()
    at.demand(not any(at.has(p) for p in AUXILIARY), "it has an auxiliary input; without is supported")
    x, steps = given.x, given.x.shape[:2]
    units = [at.operand(places.weights + 1).shape[0] for places in DIRECTIONS]
    shapes = [(*steps, n) for n in units]
    if at.flag(3):
        ys = tuple(at.like(given.y, shape, part) for shape, part in zip(shapes, ("forward", "backward"), strict=True))
        joined = (Concat(y=at.agree(given.y, (*steps, sum(units))), xs=ys, axis=2),)
    else:
        ys = tuple(at.agree(at.y(position), shape) for position, shape in enumerate(shapes))
    backwards = replace(given, x=at.like(x, x.shape, "backwards"))
    last = at.like(ys[1], ys[1].shape, "backwards")
    return (
        lstm(at, given, DIRECTIONS[0], ys[0]),
        turned(x, backwards.x, given.time_major),
        lstm(at, backwards, DIRECTIONS[1], last),
        turned(last, ys[1], given.time_major),
        *joined,
    )


def turned(x: Tensor, y: Tensor, time_major: bool) -> Op:
    """y has the steps of x from the last to the first."""
    time = 0 if time_major else 1
    begin = tuple(n - 1 if axis == time else 0 for axis, n in enumerate(x.shape))
    return Slice(y=y, x=x, begin=begin, stride=tuple(-1 if axis == time else 1 for axis in range(len(x.shape))))


RECURRENT: tuple[Arm, ...] = (
    Arm("SVDF", "constant weights; a state of int8 or int16, float32 where x is", (5, 5), svdf, 6, ("int8", "float32")),
    Arm(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "four gates; no peephole, projection, layer normalisation",
        (20, 24),
        unidirectional_sequence_lstm,
        71,
        ("int8", "int16", "float32"),
    ),
    Arm(
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "four gates; no peephole, projection, auxiliary input",
        (39, 48),
        bidirectional_sequence_lstm,
        69,
        REAL,
        outputs=(1, 2),
        oracle="LiteRT",
    ),
)
