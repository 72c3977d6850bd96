"""A step on the cores of a cluster as nodes of the program: what is moved between rounds, and calls that run at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.transports import Place
from smelt.planner.borders import Fill
from smelt.planner.in_tiles import Event, Start, Transfer
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.ways import Bring, Fetch


@dataclass(frozen=True)
class Haul:
    """`count` lines of `size` bytes between `near`, in the cluster's memory, where they follow one another, and `far`, where they
    lie `pitch` bytes apart; `inward` says which way. `number` is that of the move, the same for one that `joins` the one
    before it. Where they lie `near_pitch` bytes apart, they follow one another in `far`."""

    near: Place
    far: Place | Constant
    size: int
    count: int
    pitch: int
    inward: bool
    number: int
    joins: bool
    near_pitch: int = 0


@dataclass(frozen=True)
class Filled:
    """`count` lines of `size` bytes from `near` on, `pitch` bytes apart, become `value`."""

    near: Place
    size: int
    count: int
    pitch: int
    value: int


@dataclass(frozen=True)
class Hauled:
    """The moves of a number are waited for."""

    number: int


@dataclass(frozen=True)
class Asked:
    """A table begins to come from a memory outside of the chip. `number` is that of the request."""

    to: Place
    table: Constant
    number: int


@dataclass(frozen=True)
class Brought:
    """The request of a number is waited for."""

    number: int


@dataclass(frozen=True, eq=False)
class Fork:
    """Calls that run at the same time, each on the core of that number."""

    calls: tuple[tuple[int, Invocation], ...]


Act = Haul | Filled | Hauled | Asked | Brought | Fork
"""What the first core does for a step, one after the other."""


def acts_of(
    plan: Plan, way: OnCores, invocations: Sequence[Invocation], constants: Mapping[Fetch | Bring, Constant]
) -> Iterator[Act]:
    """The rounds of a step, whose kernel calls are `invocations`; `constants` are the tables that come."""
    number = 0
    for r in way.rounds:
        yield from _moves(plan, r.events, constants)
        calls = invocations[number : number + len(r.pieces)]
        yield Fork(tuple(zip(r.cores, calls, strict=True)))
        number += len(r.pieces)
    yield from _moves(plan, way.after, constants)


def _moves(plan: Plan, events: Sequence[Event | Fill], constants: Mapping[Fetch | Bring, Constant]) -> Iterator[Act]:
    for event in events:
        if isinstance(event, Fill):
            near, r = plan.placement(event.buffer), event.rectangle
            yield Filled(Place(near.memory, near.offset + r.first), r.size, r.count, r.pitch, event.value)
            continue
        moved = event.transfer
        joins = isinstance(moved, Transfer) and moved.joins
        if isinstance(moved, Bring):
            yield asked(plan, moved, constants) if isinstance(event, Start) else Brought(moved.channel)
        elif isinstance(event, Start):
            yield _haul(plan, moved, constants)
        elif not joins:
            yield Hauled(moved.channel)


def asked(plan: Plan, bring: Bring, constants: Mapping[Fetch | Bring, Constant]) -> Asked:
    """The request of tables from outside."""
    return Asked(_place(plan.placement(bring.buffer)), constants[bring], bring.channel)


def _haul(plan: Plan, moved: Transfer | Fetch, constants: Mapping[Fetch | Bring, Constant]) -> Haul:
    near = plan.placement(moved.buffer)
    if isinstance(moved, Fetch):
        size = moved.data.nbytes
        source: Place | Constant = constants[moved] if moved.source is None else _behind(plan, moved.source, moved.at)
        return Haul(_place(near), source, size, 1, size, True, moved.channel, False)
    r, far = moved.rectangle, plan.placement(moved.tensor)
    there = Place(far.memory, far.offset + r.first)
    here = Place(near.memory, near.offset + moved.offset)
    near_pitch = moved.pitch if r.count > 1 else 0
    return Haul(here, there, r.size, r.count, r.pitch, moved.inward, moved.channel, moved.joins, near_pitch)


def _behind(plan: Plan, bring: Bring, offset: int) -> Place:
    there = plan.placement(bring.buffer)
    return Place(there.memory, there.offset + offset)


def _place(placement: Placement) -> Place:
    return Place(placement.memory, placement.offset)
