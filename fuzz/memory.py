"""Recipes of what remembers, and of subgraphs: variables, SVDF, LSTM; IF and WHILE whose conditions follow from constants."""

from __future__ import annotations

import numpy as np

from fuzz.growth import TYPES, Growth, Recipe, Value, out_of, single
from fuzz.moves import MOVES
from fuzz.pointwise import NUMBERS, POINTWISE

TANH = 4


# Variables


def variable(g: Growth, x: Value) -> bool:
    """y is what x was one inference before."""
    handle, y = handle_of(g, f"v{g.count}"), g.same(x, x.shape)
    g.op("READ_VARIABLE", [handle], [y])
    g.op("ASSIGN_VARIABLE", [handle, x], [])
    return True


def variable_of_any(g: Growth, dtype: str) -> bool:
    """The same, for operators that have no type."""
    return variable(g, g.some(g.pick(NUMBERS)))


def call_once(g: Growth, dtype: str) -> bool:
    """A variable whose first value a subgraph gives, which must come before all that reads variables."""
    if g.codes:
        return False
    x, name, inner = g.some(g.pick(("int8", "int16", "int32", "float32"))), f"v{g.count}", g.subgraph()
    there = handle_of(inner, name)
    inner.op("ASSIGN_VARIABLE", [there, inner.like(x, x.shape)], [])
    inner.w.called([], [])
    g.op("CALL_ONCE", [], [], InitSubgraphIndex=g.w.subgraphs)
    handle, y = handle_of(g, name), g.result(x.shape, x.dtype, *x.numbers)
    g.op("READ_VARIABLE", [handle], [y])
    g.op("ASSIGN_VARIABLE", [handle, x], [])
    return True


def handle_of(g: Growth, name: str) -> int:
    handle = g.w.tensor(g.name(), (), "resource")
    g.op("VAR_HANDLE", [], [handle], SharedName=name, Container="")
    return handle


# Operators with states of their own


def svdf(g: Growth, x: Value) -> bool:
    if len(x.shape) != 2 or x.shape[1] > 300:
        return False
    (batch, depth), units, rank, memory = x.shape, g.integer(1, 4), g.integer(1, 3), g.integer(1, 6)
    rows, real = units * rank, x.dtype == "float32"
    kind = "float32" if real else g.pick(("int8", "int16"))
    scale, time_scale = (0.0, 0.0) if real else (g.scale(x.scale, 2), g.scale(0.02, 2))
    weights = g.constant((rows, depth), x.dtype, 0.0 if real else g.scale(0.01, 2))
    time = g.constant((rows, memory), kind, time_scale)
    data = g.rng.normal(0, 1, units) if real else g.rng.integers(-3000, 3000, units)
    bias = g.tensor((units,), "float32" if real else "int32", 0.0 if real else single(scale * time_scale), 0, data)
    state = g.w.tensor(
        g.name(), (batch, rows * memory), kind, scale or (), g.zero("int8") if scale else 0, variable=True
    )
    y = g.new((batch, units), x.dtype, scale * time_scale * (256 if kind == "int16" else 1) * 30)
    g.op("SVDF", [x, weights, time, bias, state], [y], Rank=rank, FusedActivationFunction=g.pick((0, 1)))
    return True


def lstm(g: Growth, x: Value) -> bool:
    if not short(x):
        return False
    units, time_major = g.integer(1, 5), g.chance(0.5)
    operands, states, hidden = layer(g, x, units, x.shape[1 if time_major else 0])
    options = dict(FusedActivationFunction=TANH, CellClip=g.pick((0.0, 1.5, 10.0)), TimeMajor=time_major)
    y = g.result((*x.shape[:2], units), x.dtype, *hidden)
    g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *operands, *states, -1, -1, -1, -1], [y], **options)
    return True


def lstm_both_ways(g: Growth, x: Value) -> bool:
    if not short(x):
        return False
    units, time_major, merged = g.integer(1, 5), g.chance(0.5), g.chance(0.5)
    batch = x.shape[1 if time_major else 0]
    (forward, first, _), (backward, second, _) = layer(g, x, units, batch), layer(g, x, units, batch)
    options = dict(FusedActivationFunction=TANH, CellClip=g.pick((0.0, 1.5, 10.0)), TimeMajor=time_major)
    ys = [g.result((*x.shape[:2], units * (1 + merged)), x.dtype) for _ in range(1 if merged else 2)]
    operands = [x, *forward, *backward, *first, *second, *[-1] * 9]
    g.op("BIDIRECTIONAL_SEQUENCE_LSTM", operands, ys, MergeOutputs=merged, **options)
    return True


def short(x: Value) -> bool:
    """Whether x is a sequence that is no work."""
    return len(x.shape) == 3 and x.shape[2] <= 64 and x.shape[0] * x.shape[1] <= 12


def layer(g: Growth, x: Value, units: int, batch: int) -> tuple[list[int | Value], list[int], tuple[float, int]]:
    """Weights, no peepholes, biases, no projection; two states; the numbers of the result."""
    real = x.dtype == "float32"
    scales = [0.0 if real else g.scale(0.007, 1) for _ in range(8)]
    shapes = [(units, x.shape[2])] * 4 + [(units, units)] * 4
    kind = "float32" if real else "int8"
    weights = [g.tensor(shape, kind, s, 0, small(g, shape, kind)) for shape, s in zip(shapes, scales, strict=True)]
    kind = {"float32": "float32", "int8": "int32", "int16": "int64"}[x.dtype]
    biases = [g.tensor((units,), kind, x.scale * s, 0, small(g, (units,), kind)) for s in scales[:4]]
    hidden = {"float32": (0.0, 0), "int8": (1 / 128, g.integer(-20, 20)), "int16": (2.0**-15, 0)}[x.dtype]
    cell = ("float32", 0.0) if real else ("int16", 2.0 ** -g.integer(9, 15))
    states = [
        g.w.tensor(g.name(), (batch, units), x.dtype, hidden[0] or (), hidden[1], variable=True),
        g.w.tensor(g.name(), (batch, units), cell[0], cell[1] or (), variable=True),
    ]
    return [*weights, -1, -1, -1, *biases, -1, -1], states, hidden


def small(g: Growth, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Weights of a layer that does not saturate at once."""
    if dtype == "float32":
        return g.rng.normal(0, 0.3, shape).astype(np.float32)
    limit = 127 if dtype == "int8" else 2000
    return g.rng.integers(-limit, limit + 1, shape)


# Subgraphs

INSIDE: dict[str, Recipe] = {**MOVES, **POINTWISE}
TRIES = 20


def if_(g: Growth, x: Value) -> bool:
    """One branch computes something of x, the other has a constant of that kind; which one is taken is known."""
    then, otherwise = g.subgraph(), g.subgraph()
    y = grown(then, then.input(x.shape, x.dtype, *x.numbers))
    given = [otherwise.input(v.shape, v.dtype, *v.numbers) for v in then.inputs]
    z = otherwise.result(y.shape, y.dtype, *y.numbers)
    otherwise.op("RESHAPE", [otherwise.like(y, y.shape), otherwise.integers(y.shape)], [z])
    for branch, inputs, result in ((then, then.inputs, y), (otherwise, given, z)):
        branch.w.called([v.index for v in inputs], [result.index])
    more = [g.input(v.shape, v.dtype, *v.numbers) for v in then.inputs[1:]]
    taken, swapped = g.chance(0.8), g.chance(0.5)
    condition = g.w.constant(g.name(), np.array([taken != swapped]), "bool")
    first = g.w.subgraphs - 1
    places = dict(ThenSubgraphIndex=first + swapped, ElseSubgraphIndex=first + (not swapped))
    g.op("IF", [condition, x, *more], [g.result(y.shape, y.dtype, *y.numbers)], **places)
    return True


def grown(g: Growth, x: Value) -> Value:
    """Something of x's type, computed of x by a few operators; floats are only moved, for nobody sees how they round on the way."""
    codes = list(MOVES if x.dtype == "float32" else INSIDE)
    for _ in range(TRIES):
        code = g.pick(codes)
        if x.dtype in TYPES[code] and g.takes(code, x.dtype):
            INSIDE[code](g, x.dtype)
        if len(g.codes) > 1:
            break
    found = [y for y in g.made if y.dtype == x.dtype]
    return found[-1] if found else turned(g, x)


def turned(g: Growth, x: Value) -> Value:
    """x backwards along an axis: of the same kind, whatever that is."""
    y = g.result(x.shape, x.dtype, *x.numbers)
    g.op("REVERSE_V2", [x, g.integers([g.integer(0, len(x.shape) - 1)])], [y])
    return y


def while_(g: Growth, x: Value) -> bool:
    """Some rounds, counted, of additions or moves."""
    condition, body = g.subgraph(), g.subgraph()
    n, h = condition.input((), "int32"), condition.input(x.shape, x.dtype, *x.numbers)
    goes_on = condition.result((), "bool")
    condition.op("LESS", [n, condition.integers(g.integer(0, 4))], [goes_on])
    condition.w.called([h.index, n.index], [goes_on.index])
    n, h = body.input((), "int32"), body.input(x.shape, x.dtype, *x.numbers)
    following = body.result((), "int32")
    body.op("ADD", [n, body.integers(g.integer(1, 2))], [following])
    y = turned(body, h)
    if x.dtype in TYPES["MAXIMUM"] and g.chance(0.7):
        y = body.same(h, h.shape)
        body.op(g.pick(("MAXIMUM", "MINIMUM")), [h, body.like(h, h.shape)], [y])
    body.w.called([h.index, n.index], [y.index, following.index])
    result, count = g.result(x.shape, x.dtype, *x.numbers), g.result((), "int32")
    first = g.w.subgraphs - 1
    g.op("WHILE", [x, g.integers(0)], [result, count], CondSubgraphIndex=first, BodySubgraphIndex=first + 1)
    return True


def circular_buffer(g: Growth, dtype: str) -> bool:
    """Which never ends an inference: the oracle does not keep the outputs of those that it ends."""
    rows, channels, slots = g.integer(1, 3), g.integer(1, 8), g.integer(1, 6)
    x = g.input((1, 1, rows, channels), dtype)
    shape = (1, slots, rows, channels)
    y = Value(g.w.tensor(g.name(), shape, dtype, *x.numbers, variable=True), shape, dtype, *x.numbers)
    g.values.append(y)
    g.op("CUSTOM CIRCULAR_BUFFER", [x], [y], cycles_max=1)
    return True


MEMORY: dict[str, Recipe] = {
    "READ_VARIABLE": out_of(variable),
    "ASSIGN_VARIABLE": variable_of_any,
    "VAR_HANDLE": variable_of_any,
    "CALL_ONCE": call_once,
    "CUSTOM CIRCULAR_BUFFER": circular_buffer,
    "SVDF": out_of(svdf),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": out_of(lstm),
    "BIDIRECTIONAL_SEQUENCE_LSTM": out_of(lstm_both_ways),
    "IF": out_of(if_),
    "WHILE": out_of(while_),
}
