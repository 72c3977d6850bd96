"""A step on the cores of a cluster as nodes of the program: what is moved between rounds, and calls that run at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.streams import Stream
from smelt.firmware.transports import Place, place_of
from smelt.planner.borders import Fill
from smelt.planner.in_tiles import Event, Start, Transfer
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.ways import Bring, Fetch


@dataclass(frozen=True)
class Haul:
    """`count` lines of `size` bytes between `near`, in the cluster's memory, where they follow one another, and `far`, where they
    lie `pitch` bytes apart; `inward` says which way. `number` is that of the move, the same for one that `joins` the one
    before it. Where they lie `near_pitch` bytes apart, they follow one another in `far`. All of it `times` times, each time so many
    bytes further on at either end (`steps`)."""

    near: Place
    far: Place | Constant
    size: int
    count: int
    pitch: int
    inward: bool
    number: int
    joins: bool
    near_pitch: int = 0
    times: int = 1
    steps: tuple[int, int] = (0, 0)

    def again(self, other: Haul) -> Haul | None:
        """This move and `other` behind it as one; None where they are not alike."""
        if not isinstance(self.far, Place) or not isinstance(other.far, Place) or not other.joins:
            return None
        if self.near_pitch or other.near_pitch:
            return None
        steps = other.near.offset - self._last(0), other.far.offset - self._last(1)
        still = replace(other, near=self.near, far=self.far, joins=self.joins, times=self.times, steps=self.steps)
        same = still == self and (self.near.memory, self.far.memory) == (other.near.memory, other.far.memory)
        if not same or min(steps) < 0 or (self.times > 1 and steps != self.steps):
            return None
        return replace(self, times=self.times + 1, steps=steps)

    def _last(self, end: int) -> int:
        """Where the last of its moves begins, near or far."""
        ends = (self.near, self.far)
        place = ends[end]
        assert isinstance(place, Place)
        return place.offset + (self.times - 1) * self.steps[end]


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
class Taken:
    """Tables that came from outside go on to `near`: the portion of that number, by the move of another one."""

    near: Place
    portion: int
    number: int


@dataclass(frozen=True)
class Asking:
    """The requests of a range begin to come from outside."""

    range: int


@dataclass(frozen=True, eq=False)
class Fork:
    """Calls that run at the same time, each on the core of that number."""

    calls: tuple[tuple[int, Invocation], ...]


Act = Haul | Filled | Hauled | Taken | Asking | Fork
"""What the first core does for a step, one after the other."""


def acts_of(
    plan: Plan,
    way: OnCores,
    invocations: Sequence[Invocation],
    constants: Mapping[Fetch, Constant],
    stream: Stream | None,
) -> Iterator[Act]:
    """The rounds of a step, whose kernel calls are `invocations`; `constants` are the tables that come, but those of `stream`."""
    number = 0
    for r in way.rounds:
        yield from _together(_moves(plan, r.events, constants, stream))
        calls = invocations[number : number + len(r.pieces)]
        yield Fork(tuple(zip(r.cores, calls, strict=True)))
        number += len(r.pieces)
    yield from _together(_moves(plan, way.after, constants, stream))


def _together(acts: Iterable[Act]) -> Iterator[Act]:
    """The same acts; moves that come again at places further on are one."""
    last: Act | None = None
    for act in acts:
        both = last.again(act) if isinstance(last, Haul) and isinstance(act, Haul) else None
        if last is not None and both is None:
            yield last
        last = both or act
    if last is not None:
        yield last


def _moves(
    plan: Plan, events: Sequence[Event | Fill], constants: Mapping[Fetch, Constant], stream: Stream | None
) -> Iterator[Act]:
    for event in events:
        if isinstance(event, Fill):
            near, r = plan.placement(event.buffer), event.rectangle
            yield Filled(place_of(near, r.first), r.size, r.count, r.pitch, event.value)
            continue
        moved = event.transfer
        joins = isinstance(moved, Transfer) and moved.joins
        if isinstance(moved, Bring):
            continue  # whoever takes a portion waits for it; ranges say what is asked for when something has been fetched
        if isinstance(event, Start) and stream is not None and isinstance(moved, Fetch) and moved in stream.taken:
            yield Taken(place_of(plan.placement(moved.buffer)), stream.taken[moved], moved.channel)
        elif isinstance(event, Start):
            yield _haul(plan, moved, constants)
        elif not joins:
            yield Hauled(moved.channel)
            if stream is not None and isinstance(moved, Fetch) and moved in stream.asked:
                yield Asking(stream.asked[moved])


def _haul(plan: Plan, moved: Transfer | Fetch, constants: Mapping[Fetch, Constant]) -> Haul:
    near = plan.placement(moved.buffer)
    if isinstance(moved, Fetch):
        size = moved.data.nbytes
        return Haul(place_of(near), constants[moved], size, 1, size, True, moved.channel, False)
    r, far = moved.rectangle, plan.placement(moved.tensor)
    there = place_of(far, r.first)
    here = place_of(near, moved.offset)
    near_pitch = moved.pitch if r.count > 1 else 0
    return Haul(here, there, r.size, r.count, r.pitch, moved.inward, moved.channel, moved.joins, near_pitch)
