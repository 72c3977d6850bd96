"""Functions of one real number, in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import elementwise
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import limited, real_operands
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.loops.ir import Expr, Intrinsic, cast, maximum, minimum, real
from smelt.model.ops import Unary
from smelt.model.unary import CUBIC, SQRT_2_OVER_PI, SQRT_HALF
from smelt.targets.intrinsics import CEIL, COS, ELU, ERF, ERFC, EXP, FLOOR, LOG, LOGISTIC, ROUND, SIN, SQRT, TANH
from smelt.targets.types import Core

Compute = Callable[[CallBuilder, Unary, Expr], Expr]


def has_function(op: Unary, core: Core) -> bool:
    """a function that float32 has"""
    return op.function in FUNCTIONS


def build_unary(op: Unary, schedule: Unrolled) -> KernelCall:
    k = CallBuilder(f"{op.function}_floats", in_place=True)
    return elementwise(k, op, schedule.unroll, partial(FUNCTIONS[op.function], k, op), ("x",))


def _between(low: float, high: float) -> Compute:
    return lambda k, op, x: limited(k, x, (low, high))


def _calling(intrinsic: Intrinsic) -> Compute:
    return lambda k, op, x: k.call(intrinsic, x)


def rectified(k: CallBuilder, x: Expr, slope: Expr) -> Expr:
    """x where it is positive, else x * slope."""
    value = k.let("x", x)
    return maximum(value, real(0.0)) + minimum(value, real(0.0)) * slope


def _leaky_relu(k: CallBuilder, op: Unary, x: Expr) -> Expr:
    if 0 <= op.alpha <= 1:
        value = k.let("x", x)
        return maximum(value, value * real(op.alpha))
    return rectified(k, x, real(op.alpha))


def _hard_swish(k: CallBuilder, op: Unary, x: Expr) -> Expr:
    value = k.let("x", x)
    return value * limited(k, value + real(3.0), (0.0, 6.0)) // real(6.0)


def _gelu(k: CallBuilder, op: Unary, x: Expr) -> Expr:
    value = k.let("x", x)
    return value * real(0.5) * k.call(ERFC, value * real(-SQRT_HALF))


def _gelu_tanh(k: CallBuilder, op: Unary, x: Expr) -> Expr:
    value = k.let("x", x)
    inner = value * real(-2 * SQRT_2_OVER_PI) * (value * value * real(CUBIC) + real(1.0))
    return value // (k.call(EXP, inner) + real(1.0))


def _sign(k: CallBuilder, op: Unary, x: Expr) -> Expr:
    value = k.let("x", x)
    return cast("float", (value > real(0.0)) - (value < real(0.0)))


FUNCTIONS: dict[str, Compute] = {
    "relu": _between(0.0, float("inf")),
    "relu6": _between(0.0, 6.0),
    "relu_n1_to_1": _between(-1.0, 1.0),
    "relu_0_to_1": _between(0.0, 1.0),
    "leaky_relu": _leaky_relu,
    "logistic": _calling(LOGISTIC),
    "tanh": _calling(TANH),
    "hard_swish": _hard_swish,
    "elu": _calling(ELU),
    "gelu": _gelu,
    "erf": _calling(ERF),
    "gelu_tanh": _gelu_tanh,
    "abs": lambda k, op, x: maximum(x, x * real(-1.0)),
    "neg": lambda k, op, x: x * real(-1.0),
    "sign": _sign,
    "square": lambda k, op, x: x * x,
    "sqrt": _calling(SQRT),
    "rsqrt": lambda k, op, x: real(1.0) // k.call(SQRT, x),
    "exp": _calling(EXP),
    "log": _calling(LOG),
    "sin": _calling(SIN),
    "cos": _calling(COS),
    "floor": _calling(FLOOR),
    "ceil": _calling(CEIL),
    "round": _calling(ROUND),
}

UNARY_FLOATS = Implementation("unary_floats", Unary, unrolled, build_unary, (real_operands, has_function))
