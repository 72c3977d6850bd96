"""Every state gets a place of its own, which a single op renews when nobody reads any more what was there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from smelt.model.graph import Graph, Op, State, Tensor
from smelt.model.ops import Slice

Needs = dict[Op, list[Op]]
FEW = 32  # states for which the fewest copies are sought


def separate_states(graph: Graph) -> Graph:
    """Order the ops so that each state is renewed after all that read its old value; where that cannot be, or where the new value
    has a place for other reasons (it is an input, another state, or renews two states), copy it at the end.

    Exact: ops compute what they computed, and a copy is a copy.
    """
    if not graph.states:
        return graph
    graph = _with_own_outputs(graph)
    graph = _copied(graph, _without_own_place(graph))
    order = _order(graph, graph.states)
    if order is None:
        graph = _with_an_order(graph)
        order = _order(graph, graph.states)
    assert order is not None, "nothing waits for a copy of a copy"
    return replace(graph, ops=order)


def _with_own_outputs(graph: Graph) -> Graph:
    """The graph where no output is the old value of a state: it is copied before it is overwritten."""
    links, reads = _Links(graph), {state.read for state in graph.states}
    old = [output for output in graph.outputs if links.root(output) in reads]
    names = _Names(graph)
    inside = {output: replace(output, name=names.fresh(f"{output.name}.old")) for output in old}
    changed = graph.substitute(inside)
    copies = [_copy(inside[output], output) for output in old]
    return replace(changed, outputs=graph.outputs, ops=(*changed.ops, *copies)) if old else graph


def _copy(x: Tensor, y: Tensor) -> Op:
    axes = len(x.shape)
    return Slice(x=x, y=y, begin=(0,) * axes, stride=(1,) * axes, origin=f"copy of {x.name}")


def _without_own_place(graph: Graph) -> list[State]:
    """The states whose new value an input, a constant, a state or a state before it has in its bytes."""
    links, taken, found = _Links(graph), set(graph.sources), list[State]()
    for state in graph.states:
        root = links.root(state.write)
        if root.is_constant or root in taken:
            found.append(state)
        taken.add(root)
    return found


def _with_an_order(graph: Graph) -> Graph:
    """The graph with copies, so that there is an order: of as few states as are found, or of all where there are many."""
    if len(graph.states) > FEW:
        graph = _copied(graph, graph.states)
        return graph if _order(graph, graph.states) is not None else _copied(graph, graph.states)
    for number in range(len(graph.states)):
        for _ in range(2):  # a second copy where the first one reads another state, which may wait for this one
            if _order(graph, graph.states[: number + 1]) is None:
                graph = _copied(graph, [graph.states[number]])
    return graph


def _copied(graph: Graph, some: Sequence[State]) -> Graph:
    """The graph with copies as the new values of some of its states."""
    reads = {state.read for state in some}
    ops, states, names = list(graph.ops), list[State](), _Names(graph)
    for state in graph.states:
        if state.read in reads:
            y = replace(state.write, name=names.fresh(f"{state.read.name}.next"), data=None)
            ops.append(_copy(state.write, y))
            state = replace(state, write=y)
        states.append(state)
    return replace(graph, ops=tuple(ops), states=tuple(states)) if some else graph


def _order(graph: Graph, states: Iterable[State]) -> tuple[Op, ...] | None:
    """The ops, as near to their order as can be, with `states` renewed after all that read their old value; None where none is."""
    needs = _needs(graph, states)
    done: dict[Op, None] = {}
    for op in graph.ops:
        waiting = {} if op in done else {op: iter(needs[op])}
        while waiting:
            last = next(reversed(waiting))
            missing = next((n for n in waiting[last] if n not in done), None)
            if missing is None:
                del waiting[last]
                done[last] = None
            elif missing in waiting:
                return None
            else:
                waiting[missing] = iter(needs[missing])
    return tuple(done)


def _needs(graph: Graph, states: Iterable[State]) -> Needs:
    """For every op those that must run before it."""
    links = _Links(graph)
    needs = {op: [links.makers[x] for x in op.activations if x in links.makers] for op in graph.ops}
    for state in states:
        renewing = links.makers.get(links.root(state.write))
        if renewing is not None:
            needs[renewing] += [op for op in links.readers_of(state.read) if not _renews(op, state)]
    return needs


def _renews(op: Op, state: State) -> bool:
    """Whether `op` can write the new value of a state over the old one that it reads."""
    pairs = ((getattr(op, old), getattr(op, new)) for old, new in op.renews)
    return op.inputs.count(state.read) == 1 and (state.read, state.write) in pairs


class _Names:
    """The names that a graph has, and new ones."""

    def __init__(self, graph: Graph) -> None:
        self._taken = {tensor.name for tensor in graph.tensors}

    def fresh(self, wish: str) -> str:
        """`wish`, or `wish` with a number where there is such a name."""
        name = next(name for n in count(1) if (name := wish if n == 1 else f"{wish}.{n}") not in self._taken)
        self._taken.add(name)
        return name


class _Links:
    """Who makes and who reads the tensors of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.makers = {y: op for op in graph.ops for y in op.ys}
        self._readers: dict[Tensor, list[Op]] = {}
        for op in graph.ops:
            for x in dict.fromkeys(op.inputs):
                self._readers.setdefault(x, []).append(op)

    def root(self, tensor: Tensor) -> Tensor:
        """The tensor that `tensor` is a reshape of."""
        while (maker := self.makers.get(tensor)) is not None and maker.alias_of is not None:
            tensor = maker.alias_of
        return tensor

    def readers_of(self, tensor: Tensor) -> list[Op]:
        """The ops that read `tensor` or what only reshapes it, in their order of distance."""
        found, seen = list[Op](), [tensor]
        for alias in seen:  # grows on the way
            readers = self._readers.get(alias, [])
            found += readers
            seen += [op.y for op in readers if op.alias_of is not None]
        return found
