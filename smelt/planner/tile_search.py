"""Steps whose operands lie in a slow memory, computed in tiles in a fast one, where that is predicted to pay.

Asked of a plan whose tensors have their places: buffers of tiles take what is left of a fast memory while the step runs. Sizes are
solved for (`tile_solver.py`), then the kernels of these very tiles are built, and what they and their moves take is compared with
what the step takes as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smelt.errors import Unsupported
from smelt.model.graph import Op
from smelt.model.slabs import Rows
from smelt.planner.check import check, excess, is_sound
from smelt.planner.flow import aligned
from smelt.planner.hierarchy import Hierarchy, Level, Link, link
from smelt.planner.in_tiles import InTiles, Transfer, in_tiles
from smelt.planner.layer import Axis, layer_of
from smelt.planner.measurement import FLASH
from smelt.planner.placement import Placement, budgets, scratch_name
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.step import Step
from smelt.planner.tile_costs import Tiling
from smelt.planner.tile_solver import best_tiles
from smelt.planner.tiles import Costs, Tile, can_tile, rounded, tile, timeline
from smelt.planner.ways import Way, Ways
from smelt.targets.types import Memory

SHARE = 0.02
"""Of a step's cycles: what tiles must save, as both sides are estimates."""

MOST_TILES = 48
"""Of a step: each is a kernel call and three moves in C."""

MOST_KERNELS = 24
"""Kernel calls of a step that are built: those of tiles of one shape and the same channels are the same."""

LEAST = 4096
"""Bytes of a fast memory that are worth a look."""


class TileSearch:
    """Finds tiles for the steps of plans of one graph. What was found once for a place and a room is known."""

    def __init__(self, predictor: Predictor, ways: Ways, limit: float) -> None:
        self._predictor, self._ways, self._limit = predictor, ways, limit
        self._known: dict[Hashable, InTiles | None] = {}

    def tiled(self, plan: Plan, grow: bool) -> tuple[Plan, int]:
        """The plan with tiles where they pay, and the cycles that they are predicted to save. They take RAM that nothing else takes
        at any time only if the plan may `grow`."""
        saved = 0
        for number, step in enumerate(plan.steps):
            for found in self._of(plan, number, step, grow):
                changed = _with(plan, number, found.way, found.memory, found.offset)
                if not excess(changed) and (_apart(plan, found.way.whole) or is_sound(changed)):
                    plan, saved = changed, saved + found.gain
                    break
        return (check(plan) if saved else plan), saved

    def _of(self, plan: Plan, number: int, step: Step, grow: bool) -> Iterator[_Found]:
        """Tiles for a step, those that save most first."""
        way = step.way
        if not isinstance(way, Way) or not can_tile(way.op):
            return
        slow = [plan.places[t].memory for t in (*way.op.activations, way.op.y)]
        paths = {m.name: m.path for m in plan.board.chip.rams}
        here = [FLASH if isinstance(a, np.ndarray) else plan.placement(a).memory for a in way.call.arguments]
        now = self._predictor.at(way, here).value
        found = []
        for memory in (m for m in plan.board.chip.rams if m.path.data is None and not m.external):
            moved = [paths[name].first > memory.path.first for name in slow]
            if not any(moved):
                continue
            fast = [name if name == FLASH else memory.name for name in here]
            if now - self._predictor.at(way, fast).value <= SHARE * now:
                continue
            offset, room = _gap(plan, number, memory.name, grow)
            if room < LEAST:
                continue
            there = self._searched(plan, way, (slow[0], slow[1]), (moved[0], moved[1]), memory, room)
            if there is not None and now - there.cycles > SHARE * now:
                found.append(_Found(there, memory.name, offset, now - there.cycles))
        yield from sorted(found, key=lambda f: -f.gain)

    def _searched(
        self, plan: Plan, way: Way, slow: tuple[str, str], moved: tuple[bool, bool], fast: Memory, room: int
    ) -> InTiles | None:
        rows_only = not _apart(plan, way) or not all(moved)
        key = way.op, way.names, slow, fast.name, room, rows_only
        if key not in self._known:
            search = _Search(plan, self._predictor, self._ways, way, slow, moved, fast)
            self._known[key] = search.best(room, rows_only, self._limit)
        found = self._known[key]
        return None if found is None else replace(found, whole=way)


@dataclass(frozen=True, eq=False)
class _Found:
    way: InTiles
    memory: str
    offset: int
    gain: int


class _Search:
    """Tiles of one op between certain memories."""

    def __init__(
        self,
        plan: Plan,
        predictor: Predictor,
        ways: Ways,
        way: Way,
        slow: tuple[str, str],
        moved: tuple[bool, bool],
        fast: Memory,
    ) -> None:
        self._moved_sides = moved
        self._predictor, self._ways, self._way, self._fast = predictor, ways, way, fast.name
        memories, board = {m.name: m for m in plan.board.chip.memories}, plan.board
        self._inward = link(board, memories[slow[0]], fast)
        self._outward = link(board, fast, memories[slow[1]])
        self._slow = slow[0]
        ends = [name for name, moves in zip(slow, moved, strict=True) if moves]
        self._dma = next((d for d in board.chip.dma if all(d.reach(name) for name in (*ends, fast.name))), None)
        self._built: dict[Hashable, tuple[Way, int]] = {}

    def best(self, room: int, rows_only: bool, limit: float) -> InTiles | None:
        """In a room, of rows only where results must follow the operand; None where there are none."""
        op: Any = self._way.op
        work = self._cycles(self._way, 1.0)
        scratch = sum(aligned(s.bytes) for s in self._way.scratch)
        layer = layer_of(op, work, scratch)
        x, y = self._moved_sides
        layer = replace(layer, x=layer.x if x else 0, y=layer.y if y else 0)
        if rows_only:
            layer = replace(layer, columns=_whole(layer.columns), outputs=_whole(layer.outputs))
        there = Hierarchy(self._slow, (Level(self._fast, room - 4 * 128, self._inward, self._outward),))
        chosen = best_tiles(layer, there, limit, most=MOST_TILES)
        if chosen is None:
            return None
        tiles = _tiles(op, chosen.tiling)
        if not all(map(self._can_move, tiles)):
            return None
        try:
            pairs = [self._built_for(t) for t in tiles]
        except Unsupported:
            return None
        double = chosen.tiling.double[0]
        dma = self._dma.name if self._dma else None
        found = in_tiles(self._way, tiles, [way for way, _ in pairs], double, dma, self._moved_sides)
        if sum(rounded(s.bytes, 128) for s in found.scratch) > room:
            return None
        kernels = [cycles for _, cycles in pairs]
        return replace(found, cycles=max(self._timed(found, kernels), work))

    def _built_for(self, t: Tile) -> tuple[Way, int]:
        """The kernel call of a tile, and its cycles. Raises Unsupported where there is none, or too many are different."""
        pad = getattr(t.op, "pad", None)
        key = t.op.activations[0].shape, t.op.y.shape, pad, t.channels
        if key not in self._built:
            if len(self._built) == MOST_KERNELS:
                raise Unsupported(f"'{t.op}' in tiles", ("too many kernel calls differ",))
            way = self._ways.named(t.op, self._way.names) or self._same(t.op) or self._ways.first(t.op)
            self._built[key] = way, self._cycles(way, self._ratio)
        way, cycles = self._built[key]
        return way.of(t.op), cycles

    def _same(self, op: Op) -> Way | None:
        """By the implementation of the whole op, with its first schedule for this one."""
        offer = next((o for o in self._ways.offers(op) if o[0] is self._way.implementation), None)
        return None if offer is None else self._ways.built(op, offer)

    @property
    def _ratio(self) -> float:
        """Cycles of an instruction of the static cost, as the whole op takes them where it waits for nothing."""
        waits = self._predictor.stalls(self._way, self._memories(self._way))
        return max(self._at(self._way) - waits, 1) / max(self._way.instructions(self._predictor.board.core), 1)

    def _cycles(self, way: Way, ratio: float) -> int:
        """In the fast memory: of the whole op as it is known, of tiles by their static cost."""
        if way is self._way:
            return self._at(way)
        waits = self._predictor.stalls(way, self._memories(way))
        return round(way.instructions(self._predictor.board.core) * ratio + waits)

    def _at(self, way: Way) -> int:
        return self._predictor.at(way, self._memories(way)).value

    def _memories(self, way: Way) -> Sequence[str]:
        return [FLASH if isinstance(a, np.ndarray) else self._fast for a in way.call.arguments]

    def _can_move(self, t: Tile) -> bool:
        """Whether the DMA takes so many rows of such a size, or the core has whole words to copy."""
        if self._dma is not None:
            return all(r.count <= self._dma.rows and r.size <= self._dma.row_bytes for r in (t.x, t.y))
        return all((r.first | r.size | r.pitch) % 4 == 0 for r in (t.x, t.y))

    def _timed(self, way: InTiles, kernels: Sequence[int]) -> int:
        """Cycles of all of it."""
        moves = {t: self._moved(t) for t in way.transfers}
        if not way.double:
            core = sum(link.start + link.wait for link in map(self._link, way.transfers))
            return sum(kernels) + sum(moves.values()) + core
        nothing = (0,) * len(kernels)
        coming = {t.rectangle: moves[t] for t in way.transfers if t.inward}
        new = [n == 0 or t.x != way.tiles[n - 1].x for n, t in enumerate(way.tiles)]
        x = [coming.get(t.x, 0) if first else 0 for t, first in zip(way.tiles, new, strict=True)]
        y = tuple(moves[t] for t in way.transfers if not t.inward)
        return timeline(Costs(tuple(x), nothing, tuple(kernels), y or nothing))

    def _link(self, transfer: Transfer) -> Link:
        return self._inward if transfer.inward else self._outward

    def _moved(self, transfer: Transfer) -> int:
        way, r = self._link(transfer), transfer.rectangle
        return way.begin + r.count * way.row + r.bytes * way.kilobyte // 1024


def _tiles(op: Any, tiling: Tiling) -> list[Tile]:
    """In the order of the loops."""
    rows, columns, channels = (
        [Rows(a, min(a + cut.sizes[0], length)) for a in range(0, length, cut.sizes[0])]
        for cut, length in zip(tiling.cuts, op.y.shape[1:], strict=False)
    )
    places = [(r, c) for r in rows for c in columns]
    if tiling.by_place[0]:
        return [tile(op, r, block, c) for r, c in places for block in channels]
    return [tile(op, r, block, c) for block in channels for r, c in places]


def _whole(axis: Axis) -> Axis:
    return replace(axis, grain=None)


def _apart(plan: Plan, way: Way) -> bool:
    """Whether the result lies apart from the operand: else tiles may write over what others still need."""
    y = plan.places[way.op.y]
    return not any(y.meets(plan.places[x]) or y is plan.places[x] for x in way.op.activations)


def _gap(plan: Plan, number: int, memory: str, grow: bool) -> tuple[int, int]:
    """The largest room of a memory in which nothing lies while a step runs, but for that step's own scratch: offset and bytes."""
    own = set(plan.steps[number].scratch)
    most = budgets(plan.board, plan.reserve)[memory]
    most = (most - plan.resident_uses.get(memory, 0)) if grow else min(plan.used(memory), most)
    taken = sorted(
        (p.offset, p.end)
        for p in plan.placements
        if p.memory == memory and p.first <= number <= p.last and p.scratch not in own
    )
    best, at = (0, 0), 0
    for start, end in (*taken, (most, most)):
        if min(start, most) - at > best[1]:
            best = at, min(start, most) - at
        at = max(at, rounded(end, 128))
    return best


def _with(plan: Plan, number: int, way: InTiles, memory: str, offset: int) -> Plan:
    """The plan with a step in tiles, whose buffers lie in a memory from an offset on."""
    old = plan.steps[number]
    step = Step(way, old.name)
    placements: list[Placement] = [p for p in plan.placements if p.scratch not in set(old.scratch)]
    for k, scratch in enumerate(step.scratch):
        size = rounded(scratch.bytes, 128)
        name = scratch_name(step.name, k)
        placements.append(Placement(name, memory, offset, size, number, number, scratch=scratch))
        offset += size
    steps = (*plan.steps[:number], step, *plan.steps[number + 1 :])
    return replace(plan, steps=steps, placements=tuple(placements))
