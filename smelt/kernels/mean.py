"""Mean and Sum over any axes, of integers with a scale."""

from __future__ import annotations

from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.nests import Nest, blocks, loops, merged, row_major
from smelt.kernels.requantize_exact import single_output
from smelt.kernels.rescale import clamped, requantize
from smelt.loops.ir import Expr, Var
from smelt.model.limits import farthest
from smelt.model.ops import Mean, Reduce
from smelt.model.ops_pointwise import Sum
from smelt.model.parameters import MeanParameters, mean_parameters
from smelt.model.parameters_reduce import sum_parameters
from smelt.targets.types import Core

Total = Mean | Sum


def scaled_tensors(op: Total, core: Core) -> bool:
    """x and y are both int8 or both int16"""
    wide = isinstance(op, Mean) and op.rescale is not None and op.y.dtype in ("int8", "int16", "int32")
    return (op.x.dtype == op.y.dtype or wide) and op.x.dtype in ("int8", "int16")


def sum_fits(op: Total, core: Core) -> bool:
    """so few elements are added that their sum fits 32 bits"""
    return _count(op) * farthest(op.x) < 2**31


def build_total(op: Total, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("mean" if isinstance(op, Mean) else "sum")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    kept, reduced = nests(op)
    for block in blocks(k, "i", kept, (0, 0), schedule.unroll):
        totals = [k.var("total", initial_total(op)) for _ in block]
        with loops(k, "j", reduced, (0,)) as (offset,):
            for total, (_, start) in zip(totals, block, strict=True):
                k.assign(total, total + x[start + offset])
        for total, (target, _) in zip(totals, block, strict=True):
            k.store(y, target, finished_total(k, op, total))
    return k.finish_call()


def nests(op: Reduce) -> tuple[Nest, Nest]:
    """Over the axes that stay, of (y, x); and over those that go, of x."""
    shape, strides = op.x.shape, row_major(op.x.shape)
    kept = tuple(axis for axis in range(len(shape)) if axis not in op.axes)
    extents = tuple(shape[axis] for axis in kept)
    return (
        merged(extents, row_major(extents), tuple(strides[axis] for axis in kept)),
        merged(tuple(shape[axis] for axis in op.axes), tuple(strides[axis] for axis in op.axes)),
    )


def _parameters(op: Total) -> MeanParameters:
    return mean_parameters(op) if isinstance(op, Mean) else sum_parameters(op)


def initial_total(op: Total) -> int:
    """What the zero points of all elements add up to, taken off."""
    if isinstance(op, Mean) and op.rescale is not None:
        return -_count(op) * op.rescale.x_zero
    p = _parameters(op)
    return -p.count * p.x_zero


def _count(op: Total) -> int:
    """How many elements are added."""
    return prod(op.x.shape[axis] for axis in op.axes)


def finished_total(k: CallBuilder, op: Total, total: Var) -> Expr:
    """The element of y for a total that began with `initial_total`."""
    if isinstance(op, Mean) and op.rescale is not None:
        low, high = (_count(op) * (end - op.rescale.x_zero) for end in op.x.element.range)
        return single_output(k, op.rescale, op.y.dtype, (low, high), total)
    p = _parameters(op)
    scaled, limit = requantize(k, total, p.count * farthest(op.x), p.output.multiplier, p.output.shift)
    return clamped(k, scaled + p.y_zero, op.y.element.range, (-limit + p.y_zero, limit + p.y_zero))


MEAN = Implementation("mean", Mean, unrolled, build_total, (scaled_tensors, sum_fits))
SUM = Implementation("sum", Sum, unrolled, build_total, (scaled_tensors, sum_fits))
