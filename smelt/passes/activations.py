"""Activations that only clamp move into the op before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Clamp, Lookup, Unary
from smelt.model.tables import every_value
from smelt.passes.lookups import BYTES, table_of
from smelt.passes.rewrite import readers

FUNCTIONS = (Unary, Lookup)


def fuse_activation(graph: Graph) -> Graph:
    """Turn a function of one byte into the clamp of the op before it: relu and relu6, and whatever else only clamps.

    Exact: the 256 values of the function are compared with those of the clamp, `x` and `y` have the same quantisation
    (so the op before requantises as it did), nobody else reads `x`, and a clamp after a clamp is the clamp whose ends
    are the clamped ends.
    """
    uses = readers(graph)
    made: dict[Tensor, Op] = {}
    for op in graph.ops:
        before = made.get(op.x) if isinstance(op, FUNCTIONS) and uses[op.x] == 1 else None
        limits = None if before is None else before.limits
        clamp = _clamp_of(op) if isinstance(op, FUNCTIONS) and limits is not None else None
        if before is not None and limits is not None and clamp is not None:
            del made[before.y]
            op = replace(before, y=op.y).limited(_both(limits, clamp))
        made[op.y] = op
    return replace(graph, ops=tuple(made.values()))


def _clamp_of(op: Unary | Lookup) -> Clamp | None:
    """The clamp that `op` is, or None where it is more than that."""
    if (op.x.quantization, op.x.dtype) != (op.y.quantization, op.y.dtype) or op.x.dtype not in BYTES:
        return None
    table = table_of(op)
    least, most = int(table.min()), int(table.max())
    return (least, most) if np.array_equal(table, np.clip(every_value(op.x), least, most)) else None


def _both(first: Clamp, then: Clamp) -> Clamp:
    least, most = np.clip(first, *then).tolist()
    return least, most
