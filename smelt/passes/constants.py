"""What can be computed now is not computed on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Slice
from smelt.model.reference import evaluate
from smelt.passes.rewrite import fresh_name


def fold_constants(graph: Graph) -> Graph:
    """Compute ops whose operands are all constants, in order, so that constants flow through chains of ops.

    Exact: the value is the reference's. An output of the graph that turns out constant is written by a `Slice` that
    copies the constant, so that every output is written by an op and keeps its name.
    """
    graph = _with_computed_outputs(graph)
    values: dict[Tensor, Tensor] = {}
    ops: list[Op] = []
    for op in graph.ops:
        op = op.substitute(values)
        if op.activations or not op.inputs or _is_copy(op):
            ops.append(op)
        elif op.y in graph.outputs:
            values[op.y] = constant = _value(op, fresh_name(graph, f"{op.y.name}.value"))
            ops.append(_copy(constant, op.y))
        else:
            values[op.y] = _value(op, op.y.name)
    return replace(graph, ops=tuple(ops))


def _with_computed_outputs(graph: Graph) -> Graph:
    """Give every output that is itself a constant an op that writes it."""
    for output in graph.outputs:
        if output.is_constant:
            constant, y = replace(output, name=fresh_name(graph, f"{output.name}.value")), replace(output, data=None)
            read = tuple(op.substitute({output: constant}) for op in graph.ops)
            written = tuple(y if t is output else t for t in graph.outputs)
            graph = replace(graph, outputs=written, ops=(_copy(constant, y), *read))
    return graph


def _value(op: Op, name: str) -> Tensor:
    """The constant that `op` computes from constants."""
    data = evaluate(op, *(t.constant for t in op.inputs))
    return replace(op.y, name=name, data=np.ascontiguousarray(data).reshape(op.y.shape))


def _is_copy(op: Op) -> bool:
    return isinstance(op, Slice) and op.x.shape == op.y.shape and all(s == 1 for s in op.stride)


def _copy(x: Tensor, y: Tensor) -> Op:
    return Slice(x=x, y=y, begin=(0,) * len(x.shape), stride=(1,) * len(x.shape), origin="constant output")
