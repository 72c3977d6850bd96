"""Every state gets a place of its own, which a single op renews when nobody reads any more what was there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from smelt.model.graph import Graph, Op, State, Tensor
from smelt.model.ops import Slice
from smelt.passes.rewrite import fresh_name

Needs = dict[Op, list[Op]]


def separate_states(graph: Graph) -> Graph:
    """Order the ops so that each state is renewed after all that read its old value; where that cannot be, or where the new value
    has a place for other reasons (it is an input, another state, or renews two states), copy it at the end.

    Exact: ops compute what they computed, and a copy is a copy.
    """
    if not graph.states:
        return graph
    graph = _with_own_outputs(graph)
    for number, state in enumerate(graph.states):
        for _ in range(2):  # a second copy where the first one reads another state, which may wait for this one
            if not _has_own_place(graph, number) or _order(graph, graph.states[: number + 1]) is None:
                graph = _copied(graph, state)
    order = _order(graph, graph.states)
    assert order is not None, "nothing waits for a copy of a copy"
    return replace(graph, ops=order)


def _with_own_outputs(graph: Graph) -> Graph:
    """The graph where no output is the old value of a state: it is copied before it is overwritten."""
    reads = {state.read for state in graph.states}
    for output in graph.outputs:
        if _root(graph, output) in reads:
            inside = replace(output, name=fresh_name(graph, f"{output.name}.old"))
            graph = graph.substitute({output: inside})
            outputs = tuple(output if t is inside else t for t in graph.outputs)
            graph = replace(graph, outputs=outputs, ops=(*graph.ops, _copy(inside, output)))
    return graph


def _copy(x: Tensor, y: Tensor) -> Op:
    axes = len(x.shape)
    return Slice(x=x, y=y, begin=(0,) * axes, stride=(1,) * axes, origin=f"copy of {x.name}")


def _has_own_place(graph: Graph, number: int) -> bool:
    """Whether an op computes the new value of a state into bytes that no input, constant or state before it has."""
    write = graph.states[number].write
    root = _root(graph, write)
    others = (_root(graph, state.write) for state in graph.states[:number])
    return not root.is_constant and root not in graph.sources and root not in others


def _root(graph: Graph, tensor: Tensor) -> Tensor:
    """The tensor that `tensor` is a reshape of."""
    maker = graph.producer(tensor)
    source = None if maker is None else maker.alias_of
    return tensor if source is None else _root(graph, source)


def _copied(graph: Graph, state: State) -> Graph:
    """The graph with a copy as the new value of `state`."""
    write = next(s.write for s in graph.states if s.read is state.read)
    y = replace(write, name=fresh_name(graph, f"{state.read.name}.next"), data=None)
    states = tuple(replace(s, write=y) if s.read is state.read else s for s in graph.states)
    return replace(graph, ops=(*graph.ops, _copy(write, y)), states=states)


def _order(graph: Graph, states: Iterable[State]) -> tuple[Op, ...] | None:
    """The ops, as near to their order as can be, with `states` renewed after all that read their old value; None where none is."""
    needs = _needs(graph, states)
    done: dict[Op, None] = {}
    for op in graph.ops:
        waiting = {} if op in done else {op: None}
        while waiting:
            last = next(reversed(waiting))
            missing = next((n for n in needs[last] if n not in done), None)
            if missing is None:
                done[last] = waiting.pop(last)
            elif missing in waiting:
                return None
            else:
                waiting[missing] = None
    return tuple(done)


def _needs(graph: Graph, states: Iterable[State]) -> Needs:
    """For every op those that must run before it."""
    makers = {y: op for op in graph.ops for y in op.ys}
    needs = {op: [makers[x] for x in op.activations if x in makers] for op in graph.ops}
    for state in states:
        renewing = makers.get(_root(graph, state.write))
        if renewing is not None:
            needs[renewing] += [op for op in _readers(graph, state.read) if not _renews(op, state)]
    return needs


def _renews(op: Op, state: State) -> bool:
    """Whether `op` can write the new value of a state over the old one that it reads."""
    pairs = ((getattr(op, old), getattr(op, new)) for old, new in op.renews)
    return op.inputs.count(state.read) == 1 and (state.read, state.write) in pairs


def _readers(graph: Graph, tensor: Tensor) -> list[Op]:
    """The ops that read `tensor` or what only reshapes it."""
    found: list[Op] = []
    for op in graph.ops:
        if tensor in op.inputs:
            found += [op, *(() if op.alias_of is None else _readers(graph, op.y))]
    return found
