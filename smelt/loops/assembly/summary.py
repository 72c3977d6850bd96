"""What a loop does as a whole, for all states that differ only by where memory lies.

A loop that is entered twice with the same numbers, and with addresses that are all moved by the same distance behind each
parameter, does the same there: addresses are only added to and compared with their like. So it is followed once, from addresses
that are relative to one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smelt.loops.assembly.linear import Linear, Value, minus
from smelt.loops.assembly.machine import CODE, Compared, State
from smelt.loops.assembly.node import Node
from smelt.loops.assembly.relevant import reads, writes
from smelt.loops.assembly.touched import Touched

Bases = Mapping[str, Linear]
"""By region the address that others are relative to."""
Key = tuple[Value | Compared, ...]


@dataclass(frozen=True)
class Outline:
    """A loop: its first node and its last one, the names of values that it needs, and of those that it may change."""

    head: int
    last: int
    needs: tuple[str, ...]
    changes: frozenset[str]


@dataclass(frozen=True)
class Summary:
    """Where a loop was left and for where, what was different then, and what it touched; all of it relative."""

    place: int
    to: int
    state: State
    touched: Touched


def outlines(nodes: Sequence[Node], targets: Sequence[int | None]) -> dict[int, Outline]:
    """The loops by their first nodes, to the end of the last loop that begins in them."""
    ends: dict[int, int] = {}
    for place, target in enumerate(targets):
        if target is not None and target <= place:
            ends[target] = place
    for head in sorted(ends, reverse=True):
        while (last := max(end for h, end in ends.items() if head <= h <= ends[head])) > ends[head]:
            ends[head] = last
    return {head: _outline(nodes, targets, head, last) for head, last in ends.items()}


def _outline(nodes: Sequence[Node], targets: Sequence[int | None], head: int, last: int) -> Outline:
    span = range(head, last + 1)
    changes = frozenset().union(*(made for place in span for made, _ in _steps(nodes[place])))
    needs: dict[int, set[str]] = {place: set() for place in span}
    before = -1
    while before != (before := sum(map(len, needs.values()))):
        for place in reversed(span):
            following = (place + 1, targets[place])
            behind = set().union(*(needs.get(f, ()) for f in following if f is not None))
            for made, used in reversed(list(_steps(nodes[place]))):
                behind = (behind - made) | used
            needs[place] = behind
    return Outline(head, last, tuple(sorted(needs[head])), changes)


def _steps(node: Node) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """What each instruction of a node changes for certain, and what it needs."""
    for _, one in node.body:
        yield writes(one), reads(one)
    for _, one in node.ahead:
        yield frozenset(), reads(one)
    if node.begins:
        yield frozenset({node.counter}), frozenset()
    if node.turns:
        yield frozenset({node.counter}), frozenset({node.counter})
    if node.exit is not None:
        yield frozenset(), reads(node.exit)


def relative(state: State, names: Sequence[str]) -> tuple[Key, Bases] | None:
    """The values of these names without where memory lies, and that. None: some grow in another way than others."""
    bases: dict[str, Linear] = {}
    for name in names:
        value = state.get(name)
        if isinstance(value, Linear) and _is_address(value):
            bases.setdefault(value.region, value)
    key = tuple(_to(state.get(name), bases) for name in names)
    grows = any(isinstance(v, Linear) and v.terms for v in key) or any(isinstance(v, Compared) for v in key)
    return None if grows else (key, bases)


def _is_address(value: Linear) -> bool:
    return bool(value.region) and not value.region.startswith(CODE) and value.is_known


def _to(value: Value | Compared, bases: Bases) -> Value | Compared:
    if isinstance(value, Compared):
        return value
    if value is None or not _is_address(value):
        return value
    distance = minus(value, bases[value.region])
    return None if distance is None else distance._replace(region=value.region)


def back(state: State, bases: Bases) -> State:
    """Relative values where memory lies."""
    return {name: _back(value, bases) for name, value in state.items()}


def _back(value: Value | Compared, bases: Bases) -> Value | Compared:
    if isinstance(value, Compared):
        first, second = _back(value.first, bases), _back(value.second, bases)
        assert not isinstance(first, Compared) and not isinstance(second, Compared)
        return Compared(first, second, value.differ)
    if value is None or not _is_address(value):
        return value
    return value.moved(bases[value.region])
