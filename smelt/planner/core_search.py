"""Steps divided over the cores of a cluster: which rounds and shares take the fewest predicted cycles.

Asked of a plan whose tensors lie in the memory that the cluster's DMA reaches. For each way to see an op (`shares.py`), rows, pixels
or channels are what a core computes of a round; rounds are as large as the cluster's memory allows, or smaller where moves are hidden
better then. First all sizes are judged by the work of the whole op; of the best of each kind the kernels are built.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil


from smelt.errors import Unsupported
from smelt.model.graph import Op
from smelt.model.slabs import Rows, needed
from smelt.planner.check import check
from smelt.planner.flow import aligned
from smelt.planner.in_tiles import Start, Transfer
from smelt.planner.on_cores import OnCores, Portion, on_cores, placed_in_order
from smelt.planner.placement import Placement, budgets, scratch_name
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.shares import View, follows_channels, rectangle, share, views
from smelt.planner.step import Step
from smelt.planner.tiles import rounded
from smelt.planner.ways import Fetch, Way, Ways
from smelt.targets.cluster import Cluster

MOST_ROUNDS = 24
"""Of a step: each is a function and some moves in C."""

MOST_KERNELS = 24
"""Kernels of a step that are built."""

BUILT = 2
"""Of the sizes of each kind, so many are built: those that are best by the work of the whole op."""

CALL = 60
"""Cycles of a kernel call that do not depend on its size."""

FORK = 110
"""Cycles from before a round until the cores begin, and from the last one's end until the first goes on: two barriers, a call by
address, finding the own share."""


@dataclass(frozen=True)
class _Size:
    """Of a round: rows and channels; `by_channels` says whether cores divide its channels. Channels are the outer loop, or rows."""

    rows: int
    channels: int
    by_channels: bool
    rows_first: bool


def on_all_cores(plan: Plan, predictor: Predictor, ways: Ways) -> Plan:
    """The plan with its steps divided over the cores of the board's cluster; as it is where there is none."""
    cluster = plan.board.chip.cluster
    if cluster is None:
        return plan
    room = budgets(plan.board, plan.reserve)[cluster.memory]
    search = _Search(cluster, predictor, ways, room)
    cycles = plan.cycles
    for number, step in enumerate(plan.steps):
        if isinstance(step.way, Way) and _apart(plan, step.way):
            found = search.best(step.way)
            if found is not None:
                plan = _with(plan, number, found, cluster.memory)
    cycles = sum(s.way.cycles if isinstance(s.way, OnCores) else predictor.cycles(p.way).value for s in plan.steps for p in s.pieces[:1])
    return check(replace(plan, cycles=cycles))


class _Search:
    """Rounds for ops, in a room of a cluster's memory."""

    def __init__(self, cluster: Cluster, predictor: Predictor, ways: Ways, room: int) -> None:
        self._cluster, self._predictor, self._ways, self._room = cluster, predictor, ways, room
        self._built: dict[Hashable, tuple[Way, float]] = {}

    def best(self, way: Way) -> OnCores | None:
        """The fewest predicted cycles; None where an op cannot be divided, or its parts are too large."""
        found: OnCores | None = None
        self._built.clear()
        for view in views(way.op):
            for by_channels in (False, True):
                for size in self._sizes(way, view, by_channels)[:BUILT]:
                    made = self._made(way, view, size)
                    if made is not None and (found is None or made.cycles < found.cycles):
                        found = made
        return found

    def _sizes(self, way: Way, view: View, by_channels: bool) -> list[_Size]:
        """Those that have room, the best first."""
        work = self._work(way)
        judged = []
        for size in self._all(view, by_channels):
            rounds = ceil(view.length / size.rows) * ceil(view.channels / size.channels)
            if rounds <= MOST_ROUNDS and self._bytes(way, view, size) <= self._room:
                judged.append((self._judged(way, view, size, work), size))
        return [size for _, size in sorted(judged, key=lambda pair: pair[0])]

    def _all(self, view: View, by_channels: bool) -> Iterator[_Size]:
        count = self._cluster.count
        if by_channels and view.channels < 2:
            return
        if follows_channels(view.op) and not by_channels:
            blocks = [view.channels]  # what a core reads of a round is in one piece
        else:
            blocks = _steps(view.channels, 4 * count if by_channels else 4)
        rows = _steps(view.length, 1 if by_channels else count)
        for channels in blocks:
            for n in rows:
                several = n < view.length and channels < view.channels
                for rows_first in (False, True) if several else (False,):
                    yield _Size(n, channels, by_channels, rows_first)

    def _bytes(self, way: Way, view: View, size: _Size) -> int:
        """What buffers take up, about."""
        op, whole = view.op, size.rows >= view.length
        follows = follows_channels(op)
        some = size.channels / view.channels
        xs = 0.0
        for x in op.activations:
            reads = Rows(0, 1) if view.axis is None else needed(op, _middle(view, size.rows), view.axis)[x]
            again = whole and (size.channels >= view.channels or not follows)
            xs += rectangle(x, view.axis, reads).bytes * (some if follows else 1) * (1 if again else 2)
        once = whole and size.channels >= view.channels
        y = rectangle(op.ys[0], view.axis, Rows(0, size.rows)).bytes * some * (1 if once else 2)
        tables = way.table_bytes * some * (1 if size.channels >= view.channels else 2)
        scratch = sum(aligned(s.bytes) for s in way.scratch) * self._cluster.count
        return round(xs + y + tables + scratch) + 512

    def _judged(self, way: Way, view: View, size: _Size, work: float) -> float:
        """Cycles, by the work of the whole op."""
        count, op = self._cluster.count, view.op
        blocks, parts = ceil(view.channels / size.channels), ceil(view.length / size.rows)
        rounds = blocks * parts
        if size.by_channels:
            busy = min(ceil(size.channels / count / 4) * 4, size.channels) / view.channels * size.rows / view.length
        else:
            busy = ceil(size.rows / count) / view.length * size.channels / view.channels
        compute = rounds * (work * busy + FORK + CALL)
        x_bytes, y_bytes = sum(x.bytes for x in op.activations), op.ys[0].bytes
        again = 1 if follows_channels(op) or size.rows_first or parts == 1 else blocks
        tables = way.table_bytes * (parts if size.rows_first and blocks > 1 else 1)
        moved = x_bytes * again / 7.2 + tables / 7.2 + y_bytes / 5.3 + rounds * 90
        ends = (x_bytes * again + tables) / rounds / 7.2 + y_bytes / rounds / 5.3
        return max(compute, moved) + ends + rounds * 90

    def _work(self, way: Way) -> float:
        return way.instructions(self._predictor.board.core) * self._predictor.board.core.cycles_per_instruction

    # --- built ----------------------------------------------------------------------------------------------------------------------------

    def _made(self, way: Way, view: View, size: _Size) -> OnCores | None:
        try:
            made = [self._portion(way, view, rows, channels, size.by_channels) for rows, channels in _order(view, size)]
        except Unsupported:
            return None
        found = on_cores(way, view, [portion for portion, _ in made], view.name if not size.by_channels else "channels")
        if sum(rounded(s.bytes, 16) for s in found.scratch) > self._room:
            return None
        return replace(found, cycles=self._timed(found, [busy for _, busy in made]))

    def _portion(self, way: Way, view: View, rows: Rows, channels: Rows, by_channels: bool) -> tuple[Portion, float]:
        """A round, and what its busiest core takes."""
        count = self._cluster.count
        if by_channels:
            shares = [share(view, rows, part) for part in _divided(channels, count, 4)]
        else:
            shares = [share(view, part, channels) for part in _divided(rows, count, 1)]
        built = [self._way(way, view, s.op, s.channels) for s in shares]
        reads = []
        for k, x in enumerate(view.op.activations):
            if follows_channels(view.op) and by_channels:
                reads.append(tuple(s.xs[k] for s in shares))
            else:
                all_rows = Rows(0, 1) if view.axis is None else needed(view.op, rows, view.axis)[x]
                reads.append((rectangle(x, view.axis, all_rows),))
        busiest = max(cycles for _, cycles in built)
        return Portion(tuple(shares), tuple(w for w, _ in built), tuple(reads)), busiest

    def _way(self, whole: Way, view: View, op: Op, channels: Rows) -> tuple[Way, float]:
        """The kernel call of a share, and its cycles. Raises Unsupported."""
        key = view.name, tuple(x.shape for x in op.activations), op.ys[0].shape, getattr(op, "pad", None), channels
        if key not in self._built:
            if len(self._built) == MOST_KERNELS * 4:
                raise Unsupported(f"'{op}' on cores", ("too many kernel calls differ",))
            way = self._ways.named(op, whole.names) or self._same(whole, op) or self._ways.frugal(op)
            cycles = way.instructions(self._predictor.board.core) * self._predictor.board.core.cycles_per_instruction
            self._built[key] = way, cycles + CALL
        way, cycles = self._built[key]
        return way if way.op is op else way.of(op), cycles

    def _same(self, whole: Way, op: Op) -> Way | None:
        offer = next((o for o in self._ways.offers(op) if o[0] is whole.implementation), None)
        return None if offer is None else self._ways.built(op, offer)

    def _timed(self, way: OnCores, busy: Sequence[float]) -> int:
        """Cycles of all of it: the DMA moves one thing after another while cores compute."""
        now = free = 0.0
        done: dict[object, float] = {}
        dma = self._cluster.dma
        for r, cycles in (*zip(way.rounds, busy, strict=True), (None, 0.0)):
            for event in r.events if r is not None else way.after:
                moved = event.transfer
                if isinstance(event, Start):
                    now += dma.call
                    free = max(free, now) + _moved(moved, self._cluster)
                    done[moved] = free
                else:
                    now = max(now, done[moved]) + dma.call // 2
            now += cycles + FORK if r is not None else 0
        return round(now)


def _moved(moved: Transfer | Fetch, cluster: Cluster) -> int:
    """Cycles of the DMA."""
    if isinstance(moved, Fetch):
        return cluster.dma.cycles(moved.data.nbytes, True) - cluster.dma.call
    r = moved.rectangle
    return cluster.dma.cycles(r.bytes, moved.inward, r.count) - cluster.dma.call


def _steps(length: int, grain: int) -> list[int]:
    """Sizes of parts that are worth a look: as large as can be for their number, multiples of `grain` where there are several."""
    found = {length}
    for n in range(2, MOST_ROUNDS + 1):
        size = ceil(length / n / grain) * grain
        if size < length:
            found.add(size)
    return sorted(found, reverse=True)


def _middle(view: View, rows: int) -> Rows:
    """Rows of a round that read most."""
    first = min(max((view.length - rows) // 2, 0), view.length - rows)
    return Rows(first, first + rows)


def _order(view: View, size: _Size) -> Iterator[tuple[Rows, Rows]]:
    rows = [Rows(a, min(a + size.rows, view.length)) for a in range(0, view.length, size.rows)]
    blocks = [Rows(a, min(a + size.channels, view.channels)) for a in range(0, view.channels, size.channels)]
    if size.rows_first:
        yield from ((r, c) for r in rows for c in blocks)
    else:
        yield from ((r, c) for c in blocks for r in rows)


def _divided(some: Rows, count: int, grain: int) -> list[Rows]:
    """Parts for cores: as equal as whole grains allow."""
    grains = ceil(some.count / grain)
    parts = min(count, grains)
    ends = [some.first + (grains * k // parts) * grain for k in range(parts)] + [some.stop]
    return [Rows(a, b) for a, b in zip(ends, ends[1:], strict=False)]


def _apart(plan: Plan, way: Way) -> bool:
    """Whether the result lies apart from the operands: moves of one may come before moves of the other."""
    return not any(plan.places[y].meets(plan.places[x]) or plan.places[y] is plan.places[x] for y in way.ys for x in way.op.activations)


def _with(plan: Plan, number: int, way: OnCores, memory: str) -> Plan:
    """The plan with a step on cores, whose buffers lie at the beginning of a memory."""
    old = plan.steps[number]
    step = Step(way, old.name)
    placements: list[Placement] = [p for p in plan.placements if p.scratch not in set(old.scratch)]
    for k, (scratch, offset) in enumerate(placed_in_order(step.scratch)):
        name = scratch_name(step.name, k)
        placements.append(Placement(name, memory, offset, rounded(scratch.bytes, 16), number, number, scratch=scratch))
    steps = (*plan.steps[:number], step, *plan.steps[number + 1 :])
    return replace(plan, steps=steps, placements=tuple(placements))


