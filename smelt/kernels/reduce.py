"""Reductions of stored values, the place of an extreme along an axis, and running sums."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.mean import nests
from smelt.kernels.nests import Nest, blocks, loops, merged, row_major
from smelt.kernels.rescale import INT32_MAX, limited, requantize
from smelt.loops.ir import Expr, cast, maximum, minimum
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Reduce
from smelt.model.ops_pointwise import (
    ArgExtreme,
    ArgMax,
    ArgMin,
    CumulativeSum,
    ReduceAll,
    ReduceAny,
    ReduceMax,
    ReduceMin,
    ReduceProduct,
)
from smelt.model.parameters_pointwise import common_scale
from smelt.targets.types import Core

Combine = Callable[[Expr, Expr], Expr]


def integers(op: Reduce, core: Core) -> bool:
    """x and y are integers of one type"""
    return op.x.dtype == op.y.dtype and op.x.element.is_integer


def bools(op: Reduce, core: Core) -> bool:
    """x and y are bool"""
    return op.x.dtype == op.y.dtype == "bool"


def int32s(op: Reduce, core: Core) -> bool:
    """x and y are int32"""
    return op.x.dtype == op.y.dtype == "int32"


COMBINATIONS: dict[type[Op], Combine] = {
    ReduceMax: maximum,
    ReduceMin: minimum,
    ReduceAll: lambda a, b: a & b,
    ReduceAny: lambda a, b: a | b,
    ReduceProduct: lambda a, b: cast("int32_t", cast("uint32_t", a) * cast("uint32_t", b)),
}


def build_reduce(op: Reduce, schedule: Unrolled) -> KernelCall:
    """Starting from the first value, which is combined with itself where that changes nothing, and else with 1."""
    k = CallBuilder("reduce")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    combine = COMBINATIONS[type(op)]
    kept, reduced = nests(op)
    for block in blocks(k, "i", kept, (0, 0), schedule.unroll):
        results = [k.var("result", 1 if isinstance(op, ReduceProduct) else x[start]) for _, start in block]
        with loops(k, "j", reduced, (0,)) as (offset,):
            for result, (_, start) in zip(results, block, strict=True):
                k.assign(result, combine(result, x[start + offset]))
        for result, (target, _) in zip(results, block, strict=True):
            k.store(y, target, result)
    return k.finish_call()


def lines(x: Tensor, axis: int) -> tuple[Nest, int, int]:
    """The nest over (y, x) of all lines along `axis` of x, where y lacks the axis; its extent, and the stride along it."""
    shape, strides = x.shape, row_major(x.shape)
    others = tuple(a for a in range(len(shape)) if a != axis)
    extents = tuple(shape[a] for a in others)
    return merged(extents, row_major(extents), tuple(strides[a] for a in others)), shape[axis], strides[axis]


def to_int32(op: ArgExtreme, core: Core) -> bool:
    """x is float32, or integers of at most 32 bits, y is int32"""
    small = op.x.element.is_integer and op.x.element.bits <= 32 and op.x.dtype != "uint32"
    return (small or op.x.element.is_float) and op.y.dtype == "int32"


def build_arg_extreme(op: ArgExtreme, schedule: Plain) -> KernelCall:
    """The first of several extremes."""
    k = CallBuilder("arg_max" if isinstance(op, ArgMax) else "arg_min")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    nest, extent, stride = lines(op.x, op.axis)
    with loops(k, "i", nest, (0, 0)) as (target, start):
        best, place = k.var("best", x[start]), k.var("place", 0)
        with k.loop("j", 1, extent) as j:
            value = k.let("value", x[start + j * stride])
            with k.when(value > best if isinstance(op, ArgMax) else value < best):
                k.assign(best, value)
                k.assign(place, j)
        k.store(y, target, place)
    return k.finish_call()


def summable(op: CumulativeSum, core: Core) -> bool:
    """x and y are both int8 or both int32"""
    return op.x.dtype == op.y.dtype and op.x.dtype in ("int8", "int32")


def build_cumulative_sum(op: CumulativeSum, schedule: Plain) -> KernelCall:
    k = CallBuilder("cumulative_sum", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    nest, extent, stride = lines(op.x, op.axis)
    with loops(k, "i", nest, (0, 0)) as (_, start):
        total = k.var("total", cast("uint32_t", _first(op)))
        with k.loop("j", 0, extent) as j:
            place = start + ((extent - 1 - j) if op.reverse else j) * stride
            value = k.let("value", x[place] - _zero(op))
            with _around(op, k, lambda: k.assign(total, total + cast("uint32_t", value))):
                k.store(y, place, _stored(k, op, cast("int32_t", total)))
    return k.finish_call()


def _zero(op: CumulativeSum) -> int:
    return op.x.q.zero_point if op.x.dtype == "int8" else 0


def _first(op: CumulativeSum) -> int:
    return -_zero(op)


@contextmanager
def _around(op: CumulativeSum, k: CallBuilder, advance: Callable[[], None]) -> Iterator[None]:
    """The sum advances before its element is stored; after that where sums are exclusive."""
    if not op.exclusive:
        advance()
    yield
    if op.exclusive:
        advance()


def _stored(k: CallBuilder, op: CumulativeSum, total: Expr) -> Expr:
    if op.x.dtype == "int32":
        return total
    p = common_scale(op.x.q, op.y.q)
    most = (255 * op.x.shape[op.axis] + abs(p.x_zero)) * p.step
    wrapped = cast("int32_t", cast("uint32_t", total) * p.step)
    scaled = requantize(k, wrapped, min(most, INT32_MAX + 1), p.output.multiplier, p.output.shift)
    return limited(k, scaled[0], p.y_zero, op.y.element.range, scaled[1])


REDUCTIONS: tuple[Implementation, ...] = (
    Implementation("reduce_max", ReduceMax, unrolled, build_reduce, (integers,)),
    Implementation("reduce_min", ReduceMin, unrolled, build_reduce, (integers,)),
    Implementation("reduce_all", ReduceAll, unrolled, build_reduce, (bools,)),
    Implementation("reduce_any", ReduceAny, unrolled, build_reduce, (bools,)),
    Implementation("reduce_product", ReduceProduct, unrolled, build_reduce, (int32s,)),
    Implementation("arg_max", ArgMax, plain, build_arg_extreme, (to_int32,)),
    Implementation("arg_min", ArgMin, plain, build_arg_extreme, (to_int32,)),
    Implementation("cumulative_sum", CumulativeSum, plain, build_cumulative_sum, (summable,)),
)
