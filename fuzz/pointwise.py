"""Recipes of the operators that work element by element or along axes, in every type that they have."""

from __future__ import annotations

from fuzz.growth import NEAR, Continuation, Growth, Recipe, Shape, Value, out_of
from fuzz.linear import ACTIVATIONS

NUMBERS = ("int8", "int16", "int32", "uint32", "bool", "uint8", "int64", "float32")
FUSING = ("ADD", "SUB", "MUL", "DIV")
RAW = ("MINIMUM", "MAXIMUM")  # compare stored values
COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")


# Two operands


def other(g: Growth, x: Value, alike: bool = False) -> Value:
    """A second operand of x's type: another value, or a constant that may have to be repeated; `alike` with x's numbers."""
    others = g.alike(x) if alike else [v for v in g.values if (v.shape, v.dtype) == (x.shape, x.dtype)]
    if g.chance(0.6) and others:
        return g.pick(others)
    shape = tuple(1 if g.chance(0.3) else n for n in x.shape)
    return g.constant(shape, x.dtype, *(x.numbers if alike else g.numbers(x.dtype, x.scale)))


def binary(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        x2 = other(g, x, code in RAW)
        near = {"MUL": x.scale * x2.scale * 30, "SQUARED_DIFFERENCE": max(x.scale, x2.scale) ** 2 * 60}
        near |= {"DIV": x.scale / x2.scale / 30 if x2.scale else 0.0}
        y = g.same(x, x.shape) if code in RAW else g.new(x.shape, x.dtype, near.get(code, max(x.scale, x2.scale)))
        options = {"FusedActivationFunction": g.pick(ACTIVATIONS)} if code in FUSING else {}
        g.op(code, [x, x2] if g.chance(0.5) else [x2, x], [y], **options)
        return True

    return grow


def divided(code: str) -> Continuation:
    """By a constant that is positive: the oracle stops at divisors of 0, and at the least int32 by -1."""

    def grow(g: Growth, x: Value) -> bool:
        if x.dtype in NEAR:
            return binary(code)(g, x)
        divisor = g.integer(1, 2**31 - 1) >> g.integer(0, 30) or 1
        if code == "POW":
            divisor = g.integer(0, 40)
        x2 = g.integers(divisor)
        if x.dtype == "float32":
            x = not_negative(g, x) if code == "POW" else x
            x2 = g.w.constant(g.name(), g.array((x.shape[-1],), x.dtype) ** 2 + 1, x.dtype)
        options = {"FusedActivationFunction": g.pick(ACTIVATIONS)} if code in FUSING else {}
        g.op(code, [x, x2], [g.result(x.shape, x.dtype)], **options)
        return True

    return grow


def compare(code: str) -> Continuation:
    """A truth of two values."""

    def grow(g: Growth, x: Value) -> bool:
        g.op(code, [x, other(g, x)], [g.result(x.shape, "bool")])
        return True

    return grow


def select(code: str) -> Continuation:
    """By what was computed, or by a comparison; SELECT without broadcasting."""

    def grow(g: Growth, x: Value) -> bool:
        conditions = [v for v in g.values if (v.shape, v.dtype) == (x.shape, "bool")]
        if not conditions and x.dtype in ("int8", "int32", "int64", "float32"):
            compare("GREATER")(g, x)
            conditions = g.values[-1:]
        condition = g.pick(conditions) if conditions else g.input(x.shape, "bool")
        others = g.alike(x)
        x2 = g.pick(others) if code == "SELECT" or g.chance(0.5) else other(g, x, alike=True)
        g.op(code, [condition, x, x2], [g.same(x, x.shape)])
        return True

    return grow


def prelu(g: Growth, x: Value) -> bool:
    shape = tuple(1 if g.chance(0.7) else n for n in x.shape)
    dtype = "float32" if x.dtype == "float32" else "int8"
    alpha = g.constant(shape, dtype, *g.numbers(dtype, 0.01))
    g.op("PRELU", [x, alpha], [g.new(x.shape, x.dtype, x.scale)])
    return True


def add_n(g: Growth, x: Value) -> bool:
    xs = [x, *(g.pick(g.alike(x)) for _ in range(g.integer(1, 3)))]
    g.op("ADD_N", xs, [g.new(x.shape, x.dtype, x.scale * len(xs))])
    return True


# One operand

FIXED = {
    ("LOGISTIC", "int8"): (1 / 256, -128), ("LOGISTIC", "int16"): (2.0**-15, 0), ("TANH", "int8"): (1 / 128, 0),
    ("TANH", "int16"): (2.0**-15, 0), ("LOG_SOFTMAX", "int8"): (1 / 16, 127), ("L2_NORMALIZATION", "int8"): (1 / 128, 0),
}  # fmt: skip
"""The one quantisation that results have."""
POSITIVE = ("RSQRT", "SQRT", "LOG")  # of what is not negative


def activation(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        x = not_negative(g, x) if code in POSITIVE else x
        numbers = FIXED.get((code, x.dtype)) or g.numbers(
            x.dtype, 0.05 / x.scale**0.5 if code == "RSQRT" and x.scale else x.scale
        )
        if code == "RELU6" and not g.chance(g.wild / 4):
            numbers = x.numbers
        options = {"Alpha": g.alpha()} if code == "LEAKY_RELU" else {}
        options |= {"Approximate": g.chance(0.5)} if code == "GELU" else {}
        g.op(code, [x], [g.result(x.shape, x.dtype, *numbers)], **options)
        return len(x.shape) <= 4

    return grow


def not_negative(g: Growth, x: Value) -> Value:
    y = g.new(x.shape, x.dtype, x.scale)
    g.op("ABS" if x.dtype == "float32" else "RELU", [x], [y])
    return y


def softmax(g: Growth, dtype: str) -> bool:
    """To int16 from int8, too."""
    x = g.some(g.pick(("int8", "int16")) if dtype == "int16" else dtype)
    numbers = {
        ("int8", "int8"): (1 / 256, -128),
        ("int8", "int16"): (2.0**-16, -32768),
        ("int16", "int16"): (2.0**-15, 0),
    }
    y = g.result(x.shape, dtype, *numbers.get((x.dtype, dtype), ()))
    g.op("SOFTMAX", [x], [y], Beta=1.0 if g.chance(0.7) else g.scale(1.0))
    return True


def cast(g: Growth, dtype: str) -> bool:
    x = g.some(g.pick([t for t in NUMBERS if t != dtype]))
    g.op("CAST", [x], [g.new(x.shape, dtype)])
    return True


def dequantize(g: Growth, x: Value) -> bool:
    g.op("DEQUANTIZE", [x], [g.result(x.shape, "float32")])
    return True


SOURCES = {
    "int8": ("float32", "int8", "int16", "uint8"), "uint8": ("int8",), "int16": ("float32", "int8", "int16"),
    "int32": ("int8", "int16"),
}  # fmt: skip
"""What the oracle quantises anew to each type; int32, too, whose scales only QUANTIZE knows."""


def quantize(g: Growth, dtype: str) -> bool:
    x = g.some(g.pick(SOURCES[dtype]))
    if dtype == "int32":
        wide = g.tensor(x.shape, dtype, g.scale(x.scale / 256))
        g.op("QUANTIZE", [x], [wide])
        x, dtype = wide, g.pick(("int8", "int16"))
    g.op("QUANTIZE", [x], [g.new(x.shape, dtype, x.scale * (2.0**-8 if dtype == "int16" else 1.0))])
    return True


# Along axes


def reduction(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        axes = sorted(g.rng.permutation(len(x.shape))[: g.integer(1, len(x.shape))].tolist())
        keep = g.chance(0.5) or len(axes) == len(x.shape)
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes)
        y = (
            g.same(x, shape)
            if code.startswith("REDUCE")
            else g.new(shape, x.dtype, x.scale * (4 if code == "SUM" else 1))
        )
        g.op(code, [x, g.integers(axes)], [y], KeepDims=keep)
        return True

    return grow


def cumulative_sum(g: Growth, x: Value) -> bool:
    axis = g.integer(-len(x.shape), len(x.shape) - 1)
    y = g.new(x.shape, x.dtype, x.scale * 4)
    g.op("CUMSUM", [x, g.integers(axis)], [y], Exclusive=g.chance(0.5), Reverse=g.chance(0.5))
    return True


def place(code: str) -> Continuation:
    def grow(g: Growth, x: Value) -> bool:
        axis = g.integer(0, len(x.shape) - 1)
        shape: Shape = tuple(n for a, n in enumerate(x.shape) if a != axis)
        if not shape:
            return False
        g.op(code, [x, g.integers(axis)], [g.result(shape, "int32")], OutputType=2)
        return True

    return grow


UNARY = (
    *("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "ABS", "RSQRT", "LOGICAL_NOT"),
    *("RELU_N1_TO_1", "RELU_0_TO_1", "GELU", "EXP", "LOG", "NEG", "SIGN", "SQRT", "SQUARE", "SIN", "COS"),
    *("FLOOR", "CEIL", "ROUND", "LOG_SOFTMAX", "L2_NORMALIZATION"),
)

CONTINUATIONS: dict[str, Continuation] = {
    **{code: binary(code) for code in ("ADD", "SUB", "MUL", *RAW, "SQUARED_DIFFERENCE")},
    **{code: divided(code) for code in ("DIV", "FLOOR_DIV", "FLOOR_MOD", "POW")},
    **{code: compare(code) for code in (*COMPARISONS, "LOGICAL_AND", "LOGICAL_OR")},
    **{code: select(code) for code in ("SELECT", "SELECT_V2")},
    **{code: activation(code) for code in UNARY},
    **{code: reduction(code) for code in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ALL", "REDUCE_ANY")},
    **{code: place(code) for code in ("ARG_MAX", "ARG_MIN")},
    "PRELU": prelu,
    "ADD_N": add_n,
    "CUMSUM": cumulative_sum,
    "DEQUANTIZE": dequantize,
}  # fmt: skip

POINTWISE: dict[str, Recipe] = {
    "SOFTMAX": softmax,
    "CAST": cast,
    "QUANTIZE": quantize,
    **{code: out_of(grow) for code, grow in CONTINUATIONS.items()},
}
