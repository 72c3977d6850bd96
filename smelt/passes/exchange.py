"""A graph whose numbers may be replaced by those of another training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smelt.model.graph import Graph, Op
from smelt.model.rescale import Rescale


def with_exchange(graph: Graph) -> Graph:
    """Every `Rescale` says that its numbers may be exchanged, and so do ops that are told by themselves."""
    return replace(graph, ops=tuple(_exchanged(op) for op in graph.ops))


def _exchanged(op: Op) -> Op:
    rescale = getattr(op, "rescale", None)
    changed: dict[str, Any] = {}
    if isinstance(rescale, Rescale):
        changed["rescale"] = replace(rescale, exchanged=True)
    if "exchanged" in op.__dataclass_fields__:
        changed["exchanged"] = True
    return replace(op, **changed) if changed else op
