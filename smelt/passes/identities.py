"""Ops that only repeat their operand."""

from __future__ import annotations

import numpy as np

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Concat, Pad, Slice, Transpose, Unary
from smelt.model.tables import every_value
from smelt.passes.lookups import BYTES, table_of
from smelt.passes.rewrite import remove, same_meaning


def drop_identities(graph: Graph) -> Graph:
    """Remove slices of everything, concatenations of one tensor, transpositions and paddings of nothing, and unary ops
    that map each of the 256 values to itself.

    Exact: `y` has the bytes of `x`, and the same shape, type and quantisation, so its readers compute the same.
    """
    return remove(graph, _repeated)


def _repeated(op: Op) -> Tensor | None:
    """The operand that `y` repeats, or None."""
    x = _candidate(op)
    return x if x is not None and same_meaning(x, op.y) else None


def _candidate(op: Op) -> Tensor | None:
    match op:
        case Slice(x=x) if all(n == 1 or s == 1 for n, s in zip(x.shape, op.stride, strict=True)):
            return x
        case Concat(xs=(x,)):
            return x
        case Transpose(x=x) if op.permutation == tuple(range(len(x.shape))):
            return x
        case Pad(x=x) if not any(op.before) and not any(op.after):
            return x
        case Unary(x=x) if x.dtype == op.y.dtype in BYTES and np.array_equal(table_of(op), every_value(x)):
            return x
    return None
