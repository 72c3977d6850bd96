"""Reshapes cost nothing on the device (two names for the same bytes), but they hide producers from consumers."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Dense, Reshape, Transpose
from smelt.passes.dead import drop_dead
from smelt.passes.rewrite import remove, same_meaning


def drop_reshapes(graph: Graph) -> Graph:
    """Shorten chains of reshapes, let `Dense` read what its reshape read, remove reshapes to the same shape and those
    that nobody needs any more. A `Transpose` that moves only axes of size 1 counts as a reshape.

    Exact: a reshape repeats the bytes of `x` in order, so a reshape of a reshape is a reshape of the first operand, and
    `Dense` takes its operand as rows of `depth` bytes whatever the shape. Moving axes of size 1 moves no byte.
    """
    made: dict[Tensor, Op] = {}
    for op in graph.ops:
        made[op.y] = _look_through(_as_reshape(op), made)
    return drop_dead(remove(replace(graph, ops=tuple(made.values())), _repeated))


def _as_reshape(op: Op) -> Op:
    if isinstance(op, Transpose):
        moved = [axis for axis in op.permutation if op.x.shape[axis] != 1]
        if moved == sorted(moved):
            return Reshape(x=op.x, y=op.y, origin=op.origin)
    return op


def _look_through(op: Op, made: dict[Tensor, Op]) -> Op:
    """`op` reading the operand of the reshape that made its operand, where the shape does not matter to it."""
    match op:
        case Reshape() if isinstance(before := made.get(op.x), Reshape):
            return replace(op, x=before.x)
        case Dense() if isinstance(before := made.get(op.x), Reshape) and before.x.quantization == op.x.quantization:
            return replace(op, x=before.x)
    return op


def _repeated(op: Op) -> Tensor | None:
    return op.x if isinstance(op, Reshape) and same_meaning(op.x, op.y) else None
