"""Operators whose results are known while a file is read: of constants, or of nothing but shapes.

Converters leave arithmetic on shapes in a file (SHAPE, STRIDED_SLICE, PACK for a Flatten; FILL for the state of an unrolled
RNN). With fixed shapes all of it is constant and never reaches the graph. What has a reference is evaluated by it; plain numbers
(integers, truth values, floats, none of them quantised) by NumPy, where its operator means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from smelt.importers.tflite_site import Site
from smelt.importers.tflite_workbench import Refusal
from smelt.model.graph import Array, Op, Tensor
from smelt.model.reference import results

INTEGERS = ("int32", "int64", "bool")
PLAIN = (*INTEGERS, "float32")
MOST_WORK = 1 << 28  # elements and multiplications of everything that a file has computed while it is read

Function = Callable[[Site], Array]


def known(at: Site) -> bool:
    """Give the result of an operator its value, if it is one of `FUNCTIONS` and its operands are known. Raises ModelError and
    Refusal."""
    function = FUNCTIONS.get(at.operator.code)
    if function is None or len(at.operator.outputs) != 1 or not _ready(at):
        return False
    result = at.result()
    spend(at, max(result.elements, *(x.elements for x in _operands(at)), 1))
    with np.errstate(all="ignore"):
        value = np.asarray(function(at))
    if value.dtype != result.element.numpy:
        at.broken(f"output '{result.name}' is {result.dtype}, but the operator computes {value.dtype}")
    at.bench.define(at.agree(result, value.shape), value)
    return True


def _ready(at: Site) -> bool:
    if at.operator.code in OF_SHAPES:
        return True
    operands = _operands(at)
    return bool(operands) and all(x.is_constant and x.dtype in PLAIN for x in operands)


def folded(at: Site, ops: tuple[Op, ...]) -> bool:
    """Whether everything that `ops` read is constant: then their results are, from the reference; or all their results empty."""
    if not ops:  # a handle, for one, is no tensor
        return False
    made = tuple(at.result(position) for position in range(len(at.operator.outputs)))
    if all(y.elements == 0 for y in made):  # what loops gather is empty before their first round
        for y in made:
            at.bench.define(y, np.zeros(y.shape, y.element.numpy))
        return True
    values: dict[Tensor, Array] = {}
    if not _follows(ops):
        return False
    for op in ops:
        spend(at, sum(y.elements for y in op.ys) + op.macs)
        arrays = (x.constant if x.is_constant else values[x] for x in op.inputs)
        values.update(zip(op.ys, results(op, *arrays), strict=True))
    for y in made:
        if not y.is_constant:  # one may be known whatever the operands are
            at.bench.define(y, values[y])
    return True


def _follows(ops: tuple[Op, ...]) -> bool:
    """Whether each of `ops` reads nothing but constants and what those before it compute."""
    made = set[Tensor]()
    for op in ops:
        if not all(x.is_constant or x in made for x in op.inputs):
            return False
        made.update(op.ys)
    return True


def _operands(at: Site) -> tuple[Tensor, ...]:
    return tuple(at.operand(position) for position in range(len(at.operator.inputs)) if at.has(position))


def spend(at: Site, work: int) -> None:
    """Account for steps that reading the file takes. Raises Refusal where they become too many."""
    at.bench.effort.values += work
    if at.bench.effort.values > MOST_WORK:
        at.refuse(f"its constants take more than {MOST_WORK:,} steps to compute; store them instead")


# Functions of shapes


def _shape(at: Site) -> Array:
    return np.array(at.operand(0).shape, at.result().dtype)


def _rank(at: Site) -> Array:
    return np.array(len(at.operand(0).shape), np.int32)


def _zeros_like(at: Site) -> Array:
    return np.zeros(at.operand(0).shape, at.result().dtype)


def _broadcast_args(at: Site) -> Array:
    try:
        return np.array(np.broadcast_shapes(at.integers(0), at.integers(1)), _x(at).dtype)
    except ValueError:
        at.broken(f"shapes {list(at.integers(0))} and {list(at.integers(1))} do not go together")


def _bounded(at: Site, sizes: tuple[int, ...]) -> tuple[int, ...]:
    spend(at, prod(sizes))
    return sizes


# Functions of values


def _x(at: Site, position: int = 0) -> Array:
    return at.operand(position).constant


def _cast(at: Site) -> Array:
    x, dtype = _x(at), np.dtype(at.result().dtype)
    if x.dtype.kind == "f" and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not np.all((np.trunc(x) >= limits.min) & (np.trunc(x) <= limits.max)):
            at.refuse(
                f"input '{at.operand(0).name}' has values outside {dtype}; what they become differs between machines"
            )
    return x.astype(dtype)


def _range(at: Site) -> Array:
    """By repeated addition, as TensorFlow Lite does it: the errors of floats add up."""
    start, limit, delta = (_x(at, position).reshape(-1) for position in range(3))
    if (
        not start.size == limit.size == delta.size == 1
        or not delta[0]
        or not all(map(np.isfinite, (start, limit, delta)))
    ):
        at.broken("its start, limit and delta are not three numbers, delta other than 0")
    count = max(int(np.ceil((float(limit[0]) - float(start[0])) / float(delta[0]))), 0)
    if not count:
        return np.zeros(0, start.dtype)
    _bounded(at, (count,))
    return np.add.accumulate(np.concatenate((start, np.repeat(delta, count - 1))), dtype=start.dtype)


def _where(at: Site) -> Array:
    if len(at.operator.inputs) != 1:
        at.refuse("it selects between two operands; SELECT_V2 is what converters write for that")
    return np.argwhere(_x(at)).astype(np.int64)


def _power(at: Site) -> Array:
    x, x2 = _pair(at)
    if x2.dtype.kind != "i" or np.any(x2 < 0):
        at.refuse("powers of constants are supported where the exponents are integers, none of them negative")
    return np.power(x, x2)


def _pair(at: Site) -> tuple[Array, Array]:
    x, x2 = _x(at), _x(at, 1)
    if x.dtype != x2.dtype:
        at.broken(f"its inputs are {x.dtype} and {x2.dtype}")
    try:
        np.broadcast_shapes(x.shape, x2.shape)
    except ValueError:
        at.broken(f"shapes {list(x.shape)} and {list(x2.shape)} do not go together")
    return x, x2


def _elementwise(function: Callable[..., Array], activation: int | None = None) -> Function:
    """An operator of two operands; `activation` is the number of its option, where it has that one."""

    def value(at: Site) -> Array:
        if activation is not None and at.activation(activation) != "NONE":
            at.refuse(f"the fused activation {at.activation(activation)} of constants is not supported; put it behind")
        return np.asarray(function(*_pair(at)))

    return value


def _divided(function: Callable[..., Array]) -> Function:
    def value(at: Site) -> Array:
        x, x2 = _pair(at)
        if x.dtype.kind == "i" and not np.all(x2):
            at.broken("it divides by zero")
        return np.asarray(function(x, x2))

    return value


def _truncated(x: Array, x2: Array) -> Array:
    """C's quotient: towards zero."""
    if x.dtype.kind == "f":
        return np.asarray(x / x2)
    quotient = np.floor_divide(x, x2)
    return np.asarray(quotient + ((quotient < 0) & (quotient * x2 != x)), x.dtype)


def _one(function: Callable[..., Array]) -> Function:
    return lambda at: np.asarray(function(_x(at)))


def _reduced(function: Callable[..., Array]) -> Function:
    def value(at: Site) -> Array:
        x = _x(at)
        if x.dtype.kind == "f":
            raise Refusal("reductions of constants are supported for integers and truth values")
        axes = tuple(sorted({at.axis(axis, x.ndim) for axis in at.integers(1)}))
        return np.asarray(function(x, axis=axes, keepdims=at.flag(0))).astype(x.dtype)

    return value


OF_SHAPES: tuple[str, ...] = ("SHAPE", "RANK", "ZEROS_LIKE")
"""They read no value of their operand."""

FUNCTIONS: dict[str, Function] = {
    "SHAPE": _shape,
    "RANK": _rank,
    "ZEROS_LIKE": _zeros_like,
    "RANGE": _range,
    "BROADCAST_ARGS": _broadcast_args,
    "CAST": _cast,
    "DEQUANTIZE": _one(np.asarray),  # of float16, which is read as float32
    "WHERE": _where,
    "POW": _power,
    "ADD": _elementwise(np.add, 0),
    "SUB": _elementwise(np.subtract, 0),
    "MUL": _elementwise(np.multiply, 0),
    "DIV": _divided(_truncated),
    "FLOOR_DIV": _divided(np.floor_divide),
    "FLOOR_MOD": _divided(np.mod),
    "MINIMUM": _elementwise(np.minimum),
    "MAXIMUM": _elementwise(np.maximum),
    "EQUAL": _elementwise(np.equal),
    "NOT_EQUAL": _elementwise(np.not_equal),
    "LESS": _elementwise(np.less),
    "LESS_EQUAL": _elementwise(np.less_equal),
    "GREATER": _elementwise(np.greater),
    "GREATER_EQUAL": _elementwise(np.greater_equal),
    "LOGICAL_AND": _elementwise(np.logical_and),
    "LOGICAL_OR": _elementwise(np.logical_or),
    "LOGICAL_NOT": _one(np.logical_not),
    "NEG": _one(np.negative),
    "ABS": _one(np.abs),
    "SIGN": _one(np.sign),
    "SQUARE": _one(np.square),
    "SQRT": _one(np.sqrt),
    "FLOOR": _one(np.floor),
    "CEIL": _one(np.ceil),
    "ROUND": _one(np.rint),
    "REDUCE_PROD": _reduced(np.prod),
    "REDUCE_MAX": _reduced(np.max),
    "REDUCE_MIN": _reduced(np.min),
    "SUM": _reduced(np.sum),
    "REDUCE_ALL": _reduced(np.all),
    "REDUCE_ANY": _reduced(np.any),
}
