"""Tables that come from a memory outside of the chip, which is not mapped, through what is left of the memory that tensors and code
share: for networks with more weights than that holds.

Requests are served one after the other while cores compute, so tables of later steps come as early as there is room for them. Where
a step has more than room, its tables come in parts, which take turns in a ring: the next part comes when the last bytes of one have
been fetched by the cluster's DMA.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from smelt.errors import DoesNotFit
from smelt.loops.ir import Scratch
from smelt.planner.borders import Fill
from smelt.planner.check import check
from smelt.planner.in_tiles import Event, Start, Wait
from smelt.planner.on_cores import OnCores, Round
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.tiles import rounded
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

SLOTS = 3
"""Parts of a step's tables that are under way or there at a time, where not all are."""

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
    moves = sum(len(step.way.events) for step in plan.steps if isinstance(step.way, OnCores))
    code = round((plan.flash_bytes - plan.table_bytes) * CODE_MARGIN) + moves * CODE_OF_MOVE + RUNTIME
    resident = sum(sum(step.way.tables.values()) for n, step in enumerate(plan.steps) if n not in outside)
    search = _Rooms(plan, parts[1].name, room - code - resident)
    for number, some in outside.items():
        search.take(number, some)
    steps = tuple(search.steps.get(n, step) for n, step in enumerate(plan.steps))
    changed = replace(plan, steps=steps, placements=(*plan.placements, *search.placements), brings=tuple(search.brings))
    return check(changed)


def _fetches(step: Step) -> list[Fetch]:
    """The tables that come to a step, in order."""
    events = step.way.events if isinstance(step.way, OnCores) else ()
    return [e.transfer for e in events if isinstance(e, Start) and isinstance(e.transfer, Fetch)]


def _size(some: Sequence[Fetch]) -> int:
    """The bytes of tables, equal ones once."""
    return sum({f.data.tobytes(): f.data.nbytes for f in some}.values())


@dataclass
class _Rooms:
    """Takes what is left of a memory, step after step."""

    plan: Plan
    memory: str
    room: int
    placements: list[Placement] = field(default_factory=list)
    brings: list[tuple[int, Bring]] = field(default_factory=list)
    steps: dict[int, Step] = field(default_factory=dict)
    count: int = 0
    earliest: int = 0

    def take(self, number: int, some: Sequence[Fetch]) -> None:
        """Room for the tables of a step, from as early as there is some. Raises DoesNotFit."""
        once = list({f.data.tobytes(): f for f in some}.values())
        for first in range(self.earliest, number + 1):
            offset, free = self._largest(first, number)
            if free >= _size(once):
                bring = self._bring(once, offset, first, number)
                self.brings.append((first, bring))
                self.earliest = first
                self._change(number, [(bring, once)], 1)
                return
        self._ring(number, some)

    def _ring(self, number: int, some: Sequence[Fetch]) -> None:
        largest = max(f.data.nbytes for f in some)
        rooms = [(first, *self._largest(first, number)) for first in range(max(self.earliest, number - 1), number + 1)]
        first, offset, free = next((r for r in rooms if r[2] >= 2 * rounded(largest, GRAIN)), rooms[-1])
        slots = next((n for n in range(SLOTS, 0, -1) if free // n // GRAIN * GRAIN >= largest), 0)
        if not slots:
            name = self.plan.steps[number].name
            raise DoesNotFit(
                f"the tables of {name} do not fit {self.memory} beside the tensors: {largest:,} bytes at a time are needed, "
                f"{free:,} are free"
            )
        size = free // slots // GRAIN * GRAIN
        parts = list(_parts(some, size))
        buffers = [Scratch(size) for _ in range(min(slots, len(parts)))]
        for n, buffer in enumerate(buffers):
            self._place(buffer, offset + n * size, first, number)
        made = [(self._numbered(part, buffers[n % len(buffers)]), part) for n, part in enumerate(parts)]
        self.brings += [(first, bring) for bring, _ in made[: len(buffers)]]
        self.earliest = number + 1  # what is asked for meanwhile would come before the parts of this step
        self._change(number, made, len(buffers))

    def _bring(self, some: Sequence[Fetch], offset: int, first: int, last: int) -> Bring:
        buffer = Scratch(rounded(_size(some), GRAIN))
        self._place(buffer, offset, first, last)
        return self._numbered(some, buffer)

    def _numbered(self, some: Sequence[Fetch], buffer: Scratch) -> Bring:
        self.count += 1
        return Bring(np.concatenate([f.data for f in some]), buffer, self.count - 1)

    def _place(self, buffer: Scratch, offset: int, first: int, last: int) -> None:
        name = f"{self.plan.steps[last].name}.outside{len(self.placements)}"
        self.placements.append(Placement(name, self.memory, offset, buffer.bytes, first, last, scratch=buffer))

    def _largest(self, first: int, last: int) -> tuple[int, int]:
        """The largest room in which nothing lies from a step to another: offset and bytes."""
        there = (*self.plan.placements, *self.placements)
        taken = sorted(
            (p.offset, p.end) for p in there if p.memory == self.memory and p.first <= last and first <= p.last
        )
        best, at = (0, 0), 0
        for start, end in (*taken, (self.room, self.room)):
            if min(start, self.room) - at > best[1]:
                best = at, min(start, self.room) - at
            at = max(at, rounded(end, GRAIN))
        return best

    def _change(self, number: int, made: Sequence[tuple[Bring, Sequence[Fetch]]], slots: int) -> None:
        step = self.plan.steps[number]
        assert isinstance(step.way, OnCores)
        self.steps[number] = Step(_from_outside(step.way, made, slots), step.name)


def _parts(some: Sequence[Fetch], size: int) -> Iterator[list[Fetch]]:
    """Tables one behind another, as many as `size` bytes hold at a time."""
    part: list[Fetch] = []
    for fetch in some:
        if part and sum(f.data.nbytes for f in part) + fetch.data.nbytes > size:
            yield part
            part = []
        part.append(fetch)
    yield part


def _from_outside(way: OnCores, made: Sequence[tuple[Bring, Sequence[Fetch]]], slots: int) -> OnCores:
    """A way whose tables came from outside: waited for before they are fetched; when the last of a part has been, the part that
    takes its place begins to come."""
    where: dict[bytes | Fetch, tuple[int, int]] = {}
    for n, (_, some) in enumerate(made):
        at = 0
        for fetch in some:
            where[fetch] = n, at
            where.setdefault(fetch.data.tobytes(), (n, at))
            at += fetch.data.nbytes
    new: dict[Fetch, Fetch] = {}
    waited: set[int] = set()
    last = {n: some[-1] for n, (_, some) in enumerate(made)}

    def changed(fetch: Fetch) -> Fetch:
        if fetch not in new:
            n, at = where.get(fetch) or where[fetch.data.tobytes()]
            new[fetch] = replace(fetch, source=made[n][0], at=at)
        return new[fetch]

    def events(old: Sequence[Event | Fill]) -> Iterator[Event | Fill]:
        for event in old:
            fetch = None if isinstance(event, Fill) else event.transfer
            if isinstance(event, Fill) or not isinstance(fetch, Fetch):
                yield event
                continue
            n, _ = where.get(fetch) or where[fetch.data.tobytes()]
            if isinstance(event, Start) and n not in waited:
                waited.add(n)
                yield Wait(made[n][0])
            yield type(event)(changed(fetch))
            if isinstance(event, Wait) and fetch is last[n] and n + slots < len(made):
                yield Start(made[n + slots][0])

    def pieces(old: Sequence[Piece]) -> tuple[Piece, ...]:
        return tuple(replace(p, tables=changed(p.tables)) if p.tables else p for p in old)

    rounds = tuple(Round(tuple(events(r.events)), pieces(r.pieces), r.cores) for r in way.rounds)
    return replace(way, rounds=rounds, after=tuple(events(way.after)))
