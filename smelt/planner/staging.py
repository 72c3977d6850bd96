"""Tables in flash that are moved to a fast memory just before they are read, by a DMA, while the step before computes.

A table is staged where that saves more than it costs: what the kernel waits less for it (`Predictor.stalls`), against what the
core spends to start the move and to see its end, and what of the move the step before is too short to hide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from smelt.loops.ir import Scratch
from smelt.model.graph import Array
from smelt.planner.check import check
from smelt.planner.hierarchy import POLLING, PROGRAMMING
from smelt.planner.measurement import FLASH
from smelt.planner.placement import Placement, Stage, budgets
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.tiles import BURST, rounded
from smelt.planner.ways import Piece
from smelt.targets.types import Dma, Memory

LEAST = 1024
"""Bytes of a table that is worth a look."""

SHARE = 0.02
"""Of a step's cycles: what must be saved, as both sides are estimates."""

AT_ONCE = 6
"""Tables of one step that are moved: half the channels, as those of the next step may be under way, but for those that tiles of
activations have (`in_tiles.py`)."""


def staged(plan: Plan, predictor: Predictor) -> Plan:
    """The plan with all moves of tables that pay; as it is where the chip has no DMA between flash and a fast memory."""
    routes = [(dma, m) for dma in plan.board.chip.dma for m in _fast(plan, dma)]
    if not routes:
        return plan
    search = _Search(plan, predictor, *routes[0])
    for number in range(2 if plan.fed else 1, len(plan.steps)):  # what is fed is computed before the run
        search.look_at(number)
    if not search.stages:
        return plan
    return check(replace(plan, placements=(*plan.placements, *search.placements), stages=tuple(search.stages)))


def _fast(plan: Plan, dma: Dma) -> Iterator[Memory]:
    """The memories that answer the core at once, to which a DMA moves from flash."""
    if dma.reach(plan.board.chip.flash.name):
        yield from (m for m in plan.board.chip.rams if not m.path.first and dma.reach(m.name))


@dataclass
class _Search:
    """Goes through the steps, and takes what pays and has room."""

    plan: Plan
    predictor: Predictor
    dma: Dma
    memory: Memory
    stages: list[Stage] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)  # cycles of moves by the step that hides them

    def look_at(self, number: int) -> None:
        step, before = self.plan.steps[number], self._cycles(number - 1)
        tables = {id(a): a for call in step.calls for a in call.arguments if isinstance(a, np.ndarray)}
        worth = sorted(((self._saved(number, t), n) for n, t in enumerate(tables.values())), reverse=True)
        for saved, n in worth[:AT_ONCE]:
            table = list(tables.values())[n]
            if not self._may_move(table):
                continue
            move = self._move_cycles(table)
            seen = max(self.moved.get(number - 1, 0) + move - before, 0)
            gain = saved - PROGRAMMING - POLLING - seen
            offset = self._offset(number, table.nbytes)
            if gain > SHARE * self._cycles(number) and offset is not None:
                self.moved[number - 1] = self.moved.get(number - 1, 0) + move
                self._take(number, table, offset)

    def _may_move(self, table: Array) -> bool:
        """Whether a table lies in the chip's own flash, and is of a size that one move has."""
        here = self.plan.table_memory(table) is None and self.plan.table_flash(table) is None
        return here and LEAST <= table.nbytes <= self.dma.row_bytes

    def _move_cycles(self, table: Array) -> int:
        source, target = self.dma.reach(self.plan.board.chip.flash.name), self.dma.reach(self.memory.name)
        assert source and target
        return self.dma.cycles(source, target, table.nbytes, grain=32)

    def _saved(self, number: int, table: Array) -> float:
        """Cycles that the calls of a step wait less with the table in the fast memory."""
        return sum(
            self.predictor.stalls(piece.way, self._memories(piece))
            - self.predictor.stalls(piece.way, self._memories(piece, table))
            for piece in self.plan.steps[number].pieces
            if any(a is table for a in piece.call.arguments)
        )

    def _cycles(self, number: int) -> int:
        """Predicted, of a step as it is planned."""
        return sum(self.predictor.at(p.way, self._memories(p)).value for p in self.plan.steps[number].pieces)

    def _memories(self, piece: Piece, table: Array | None = None) -> Sequence[str]:
        """Where each buffer of a call lies; `table` in the fast memory."""
        found = []
        for a in piece.call.arguments:
            if not isinstance(a, np.ndarray):
                found.append(self.plan.placement(piece.part(a).owner).memory)
            else:
                found.append(
                    self.memory.name if a is table else self.plan.table_memory(a) or self.plan.table_flash(a) or FLASH
                )
        return found

    def _offset(self, number: int, size: int) -> int | None:
        """The lowest place for a table from the step before `number` on; None where none is left within the budgets."""
        taken = [p for p in (*self.plan.placements, *self.placements) if p.memory == self.memory.name]
        most = budgets(self.plan.board, self.plan.reserve)[self.memory.name]
        most -= self.plan.resident_uses.get(self.memory.name, 0)
        for start in sorted({0, *(rounded(p.end, BURST) for p in taken)}):
            there = Placement("", self.memory.name, start, rounded(size), number - 1, number)
            if there.end <= most and not any(there.meets(p) for p in taken):
                return start if self._within_limits(there.end) else None
        return None

    def _within_limits(self, end: int) -> bool:
        """Whether the RAM budget is kept with bytes up to `end` of the fast memory."""
        used = max([self.plan.used(self.memory.name), *(p.end for p in self.placements)])
        limit, more = self.plan.limits.ram, max(end - self.plan.used(self.memory.name), used - end, 0)
        return limit is None or self.plan.ram_bytes + more <= limit

    def _take(self, number: int, table: Array, offset: int) -> None:
        buffer = Scratch(rounded(table.nbytes))
        name = f"{self.plan.steps[number].name}.table{sum(s.last == number for s in self.stages) or ''}"
        span = number - 1, number
        self.placements.append(Placement(name, self.memory.name, offset, buffer.bytes, *span, scratch=buffer))
        self.stages.append(Stage(table, buffer, *span))
