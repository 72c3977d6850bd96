"""Mean over any axes."""

from __future__ import annotations

from math import prod

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.nests import Nest, blocks, loops, merged, row_major
from smelt.kernels.rescale import clamped, requantize
from smelt.loops.ir import Expr, Var
from smelt.model.ops import FULL, Mean
from smelt.model.parameters import MeanParameters, mean_parameters
from smelt.targets.types import Core


def int8_tensors(op: Mean, core: Core) -> bool:
    """x and y are int8"""
    return op.x.dtype == op.y.dtype == "int8"


def sum_fits(op: Mean, core: Core) -> bool:
    """at most 2**23 - 1 elements are averaged, so that their sum fits 32 bits"""
    return prod(op.x.shape[axis] for axis in op.axes) < 2**23


def build_mean(op: Mean, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("mean")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    parameters = mean_parameters(op)
    kept, reduced = _nests(op)
    for block in blocks(k, "i", kept, (0, 0), schedule.unroll):
        totals = [k.var("total", _initial(parameters)) for _ in block]
        with loops(k, "j", reduced, (0,)) as (offset,):
            for total, (_, start) in zip(totals, block, strict=True):
                k.assign(total, total + x[start + offset])
        for total, (target, _) in zip(totals, block, strict=True):
            k.store(y, target, _finished(k, total, parameters))
    return k.finish_call()


def _nests(op: Mean) -> tuple[Nest, Nest]:
    """Over the axes that stay, of (y, x); and over those that go, of x."""
    shape, strides = op.x.shape, row_major(op.x.shape)
    kept = tuple(axis for axis in range(len(shape)) if axis not in op.axes)
    extents = tuple(shape[axis] for axis in kept)
    return (
        merged(extents, row_major(extents), tuple(strides[axis] for axis in kept)),
        merged(tuple(shape[axis] for axis in op.axes), tuple(strides[axis] for axis in op.axes)),
    )


def _initial(p: MeanParameters) -> int:
    return -p.count * p.x_zero


def _finished(k: CallBuilder, total: Var, p: MeanParameters) -> Expr:
    scaled, limit = requantize(k, total, p.count * 255, p.output.multiplier, p.output.shift)
    return clamped(k, scaled + p.y_zero, FULL, (-limit + p.y_zero, limit + p.y_zero))


MEAN = Implementation("mean", Mean, unrolled, build_mean, (int8_tensors, sum_fits))
