"""Recipes of element-wise and reducing operators; where they compute in other types than int8, there and back."""

from __future__ import annotations

from math import prod

from fuzz.growth import MOST_ELEMENTS, Growth, Recipe, Shape, Value, single

NONE_TO_6 = (0, 0, 0, 1, 2, 3)


def through(g: Growth, shape: Shape, dtype: str, scale: float | tuple[()] = (), zero: int = 0) -> int:
    """A tensor of another type on the way."""
    return g.w.tensor(g.name(), shape, dtype, scale, zero)


def other(g: Growth, x: Value) -> Value:
    """A second operand, with its own numbers."""
    others = [v for v in g.values if v.shape == x.shape]
    if g.chance(0.5) and others:
        return g.pick(others)
    return g.constant(tuple(1 if g.chance(0.3) else n for n in x.shape), g.scale(x.scale), g.zero())


def squared_difference(g: Growth, x: Value) -> bool:
    x2 = other(g, x)
    y = g.result(x.shape, g.scale(max(x.scale, x2.scale) ** 2 * 60), g.zero())
    g.op("SQUARED_DIFFERENCE", [x, x2], [y])
    return True


def prelu(g: Growth, x: Value) -> bool:
    alpha = g.constant(tuple(1 if g.chance(0.7) else n for n in x.shape), g.scale(0.01), g.zero())
    g.op("PRELU", [x, alpha], [g.result(x.shape, g.scale(x.scale), g.zero())])
    return True


def add_n(g: Growth, x: Value) -> bool:
    others = [v for v in g.values if (v.shape, v.scale, v.zero) == (x.shape, x.scale, x.zero)]
    xs = [x, *(g.pick(others) for _ in range(g.integer(1, 3)))]
    g.op("ADD_N", xs, [g.result(x.shape, g.scale(x.scale * len(xs)), g.zero())])
    return True


def reduction(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        axes = sorted(g.rng.permutation(len(x.shape))[: g.integer(1, len(x.shape))].tolist())
        kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
        y = g.same(x, kept) if code != "SUM" else g.result(kept, g.scale(x.scale * 4), g.zero())
        g.op(code, [x, g.integers(axes)], [y], KeepDims=True)
        return True

    return grow


def cumulative_sum(g: Growth, x: Value) -> bool:
    axis = g.integer(-len(x.shape), len(x.shape) - 1)
    y = g.result(x.shape, g.scale(x.scale * 4), g.zero())
    g.op("CUMSUM", [x, g.integers(axis)], [y], Exclusive=g.chance(0.5), Reverse=g.chance(0.5))
    return True


def row(code: str, scale: float, zero: int) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        g.op(code, [x], [g.result(x.shape, scale, zero)])
        return len(x.shape) <= 4

    return grow


def activation(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        g.op(code, [x], [g.result(x.shape, g.scale(x.scale), g.zero())])
        return True

    return grow


def place(code: str) -> Recipe:
    """ARG_MAX, and its int32 as int8."""

    def grow(g: Growth, x: Value) -> bool:
        axis = g.integer(0, len(x.shape) - 1)
        shape = tuple(n for a, n in enumerate(x.shape) if a != axis)
        if not shape:
            return False
        found = through(g, shape, "int32")
        g.op(code, [x, g.integers(axis)], [found], OutputType=2)
        g.op("CAST", [found], [g.result(shape, g.scale(), g.zero())])
        return True

    return grow


def compare_and_select(code: str) -> Recipe:
    def grow(g: Growth, x: Value) -> bool:
        x2, chosen = other(g, x), through(g, x.shape, "bool")
        g.op(code, [x, x2], [chosen])
        g.op("SELECT_V2", [chosen, x, x2], [g.result(x.shape, x.scale, x.zero)])
        return True

    return grow


def truths(code: str) -> Recipe:
    """Through bool."""

    def grow(g: Growth, x: Value) -> bool:
        operands = [through(g, x.shape, "bool") for _ in range(1 if code in ("LOGICAL_NOT", "REDUCE_ALL") else 2)]
        for operand in operands:
            g.op("CAST", [g.pick([v for v in g.values if v.shape == x.shape])], [operand])
        shape = (*x.shape[:-1], 1) if code == "REDUCE_ALL" else x.shape
        options = {"KeepDims": True} if code == "REDUCE_ALL" else {}
        operands += [g.integers([-1])] if code == "REDUCE_ALL" else []
        result = through(g, shape, "bool")
        g.op(code, operands, [result], **options)
        g.op("CAST", [result], [g.result(shape, g.scale(), g.zero())])
        return True

    return grow


def integers(code: str) -> Recipe:
    """Through int32, with a constant: no divisor of 0, and not the least int32 by -1."""

    def grow(g: Growth, x: Value) -> bool:
        wide, result = through(g, x.shape, "int32"), through(g, x.shape, "int32")
        g.op("CAST", [x], [wide])
        options = {} if code in ("MINIMUM", "MAXIMUM") else {"FusedActivationFunction": g.pick(NONE_TO_6)}
        value = g.integer(1, 2**31 - 1) >> g.integer(0, 30)
        g.op(code, [wide, g.integers(max(value, 1))], [result], **options)
        g.op("CAST", [result], [g.result(x.shape, g.scale(), g.zero())])
        return True

    return grow


def inverse_root(g: Growth, x: Value) -> bool:
    """Of what is not negative: else the oracle stops."""
    positive = g.result(x.shape, g.scale(x.scale), g.zero())
    g.op("RELU", [x], [positive])
    g.op("RSQRT", [positive], [g.result(x.shape, g.scale(0.05 / positive.scale**0.5), g.zero())])
    return True


def sixteen(code: str) -> Recipe:
    """Through int16: a scale of its own, one operator, and back."""

    def grow(g: Growth, x: Value) -> bool:
        if prod(x.shape) > MOST_ELEMENTS:
            return False
        scale = single(x.scale * 2.0 ** -g.integer(4, 8))
        wide = through(g, x.shape, "int16", scale)
        g.op("QUANTIZE", [x], [wide])
        operands, options, result = [wide], {}, single(scale * 2.0 ** g.rng.uniform(-2, 2))
        match code:
            case "LOGISTIC" | "TANH" | "SOFTMAX":
                result = 2.0**-15
                options = {"Beta": 1.0} if code == "SOFTMAX" else {}
            case "ADD" | "SUB":
                operands = [wide, wide]
                options = {"FusedActivationFunction": g.pick(NONE_TO_6)}
            case "MUL":
                operands, result = [wide, wide], single(scale * scale * 2.0 ** g.integer(4, 16))
            case "RELU6":
                result = scale
            case "LEAKY_RELU":
                options = {"Alpha": g.alpha()}
        y = through(g, x.shape, "int16", result)
        g.op(code, operands, [y], **options)
        g.op("QUANTIZE", [y], [g.result(x.shape, g.scale(result * 200), g.zero())])
        return True

    return grow


def unsigned(g: Growth, x: Value) -> bool:
    """Through uint8."""
    wide = through(g, x.shape, "uint8", g.scale(x.scale), g.integer(0, 255))
    g.op("QUANTIZE", [x], [wide])
    g.op("QUANTIZE", [wide], [g.result(x.shape, g.scale(x.scale), g.zero())])
    return True


POINTWISE: dict[str, Recipe] = {
    "SQUARED_DIFFERENCE": squared_difference,
    "PRELU": prelu,
    "ADD_N": add_n,
    "CUMSUM": cumulative_sum,
    "LOG_SOFTMAX": row("LOG_SOFTMAX", 1 / 16, 127),
    "L2_NORMALIZATION": row("L2_NORMALIZATION", 1 / 128, 0),
    "SELECT_V2": compare_and_select("GREATER"),
    "CAST": truths("LOGICAL_AND"),
    "QUANTIZE uint8": unsigned,
    "RSQRT": inverse_root,
}
POINTWISE |= {code: reduction(code) for code in ("SUM", "REDUCE_MAX", "REDUCE_MIN")}
POINTWISE |= {code: place(code) for code in ("ARG_MAX", "ARG_MIN")}
POINTWISE |= {code: activation(code) for code in ("ELU", "ABS")}
COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
POINTWISE |= {code: compare_and_select(code) for code in COMPARISONS}
POINTWISE |= {code: truths(code) for code in ("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "REDUCE_ALL")}
POINTWISE |= {"DIV": integers("DIV")}
POINTWISE |= {f"{code} int32": integers(code) for code in ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM")}
SIXTEEN = ("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "SOFTMAX", "ADD", "SUB", "MUL", "ABS")
POINTWISE |= {f"{code} int16": sixteen(code) for code in SIXTEEN}
