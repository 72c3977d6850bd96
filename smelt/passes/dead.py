"""Ops whose result nobody needs."""

from __future__ import annotations

from dataclasses import replace

from smelt.model.graph import Graph, Op


def drop_dead(graph: Graph) -> Graph:
    """Remove ops on whose results no output and no state depends.

    Exact: ops have no effect but their results, and the removed results reach nothing that is wanted.
    """
    needed = set(graph.sinks)
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if needed.intersection(op.ys):
            kept.append(op)
            needed.update(op.inputs)
    return replace(graph, ops=tuple(reversed(kept)))
