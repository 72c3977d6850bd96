"""Operators that work element by element or along an axis, of every type, for the tests of their kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from smelt.model import ops
from smelt.model import ops_pointwise as more
from smelt.model.dtypes import element_type
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.representable import excesses

SCALES = st.builds(lambda m, e: float(np.float32(m * 2.0**e)), st.floats(0.5, 1), st.integers(-9, 3))
SIZES_1D = st.sampled_from((1, 1, 2, 3, 4, 5, 7, 8, 13))
SHAPES = st.lists(SIZES_1D, min_size=1, max_size=4).map(tuple)
FLAGS = st.booleans()
SCALED = ("int8", "uint8", "int16")


def plain(name: str, shape: tuple[int, ...], dtype: str) -> Tensor:
    return Tensor(name, tuple(shape), dtype)


@st.composite
def scaled(draw, name: str, shape: tuple[int, ...], dtype: str, zero: int | None = None) -> Tensor:
    low, high = element_type(dtype).range
    if dtype == "int32":
        zero = 0
    found = draw(st.integers(low, high) | st.just(0)) if zero is None else zero
    return Tensor(name, tuple(shape), dtype, Quantization((draw(SCALES),), (max(found, low),)))


def sound(op: Op) -> bool:
    return not excesses(op)


@st.composite
def rescales(draw) -> Op:
    source, target = draw(st.sampled_from([(a, b) for a in (*SCALED, "int32") for b in (*SCALED, "int32")]))
    shape = draw(SHAPES)
    x, y = draw(scaled("x", shape, source)), draw(scaled("y", shape, target))
    return ops.Unary(x=x, y=y, function="requantize")


FUNCTIONS = (
    "relu",
    "relu6",
    "relu_n1_to_1",
    "relu_0_to_1",
    "leaky_relu",
    "logistic",
    "tanh",
    "abs",
    "rsqrt",
    "elu",
    "gelu",
)


@st.composite
def functions_of_int16(draw, function: str) -> Op:
    shape = draw(SHAPES)
    x, y = draw(scaled("x", shape, "int16", 0)), draw(scaled("y", shape, "int16", 0))
    if function in ("logistic", "tanh"):
        y = replace(y, quantization=Quantization((2.0**-15,), (0,)))
    return ops.Unary(x=x, y=y, function=function, alpha=draw(st.floats(-2, 2, width=32)))


@st.composite
def plain_functions(draw) -> Op:
    shape = draw(SHAPES)
    function = draw(st.sampled_from(("abs", "neg", "square", "sign", "not")))
    dtype = "bool" if function == "not" else "int32"
    return ops.Unary(x=plain("x", shape, dtype), y=plain("y", shape, dtype), function=function)


NUMBERS = ("int8", "uint8", "int16", "int32", "uint32", "int64", "bool", "float32")


@st.composite
def casts(draw) -> Op:
    shape, source, target = draw(SHAPES), draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))
    if (source, target) == ("float32", "int64"):
        target = "int32"
    return more.Cast(x=plain("x", shape, source), y=plain("y", shape, target))


@st.composite
def reals(draw) -> Op:
    """Between float32 and the integers that have no table for it."""
    shape = draw(SHAPES)
    real, integers = plain("real", shape, "float32"), draw(scaled("integers", shape, "int16"))
    return ops.Quantize(x=real, y=integers) if draw(FLAGS) else ops.Dequantize(x=integers, y=real)


@st.composite
def broadcast_shapes(draw) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Two shapes and what they broadcast to."""
    shape = draw(SHAPES)
    other = tuple(n if draw(FLAGS) else 1 for n in shape[draw(st.integers(0, len(shape) - 1)) :])
    first, second = draw(st.sampled_from(((shape, shape), (shape, other), (other, shape), (shape, ()))))
    return first, second, np.broadcast_shapes(first, second)


def constant(draw, tensor: Tensor) -> Tensor:
    """The same tensor with data."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    low, high = tensor.element.range
    return replace(tensor, data=rng.integers(low, high, tensor.shape, tensor.element.numpy, endpoint=True))


CLAMPS = st.sampled_from((None, None, (-128, 20), (-7, 127), (0, 6)))


@st.composite
def scaled_pairs(draw, dtype: str, kind: type[Op]) -> Op:
    first, second, result = draw(broadcast_shapes())
    zero = None if dtype == "int8" or kind is ops.Add else 0
    x, y = draw(scaled("x", first, dtype, zero)), draw(scaled("y", result, dtype, zero))
    x2 = draw(scaled("x2", second, "int8" if kind is more.Prelu else dtype, None if kind is more.Prelu else zero))
    x2 = constant(draw, x2) if draw(FLAGS) else x2
    if kind is more.Prelu:
        return more.Prelu(x=x, alpha=x2, y=y)
    if kind is more.Compare:
        return more.Compare(x=x, x2=x2, y=plain("y", result, "bool"), relation=draw(RELATIONS))
    extra = {} if kind in (ops.Minimum, more.SquaredDifference) else {"clamp": draw(CLAMPS) or y.element.range}
    if kind is ops.Add:
        extra["subtract"] = draw(FLAGS)
    return kind(x=x, x2=x2, y=y, **extra)


RELATIONS = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))


@st.composite
def plain_pairs(draw, dtype: str, kind: type[Op]) -> Op:
    first, second, result = draw(broadcast_shapes())
    x, x2, y = plain("x", first, dtype), plain("x2", second, dtype), plain("y", result, dtype)
    x2 = constant(draw, x2) if draw(FLAGS) and dtype != "bool" else x2
    if kind is more.Compare:
        return more.Compare(x=x, x2=x2, y=plain("y", result, "bool"), relation=draw(RELATIONS))
    extra = {"clamp": draw(CLAMPS) or y.element.range} if kind in (ops.Add, ops.Mul, more.Div) else {}
    if kind is ops.Add:
        extra["subtract"] = draw(FLAGS)
    return kind(x=x, x2=x2, y=y, **extra)


@st.composite
def selects(draw) -> Op:
    dtype = draw(st.sampled_from(("int8", "uint8", "int16", "int32", "int64", "bool", "float32")))
    first, second, result = draw(broadcast_shapes())
    condition = draw(st.sampled_from((first, second, result)))
    operands = (plain("condition", condition, "bool"), plain("x", first, dtype), plain("x2", second, dtype))
    return more.Select(condition=operands[0], x=operands[1], x2=operands[2], y=plain("y", result, dtype))


@st.composite
def sums(draw) -> Op:
    shape, count = draw(SHAPES), draw(st.sampled_from((2, 3, 5, 17)))
    first = draw(scaled("x0", shape, "int8"))
    xs = (first, *(replace(first, name=f"x{i}") for i in range(1, count)))
    return more.AddN(xs=xs, y=draw(scaled("y", shape, "int8")))


@st.composite
def reductions(draw, kind: type[Op], dtype: str) -> Op:
    shape = draw(SHAPES)
    axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    keep = draw(FLAGS)
    result = tuple(1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes)
    if kind in (ops.Mean, more.Sum):
        return kind(x=draw(scaled("x", shape, dtype)), y=draw(scaled("y", result, dtype)), axes=axes)
    return kind(x=plain("x", shape, dtype), y=plain("y", result, dtype), axes=axes)


@st.composite
def lines(draw) -> Op:
    """Along one axis."""
    shape = draw(SHAPES)
    axis = draw(st.integers(0, len(shape) - 1))
    kind = draw(st.sampled_from((more.ArgMax, more.ArgMin, more.CumulativeSum)))
    if kind is not more.CumulativeSum:
        dtype = draw(st.sampled_from(("int8", "uint8", "int16", "int32")))
        y = plain("y", tuple(n for a, n in enumerate(shape) if a != axis), "int32")
        return kind(x=plain("x", shape, dtype), y=y, axis=axis)
    flags = dict(exclusive=draw(FLAGS), reverse=draw(FLAGS))
    if draw(FLAGS):
        return kind(x=plain("x", shape, "int32"), y=plain("y", shape, "int32"), axis=axis, **flags)
    return kind(x=draw(scaled("x", shape, "int8")), y=draw(scaled("y", shape, "int8")), axis=axis, **flags)


ROW_KINDS = ("softmax", "softmax16", "log_softmax", "l2_normalization")


@st.composite
def rows(draw, kind: str) -> Op:
    shape = (*draw(SHAPES)[:2], draw(st.sampled_from((1, 2, 3, 10, 12, 100, 1030))))
    x = draw(scaled("x", shape, "int16" if kind == "softmax16" else "int8"))
    number = {"softmax": (2.0**-16, -32768), "softmax16": (2.0**-15, 0), "log_softmax": (1 / 16, 127)}.get(
        kind, (1 / 128, 0)
    )
    y = Tensor("y", shape, "int16" if kind.startswith("softmax") else "int8", Quantization((number[0],), (number[1],)))
    if kind.startswith("softmax"):
        return ops.Softmax(x=x, y=y, beta=draw(st.sampled_from((1.0, 0.5, 3.0))))
    return (more.LogSoftmax if kind == "log_softmax" else more.L2Normalization)(x=x, y=y)


REDUCTIONS = (
    (ops.Mean, "int16"), (more.Sum, "int8"), (more.Sum, "int16"), (more.ReduceMax, "int8"), (more.ReduceMin, "int16"),
    (more.ReduceMax, "int64"), (more.ReduceAll, "bool"), (more.ReduceAny, "bool"), (more.ReduceProduct, "int32"),
)  # fmt: skip
SCALED_PAIRS = (
    ("int16", ops.Add), ("int16", ops.Mul), ("int16", ops.Minimum), ("int16", more.SquaredDifference),
    ("int8", more.SquaredDifference), ("int8", more.Div), ("int8", more.Compare), ("int8", more.Prelu), ("int16", more.Prelu),
)  # fmt: skip
PLAIN_PAIRS = (
    ("int32", ops.Add), ("int64", ops.Add), ("int32", ops.Mul), ("int64", ops.Mul), ("int32", more.SquaredDifference),
    ("int32", more.Div), ("int32", more.FloorDiv), ("int32", more.FloorMod), ("int32", more.Power), ("int32", ops.Minimum),
    ("int64", ops.Maximum), ("bool", more.LogicalAnd), ("bool", more.LogicalOr), ("int32", more.Compare),
    ("int64", more.Compare), ("bool", more.Compare),
)  # fmt: skip

POINTWISE: tuple[tuple[st.SearchStrategy[Op], int], ...] = (
    (rescales().filter(sound), 40),
    *((functions_of_int16(function).filter(sound), 4) for function in FUNCTIONS),
    (plain_functions(), 15),
    (casts(), 40),
    (reals(), 12),
    *((scaled_pairs(dtype, kind).filter(sound), 8) for dtype, kind in SCALED_PAIRS),
    *((plain_pairs(dtype, kind), 4) for dtype, kind in PLAIN_PAIRS),
    (selects(), 15),
    (sums().filter(sound), 10),
    *((reductions(kind, dtype).filter(sound), 6) for kind, dtype in REDUCTIONS),
    (lines().filter(sound), 40),
    *((rows(kind).filter(sound), 12) for kind in ROW_KINDS),
)
"""Strategies, and how many operators of each are tested."""
