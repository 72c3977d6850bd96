"""What is moved between the kernel calls of a step in tiles, as nodes of the program; and the places that it all comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from smelt.planner.in_tiles import InTiles, Start, Transfer
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan


@dataclass(frozen=True)
class Place:
    """Bytes of a region, `offset` from its start; in which of the plan's placements, by its name, where one is meant."""

    memory: str
    offset: int
    within: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Transport:
    """`count` rows of `size` bytes on their way from a place to another, where they lie so many bytes apart. `channel` is that of
    the DMA; None: the core copies them."""

    to: Place
    source: Place
    size: int
    count: int
    to_pitch: int
    source_pitch: int
    channel: int | None


@dataclass(frozen=True)
class Arrived:
    """A transport is waited for."""

    transport: Transport


@dataclass(frozen=True)
class Shared:
    """Bytes that the core and a DMA both use, behind a cache: what the core has written is written back before a step (`before`),
    what the cache has of them is forgotten after it."""

    place: Place
    bytes: int
    before: bool


Deed = Transport | Arrived | Shared
"""What happens between kernel calls."""

Deeds = tuple[tuple[int, Deed], ...]
"""Each with the number of the kernel call before which it happens."""


def deeds_of(plan: Plan, way: InTiles) -> Iterator[tuple[int, Deed]]:
    """The transfers of tiles, each before the call of a number, and what a cache must write back before all and forget after."""
    cached = {m.name for m in plan.board.chip.rams if m.path.data is not None} if way.dma else set[str]()
    shared = [(t, plan.placement(t)) for t in (*way.reads, *way.ys) if plan.placement(t).memory in cached]
    for t, p in shared:
        yield 0, Shared(place_of(p), t.bytes, True)
    for number, event in way.events:
        assert isinstance(event.transfer, Transfer), "tiles bring no tables"
        transport = _transport(plan, event.transfer, bool(way.dma))
        yield number, transport if isinstance(event, Start) else Arrived(transport)
    for t, p in shared:
        if t in way.ys:
            yield len(way.pieces), Shared(place_of(p), t.bytes, False)


def _transport(plan: Plan, transfer: Transfer, by_dma: bool) -> Transport:
    r, near, far = transfer.rectangle, place_of(plan.placement(transfer.buffer)), plan.placement(transfer.tensor)
    there, channel = place_of(far, r.first), transfer.channel if by_dma else None
    if transfer.inward:
        return Transport(near, there, r.size, r.count, r.size, r.pitch, channel)
    return Transport(there, near, r.size, r.count, r.pitch, r.size, channel)


def place_of(placement: Placement, behind: int = 0) -> Place:
    """So many bytes behind the beginning of a placement."""
    return Place(placement.memory, placement.offset + behind, placement.name)
