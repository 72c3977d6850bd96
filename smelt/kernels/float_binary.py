"""Operators of two operands that work element by element, in float32, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import broadcastable
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.inner.floats import limited, real_operands
from smelt.kernels.lookup import Unrolled, unrolled
from smelt.kernels.nests import blocks, broadcast, merged, row_major
from smelt.loops.ir import AnyBuffer, Expr, maximum, minimum, real
from smelt.model.graph import Tensor
from smelt.model.ops import Add, Binary, Maximum, Minimum, Mul
from smelt.model.ops_pointwise import Div, SquaredDifference

Compute = Callable[[CallBuilder, Any, Expr, Expr], Expr]


def _builder(stem: str, compute: Compute) -> Callable[[Binary, Unrolled], KernelCall]:
    """Kernels of y[i] = compute(x[i], x2[i]). Each element is read before it is written, so either operand may be y."""

    def build(op: Binary, schedule: Unrolled) -> KernelCall:
        k = CallBuilder(f"{stem}_floats", in_place=True)
        x, x2 = _operand(k, "x", op.x), _operand(k, "x2", op.x2)
        y, shape = k.result("y", op.y), op.y.shape
        nest = merged(shape, row_major(shape), broadcast(op.x.shape, shape), broadcast(op.x2.shape, shape))
        for block in blocks(k, "i", nest, (0, 0, 0), schedule.unroll):
            pairs = [(_load(k, x, i), _load(k, x2, j)) for _, i, j in block]
            values = [k.let("value", compute(k, op, a, b)) for a, b in pairs]
            for (target, _, _), value in zip(block, values, strict=True):
                k.store(y, target, value)
        return k.finish_call()

    return build


def _operand(k: CallBuilder, name: str, tensor: Tensor) -> AnyBuffer | Expr:
    """A buffer; or the number itself, where it is one constant."""
    if tensor.data is not None and tensor.elements == 1:
        return real(float(tensor.data.reshape(-1)[0]))
    return k.operand(name, tensor)


def _load(k: CallBuilder, source: AnyBuffer | Expr, index: Expr) -> Expr:
    return source if isinstance(source, Expr) else k.let("a", source[index])


def _sum(k: CallBuilder, op: Add, a: Expr, b: Expr) -> Expr:
    return limited(k, a - b if op.subtract else a + b, op.clamp)


def _product(k: CallBuilder, op: Mul, a: Expr, b: Expr) -> Expr:
    return limited(k, a * b, op.clamp)


def _quotient(k: CallBuilder, op: Div, a: Expr, b: Expr) -> Expr:
    return limited(k, a // b, op.clamp)


def _square(k: CallBuilder, op: SquaredDifference, a: Expr, b: Expr) -> Expr:
    difference = k.let("difference", a - b)
    return difference * difference


def _way(stem: str, kind: type[Binary], compute: Compute) -> Implementation:
    accepts = (real_operands, broadcastable)
    return Implementation(f"{stem}_floats", kind, unrolled, _builder(stem, compute), accepts, ("x", "x2"))


BINARY_FLOATS: tuple[Implementation, ...] = (
    _way("add", Add, _sum),
    _way("mul", Mul, _product),
    _way("div", Div, _quotient),
    _way("minimum", Minimum, lambda k, op, a, b: minimum(a, b)),
    _way("maximum", Maximum, lambda k, op, a, b: maximum(a, b)),
    _way("squared_difference", SquaredDifference, _square),
)
