"""Loops over the elements of operands that broadcast to y's shape: what every element-wise kernel is built on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import KernelCall
from smelt.kernels.nests import Nest, blocks, broadcast, merged, row_major
from smelt.loops.ir import AnyBuffer, Expr, expression
from smelt.model.arithmetic import Integers
from smelt.model.graph import Op, Tensor
from smelt.targets.types import Core

Compute = Callable[..., Expr]
Source = AnyBuffer | int


def broadcastable(op: Op, core: Core) -> bool:
    """the shapes of the operands broadcast to that of y"""
    try:
        return np.broadcast_shapes(*(t.shape for t in op.inputs)) == op.y.shape
    except ValueError:
        return False


def elementwise(
    k: CallBuilder, op: Op, unroll: int, compute: Compute, names: tuple[str, ...] = ("x", "x2")
) -> KernelCall:
    """y[i] = compute(x[i], x2[i]) of the operands in their order, called `names` in the C. Each element is read before it is
    written, so that an operand of y's size may be y."""
    sources = tuple(_operand(k, name, tensor) for name, tensor in zip(names, op.inputs, strict=True))
    y = k.result("y", op.y)
    nest = nest_of(op)
    for block in blocks(k, "i", nest, (0,) * (1 + len(sources)), unroll):
        loaded: dict[tuple[int, Expr], Expr] = {}
        values = [compute(*(_load(k, loaded, s, i) for s, i in zip(sources, at[1:], strict=True))) for at in block]
        values = [k.let("value", value) for value in values] if unroll > 1 else values
        for at, value in zip(block, values, strict=True):
            k.store(y, at[0], value)
    return k.finish_call()


def nest_of(op: Op) -> Nest:
    """Loops over the elements of (y, operands...)."""
    shape = op.y.shape
    return merged(shape, row_major(shape), *(broadcast(t.shape, shape) for t in op.inputs))


def _operand(k: CallBuilder, name: str, tensor: Tensor) -> Source:
    """A buffer; or the number itself, where it is one constant."""
    if tensor.data is not None and tensor.elements == 1 and not tensor.element.is_float:
        return int(tensor.data.reshape(-1)[0])
    return k.operand(name, tensor)


def _load(k: CallBuilder, loaded: dict[tuple[int, Expr], Expr], source: Source, index: Expr) -> Expr:
    """One load for all elements of a block that share it."""
    if isinstance(source, int):
        return expression(source)
    key = (id(source), index)
    if key not in loaded:
        loaded[key] = k.let("a", source[index])
    return loaded[key]


def possible_values(tensor: Tensor) -> Integers:
    """Every value that an element of at most 16 bits can have."""
    if tensor.data is not None:
        return np.unique(tensor.data).astype(np.int64)
    low, high = tensor.element.range
    return np.arange(low, high + 1, dtype=np.int64)
