"""The operators that remember: SVDF and LSTM."""

from __future__ import annotations

from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Op, Tensor
from smelt.model.ops_recurrent import Lstm, Svdf, lstm_numbers, svdf_numbers

LSTM_ABSENT = {
    (9, 10, 11): "peephole weights",
    (16, 17): "a projection",
    (20, 21, 22, 23): "layer normalisation",
}


def matrix(at: Site, position: int, rows: int, columns: int, types: tuple[str, ...] = ("int8",)) -> Tensor:
    """Constant weights, per tensor and without a zero point."""
    tensor = at.x(position, types)
    if not tensor.is_constant:
        at.refuse(f"weights '{tensor.name}' are computed while the model runs; constants are supported")
    if tensor.shape != (rows, columns):
        at.broken(f"weights '{tensor.name}' have the shape {list(tensor.shape)}, not {[rows, columns]}")
    at.demand(tensor.q.zero_point == 0, f"weights '{tensor.name}' have a zero point other than 0")
    return tensor


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
    at.agree(y, (batch, units))
    weights = matrix(at, 1, units * rank, depth)
    time_weights = matrix(at, 2, units * rank, memory, ("int8", "int16"))
    bias = vector(at, 3, units, "int32")
    state, following = remembered(at, 4, (batch, units * rank * memory), ("int8", "int16"))
    if time_weights.dtype != state.dtype:
        at.refuse(f"its weights over time are {time_weights.dtype} and its state {state.dtype}; one type is supported")
    numbers = svdf_numbers(x, weights, time_weights, state, y)
    op = Svdf(
        y=y, x=x, weights=weights, time_weights=time_weights, bias=bias, state=state, next_state=following, numbers=numbers
    )  # fmt: skip
    return (op,)


def unidirectional_sequence_lstm(at: Site) -> tuple[Op, ...]:
    x, y, time_major = at.x(), at.y(), at.flag(3)
    for positions, what in LSTM_ABSENT.items():
        at.demand(not any(at.has(p) for p in positions), f"it has {what}; without is supported")
    at.demand(at.real(2) == 0.0, "it clips a projection; without is supported")
    if not all(at.has(p) for p in range(1, 9)):
        at.refuse("it has no input gate of its own; all four gates are supported")
    at.demand(at.activation(0) == "TANH", f"its activation is {at.activation(0)}; TANH is supported")
    if len(x.shape) != 3:
        at.broken(f"an input of shape {list(x.shape)} has not three axes")
    batch, units = x.shape[1 if time_major else 0], y.shape[-1]
    at.agree(y, (*x.shape[:2], units))
    weights = tuple(matrix(at, 1 + g, units, x.shape[2]) for g in range(4))
    recurrent = tuple(matrix(at, 5 + g, units, units) for g in range(4))
    biases = tuple(vector(at, 12 + g, units, "int32" if x.dtype == "int8" else "int64") for g in range(4))
    hidden, next_hidden = remembered(at, 18, (batch, units), (x.dtype,))
    cell, next_cell = remembered(at, 19, (batch, units), ("int16",))
    at.alike(x, y)
    at.demand(cell.q.zero_point == 0, f"variable '{cell.name}' has a zero point other than 0")
    if x.dtype == "int16":
        at.demand(x.q.zero_point == hidden.q.zero_point == 0, "int16 activations have a zero point other than 0")
    numbers = lstm_numbers(x, weights, recurrent, hidden, cell, at.real(1))
    op = Lstm(
        y=y, x=x, weights=weights, recurrent_weights=recurrent, biases=biases, hidden=hidden, cell=cell,
        next_hidden=next_hidden, next_cell=next_cell, numbers=numbers, time_major=time_major,
    )  # fmt: skip
    return (op,)


RECURRENT: tuple[Arm, ...] = (
    Arm("SVDF", "constant weights, a state of int8 or int16", (5, 5), svdf, 6),
    Arm(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "four gates; no peephole, projection, layer normalisation",
        (20, 24),
        unidirectional_sequence_lstm,
        71,
        ("int8", "int16"),
    ),
)
