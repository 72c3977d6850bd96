"""Reductions over any axes, and operators that work along the last one, in float32."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.float_softmax import largest
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.inner.floats import real_operands
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.mean import nests
from smelt.kernels.nests import blocks, loops
from smelt.kernels.reduce import lines
from smelt.loops.ir import Expr, maximum, minimum, real
from smelt.model.ops import Mean, Reduce
from smelt.model.ops_pointwise import (
    CumulativeSum,
    L2Normalization,
    LogSoftmax,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
    Sum,
)
from smelt.targets.intrinsics import EXP, LOG, SQRT

SMALLEST_NORM = 1e-6  # which TFLM divides by at least

Combine = Callable[[Expr, Expr], Expr]

COMBINATIONS: dict[type[Reduce], tuple[Expr | None, Combine]] = {
    Mean: (real(0.0), lambda a, b: a + b),
    Sum: (real(0.0), lambda a, b: a + b),
    ReduceProduct: (real(1.0), lambda a, b: a * b),
    ReduceMax: (None, lambda a, b: maximum(b, a)),
    ReduceMin: (None, lambda a, b: minimum(b, a)),
}
"""What a reduction begins with (None: the first value), and how it goes on."""


def build_reduce(op: Reduce, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("reduce_floats")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    initial, combine = COMBINATIONS[type(op)]
    kept, reduced = nests(op)
    count = prod(op.x.shape[axis] for axis in op.axes)
    for block in blocks(k, "i", kept, (0, 0), schedule.unroll):
        results = [k.var("result", x[start] if initial is None else initial) for _, start in block]
        with loops(k, "j", reduced, (0,)) as (offset,):
            for result, (_, start) in zip(results, block, strict=True):
                k.assign(result, combine(result, x[start + offset]))
        for result, (target, _) in zip(results, block, strict=True):
            k.store(y, target, result // real(float(count)) if isinstance(op, Mean) else result)
    return k.finish_call()


def build_cumulative_sum(op: CumulativeSum, schedule: Plain) -> KernelCall:
    k = CallBuilder("cumulative_sum_floats", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    nest, extent, stride = lines(op.x, op.axis)
    with loops(k, "i", nest, (0, 0)) as (_, start):
        total = k.var("total", real(0.0))
        with k.loop("j", 0, extent) as j:
            place = start + ((extent - 1 - j) if op.reverse else j) * stride
            following = k.let("following", total + x[place])
            k.store(y, place, total if op.exclusive else following)
            k.assign(total, following)
    return k.finish_call()


def build_log_softmax(op: LogSoftmax, schedule: Plain) -> KernelCall:
    k = CallBuilder("log_softmax_floats", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    columns = op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        most, total = largest(k, source, columns), k.var("total", real(0.0))
        with k.loop("i", 0, columns) as i:
            k.assign(total, total + k.call(EXP, source[i] - most))
        logarithm = k.let("logarithm", k.call(LOG, total))
        with k.loop("j", 0, columns) as j:
            k.store(target, j, source[j] - most - logarithm)
    return k.finish_call()


def build_l2_normalization(op: L2Normalization, schedule: Plain) -> KernelCall:
    k = CallBuilder("l2_normalization_floats", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    columns = op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        total = k.var("total", real(0.0))
        with k.loop("i", 0, columns) as i:
            k.assign(total, total + source[i] * source[i])
        norm = k.let("norm", maximum(k.let("root", k.call(SQRT, total)), real(SMALLEST_NORM)))
        with k.loop("j", 0, columns) as j:
            k.store(target, j, source[j] // norm)
    return k.finish_call()


REDUCE_FLOATS: tuple[Implementation, ...] = (
    *(
        Implementation(f"{name}_floats", kind, unrolled, build_reduce, (real_operands,))
        for name, kind in (
            ("mean", Mean), ("sum", Sum), ("reduce_product", ReduceProduct), ("reduce_max", ReduceMax), ("reduce_min", ReduceMin)
        )
    ),
    Implementation("cumulative_sum_floats", CumulativeSum, plain, build_cumulative_sum, (real_operands,)),
    Implementation("log_softmax_floats", LogSoftmax, plain, build_log_softmax, (real_operands,)),
    Implementation("l2_normalization_floats", L2Normalization, plain, build_l2_normalization, (real_operands,)),
)  # fmt: skip
