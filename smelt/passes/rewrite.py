"""What several passes need: who reads a tensor, how often; and taking a do-nothing op out of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from smelt.model.graph import Graph, Op, Tensor


def readers(graph: Graph) -> Counter[Tensor]:
    """How many ops read each tensor; being an output of the graph, or the next value of a state, counts as one more."""
    uses: Counter[Tensor] = Counter(graph.sinks)
    for op in graph.ops:
        uses.update(set(op.inputs))
    return uses


def fresh_name(graph: Graph, wish: str) -> str:
    """`wish`, or `wish` with a number where a tensor of that name exists."""
    taken = {tensor.name for tensor in graph.tensors}
    return next(name for n in count(1) if (name := wish if n == 1 else f"{wish}.{n}") not in taken)


def same_meaning(x: Tensor, y: Tensor) -> bool:
    """Whether readers of `y` would read the very same from `x`, were the bytes the same."""
    return (x.shape, x.dtype, x.quantization) == (y.shape, y.dtype, y.quantization)


def remove(graph: Graph, source: Callable[[Op], Tensor | None]) -> Graph:
    """The graph without the ops that only repeat one of their operands; `source` names it, or None for all other ops.

    Where `y` is an output of the graph (or the next value of a state), the operand takes its name instead; where neither can go
    (an input of the graph that is also an output, two outputs with the same value), the op stays.
    """
    instead: dict[Tensor, Tensor] = {}
    renamed: dict[Tensor, Tensor] = {}
    computed: set[Tensor] = set()
    kept: list[Op] = []
    wanted = set(graph.sinks)
    for op in graph.ops:
        op = op.substitute(instead)
        x = source(op)
        if x is not None and op.y not in wanted:
            instead[op.y] = x
        elif x is not None and x in computed and x not in wanted and x not in renamed:
            renamed[x] = op.y
        else:
            kept.append(op)
            computed.update(op.ys)
    return replace(graph, ops=tuple(op.substitute(renamed) for op in kept))
