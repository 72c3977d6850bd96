"""Functions of one integer that are no tables: changes of scale and type, and the functions of int16 and of plain integers."""

from __future__ import annotations

from collections.abc import Callable

from smelt.kernels.c_types import C_TYPES
from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.interpolation import logistic16, logistic_table, tanh16
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.nests import blocks, merged
from smelt.kernels.rescale import clamped, limited, requantize
from smelt.kernels.roots import FRACTION_BITS, inverse_root
from smelt.loops.ir import SIZES, Expr, binary, cast, maximum, minimum
from smelt.model.arithmetic import float32, quantize_multiplier, round_half_away
from smelt.model.arithmetic16 import table_input
from smelt.model.graph import Tensor
from smelt.model.interpolated import interpolated_table
from smelt.model.ops import Clamp, Unary
from smelt.model.representable import farthest
from smelt.model.unary import REALS, limits_of, real_function, rsqrt_scale
from smelt.targets.types import Core

Compute = Callable[[Expr], Expr]


def scaled_integers(op: Unary, core: Core) -> bool:
    """x and y are int8, uint8, int16 or int32, the latter with a scale, and the function is one that these types have"""
    small = {op.x.dtype, op.y.dtype} <= {"int8", "uint8", "int16", "int32"}
    return small and op.x.quantization is not None and op.y.quantization is not None and op.function in SCALED


def plain_integers(op: Unary, core: Core) -> bool:
    """x and y are int32, or bool, and the function is one that such numbers have"""
    types = {"bool"} if op.function == "not" else {"int32"}
    return op.x.dtype == op.y.dtype and op.x.dtype in types and op.function in PLAIN and not requantizes(op)


def requantizes(op: Unary) -> bool:
    return op.function == "requantize"


def elementwise(k: CallBuilder, x: Tensor, y: Tensor, unroll: int, compute: Compute) -> KernelCall:
    """y[i] = compute(x[i]); each element is read before it is written."""
    source, target = k.operand("x", x), k.result("y", y)
    for block in blocks(k, "i", merged((y.elements,), (1,)), (0,), unroll):
        values = [compute(source[i]) for (i,) in block]
        values = [k.let("value", value) for value in values] if unroll > 1 else values
        for (i,), value in zip(block, values, strict=True):
            k.store(target, i, value)
    return k.finish_call()


def same_size(x: Tensor, y: Tensor) -> bool:
    """Whether y may lie over x."""
    return SIZES[C_TYPES[x.dtype]] == SIZES[C_TYPES[y.dtype]]


def build_scaled(op: Unary, schedule: Unrolled) -> KernelCall:
    k = CallBuilder(op.function, in_place=same_size(op.x, op.y))
    return elementwise(k, op.x, op.y, schedule.unroll, SCALED[op.function](k, op))


def build_plain(op: Unary, schedule: Unrolled) -> KernelCall:
    k = CallBuilder(op.function, in_place=True)
    return elementwise(k, op.x, op.y, schedule.unroll, PLAIN[op.function])


# Of integers with a scale


def _centred(op: Unary, x: Expr) -> Expr:
    return cast("int32_t", x) - op.x.q.zero_point


def _finished(k: CallBuilder, op: Unary, value: Expr, limit: int, clamp: Clamp | None = None) -> Expr:
    """`value`, of magnitude `limit` at most, with y's zero point, within `clamp` or what y can hold."""
    return limited(k, value, op.y.q.zero_point, clamp or op.y.element.range, limit)


def _scaled(k: CallBuilder, op: Unary, value: Expr, ratio: float) -> tuple[Expr, int]:
    return requantize(k, value, farthest(op.x), *quantize_multiplier(ratio))


def _requantize(k: CallBuilder, op: Unary) -> Compute:
    ratio = op.x.q.scale / op.y.q.scale
    return lambda x: _finished(k, op, *_scaled(k, op, _centred(op, x), ratio))


def _relu(k: CallBuilder, op: Unary) -> Compute:
    ratio, clamp = op.x.q.scale / op.y.q.scale, (op.y.q.zero_point, op.y.element.high)
    return lambda x: _finished(k, op, *_scaled(k, op, _centred(op, x), ratio), clamp)


def _relu6(k: CallBuilder, op: Unary) -> Compute:
    six = min(round_half_away(float32(6 / op.x.q.scale)) + op.x.q.zero_point, op.y.element.high)
    return lambda x: clamped(k, x, (op.x.q.zero_point, six))


def _between(low: float, high: float) -> Callable[[CallBuilder, Unary], Compute]:
    def limits(k: CallBuilder, op: Unary) -> Compute:
        ratio, clamp = op.x.q.scale / op.y.q.scale, limits_of(op.y, low, high)
        return lambda x: _finished(k, op, *_scaled(k, op, _centred(op, x), ratio), clamp)

    return limits


def _leaky_relu(k: CallBuilder, op: Unary) -> Compute:
    ratio, slope = op.x.q.scale / op.y.q.scale, op.x.q.scale * abs(float32(op.alpha)) / op.y.q.scale

    def compute(x: Expr) -> Expr:
        centred = k.let("centred", _centred(op, x))
        result = k.var("result", 0)
        with k.when(centred >= 0):
            k.assign(result, _finished(k, op, *_scaled(k, op, centred, ratio)))
        with k.otherwise():
            value, limit = _scaled(k, op, centred, slope)
            k.assign(result, _finished(k, op, -value if op.alpha < 0 else value, limit))
        return result

    return compute


def _abs(k: CallBuilder, op: Unary) -> Compute:
    ratio = op.x.q.scale / op.y.q.scale

    def compute(x: Expr) -> Expr:
        centred = k.let("centred", _centred(op, x))
        return _finished(k, op, *_scaled(k, op, maximum(centred, -centred), ratio))

    return compute


def _logistic(k: CallBuilder, op: Unary) -> Compute:
    table, by = logistic_table(k), table_input(op.x.q.scale, tanh=False)
    return lambda x: logistic16(k, table, x, by)


def _tanh(k: CallBuilder, op: Unary) -> Compute:
    table, by = logistic_table(k), table_input(op.x.q.scale, tanh=True)
    return lambda x: tanh16(k, table, x, by)


def _rsqrt(k: CallBuilder, op: Unary) -> Compute:
    most = op.y.element.high

    def compute(x: Expr) -> Expr:
        centred = k.let("centred", _centred(op, x))
        result = k.var("result", most)
        with k.when(centred > 0):
            scaled = requantize(k, inverse_root(k, centred), 1 << FRACTION_BITS, *rsqrt_scale(op.x.q, op.y.q))
            k.assign(result, _finished(k, op, *scaled))
        return result

    return compute


def _interpolated(k: CallBuilder, op: Unary) -> Compute:
    table = k.table("table", interpolated_table(real_function(op), op.x.q, op.y.q))

    def compute(x: Expr) -> Expr:
        index = k.let("index", (x >> 7) + 256)
        low = k.let("low", table[index])
        return low + (((table[index + 1] - low) * (x & 127) + 64) >> 7)

    return compute


SCALED: dict[str, Callable[[CallBuilder, Unary], Compute]] = {
    "requantize": _requantize,
    "relu": _relu,
    "relu6": _relu6,
    "relu_n1_to_1": _between(-1, 1),
    "relu_0_to_1": _between(0, 1),
    "leaky_relu": _leaky_relu,
    "abs": _abs,
    "logistic": _logistic,
    "tanh": _tanh,
    "rsqrt": _rsqrt,
    **dict.fromkeys(REALS, _interpolated),
}

# Of plain integers


def _wrapping(x: Expr) -> Expr:
    return cast("uint32_t", x)


PLAIN: dict[str, Compute] = {
    "abs": lambda x: maximum(x, cast("int32_t", 0 - _wrapping(x))),
    "neg": lambda x: cast("int32_t", 0 - _wrapping(x)),
    "square": lambda x: cast("int32_t", _wrapping(x) * _wrapping(x)),
    "sign": lambda x: minimum(maximum(x, -1), 1),
    "not": lambda x: binary("==", x, 0),
}

UNARY_SCALED = Implementation("unary", Unary, unrolled, build_scaled, (scaled_integers,))
UNARY_PLAIN = Implementation("unary_plain", Unary, unrolled, build_plain, (plain_integers,))
