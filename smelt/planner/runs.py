"""Which runs of layers are worth being computed in bands: found by what line buffers take, before any kernel is built.

What bands cost is guessed from the whole ops and from what is done besides. A ladder goes down from the fastest choice: the fewest
cycles with at most so many bytes alive, less and less, which is a shortest path over the steps. On rungs that are evenly spaced,
the lowest among them, all runs are built; their true cost replaces the guess, what they teach changes the guesses of others, and
the ladder is looked at again. So whatever a budget is, there is a rung near it that is no guess. The result depends on the steps
and their options only, never on the goal, a budget, or what was looked for before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from smelt.errors import Unsupported
from smelt.model.graph import Op
from smelt.planner.alternatives import Singles
from smelt.planner.bands import Bands, in_bands
from smelt.planner.costs import CALL, cycles_of_pieces
from smelt.planner.flow import Flow, aligned, index_of, lives
from smelt.planner.line_buffers import Layout, Slab, can_run
from smelt.planner.predict import Cycles, Predictor
from smelt.planner.ways import Kind, Way, Ways

LONGEST = 9
"""Steps of a run at most."""

MOST_CALLS = 600
"""Kernel calls of a run at most: each is a line of C, but for those that come again."""

HEIGHTS = (1, 2, 4, 8)
"""Rows of the last result in a band that are tried."""

SHIFTED = 0.4
"""Cycles of a byte that moves in a line buffer."""

SCRATCH = (1 << 30, 5_000, 0)
"""Bytes of scratch that kernels of a run may take at most, as whole ops."""

RUNG = 0.985
"""From rung to rung of the ladder the bytes alive shrink at least by this."""

BUILT = 0.9
"""The same from one rung on which all runs are built to the next."""


@dataclass(frozen=True)
class Found:
    """A run that is built: the position of its first step, in the order of the flow, and the bytes alive while it runs."""

    first: int
    option: tuple[Bands, Cycles]
    alive: int


@dataclass(frozen=True)
class _Item:
    """One step, or a run of steps from `first` up to `stop`, with what it costs. Of runs, how, and what lies there `beside` their
    line buffers and scratch."""

    first: int
    stop: int
    alive: int
    cycles: int
    layout: Layout | None = None
    whole: tuple[Singles, ...] = ()
    beside: int = 0
    built: Bands | None = None

    @property
    def is_guess(self) -> bool:
        return self.layout is not None and self.built is None


class Runs:
    """Finds runs for a graph on a board. What was built once is known in every order of the steps."""

    def __init__(self, predictor: Predictor, ways: Ways, most: int) -> None:
        self._predictor, self._ways, self._most = predictor, ways, most
        self._built: dict[object, tuple[Bands, tuple[float, ...]] | None] = {}
        self._layouts: dict[tuple[tuple[Op, ...], int], Layout] = {}

    def find(
        self, flow: Flow, options: Sequence[Singles], alive: Sequence[Sequence[int]], slack: float
    ) -> tuple[Found, ...]:
        """Runs that save RAM, as far as that costs no more than `slack` of the fewest cycles. `options` and what is `alive` with
        each of them are those of the steps in the order of `flow`."""
        search, steps = _Search(flow, options, self), len(options)
        singles = [
            _Item(n, n + 1, bytes_, cycles.value)
            for n, (some, there) in enumerate(zip(options, alive, strict=True))
            for (_, cycles), bytes_ in zip(some, there, strict=True)
        ]
        items, left = [*singles, *search.guesses(singles)], self._most + steps // 2
        while left > 0 and (wanted := _wanted(items, steps, slack)[:left]):
            for n in wanted:
                items[n] = search.build(items[n])
            left -= len(wanted)
            items = [search.guessed(item) if item.is_guess else item for item in items if item.cycles >= 0]
        items = [item for item in items if not item.is_guess]
        taken = dict.fromkeys(n for path in _ladder(items, steps, slack) for n in path)
        runs = (items[n] for n in taken)
        return tuple(Found(i.first, (i.built, Cycles(i.cycles, "estimated")), i.alive) for i in runs if i.built)

    def layout(self, ops: tuple[Op, ...], rows: int) -> Layout:
        """Where rows lie; found once."""
        if (ops, rows) not in self._layouts:
            self._layouts[ops, rows] = Layout(ops, rows)
        return self._layouts[ops, rows]

    def built(self, layout: Layout, whole: Sequence[Singles]) -> tuple[Bands, tuple[float, ...]] | None:
        """A run with its kernels, and the cycles of each call; None where a slab has no kernel."""
        key = layout.ops, layout.rows, tuple(tuple(way.names for way, _ in some) for some in whole)
        if key not in self._built:
            try:
                bands = in_bands(layout, [[way for way, _ in some] for some in whole], self._ways)
            except Unsupported:
                self._built[key] = None
            else:
                self._built[key] = bands, cycles_of_pieces(self._predictor, bands)
        return self._built[key]


def _scratch(way: Way) -> int:
    return sum(aligned(s.bytes) for s in way.scratch)


class _Search:
    """Guesses what runs cost in one order of the steps, and has them built. What slabs of one op cost says what to expect of those
    of another that is alike."""

    def __init__(self, flow: Flow, options: Sequence[Singles], book: Runs) -> None:
        self._flow, self._options, self._book = flow, options, book
        self._index = index_of(flow.storages)
        self._ops: list[Op] = [some[0][0].op for some in options]
        self._lives = lives(replace(flow, uses=tuple(replace(use, over={}) for use in flow.uses)))
        self._slabs: dict[Kind, dict[int, tuple[float, int]]] = {}

    def guesses(self, singles: Sequence[_Item]) -> Iterator[_Item]:
        """All runs that have less alive than the fastest ways of their steps, some step of which has the most alive there."""
        fastest = [min(some, key=lambda i: (i.cycles, i.alive)) for _, some in groupby(singles, key=lambda i: i.first)]
        for first in range(len(self._ops)):
            for stop in range(first + 1, min(first + LONGEST, len(self._ops)) + 1):
                if not can_run(self._ops[first:stop]):
                    break
                if self._is_closed(first, stop):
                    highest = max(item.alive for item in fastest[first:stop])
                    yield from (item for item in self._of(first, stop) if item.alive < highest)

    def _is_closed(self, first: int, stop: int) -> bool:
        """Whether what is inside is only needed there, under one name."""
        for op in self._ops[first : stop - 1]:
            s = self._index[op.y]
            storage = self._flow.storages[s]
            if s in self._flow.outputs or len(storage.tensors) > 1 or self._lives[s].last >= stop:
                return False
        return self._index[self._ops[stop - 1].y] not in self._flow.inputs

    def _of(self, first: int, stop: int) -> Iterator[_Item]:
        ops = tuple(self._ops[first:stop])
        length = ops[-1].y.shape[self._book.layout(ops, 1).axis]
        seen: set[tuple[tuple[str, str], ...]] = set()
        for most in SCRATCH:
            whole = tuple(_within(some, most) for some in self._options[first:stop])
            if (names := tuple(some[0][0].names for some in whole)) in seen:
                continue
            seen.add(names)
            for rows in (r for r in HEIGHTS if r < length and len(ops) * -(-length // r) <= MOST_CALLS):
                layout = self._book.layout(ops, rows)
                yield self.guessed(_Item(first, stop, 0, 0, layout, whole, self._alive(first, stop, layout)))

    def guessed(self, item: _Item) -> _Item:
        """The item, a run, with what is known of such slabs."""
        layout = item.layout
        assert layout is not None
        cycles, most = SHIFTED * layout.shifted_bytes + CALL * layout.shifts, 0
        for op, ((way, taken), *_) in zip(layout.ops, item.whole, strict=True):
            cycles += taken.value + layout.slabs[op] * self._beside(way, layout.heights[op])
            most = max(most, self._scratch_of(way, layout.heights[op]))
        alive = item.beside + most + sum(line.bytes for line in layout.lines.values())
        return replace(item, alive=alive, cycles=round(cycles))

    def _beside(self, way: Way, rows: int) -> float:
        """Cycles of a slab of so many rows beside its part of what the whole op takes: as it was with as many, else a call at most:
        some kernels are slow with a single row, which says nothing of two."""
        known = self._slabs.get(way.kind, {})
        return known[rows][0] if rows in known else min([CALL, *(max(beside, 0.0) for beside, _ in known.values())])

    def _scratch_of(self, way: Way, rows: int) -> int:
        """Bytes of scratch of slabs of so many rows: as it was with about as many, else that of the whole op."""
        known = self._slabs.get(way.kind)
        return known[_nearest(known, rows)][1] if known else _scratch(way)

    def build(self, item: _Item) -> _Item:
        """The item, a run, with its kernels and what they cost; of one that has none, with cycles below 0."""
        assert item.layout is not None
        built = self._book.built(item.layout, item.whole)
        if built is None:
            return replace(item, cycles=-1)
        bands, pieces = built
        self._learn(item, bands, pieces)
        alive = item.beside + sum(aligned(s.bytes) for s in bands.scratch)
        return replace(item, alive=alive, cycles=round(sum(pieces)), built=bands)

    def _learn(self, item: _Item, bands: Bands, pieces: Sequence[float]) -> None:
        """What slabs take beside their part of what the whole op takes, and their scratch, by their rows."""
        layout = bands.layout
        for op, ((way, cycles), *_) in zip(layout.ops, item.whole, strict=True):
            mine = [
                (piece.way, taken)
                for action, piece, taken in zip(layout.actions, bands.pieces, pieces, strict=True)
                if isinstance(action, Slab) and action.op is op
            ]
            kind, rows = way.kind, max(slab.op.y.shape[layout.axis] for slab, _ in mine)
            beside = (sum(taken for _, taken in mine) - cycles.value) / len(mine)
            self._slabs.setdefault(kind, {})[rows] = beside, max(_scratch(slab) for slab, _ in mine)

    def _alive(self, first: int, stop: int, layout: Layout) -> int:
        """What lies there while a run goes on, but for its scratch."""
        sizes, reads = self._flow.sizes, {self._index[x] for x in layout.reads}
        around = (s for s, life in enumerate(self._lives) if life.first < first and life.last >= stop)
        beside = sum(sizes[s] for s in {*reads, *around})
        y = self._index[layout.y]
        grown = [sizes[y]]
        for x in layout.reads:
            s = self._index[x]
            if self._lives[s].last < stop and s not in self._flow.outputs:
                by = aligned(layout.slides[x]) if layout.slides[x] else 0
                grown.append(by + max(sizes[y] - by - sizes[s], 0))
        return beside + min(grown)


def _nearest(known: Iterable[int], rows: int) -> int:
    return min(known, key=lambda r: abs(r - rows))


def _within(some: Singles, most: int) -> Singles:
    """Options with so much scratch at most, or the least that there is, the fastest first."""
    most = max(most, min(way.call.scratch_bytes for way, _ in some))
    return tuple(sorted((o for o in some if o[0].call.scratch_bytes <= most), key=lambda option: option[1].value))


_Path = tuple[int, ...]
"""Items by number, one after the other, that do all steps."""


def _wanted(items: Sequence[_Item], steps: int, slack: float) -> list[int]:
    """Guesses, by number, that should be built next, those of the lowest rung first: of those that share steps only one, because
    what it teaches may make the others less promising."""
    found, done = list[int](), set[int]()
    for path in reversed(_spaced(items, _ladder(items, steps, slack))):
        for n in path:
            mine = range(items[n].first, items[n].stop)
            if items[n].is_guess and done.isdisjoint(mine):
                found.append(n)
                done.update(mine)
    return found


def _spaced(items: Sequence[_Item], rungs: Sequence[_Path]) -> list[_Path]:
    """The rungs that must be no guesses: the lowest one, and from above each that is so much below the last one."""
    found, most = list[_Path](), float("inf")
    for path in rungs:
        peak = max(items[n].alive for n in path)
        if peak <= most or path is rungs[-1]:
            found.append(path)
            most = peak * BUILT
    return found


def _ladder(items: Sequence[_Item], steps: int, slack: float) -> list[_Path]:
    """The fastest items within less and less bytes alive, as far as `slack` allows."""
    found = list[_Path]()
    most, fewest = 1 << 60, 0
    while path := _shortest(items, steps, most):  # none, or no steps
        cycles = sum(items[n].cycles for n in path)
        fewest = fewest or cycles
        if cycles > fewest * (1 + slack):
            break
        found.append(path)
        peak = max(items[n].alive for n in path)
        most = min(peak - 1, int(peak * RUNG))
    return found


def _shortest(items: Sequence[_Item], steps: int, most: int) -> _Path | None:
    """The items with at most so many bytes alive that do all steps in the fewest cycles; of equal ones the least alive, then the
    first."""
    starting: list[list[int]] = [[] for _ in range(steps)]
    for n, item in enumerate(items):
        if item.alive <= most:
            starting[item.first].append(n)
    best: list[tuple[int, int, int] | None] = [None] * steps + [(0, 0, 0)]
    for at in reversed(range(steps)):
        found = [
            (items[n].cycles + rest[0], items[n].alive + rest[1], n)
            for n in starting[at]
            if (rest := best[items[n].stop]) is not None
        ]
        best[at] = min(found, default=None)
    path, at = list[int](), 0
    while at < steps:
        there = best[at]
        if there is None:
            return None
        path.append(there[2])
        at = items[there[2]].stop
    return tuple(path)
