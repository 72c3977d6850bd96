"""Rectangles of time and bytes, and the quick ways to place them: first fit in several orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from smelt.planner.flow import Flow, aligned, lives


@dataclass(frozen=True)
class Span:
    """`size` bytes from `offset` of their block on that are taken from step `first` up to step `last`, both included."""

    first: int
    last: int
    size: int
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Block:
    """Spans that follow one another in time: a storage, and those written over it; or a scratch buffer.

    `heat` counts the bytes that steps read from and write to it: what a fast memory would be good for.
    """

    spans: tuple[Span, ...]
    heat: int = 0

    @cached_property
    def size(self) -> int:
        return max(span.end for span in self.spans)

    @cached_property
    def area(self) -> int:
        return sum(span.size * (span.last - span.first + 1) for span in self.spans)

    @cached_property
    def first(self) -> int:
        """The first step at which it is alive."""
        return min(span.first for span in self.spans)

    @cached_property
    def last(self) -> int:
        """The last step at which it is alive; between the two it may rest."""
        return max(span.last for span in self.spans)


@dataclass(frozen=True)
class Blocks:
    """The blocks of a flow: `of_storage[s]` and `of_scratch[step][k]` are positions in `blocks`. `offsets[s]` is where a storage
    begins in its block."""

    blocks: tuple[Block, ...]
    of_storage: tuple[int, ...]
    of_scratch: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]


def blocks_of(flow: Flow) -> Blocks:
    """What must be given addresses for the steps in the order of `flow.uses`."""
    members: list[list[Span]] = []
    heats: list[int] = []
    of_storage, offsets = [0] * len(flow.storages), [0] * len(flow.storages)
    alive = lives(flow)
    for s in sorted(range(len(alive)), key=lambda s: alive[s].first):
        life, touched = alive[s], len(flow.readers[s]) + (s in flow.writers)
        if life.over is None:
            of_storage[s] = len(members)
            members.append([])
            heats.append(0)
        else:
            of_storage[s], offsets[s] = of_storage[life.over], offsets[life.over] - life.by
        members[of_storage[s]].append(Span(life.first, life.last, flow.sizes[s], offsets[s]))
        heats[of_storage[s]] += touched * flow.sizes[s]
    lowest = [min(span.offset for span in spans) for spans in members]
    blocks = [Block(_apart(spans, low), heat) for spans, low, heat in zip(members, lowest, heats, strict=True)]
    of_scratch: list[tuple[int, ...]] = []
    for i, use in enumerate(flow.uses):
        of_scratch.append(tuple(range(len(blocks), len(blocks) + len(use.scratch))))
        blocks.extend(Block((Span(i, i, aligned(size)),), 2 * aligned(size)) for size in use.scratch)
    begins = tuple(offset - lowest[block] for offset, block in zip(offsets, of_storage, strict=True))
    return Blocks(tuple(blocks), tuple(of_storage), tuple(of_scratch), begins)


def _apart(spans: Sequence[Span], low: int) -> tuple[Span, ...]:
    """Spans no two of which are taken at the same time: while one storage is written over another, what both take up together.
    Offsets count from `low`."""
    found: list[Span] = []
    times = sorted({time for span in spans for time in (span.first, span.last + 1)})
    for first, after in pairwise(times):
        there = [span for span in spans if span.first <= first and after - 1 <= span.last]
        if not there:
            continue
        begin, end = min(span.offset for span in there), max(span.end for span in there)
        span = Span(first, after - 1, end - begin, begin - low)
        if found and found[-1] == Span(found[-1].first, first - 1, span.size, span.offset):
            span = Span(found.pop().first, span.last, span.size, span.offset)
        found.append(span)
    return tuple(found)


def height(blocks: Sequence[Block], offsets: Sequence[int]) -> int:
    """The bytes from offset 0 to the end of the highest span."""
    return max((offset + block.size for block, offset in zip(blocks, offsets, strict=True)), default=0)


def load(blocks: Sequence[Block]) -> int:
    """The most bytes alive at any time: a lower bound of the height."""
    spans = [span for block in blocks for span in block.spans]
    changes = sorted([(s.first, 1, s.size) for s in spans] + [(s.last + 1, 0, -s.size) for s in spans])
    return max(accumulate(change for _, _, change in changes), default=0)


PRIORITIES: tuple[Callable[[Block], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.spans[0].first),
    lambda b: (-b.area, b.spans[0].first),
    lambda b: (b.spans[0].first - b.spans[-1].last, -b.size),
    lambda b: (b.spans[0].first, -b.size),
    lambda b: (-b.spans[-1].last, -b.size),
)
"""Orders in which first fit places blocks: large ones first, long ones first, by time."""


def first_fit(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Offsets of little height: the best of first fit in several orders. Deterministic."""
    found = [_fit(blocks, sorted(range(len(blocks)), key=lambda i: (*key(blocks[i]), i))) for key in PRIORITIES]
    return min(found, key=lambda offsets: height(blocks, offsets))


def _fit(blocks: Sequence[Block], order: Sequence[int]) -> tuple[int, ...]:
    offsets: dict[int, int] = {}
    placed: list[tuple[Block, int]] = []
    for i in order:
        offsets[i] = lowest(blocks[i], placed)
        placed.append((blocks[i], offsets[i]))
    return tuple(offsets[i] for i in range(len(blocks)))


def lowest(block: Block, placed: Sequence[tuple[Block, int]]) -> int:
    """The lowest offset at which `block` meets none of the blocks placed already."""
    offset = 0
    for low, high in sorted(_forbidden(block, placed)):
        if offset <= low:
            break
        offset = max(offset, high)
    return offset


def _forbidden(block: Block, placed: Sequence[tuple[Block, int]]) -> list[tuple[int, int]]:
    """Ranges (both ends excluded) in which the offset of `block` may not lie."""
    first, last = block.first, block.last
    return [
        (offset + b.offset - a.end, offset + b.end - a.offset)
        for other, offset in placed
        if other.first <= last and first <= other.last
        for a in block.spans
        for b in other.spans
        if a.first <= b.last and b.first <= a.last
    ]


Place = tuple[int, int]
"""A memory, as a position in a list of budgets, and an offset in it."""


def first_fit_in(blocks: Sequence[Block], budgets: Sequence[int]) -> tuple[Place, ...] | None:
    """A memory and an offset for each block, the first with room; None where no order of `PRIORITIES` gets by."""
    keys = (lambda b: (-b.heat * 1024 // b.area, -b.size), *PRIORITIES)
    orders = [sorted(range(len(blocks)), key=lambda i: (*key(blocks[i]), i)) for key in keys]
    found = [places for order in orders if (places := _fit_in(blocks, order, budgets)) is not None]
    return min(found, key=lambda places: distance(blocks, places)) if found else None


def distance(blocks: Sequence[Block], places: Sequence[Place]) -> int:
    """How hot blocks are, times how late their memory comes: what a placement over several memories should minimise."""
    return sum(block.heat * memory for block, (memory, _) in zip(blocks, places, strict=True))


def _fit_in(blocks: Sequence[Block], order: Sequence[int], budgets: Sequence[int]) -> tuple[Place, ...] | None:
    places: dict[int, Place] = {}
    placed: list[list[tuple[Block, int]]] = [[] for _ in budgets]
    for i in order:
        for memory, budget in enumerate(budgets):
            offset = lowest(blocks[i], placed[memory])
            if offset + blocks[i].size <= budget:
                places[i] = memory, offset
                placed[memory].append((blocks[i], offset))
                break
        else:
            return None
    return tuple(places[i] for i in range(len(blocks)))
