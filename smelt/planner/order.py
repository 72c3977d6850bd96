"""Execution order with the least peak memory: a best-first search over the sets of steps done."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

from smelt.planner.flow import Flow, peak

EXPANSIONS = 30_000
"""How many sets of steps the search may look at (a few seconds) before it settles for less than a proof."""

BEAM = 32
"""How many sets of steps of each size the quick search keeps."""


@dataclass(frozen=True)
class Order:
    """Steps by number, the `peak` of live bytes in this order, and a `bound` below which no order gets.

    The order is proved best where `peak == bound`.
    """

    steps: tuple[int, ...]
    peak: int
    bound: int


@dataclass(frozen=True)
class _Move:
    """What running one step does: the most bytes alive while it runs, and what is alive after it."""

    step: int
    during: int
    after: int


def best_order(flow: Flow, expansions: int = EXPANSIONS) -> Order:
    """The order of steps with the least peak of live bytes, scratch and writing in place included.

    Exact as long as `expansions` suffice, else the best of a beam. The order given is kept where none is better.
    """
    given = Order(tuple(range(len(flow.uses))), peak(flow), lower_bound(flow))
    if given.peak == given.bound:
        return given
    search = _Search(flow, given.bound)
    quick = search.beam(BEAM)
    return search.run(quick if quick.peak < given.peak else given, expansions)


def lower_bound(flow: Flow) -> int:
    """Bytes that are alive at some time in every order: around each step what it reads and writes, at the ends all
    inputs and outputs."""
    ends = [sum(flow.sizes[s] for s in flow.inputs), sum(flow.sizes[s] for s in flow.outputs)]
    return max(ends + [_least_during(flow, i) for i in range(len(flow.uses))])


def _least_during(flow: Flow, step: int) -> int:
    use = flow.uses[step]
    written = 0 if flow.reusable(step) else flow.sizes[use.writes]
    return sum(flow.sizes[s] for s in use.reads) + written + flow.scratch[step]


class _Search:
    """Dijkstra's algorithm where the length of a path is its peak, over sets of steps done (bits of an int).

    What is alive after a set of steps does not depend on their order, so a set is looked at once, by its best path.
    """

    def __init__(self, flow: Flow, bound: int) -> None:
        self.flow, self.bound = flow, bound
        self.needs = [_bits(needed) for needed in flow.needs]
        self.readers = [_bits(readers) for readers in flow.readers]
        self.reusable = [flow.reusable(i) for i in range(len(flow.uses))]
        self.kept = [bool(readers) or s in flow.outputs for s, readers in enumerate(flow.readers)]
        self.all = (1 << len(flow.uses)) - 1
        self.first = max(sum(flow.sizes[s] for s in flow.inputs), bound)  # the peak of an empty path
        self.waiting = sum(flow.sizes[s] for s in flow.inputs if self.kept[s])

    def beam(self, width: int) -> Order:
        """A good order: step by step, the `width` sets with the least peak and then the fewest bytes alive survive."""
        layer = {0: (self.first, self.waiting, tuple[int, ...]())}
        for _ in self.flow.uses:
            found: dict[int, tuple[int, int, tuple[int, ...]]] = {}
            for state, (top, alive, steps) in layer.items():
                for move in self._moves(state, alive, top):
                    reached, path = state | 1 << move.step, (max(top, move.during), move.after, (*steps, move.step))
                    found[reached] = min(found.get(reached, path), path)
            layer = dict(sorted(found.items(), key=lambda item: item[1])[:width])
        (top, _, steps) = layer[self.all]
        return Order(steps, top, self.bound)

    def run(self, given: Order, expansions: int) -> Order:
        """The best order, or the one given where that is as good or the search is cut short."""
        queue = [(self.first, 0, 0, self.waiting)]  # peak, steps done (negative), set, bytes alive
        best, came = {0: self.first}, dict[int, tuple[int, int]]()
        settled = set[int]()
        while queue:
            top, done, state, alive = heappop(queue)
            if state == self.all:
                return Order(self._path(came), top, top)
            if len(settled) == expansions:
                return Order(given.steps, given.peak, top)  # every better order has a set of this peak before it
            if state in settled:
                continue
            settled.add(state)
            for move in self._moves(state, alive, top):
                reached, high = state | 1 << move.step, max(top, move.during)
                if high < best.get(reached, given.peak):
                    best[reached], came[reached] = high, (state, move.step)
                    heappush(queue, (high, done - 1, reached, move.after))
        return Order(given.steps, given.peak, given.peak)

    def _moves(self, state: int, alive: int, top: int) -> list[_Move]:
        """The steps that can run now; only one where it costs nothing to run it at once.

        A step that neither raises the peak nor leaves more alive than before may as well run now: later it would
        free no more, and what it frees now makes room for all the others.
        """
        moves: list[_Move] = []
        for step, needed in enumerate(self.needs):
            if state & (1 << step) or needed & ~state:
                continue
            move = self._move(step, state, alive)
            if move.during <= top and move.after <= alive:
                return [move]
            moves.append(move)
        return moves

    def _move(self, step: int, state: int, alive: int) -> _Move:
        flow, use = self.flow, self.flow.uses[step]
        done = state | 1 << step
        dying = [s for s in use.reads if s not in flow.outputs and not self.readers[s] & ~done]
        in_place = any(s in self.reusable[step] for s in dying)
        written = flow.sizes[use.writes]
        during = alive + flow.scratch[step] + (0 if in_place else written)
        after = alive - sum(flow.sizes[s] for s in dying) + (written if self.kept[use.writes] else 0)
        return _Move(step, during, after)

    def _path(self, came: dict[int, tuple[int, int]]) -> tuple[int, ...]:
        steps, state = list[int](), self.all
        while state:
            state, step = came[state]
            steps.append(step)
        return tuple(reversed(steps))


def _bits(numbers: frozenset[int]) -> int:
    return sum(1 << n for n in numbers)
