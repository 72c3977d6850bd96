"""Execution order with the least peak memory: quick orders first, then a best-first search over the sets of steps done.

Every search ends after a number of moves that it looked at, never after a time: the same graph gets the same order on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import NamedTuple

from smelt.planner.depth_first import depth_first
from smelt.planner.effort import NORMAL
from smelt.planner.flow import Flow, Use, peak

BEAM = 32
"""How many sets of steps of each size the quick search keeps, if `BEAM_MOVES` allow."""

BEAM_MOVES = 150_000
"""How many moves the quick search looks at, about. Where one set of each size would take more, there is no quick search."""


@dataclass(frozen=True)
class Order:
    """Steps by number, the `peak` of live bytes in this order, and a `bound` below which no order gets.

    The order is proved best where `peak == bound`. `cut_short`: the search for it ended before it had looked at all.
    """

    steps: tuple[int, ...]
    peak: int
    bound: int
    cut_short: bool = False


class _Move(NamedTuple):
    """What running one step does: the most bytes alive while it runs, and what is alive after it."""

    step: int
    during: int
    after: int


_Path = tuple[int, int, int, int, tuple[int, ...]]
"""A set of steps done and how it was reached: the set, the steps that are ready, the peak, the bytes alive, the steps."""


def best_order(flow: Flow, moves: int = NORMAL.moves) -> Order:
    """The order of steps with the least peak of live bytes, scratch and writing in place included.

    Exact as long as `moves` suffice (steps that can follow a set of steps; the usual number takes a few seconds), else the best
    of a beam and of a depth-first order. The order given is kept where none is better.
    """
    given = Order(tuple(range(len(flow.uses))), peak(flow), lower_bound(flow))
    if given.peak == given.bound:
        return given
    search = _Search(flow, given.bound)
    deep = depth_first(flow)
    known = (given, search.beam(), Order(deep, peak(flow.reordered(deep)), given.bound))
    best = min((order for order in known if order is not None), key=lambda order: order.peak)
    found = best if best.peak == best.bound else search.run(best, moves)
    # the search knows of results over one operand only
    several = any(flow.least_beside(i) < flow.least_written(i) for i in range(len(flow.uses)))
    return replace(found, bound=given.bound) if several else found


def lower_bound(flow: Flow) -> int:
    """Bytes that are alive at some time in every order: around each step what it reads and writes, at the ends all
    inputs and outputs."""
    ends = [sum(flow.sizes[s] for s in flow.inputs), sum(flow.sizes[s] for s in flow.outputs)]
    return max(ends + [_least_during(flow, i) for i in range(len(flow.uses))])


def _least_during(flow: Flow, step: int) -> int:
    return sum(flow.sizes[s] for s in flow.uses[step].reads) + flow.least_beside(step) + flow.scratch[step]


class _Search:
    """Dijkstra's algorithm where the length of a path is its peak, over sets of steps done (bits of an int).

    What is alive after a set of steps does not depend on their order, so a set is looked at once, by its best path.
    """

    def __init__(self, flow: Flow, bound: int) -> None:
        self.flow, self.bound = flow, bound
        self.looked = 0  # moves looked at
        self.needs = [_bits(needed) for needed in flow.needs]
        self.followers = [_bits(followers) for followers in flow.followers]
        self.kept = [bool(readers) or s in flow.outputs for s, readers in enumerate(flow.readers)]
        self.written = flow.written
        self.dying = [tuple(self._may_die(i)) for i in range(len(flow.uses))]
        self.left = [self._left(use) for use in flow.uses]
        self.all = (1 << len(flow.uses)) - 1
        self.first = max(sum(flow.sizes[s] for s in flow.inputs), bound)  # the peak of an empty path
        self.waiting = sum(flow.sizes[s] for s in flow.inputs if self.kept[s])
        self.ready = _bits(frozenset(i for i, needed in enumerate(self.needs) if not needed))

    def _left(self, use: Use) -> int:
        """What the results of a step that somebody needs take up, in bytes."""
        return sum(self.flow.sizes[s] for s in use.writes if self.kept[s] and s not in self.flow.inputs)

    def _may_die(self, step: int) -> Iterator[tuple[int, int, int]]:
        """Of the storages that a step may be the last to read: the other readers, the size, and what its result takes up besides
        where it is written over them."""
        slides = self.flow.slides(step)
        for s in sorted(self.flow.uses[step].reads - self.flow.outputs):
            beside = self.flow.grown(step, s, slides[s]) if s in slides else self.written[step]
            yield _bits(self.flow.readers[s] - {step}), self.flow.sizes[s], beside

    def beam(self, moves: int = BEAM_MOVES) -> Order | None:
        """A good order: step by step, the up to `BEAM` sets with the least peak and then the fewest bytes alive survive.

        None where following a single one would look at more than `moves`.
        """
        layer: list[_Path] = [(0, self.ready, self.first, self.waiting, ())]
        share, start = moves // len(self.flow.uses) + 1, self.looked
        for _ in self.flow.uses:
            if self.looked - start > moves:
                return None
            layer, before = sorted(layer, key=lambda path: path[4]), self.looked
            found: dict[bytes, tuple[int, int, int, int]] = {}
            # of equal paths the first in the order of the file: by the places of what they go on from, then by the step
            for place, (state, ready, top, alive, _) in enumerate(layer):
                for move in self._moves(state, ready, alive, top):
                    path = max(top, move.during), move.after, place, move.step
                    key = self._key(state | 1 << move.step)
                    found[key] = min(found.get(key, path), path)
            width = min(BEAM, max(share * len(layer) // (self.looked - before), 1))
            layer = [self._reached(layer[path[2]], path) for path in sorted(found.values())[:width]]
        ((_, _, top, _, steps), *_) = layer
        return Order(steps, top, self.bound)

    def _reached(self, origin: _Path, move: tuple[int, int, int, int]) -> _Path:
        top, after, _, step = move
        state = origin[0] | 1 << step
        return state, self._ready(state, origin[1], step), top, after, (*origin[4], step)

    def run(self, given: Order, moves: int) -> Order:
        """The best order, or the one given where that is as good or the search is cut short."""
        # peak, steps done (negative), set, bytes alive, and what was ready before the last step
        queue = [(self.first, 0, 0, self.waiting, self.ready)]
        best, came = {self._key(0): self.first}, dict[bytes, tuple[int, int]]()
        settled, start = set[bytes](), self.looked
        while queue:
            top, done, state, alive, ready = heappop(queue)
            if state == self.all:
                return Order(self._path(came), top, top)
            if self.looked - start >= moves:
                return Order(given.steps, given.peak, top, True)  # every better order has a set of this peak before it
            key = self._key(state)
            if key in settled:
                continue
            settled.add(key)
            ready = self._ready(state, ready, came[key][1]) if state else ready
            for move in self._moves(state, ready, alive, top):
                reached, high = state | 1 << move.step, max(top, move.during)
                key = self._key(reached)
                if high < best.get(key, given.peak):
                    best[key], came[key] = high, (state, move.step)
                    heappush(queue, (high, done - 1, reached, move.after, ready))
        return Order(given.steps, given.peak, given.peak)

    def _moves(self, state: int, ready: int, alive: int, top: int) -> list[_Move]:
        """The steps that can run now; only one where it costs nothing to run it at once.

        A step that neither raises the peak nor leaves more alive than before may as well run now: later it would
        free no more, and what it frees now makes room for all the others.
        """
        moves: list[_Move] = []
        while ready:
            lowest = ready & -ready
            ready ^= lowest
            self.looked += 1
            move = self._move(lowest.bit_length() - 1, state, alive)
            if move.during <= top and move.after <= alive:
                return [move]
            moves.append(move)
        return moves

    def _move(self, step: int, state: int, alive: int) -> _Move:
        freed, written = 0, self.written[step]
        for others, size, beside in self.dying[step]:
            if not others & ~state:
                freed += size
                written = min(written, beside)
        during = alive + self.flow.scratch[step] + written
        return _Move(step, during, alive - freed + self.left[step])

    def _ready(self, state: int, ready: int, step: int) -> int:
        """The steps that can run after one of those that were ready has: `state` is the set with it."""
        ready ^= 1 << step
        left = self.followers[step]
        while left:
            lowest = left & -left
            left ^= lowest
            if not self.needs[lowest.bit_length() - 1] & ~state:
                ready |= lowest
        return ready

    def _key(self, state: int) -> bytes:
        """What a set of steps is found by: the hash of an int is the same for steps that are 61 apart."""
        return state.to_bytes(len(self.needs) // 8 + 1, "little")

    def _path(self, came: dict[bytes, tuple[int, int]]) -> tuple[int, ...]:
        steps, state = list[int](), self.all
        while state:
            state, step = came[self._key(state)]
            steps.append(step)
        return tuple(reversed(steps))


def _bits(numbers: frozenset[int]) -> int:
    return sum(1 << n for n in numbers)
