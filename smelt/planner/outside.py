"""Tables that come from a memory outside of the chip, which is not mapped, through what is left of the memory that tensors and code
share: for networks with more weights than that holds.

Requests are served one after the other while cores compute. Tables come in parts, in the order in which they are used, each as
early as there is room for it: between steps, or when the last bytes of an earlier part have been fetched by the cluster's DMA.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from smelt.errors import DoesNotFit
from smelt.loops.ir import Scratch
from smelt.planner.borders import Fill
from smelt.planner.check import check
from smelt.planner.in_tiles import Event, Start, Transfer, Wait
from smelt.planner.on_cores import OnCores, Round
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.tiles import Rectangle, rounded
from smelt.planner.ways import Bring, Fetch, Piece
from smelt.targets.border import shared
from smelt.targets.types import Board

LEAST = 4096
"""Bytes of tables of a step that are worth a request."""

CODE_MARGIN = 1.3
"""How many times what code is estimated to take up is left to it."""

RUNTIME = 8192
"""Bytes of code of a cluster's runtime and of what kernels share."""

CODE_OF_MOVE = 40
"""Bytes that starting a move takes, or waiting for it."""

PART = 40 << 10
"""Bytes that come together, about: fewer make more requests, more keep room for longer."""

BYTES_OF_TABLE = 24
"""That say of tables when they are asked for, and where they are."""

TURNS = 2
"""Rounds after which buffers are the same again."""

GRAIN = 16


def streamed(plan: Plan, board: Board) -> Plan:
    """The plan where tables find room: as it is, or with tables that come from outside. Raises DoesNotFit."""
    parts = shared(board)
    store = next((m for m in board.chip.memories if m.holds == "code" and not m.mapped), None)
    if parts is None or store is None or board.chip.outside is None:
        return plan
    room = parts[0].size + parts[1].size
    if plan.flash_bytes + plan.used(parts[1].name) <= room:
        return plan
    fetches = {n: _fetches(step) for n, step in enumerate(plan.steps)}
    outside = {n: some for n, some in fetches.items() if _size(some) >= LEAST}
    moves = sum(_moves_in_code(step.way) for step in plan.steps if isinstance(step.way, OnCores))
    code = round((plan.flash_bytes - plan.table_bytes) * CODE_MARGIN) + moves * CODE_OF_MOVE + RUNTIME
    code += sum(len(some) for some in outside.values()) * BYTES_OF_TABLE
    resident = sum(sum(step.way.tables.values()) for n, step in enumerate(plan.steps) if n not in outside)
    search = _Rooms(plan, parts[1].name, room - code - resident)
    for number, some in outside.items():
        search.take(number, some)
    return check(search.changed())


def _fetches(step: Step) -> list[Fetch]:
    """The tables that come to a step, in order."""
    return [e.transfer for e in _events(step) if isinstance(e, Start) and isinstance(e.transfer, Fetch)]


def _moves_in_code(way: OnCores) -> int:
    """About how many calls of moves there are in C, where those of rounds that are alike but for places are in loops."""
    rounds = [tuple(_alike(r.events)) for r in way.rounds]
    return sum(len(one) for n, one in enumerate(rounds) if n < TURNS or one != rounds[n - TURNS]) + len(way.after)


def _alike(events: Sequence[Event | Fill]) -> Iterator[Hashable]:
    """What tells moves apart but for places; several in a row are one, and so is waiting for them."""
    last: Hashable = None
    for event in events:
        if isinstance(event, Fill):
            yield event.rectangle.size, event.rectangle.count
            continue
        moved = event.transfer
        size = moved.rectangle if isinstance(moved, Transfer) else moved.data.nbytes
        shape = (size.size, size.count, size.pitch) if isinstance(size, Rectangle) else size
        joins = isinstance(moved, Transfer) and moved.joins
        what = type(event), type(moved), shape
        if not joins or (isinstance(event, Start) and what != last):
            yield what
        last = what


def _size(some: Sequence[Fetch]) -> int:
    """The bytes of tables, equal ones once."""
    return sum({f.data.tobytes(): f.data.nbytes for f in some}.values())


Moment = tuple[int, int]
"""A step, and the event of it behind which it is; -1: before the step."""


@dataclass(frozen=True)
class _Part:
    """Tables that come together, and the moments of asking for them and of having fetched the last of them."""

    bring: Bring
    fetches: tuple[Fetch, ...]
    step: int
    offset: int
    asked: Moment
    fetched: Moment

    @property
    def end(self) -> int:
        return self.offset + self.bring.buffer.bytes


class _Rooms:
    """Takes what is left of a memory, part after part."""

    def __init__(self, plan: Plan, memory: str, room: int) -> None:
        self._plan, self._memory, self._room = plan, memory, room
        self._moments = sorted(moment for number, step in enumerate(plan.steps) for moment in _moments(number, step))
        self._parts: list[_Part] = []

    def take(self, number: int, some: Sequence[Fetch]) -> None:
        """Room for the tables of a step, from as early as there is some. Raises DoesNotFit."""
        once = list({f.data.tobytes(): f for f in some}.values())
        for group in _groups(once, PART):
            if not self._taken(number, group):
                for fetch in group:
                    if not self._taken(number, [fetch]):
                        raise self._refusal(number, fetch)

    def _taken(self, number: int, group: Sequence[Fetch]) -> bool:
        """Whether there is room for tables before they are fetched first, until they have been fetched last."""
        data = {f.data.tobytes() for f in group}
        events = list(enumerate(_events(self._plan.steps[number])))
        mine = [(n, e) for n, e in events if isinstance(e.transfer, Fetch) and e.transfer.data.tobytes() in data]
        begun, fetched = (number, mine[0][0]), (number, mine[-1][0])
        size = rounded(_size(group), GRAIN)
        first = self._parts[-1].asked if self._parts else (0, -1)
        for moment in (m for m in self._moments if first <= m < begun):
            if not self._parts and moment[1] >= 0:
                continue  # numbers are counted from the first request, which is made between steps
            offset = self._place(moment, fetched, size)
            if offset is not None:
                buffer = Scratch(size)
                bring = Bring(np.concatenate([f.data for f in group]), buffer, len(self._parts))
                self._parts.append(_Part(bring, tuple(group), number, offset, moment, fetched))
                return True
        return False

    def _place(self, first: Moment, last: Moment, size: int) -> int | None:
        """Where so many bytes are free from a moment to another, the next ones behind those that were taken last."""
        gaps = [(start, end) for start, end in self._gaps(first, last) if end - start >= size]
        behind = self._parts[-1].end if self._parts else 0
        starts = [max(start, min(behind, end - size)) for start, end in gaps]
        return min(starts, key=lambda start: (start < behind, start), default=None)

    def _gaps(self, first: Moment, last: Moment) -> Iterator[tuple[int, int]]:
        """Bytes that nobody has from a moment to another."""
        tensors = (p for p in self._plan.placements if p.memory == self._memory)
        taken = [(p.offset, p.end) for p in tensors if p.first <= last[0] and first[0] <= p.last]
        taken += [(part.offset, part.end) for part in self._parts if part.fetched > first]
        at = 0
        for start, end in sorted([*taken, (self._room, self._room)]):
            if min(start, self._room) > at:
                yield at, min(start, self._room)
            at = max(at, rounded(end, GRAIN))

    def _refusal(self, number: int, fetch: Fetch) -> DoesNotFit:
        free = max((end - start for start, end in self._gaps((number, -1), (number, 0))), default=0)
        return DoesNotFit(
            f"the tables of {self._plan.steps[number].name} do not fit {self._memory} beside the tensors: "
            f"{fetch.data.nbytes:,} bytes at a time are needed, {free:,} are free"
        )

    def changed(self) -> Plan:
        """The plan whose tables come so."""
        plan = self._plan
        placements = [
            Placement(f"{plan.steps[p.step].name}.outside{p.bring.channel}", self._memory, p.offset, p.bring.buffer.bytes,
                      p.asked[0], p.step, scratch=p.bring.buffer)
            for p in self._parts
        ]  # fmt: skip
        between = tuple((p.asked[0], p.bring) for p in self._parts if p.asked[1] < 0)
        steps = tuple(self._step(number, step) for number, step in enumerate(plan.steps))
        return replace(plan, steps=steps, placements=(*plan.placements, *placements), brings=between)

    def _step(self, number: int, step: Step) -> Step:
        mine = [p for p in self._parts if p.step == number]
        asked = [p for p in self._parts if p.asked[0] == number and p.asked[1] >= 0]
        if not isinstance(step.way, OnCores) or not (mine or asked):
            return step
        return Step(_from_outside(step.way, mine, asked), step.name)


def _events(step: Step) -> tuple[Event, ...]:
    return step.way.events if isinstance(step.way, OnCores) else ()


def _moments(number: int, step: Step) -> Iterator[Moment]:
    """When tables may be asked for: before a step, and when tables of it have been fetched."""
    yield number, -1
    for n, event in enumerate(_events(step)):
        if isinstance(event, Wait) and isinstance(event.transfer, Fetch):
            yield number, n


def _groups(some: Sequence[Fetch], size: int) -> Iterator[list[Fetch]]:
    """Tables one behind another, as many as have `size` bytes at a time."""
    group: list[Fetch] = []
    for fetch in some:
        if group and _size(group) + fetch.data.nbytes > size:
            yield group
            group = []
        group.append(fetch)
    yield group


def _from_outside(way: OnCores, mine: Sequence[_Part], asked: Sequence[_Part]) -> OnCores:
    """A way whose tables came from outside: parts are waited for before the first of their tables is fetched. Behind events, parts
    of this step or of others are `asked` for."""
    where: dict[bytes, tuple[Bring, int]] = {}
    for part in mine:
        at = 0
        for fetch in part.fetches:
            where[fetch.data.tobytes()] = part.bring, at
            at += fetch.data.nbytes
    new: dict[Fetch, Fetch] = {}
    waited: set[Bring] = set()
    numbers = count()

    def changed(fetch: Fetch) -> Fetch:
        if fetch not in new:
            source, at = where.get(fetch.data.tobytes(), (None, 0))
            new[fetch] = fetch if source is None else replace(fetch, source=source, at=at)
        return new[fetch]

    def events(old: Sequence[Event | Fill]) -> Iterator[Event | Fill]:
        for event in old:
            if isinstance(event, Fill):
                yield event
                continue
            number, fetch = next(numbers), event.transfer
            if isinstance(fetch, Fetch):
                source = changed(fetch).source
                if isinstance(event, Start) and source is not None and source not in waited:
                    waited.add(source)
                    yield Wait(source)
                event = type(event)(changed(fetch))
            yield event
            yield from (Start(part.bring) for part in asked if part.asked[1] == number)

    def pieces(old: Sequence[Piece]) -> tuple[Piece, ...]:
        return tuple(replace(p, tables=changed(p.tables)) if p.tables else p for p in old)

    rounds = tuple(Round(tuple(events(r.events)), pieces(r.pieces), r.cores) for r in way.rounds)
    return replace(way, rounds=rounds, after=tuple(events(way.after)))
