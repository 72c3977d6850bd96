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


POINTWISE: tuple[st.SearchStrategy[Op], ...] = (
    rescales().filter(sound),
    st.sampled_from(FUNCTIONS).flatmap(functions_of_int16).filter(sound),
    plain_functions(),
    casts(),
)
