"""What can be computed now is not computed on the device."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Graph, Op, Tensor
from smelt.model.ops import Slice
from smelt.model.reference import results
from smelt.passes.rewrite import fresh_name


def fold_constants(graph: Graph) -> Graph:
    """Compute ops whose operands are all constants, in order, so that constants flow through chains of ops.

    Exact: the value is the reference's. An output of the graph, or next value of a state, that turns out constant is written by a
    `Slice` that copies the constant, so that every output is written by an op and keeps its name.
    """
    graph = _with_computed_outputs(graph)
    values: dict[Tensor, Tensor] = {}
    ops: list[Op] = []
    wanted = set(graph.sinks)
    for op in graph.ops:
        op = op.substitute(values)
        if op.activations or not op.inputs or _is_copy(op):
            ops.append(op)
            continue
        arrays = results(op, *(t.constant for t in op.inputs))
        for y, data in zip(op.ys, arrays, strict=True):
            name = fresh_name(graph, f"{y.name}.value") if y in wanted else y.name
            values[y] = constant = replace(y, name=name, data=data)
            ops += [_copy(constant, y)] if y in wanted else []
    return replace(graph, ops=tuple(ops))


def _with_computed_outputs(graph: Graph) -> Graph:
    """Give every output, and every next value of a state, that is itself a constant an op that writes it."""
    for sink in dict.fromkeys(graph.sinks):
        if sink.is_constant:
            constant, y = replace(sink, name=fresh_name(graph, f"{sink.name}.value")), replace(sink, data=None)
            ops = (_copy(constant, y), *(op.substitute({sink: constant}) for op in graph.ops))
            graph = replace(graph, ops=()).substitute({sink: y})
            graph = replace(graph, ops=ops)
    return graph


def _is_copy(op: Op) -> bool:
    return isinstance(op, Slice) and op.x.shape == op.y.shape and all(s == 1 for s in op.stride)


def _copy(x: Tensor, y: Tensor) -> Op:
    return Slice(x=x, y=y, begin=(0,) * len(x.shape), stride=(1,) * len(x.shape), origin="constant output")
