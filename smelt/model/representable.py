"""Where the numbers of an operator leave what the oracle's 32-bit fixed point holds: the one check of every importer.

What passes is exact. What does not is computed by TensorFlow Lite Micro with shifts and conversions that C leaves undefined, or
not at all; no trained model has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from math import isfinite, prod

import numpy as np

from smelt.model.arithmetic import INT32_MAX, float32, quantize_multiplier
from smelt.model.graph import Op
from smelt.model.limits import farthest as farthest
from smelt.model.limits import fits_steps as fits_steps
from smelt.model.limits import rescaled
from smelt.model.limits import usable_scale as usable_scale
from smelt.model.ops import (
    Add,
    AveragePool2D,
    Dequantize,
    Linear,
    Mean,
    Mul,
    Softmax,
    Unary,
)
from smelt.model.ops_matmul import BatchMatMul
from smelt.model.ops_recurrent import Lstm, Svdf
from smelt.model.parameters import Factor
from smelt.model.representable_pointwise import pointwise_excesses
from smelt.model.unary import rsqrt_scale


def excesses(op: Op) -> tuple[str, ...]:
    """Why `op` is not exact with these scales; nothing where it is, or where it computes reals with numbers that C can write."""
    if op.y.element.is_float and not isinstance(op, Dequantize):
        return tuple(_endless(op))
    match op:
        case Linear():
            found = _linear(op)
        case Add():
            found = _sum(op)
        case Mul():
            found = _product(op)
        case Mean() if op.rescale is not None:
            found = iter(())
        case Mean():
            count = prod(op.x.shape[axis] for axis in op.axes)
            found = rescaled(count * farthest(op.x), op.x.q.scale / op.y.q.scale, "x.scale / y.scale")
        case AveragePool2D():
            found = _average(op)
        case Softmax():
            found = _softmax(op)
        case Unary():
            found = _unary(op)
        case BatchMatMul():
            ratio = op.rescale.largest
            found = _shifted([ratio], op.x.dtype, "x.scale * x2.scale / y.scale")
        case Svdf():
            found = _shifted(
                map(_real, (op.numbers.column, op.numbers.output)), "int8", "the scale of a sum over that of its result"
            )
        case Lstm():
            found = _lstm(op)
        case Dequantize():
            finite = farthest(op.x) * op.x.q.scale < float(np.finfo(np.float32).max)
            found = iter(() if finite else (f"with scale {op.x.q.scale:.3g} results leave float32",))
        case _:
            found = pointwise_excesses(op)
    return tuple(found)


def _endless(op: Op) -> Iterator[str]:
    """Slopes, exponents and limits that are infinite or no number."""
    for field in fields(op):
        value = getattr(op, field.name)
        if isinstance(value, float) and not isfinite(value):
            yield f"{field.name} is {value:.3g}"


def _linear(op: Linear) -> Iterator[str]:
    """One step of the accumulator must not be worth the whole int8 range: then scales are wrong, not unusual."""
    largest = op.rescale.largest
    if not largest < 256:
        yield f"x.scale * weights.scale / y.scale is {largest:.3g}; it must be below 256"


def _shifted(ratios: Iterable[float], dtype: str, what: str) -> Iterator[str]:
    """A sum is shifted to the left by as many bits as the ratio has; the kernel loses what the oracle loses, up to 30 bits. Sums of
    int16 have 64 bits, and the ratio 15."""
    limit = 1 << (14 if dtype == "int16" else 30)
    for ratio in ratios:
        if not ratio < limit:
            yield f"{what} is {ratio:.3g}; it must be below {limit}"
            return


def _real(by: Factor) -> float:
    return float(np.ldexp(by.multiplier, by.shift - 31))


def _lstm(op: Lstm) -> Iterator[str]:
    """The oracle brings the sums of gates to 12 fraction bits, and the cell to as many as its scale is far from that."""
    n, scale = op.numbers, op.cell.q.scale
    yield from _shifted(map(_real, (*n.inputs, *n.recurrents)), op.x.dtype, "the scale of a gate's sum times 2^12")
    yield from _shifted([_real(n.output)], "int8", "2^-30 / scale of the hidden state")
    if not 2.0**-30 <= scale <= 4:
        yield f"the cell has the scale {scale:.3g}; it must be between 2^-30 and 4"


def _sum(op: Add) -> Iterator[str]:
    """The oracle aligns both operands to twice the larger scale with 20 (of int16 15) more bits; the result must not need more."""
    if op.x.dtype not in ("int8", "int16") or op.terms is not None:
        return
    ratio = 2 * max(op.x.q.scale, op.x2.q.scale) / op.y.q.scale
    if not ratio < 1 << (15 if op.x.dtype == "int16" else 20):
        yield f"the scales of the operands are {ratio / 2:.3g} times the result's; too much"


def _product(op: Mul) -> Iterator[str]:
    """Products have 16 (of int16 31) bits; the oracle shifts them left by as many bits as the ratio has before it multiplies."""
    if op.x.dtype not in ("int8", "int16") or op.rescale is not None:
        return
    ratio, limit = op.x.q.scale * op.x2.q.scale / op.y.q.scale, 1 if op.x.dtype == "int16" else 1 << 14
    if not ratio < limit:
        yield f"x.scale * x2.scale / y.scale is {ratio:.3g}; it must be below {limit}"


def _average(op: AveragePool2D) -> Iterator[str]:
    count = min(op.size[0], op.x.shape[1]) * min(op.size[1], op.x.shape[2])
    if count * (op.x.element.high + 2) > INT32_MAX:
        yield f"the sum of {count} elements does not fit 32 bits"


def _softmax(op: Softmax) -> Iterator[str]:
    if op.x.dtype == "int16":
        real = op.beta * op.x.q.scale * 65535 / 10
        if not isfinite(real) or real <= 2.0**-31:
            yield f"beta {op.beta:.3g} with input scale {op.x.q.scale:.3g} is out of range"
        else:
            yield from rescaled(farthest(op.x), real, "beta * x.scale * 6553.5")
        return
    yield from _softmax8(op)


def _softmax8(op: Softmax) -> Iterator[str]:
    """The oracle multiplies by beta * scale * 2^26 and needs that above one."""
    if op.steps is not None and not op.steps < 1 << 12:
        yield f"y.scale is {op.y.q.scale:.3g}; with steps so fine, a probability of 1 is too far beyond int8"
    if not (isfinite(op.beta) and op.beta * op.x.q.scale * 2.0**26 > 1):
        yield f"beta {op.beta:.3g} with input scale {op.x.q.scale:.3g} is out of range"


def _unary(op: Unary) -> Iterator[str]:
    if op.x.quantization is None or op.y.quantization is None:
        return
    scale = op.x.q.scale
    ratio = scale / op.y.q.scale
    match op.function:
        case "requantize" if (
            op.x.dtype == "int32"
        ):  # what a shift to the left loses, the kernel loses too, up to 30 bits
            if quantize_multiplier(ratio)[1] > 30:
                yield f"x.scale / y.scale is {ratio:.3g}; it must be below 2^30"
        case "relu" | "requantize" | "abs":
            yield from rescaled(farthest(op.x), ratio, "x.scale / y.scale")
        case "relu6" if not fits_steps(6.0, op.x.q):
            yield f"with input scale {scale:.3g} the limit 6 is too many steps for 32-bit arithmetic"
        case "leaky_relu" if not isfinite(op.alpha):
            yield f"alpha is {op.alpha:.3g}"
        case "leaky_relu":
            yield from rescaled(farthest(op.x), ratio, "x.scale / y.scale")
            yield from rescaled(farthest(op.x), ratio * abs(float32(op.alpha)), "alpha * x.scale / y.scale")
        case "logistic" | "tanh" if op.x.dtype == "int16":
            if not 2.0**-28 <= scale < 2.0**17:
                yield f"input scale {scale:.3g} is out of range (2^-28 to 2^17)"
        case "logistic" | "tanh" if not 2.0**-28 <= scale < 2.0**35:  # shifts of 0 to 62 bits
            yield f"input scale {scale:.3g} is out of range (2^-28 to 2^35)"
        case "elu" if not fits_steps(farthest(op.x) * scale, op.y.q):
            yield f"results can be too many steps of {op.y.q.scale:.3g} for 32-bit arithmetic"
        case "rsqrt":
            yield from _root(op)
        case "hard_swish":
            yield from _hard_swish(scale, ratio)


def _root(op: Unary) -> Iterator[str]:
    """The oracle shifts by at most 31 bits."""
    shift = rsqrt_scale(op.x.q, op.y.q)[1]
    if not -31 <= shift <= 10:
        yield f"1 / sqrt(x.scale) / y.scale is {op.x.q.scale**-0.5 / op.y.q.scale:.3g}; it must be between 2^-11 and 2^30"


def _hard_swish(scale: float, ratio: float) -> Iterator[str]:
    if quantize_multiplier(ratio / 128)[1] > 0:
        yield f"x.scale / y.scale is {ratio:.3g}; it must be below 128"
    if quantize_multiplier(scale / 128 / (3 / 32768))[1] > 30:
        yield f"input scale {scale:.3g} is too much for 32-bit arithmetic"
