"""The part of a routine that decides where it goes and what it touches: all else need not be followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from smelt.loops.assembly.ir import FLAGS, Instruction
from smelt.loops.assembly.machine import word
from smelt.loops.assembly.node import Node


def relevant(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes without instructions on whose results no address and no branch depends."""
    every = [one for node in nodes for _, one in (*node.body, *node.ahead)]
    needed = {name for node in nodes if node.exit is not None for name in reads(node.exit)}
    for one in every:
        needed |= set(_address(one))
    made = [(writes(one), reads(one)) for one in every]
    before = -1
    while before != len(needed):
        before = len(needed)
        needed.update(*(used for changed, used in made if not needed.isdisjoint(changed)))
    return tuple(replace(node, body=_kept(node.body, needed), ahead=_kept(node.ahead, needed)) for node in nodes)


def read_by(nodes: Sequence[Node]) -> set[str]:
    """Everything that instructions and branches read."""
    every = (one for node in nodes for _, one in (*node.body, *node.ahead))
    exits = (node.exit for node in nodes if node.exit is not None)
    return {name for one in (*every, *exits) for name in reads(one)}


Body = tuple[tuple[int, Instruction], ...]


def _kept(body: Body, needed: set[str]) -> Body:
    return tuple(p for p in body if any(True for _ in _address(p[1])) or needed.intersection(writes(p[1])))


def _address(one: Instruction) -> Iterator[str]:
    """What the address of an access is made of; nothing for words on the stack."""
    if one.place is not None and one.place.slot is None:
        yield from (r.name for r in (one.place.base, one.place.index) if r is not None)


def reads(one: Instruction) -> frozenset[str]:
    """The registers and the words on the stack that an instruction needs."""
    found = [r.name for r in one.read_registers]
    if one.place is not None and one.place.slot is not None:
        found.append(word(one.place.slot))
    if one.condition is not None:
        found += [FLAGS.name, *(r.name for r in one.all_writes)]
    return frozenset(found)


def writes(one: Instruction) -> frozenset[str]:
    """Those that it changes."""
    found = [r.name for r in one.all_writes]
    if one.kind == "store" and one.place is not None and one.place.slot is not None:
        found.append(word(one.place.slot))
    return frozenset(found)
