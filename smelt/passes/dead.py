"""Ops whose result nobody needs."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Graph, Op


def drop_dead(graph: Graph) -> Graph:
    """Remove ops on whose result no output depends.

    Exact: ops have no effect but their result, and the removed results reach no output.
    """
    needed = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if op.y in needed:
            kept.append(op)
            needed.update(op.inputs)
    return replace(graph, ops=tuple(reversed(kept)))
