"""Steps divided over the cores of a cluster: which rounds and shares take the fewest predicted cycles.

Asked of a plan whose tensors lie in the memory that the cluster's DMA reaches. For each way to see an op (`shares.py`), rows,
pixels or channels are what a core computes of a round; rounds are as large as the cluster's memory allows, or smaller where moves
are hidden better then. First all sizes are judged by the work of the whole op; of the best of each kind a kernel is built.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, pairwise, product
from math import ceil

from smelt.errors import Unsupported
from smelt.kernels.implementation import Numbers
from smelt.model.graph import Array, Op
from smelt.model.ops import Pool
from smelt.model.slabs import Rows, needed
from smelt.planner.check import check
from smelt.planner.core_figures import fastest
from smelt.planner.core_times import CALL, FORK, call_cycles, timed
from smelt.planner.costs import cycles_of
from smelt.planner.flow import aligned
from smelt.planner.hierarchy import KILO
from smelt.planner.kept import with_kept, with_way
from smelt.planner.offers import Offer
from smelt.planner.on_cores import MOST_ROUNDS, OnCores, Portion, on_cores
from smelt.planner.part_sums import by_inputs
from smelt.planner.placement import budgets
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.shares import Share, View, follows_channels, rectangle, share, views
from smelt.planner.tiles import rounded
from smelt.planner.ways import Way, Ways
from smelt.targets.cluster import Cluster

SCHEDULES = 4
"""Of an op, whose scratch is tried: where that is less, rounds may be larger."""

OTHERS = 1
"""Schedules of each implementation that are tried where the way of a step cannot be divided, and the one with the least scratch."""

BUILT = 1
"""Of the sizes of each kind, so many are looked at closer: those that are best by the work of the whole op."""

GRAIN = 4
"""Channels that a core computes are multiples of so many, as kernels compute some at a time."""

INPUTS = "inputs"
"""What logs say of rounds in which cores add up parts of the inputs: of those there is one size."""


@dataclass(frozen=True)
class _Size:
    """Of a round: rows and channels. Its rows are divided among `groups` of cores, its channels among the cores of a group.
    Channels are the outer loop, or rows. Operands and tables of the next round come while cores compute, where they have two
    buffers (`xs_twice`, `tables_twice`). `scratch` are the bytes that a core may have besides. Channels of cores are multiples of
    `grain`."""

    rows: int
    channels: int
    groups: int
    rows_first: bool
    xs_twice: bool
    tables_twice: bool
    scratch: int
    grain: int

    def __str__(self) -> str:
        order, twice = "rows first" if self.rows_first else "channels first", (self.xs_twice, self.tables_twice)
        buffers = {
            (True, True): "",
            (False, True): ", x once",
            (True, False): ", tables once",
            (False, False): ", all once",
        }
        return (
            f"{self.rows} rows, {self.channels} channels, {self.groups} groups, {order}{buffers[twice]}, "
            f"scratch {self.scratch}, grain {self.grain}"
        )


def on_all_cores(plan: Plan, predictor: Predictor, ways: Ways) -> Plan:
    """The plan with its steps divided over the cores of the board's cluster; as it is where there is none."""
    cluster = plan.board.chip.cluster
    if cluster is None:
        return plan
    search = CoreSearch.of(plan, predictor, ways)
    for number, step in enumerate(plan.steps):
        if isinstance(step.way, Way) and _apart(plan, step.way):
            found = search.chosen(step.way)
            plan = plan if found is None else with_way(plan, number, found, cluster.memory)
    plan = with_kept(plan, cluster)
    return check(replace(plan, cycles=sum(cycles_of(predictor, step.way).value for step in plan.steps)))


class CoreSearch:
    """Rounds for ops, in a room of a cluster's memory."""

    @staticmethod
    def of(plan: Plan, predictor: Predictor, ways: Ways) -> CoreSearch:
        """In the room of a plan for a board with a cluster."""
        cluster = plan.board.chip.cluster
        assert cluster is not None, "rounds are for clusters"
        return CoreSearch(cluster, predictor, ways, budgets(plan.board, plan.reserve)[cluster.memory])

    def __init__(self, cluster: Cluster, predictor: Predictor, ways: Ways, room: int) -> None:
        self._cluster, self._predictor, self._ways, self._room = cluster, predictor, ways, room
        self._built: dict[Hashable, tuple[Way, float]] = {}
        self._blocks: dict[Hashable, tuple[Way, float]] = {}
        self._of_whole: dict[Hashable, Numbers | None] = {}
        self._sizes: dict[Hashable, tuple[tuple[str, _Size], ...]] = {}
        self._reads: dict[tuple[View, int], int] = {}

    def chosen(self, way: Way) -> OnCores | None:
        """What is taken for the op of a way: what was measured to be fastest, or the first guess; None where nothing divides it."""
        some = chain((way,), self._ways.first_of_each(way.op, OTHERS))
        found = (rounds for one in some if (rounds := self.best(one)) is not None)
        if isinstance(way.op, Pool):  # what is best for one core reads words, of which few are left to each of several
            guess = min(found, key=lambda rounds: rounds.cycles, default=None)
        else:  # others where rounds of this implementation have no room, rather than none
            guess = next(found, None)
        return None if guess is None else fastest(self._predictor.known, guess, partial(self._again, way.op))

    def best(self, way: Way) -> OnCores | None:
        """The fewest predicted cycles; None where an op cannot be divided, or its parts are too large."""
        some = next(self._made_all(way), None), self._by_inputs(way)
        return min((m for m in some if m is not None), key=lambda m: m.cycles, default=None)

    def all(self, way: Way, most: int) -> Iterator[OnCores]:
        """The first of its sizes, the best guess first, and parts of its inputs."""
        yield from islice(self._made_all(way), most)
        if (found := self._by_inputs(way)) is not None:
            yield found

    def _again(self, op: Op, implementation: str, schedule: str, size: str) -> OnCores | None:
        """A step that a log knows by these names."""
        way = self._ways.named(op, (implementation, schedule))
        if way is None:
            return None
        return self._by_inputs(way) if size == INPUTS else next(self._made_all(way, size), None)

    def _made_all(self, way: Way, only: str = "") -> Iterator[OnCores]:
        """Each size for which there are kernels and room, the best guess first; only the one that logs know by this name."""
        for known in (self._built, self._blocks, self._of_whole):
            known.clear()
        seen = {view.name: view for view in views(way.op)}
        for name, size in self._best_sizes(way, tuple(seen.values())):
            told = f"{name}: {size}"
            made = self._made(way, seen[name], size) if only in ("", told) else None
            if made is not None:
                yield replace(made, size=told)

    def _by_inputs(self, way: Way) -> OnCores | None:
        """Where channels are too few for all cores."""
        few = way.op.ys[0].elements < GRAIN * self._cluster.count
        found = by_inputs(way, self._ways, self._cluster, self._room) if few else None
        return None if found is None else replace(found, size=INPUTS)

    def _best_sizes(self, way: Way, seen: Sequence[View]) -> tuple[tuple[str, _Size], ...]:
        """Views and sizes of rounds, the best first. Equal ops have the same."""
        if way.kind not in self._sizes:
            judged = []
            for view in seen:
                for groups, scratch in product(_powers(self._cluster.count), self._allowances(way, view)):
                    found = sorted(self._judged_by_work(way, view, groups, scratch), key=lambda pair: pair[0])
                    for _, size in found[:BUILT]:
                        busy = self._busy(way, view, size)
                        if busy is not None:
                            judged.append((self._judged(way, view, size, busy), view.name, size))
            ordered = sorted(judged, key=lambda one: one[0])
            self._sizes[way.kind] = tuple((name, size) for _, name, size in ordered)
        return self._sizes[way.kind]

    def _judged_by_work(self, way: Way, view: View, groups: int, scratch: int) -> Iterator[tuple[float, _Size]]:
        """Sizes that have room, with their cycles by the work of the whole op."""
        work = way.instructions(self._predictor.board.core) * self._predictor.board.core.cycles_per_instruction
        for size in self._all(view, groups, scratch):
            rounds = ceil(view.length / size.rows) * ceil(view.channels / size.channels)
            if rounds <= MOST_ROUNDS and self._bytes(way, view, size) <= self._room:
                busy = ceil(size.rows / groups) / view.length
                cores = self._cluster.count // groups
                channels = (
                    min(ceil(size.channels / cores / size.grain) * size.grain, size.channels)
                    if cores > 1
                    else size.channels
                )
                yield self._judged(way, view, size, work * busy * channels / view.channels + CALL), size

    def _all(self, view: View, groups: int, scratch: int) -> Iterator[_Size]:
        cores = self._cluster.count // groups
        follows = follows_channels(view.op)
        one_way = groups == 1 or cores == 1 or isinstance(view.op, Pool)
        if (cores > 1 and view.channels < 2) or (groups > 1 and view.length < 2) or (follows and not one_way):
            if cores > 1 or view.length > 1 or view.channels > 1:  # what cannot be divided is computed by one core
                return
        for grain in (GRAIN, 1) if follows and cores > 1 else (GRAIN,):
            # what a core reads of a round is in one piece: all channels, where it computes all
            blocks = [view.channels] if follows and cores == 1 else _steps(view.channels, grain * cores)
            for channels, rows in product(blocks, _steps(view.length, groups)):
                parts, several = rows < view.length, channels < view.channels
                orders = (False, True) if several and parts else (False,)
                xs = (True, False) if parts or (several and follows) else (True,)
                for order, xs_twice, tables_twice in product(orders, xs, (True, False) if several else (True,)):
                    yield _Size(rows, channels, groups, order, xs_twice, tables_twice, scratch, grain)

    def _bytes(self, way: Way, view: View, size: _Size) -> int:
        """What buffers take up, about."""
        all_rows, all_channels = size.rows >= view.length, size.channels >= view.channels
        some = size.channels / view.channels
        once = not size.xs_twice or (all_rows and (all_channels or not follows_channels(view.op)))
        xs = self._come(view, size) * (some if follows_channels(view.op) else 1) * (1 if once else 2)
        y = view.op.ys[0].bytes * size.rows / view.length * some * (1 if all_rows and all_channels else 2)
        tables = way.table_bytes * some * (1 if all_channels or not size.tables_twice else 2)
        return round(xs + y + tables) + size.scratch * self._cluster.count + 512

    def _come(self, view: View, size: _Size) -> int:
        """The bytes of operands of all channels that come for a round: for each group of cores where lines are apart."""
        apart = follows_channels(view.op) and 1 < size.groups < self._cluster.count
        return size.groups * self._read(view, ceil(size.rows / size.groups)) if apart else self._read(view, size.rows)

    def _read(self, view: View, rows: int) -> int:
        """The bytes of operands of all channels that a round in the middle reads."""
        key = view, rows
        if key not in self._reads:
            reads = {x: Rows(0, 1) for x in view.op.activations}
            if view.axis is not None:
                reads = dict(needed(view.op, _middle(view, rows), view.axis))
            self._reads[key] = sum(rectangle(x, view.axis, some).bytes for x, some in reads.items())
        return self._reads[key]

    def _judged(self, way: Way, view: View, size: _Size, busy: float) -> float:
        """Cycles, where the busiest core takes so many for a round."""
        blocks, parts = ceil(view.channels / size.channels), ceil(view.length / size.rows)
        rounds, y, dma, follows = blocks * parts, view.op.ys[0], self._cluster.dma, follows_channels(view.op)
        cores = self._cluster.count // size.groups
        inward, outward = (dma.cycles(KILO * 16, way_in) / (KILO * 16) for way_in in (True, False))
        again = 1 if follows or size.rows_first or parts == 1 else blocks
        lined = cores > 1 or size.channels < view.channels  # a line for each pixel and core
        xs = self._come(view, size) * parts * again * inward
        xs = max(xs, view.op.activations[0].elements / size.channels * cores if follows and lined else 0)
        ys = max(y.bytes * outward, y.elements / view.channels * blocks * cores if lined and view.length > 1 else 0)
        tables = way.table_bytes * (parts if size.rows_first and blocks > 1 else 1) * inward
        seen = (0 if size.xs_twice else xs) + (0 if size.tables_twice else tables)
        hidden = xs + ys + tables - seen
        ends = (hidden + seen) / rounds + rounds * 4 * dma.call
        return max(rounds * (busy + FORK), hidden) + seen + ends

    # --- built ---------------------------------------------------------------------------------------------------------

    def _busy(self, way: Way, view: View, size: _Size) -> float | None:
        """What the largest share of a round in the middle takes; None where no kernel computes it."""
        shares = [share(view, *some) for some in self._groups(_middle(view, size.rows), Rows(0, size.channels), size)]
        largest = max(shares, key=lambda s: (s.y.bytes, sum(x.bytes for x in s.xs)))
        try:
            return self._way(way, view, largest, size.scratch)[1]
        except Unsupported:
            return None

    def _groups(self, rows: Rows, channels: Rows, size: _Size) -> list[tuple[Rows, Rows]]:
        """The shares of a round."""
        cores = self._cluster.count // size.groups
        blocks = _divided(channels, cores, size.grain) if cores > 1 else [channels]
        return [(part, block) for part in _divided(rows, size.groups, 1) for block in blocks]

    def _allowances(self, way: Way, view: View) -> list[int]:
        """Bytes of scratch that cores may have, the least first."""
        op = way.op if view.border is None else view.op
        some = islice(self._of_kind(way, op), SCHEDULES)
        sizes = {_scratch(self._ways.built(op, offer)) for offer in some} | ({_scratch(way)} if op is way.op else set())
        return sorted(size for size in sizes if size * self._cluster.count < self._room)

    def _made(self, way: Way, view: View, size: _Size) -> OnCores | None:
        try:
            made = [self._portion(way, view, rows, channels, size) for rows, channels in _order(view, size)]
        except Unsupported:
            return None
        by = (
            view.name
            if size.groups == self._cluster.count
            else "channels"
            if size.groups == 1
            else f"{view.name} and channels"
        )
        found = on_cores(way, view, [portion for portion, _ in made], by, (size.xs_twice, size.tables_twice))
        if sum(rounded(s.bytes, 16) for s in found.scratch) > self._room:
            return None
        return replace(found, cycles=timed(found, [busy for _, busy in made], self._cluster))

    def _portion(self, way: Way, view: View, rows: Rows, channels: Rows, size: _Size) -> tuple[Portion, float]:
        """A round, and what its busiest core takes."""
        shares = [share(view, *some) for some in self._groups(rows, channels, size)]
        built = [self._way(way, view, s, size.scratch) for s in shares]
        reads = []
        for k, x in enumerate(view.op.activations):
            if follows_channels(view.op) and size.groups < self._cluster.count:
                reads.append(tuple(s.xs[k] for s in shares))
            else:
                come = Rows(0, 1) if view.axis is None else needed(view.op, rows, view.axis)[x]
                reads.append((rectangle(x, view.axis, come),))
        busiest = max(cycles for _, cycles in built)
        return Portion(tuple(shares), tuple(w for w, _ in built), tuple(reads)), busiest

    def _way(self, whole: Way, view: View, mine: Share, scratch: int) -> tuple[Way, float]:
        """The kernel call of a share, and its cycles. Raises Unsupported where there is none with so little scratch."""
        op, pad = mine.op, getattr(mine.op, "pad", None)
        shape = view.name, tuple(x.shape for x in op.activations), op.ys[0].shape, pad, scratch
        if shape in self._blocks:
            way, cycles = self._blocks[shape]
            return way.of(op, self._tables(way, view, mine)), cycles
        key = *shape, mine.channels
        if key not in self._built:
            found = next((w for w in self._all_ways(whole, op) if _scratch(w) <= scratch), None)
            if found is None:
                raise Unsupported(f"'{op}' on cores", (f"no kernel has at most {scratch} bytes of scratch",))
            block = self._block(found, view, mine)
            way = found if block is None else block
            self._built[key] = way, call_cycles(way, self._predictor.board.core)
            if block is not None:
                self._blocks[shape] = self._built[key]
        way, cycles = self._built[key]
        return way if way.op is op else way.of(op), cycles

    def _block(self, way: Way, view: View, mine: Share) -> Way | None:
        """A way for some channels whose kernel others have as well; None where there is none, or all are computed."""
        blocks, numbers = way.implementation.blocks, self._numbers(way, view)
        if blocks is None or numbers is None or mine.channels.count == view.channels:
            return None
        own = numbers.of(range(mine.channels.first, mine.channels.stop))
        return replace(way, call=blocks.build(mine.op, way.schedule, own))

    def _tables(self, way: Way, view: View, mine: Share) -> tuple[Array, ...]:
        """Those of a block like that of a way."""
        blocks, numbers = way.implementation.blocks, self._numbers(way, view)
        assert blocks is not None and numbers is not None
        own = numbers.of(range(mine.channels.first, mine.channels.stop))
        return blocks.tables(mine.op, way.schedule, own)

    def _numbers(self, way: Way, view: View) -> Numbers | None:
        """Those of the whole op, of which blocks have shares."""
        blocks, key = way.implementation.blocks, (way.implementation.name, view.whole)
        if blocks is not None and key not in self._of_whole:
            self._of_whole[key] = blocks.numbers(view.op)
        return self._of_whole.get(key)

    def _all_ways(self, whole: Way, op: Op) -> Iterator[Way]:
        """The schedule of the whole op, where it is offered for a share, then the others."""
        if (same := self._ways.named(op, whole.names)) is not None:
            yield same
        yield from (self._ways.built(op, offer) for offer in self._of_kind(whole, op))

    def _of_kind(self, whole: Way, op: Op) -> Iterator[Offer]:
        """What the implementation of the whole op offers for a share, or else the first that has something to offer."""
        every = [o for o in self._ways.offers(op) if not o[0].spends_flash]
        mine = [o for o in every if o[0] is whole.implementation]
        yield from mine or [o for o in every if o[0] is every[0][0]]


def _scratch(way: Way) -> int:
    return sum(aligned(s.bytes) for s in way.scratch)


def _powers(count: int) -> list[int]:
    """Numbers of groups of cores."""
    return [n for n in range(1, count + 1) if count % n == 0]


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
    """Parts for cores, as equal as whole grains allow, a largest one first."""
    grains = ceil(some.count / grain)
    parts = min(count, grains)
    ends = [some.first + ceil(grains * k / parts) * grain for k in range(parts)] + [some.stop]
    return [Rows(a, b) for a, b in pairwise(ends)]


def _apart(plan: Plan, way: Way) -> bool:
    """Whether the result lies apart from the operands: moves of one may come before moves of the other."""
    return not any(
        plan.places[y].meets(plan.places[x]) or plan.places[y] is plan.places[x]
        for y in way.ys
        for x in way.op.activations
    )
