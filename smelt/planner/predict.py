"""What a kernel will take where nobody measured it: an estimate, good enough to choose by and always marked as one.

The static cost of the loops (`loops/cost.py`) counts instructions; cycles are those times a ratio (`ratios.py`). It is that of what
*is* measured for the same implementation on the same board or one with the same core, else of anything measured there, else one of
the core. To that
comes what the core waits for tables in flash: `first` cycles for each line of the data cache (`Path`), each line once. Dense
layers read their tables just once, and the kernels for convolutions keep what they read in registers over many pixels:
measured, the convolutions of IC on the L4R5 gain one to two times that. Tables in RAM wait as long as that RAM makes them,
which in most chips is not at all. Where loads of two memories do not overlap (the M4), each turn from a table to activations
costs a cycle more, unless both lie in the same RAM.

Where tensors, scratch, tables lie is asked with `Places`, or memory by memory for the buffers of the kernel: what was measured in
other places is corrected by the difference of what the kernel waits for memory there and here (`price.py`).

What was measured through a debug link, with code and tables in RAM, or with another compiler, is no figure for firmware.
Where there is no other, the ways that were measured so are in the ratio of these figures to each other ("ranked"); what the
first of them takes is an estimate.

What is not measured is never believed to be faster than the implementations' own order says, and what another origin measured
never faster than what this one did: see `Cycles.source`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import Literal

from smelt.loops.kernel import Kernel
from smelt.planner.hierarchy import KILO, link
from smelt.planner.known import Grade, Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import FLASH, IN_FLASH, RAM, Place, Places
from smelt.planner.placement import STACK_RESERVE
from smelt.planner.ratios import ratios
from smelt.planner.tiles import can_tile
from smelt.planner.ways import Way
from smelt.targets.types import Board, Path

Source = Literal["measured", "moved", "similar", "doubted", "ranked", "estimated"]

IN_COPIES: Place = (True, False)
"""Firmware with its tables in RAM."""

NOISE = 0.01
"""Of a kernel's cycles: what moves with the code around it. Measured gains below that do not replace a first guess."""

MOST_SAVED = 0.4
"""Of the cycles of a kernel that tables in RAM are believed to save."""


@dataclass(frozen=True)
class Cycles:
    """Cycles of a kernel: "measured" this very kernel by this origin, "moved" the same in other memories, "similar" one that
    differs in constants only, or in what it calls, or by a similar origin, "doubted" by one while this origin measured other ways,
    "ranked" an estimate whose ratio to the first guess was measured with code and tables in RAM or with another compiler,
    "estimated"."""

    value: int
    source: Source

    @property
    def grade(self) -> Grade:
        """What the figure is worth."""
        return {"moved": "similar", "doubted": "similar", "ranked": "estimated"}.get(self.source, self.source)  # type: ignore[return-value]

    @property
    def is_estimate(self) -> bool:
        """Whether nobody measured how many they are."""
        return self.grade == "estimated"


def _free(way: Way) -> tuple[str, ...]:
    return memories(way.call.kernel, Places())


def memories(kernel: Kernel, places: Places) -> tuple[str, ...]:
    """The memory of each buffer of a kernel."""
    by_role = {"input": places.x, "output": places.y, "scratch": places.scratch, "constant": places.tables}
    return tuple(by_role[b.role] for b in kernel.buffers)


@dataclass(frozen=True, eq=False)
class Predictor:
    """A way to do an op and where everything lies -> cycles, and what they are worth."""

    known: Known

    @property
    def board(self) -> Board:
        return self.known.board

    def cycles(self, way: Way, places: Places | None = None) -> Cycles:
        """Of a way with its tables in flash: as it was measured, else where operands and scratch will probably lie; or everything
        in certain memories. What `places` leave open has no price. Raises KeyError for a name that is none of the chip's
        memories."""
        if places is not None:
            return self.at(way, memories(way.call.kernel, places))
        found = self._figure(way, IN_FLASH)
        if found is not None:
            return found
        return Cycles(round(self._estimate(way) + self._at_home(way)), "estimated")

    def alone(self, way: Way) -> Cycles:
        """The same, estimates without what it waits for operands and scratch."""
        return self._figure(way, IN_FLASH) or Cycles(round(self._estimate(way)), "estimated")

    def _estimate(self, way: Way) -> float:
        """Cycles with tables in flash, and nothing to wait for but them."""
        ratio = self._ratios.get(way.implementation.name, self._ratio)
        return way.instructions(self.board.core) * ratio + self._wait(way, FLASH)

    def _at_home(self, way: Way) -> float:
        """Cycles that it waits besides where its operands and scratch will probably lie; in tiles, if that is less."""
        if not any(m.path.first for m in self.board.chip.rams):
            return 0.0
        return self.less_by_tiles(way, self.stalls(way, self.home(way)) - self.stalls(way, _free(way)))

    def less_by_tiles(self, way: Way, waits: float) -> float:
        """What is left of such waits where the op may be computed in tiles, which are moved to the first RAM."""
        fast, name = self.board.chip.rams[0], self._with_room(sum(t.bytes for t in (*way.op.activations, *way.op.ys)))
        if name == fast.name or fast.path.data is not None or not can_tile(way.op):
            return waits
        slow = next(m for m in self.board.chip.rams if m.name == name)
        pairs = ((way.op.activations, slow, fast), (way.op.ys, fast, slow))
        moved = sum(t.bytes * link(self.board, a, b).kilobyte / KILO for some, a, b in pairs for t in some)
        return min(waits, moved)

    def home(self, way: Way) -> tuple[str, ...]:
        """For each buffer of the kernel the memory where it will probably lie: all in the first RAM that holds it; where operands
        must go to another one, the scratch alone in the first that holds it."""
        tensors = sum(t.bytes for t in dict.fromkeys((*way.op.activations, *way.op.ys)))
        scratch = way.call.scratch_bytes
        first, every = self._with_room(tensors), self._with_room(tensors + scratch)
        places = Places(
            FLASH, FLASH, first, first, every if every == first == self._with_room(0) else self._with_room(scratch)
        )
        return memories(way.call.kernel, places)

    def _with_room(self, size: int) -> str:
        """The first RAM that holds so much besides the stack; the largest one where none does."""
        rams = self.board.chip.rams
        rooms = [(m.name, m.size - (STACK_RESERVE if m is rams[0] else 0)) for m in rams]
        return next((name for name, room in rooms if size <= room), max(rooms, key=lambda one: one[1])[0])

    def at(self, way: Way, memories: Sequence[str]) -> Cycles:
        """The same with each buffer of the kernel in the memory of that name ("flash", whatever the chip calls it; none: free)."""
        here = self.stalls(way, memories)
        found = min(self._elsewhere(way), key=lambda one: abs(one[1] - here), default=None)
        if found is not None:
            mine, there = found
            value = max(round(mine.value + here - there), 1)
            return mine if value == mine.value else Cycles(value, "moved" if mine.source == "measured" else mine.source)
        tables = {m for m, b in zip(memories, way.call.kernel.buffers, strict=True) if b.role == "constant"}
        figure = self.alone(way)
        usual = figure if tables <= {FLASH} else self.copied(way, figure)
        free = ["" if b.role != "constant" else m for m, b in zip(memories, way.call.kernel.buffers, strict=True)]
        return Cycles(round(usual.value + here - self.stalls(way, free)), usual.source)

    def stalls(self, way: Way, memories: Sequence[str]) -> float:
        """Cycles that a way waits for memory with its buffers there; an estimate."""
        paths = [self._path(name) for name in memories]
        return way.pricer.stalls(paths, self.board.core.cycles_per_instruction) + self._crossed(way, memories)

    def _crossed(self, way: Way, memories: Sequence[str]) -> float:
        """Cycles that loads of tables take longer next to loads of activations from another memory."""
        timing = self.board.core.timing
        if timing is None or timing.chains_across_memories:
            return 0.0
        pairs = list(zip(way.call.kernel.buffers, memories, strict=True))
        tables, others = (
            {m for b, m in pairs if m and (b.role == "constant") == constant} for constant in (True, False)
        )
        return way.counted.turns if tables and others and not tables & others else 0.0

    def _elsewhere(self, way: Way) -> Iterator[tuple[Cycles, float]]:
        """What was measured of this very kernel in firmware, and how long it waited there."""
        for m in self.known.believed.everywhere(way.kernel, self.board.name):
            if m.code_in_flash and m.cycles is not None:
                grade = self.known.grade(m, way.call.kernel)
                there = replace(m.places, tables=self._ram(way) if m.places.tables == RAM else m.places.tables)
                yield Cycles(m.cycles, grade), self.stalls(way, memories(way.call.kernel, there))

    def copied(self, way: Way, flash: Cycles) -> Cycles:
        """The same with its tables in RAM, where with its tables in flash it takes `flash`."""
        found = self._figure(way, IN_COPIES)
        if found is not None:
            return found
        memory = self._ram(way)
        saved = self._wait(way, "flash") - self._wait(way, memory) + self._chained(way, memory)
        value = round(flash.value - min(max(saved, 0), MOST_SAVED * flash.value))
        return Cycles(value, "ranked" if flash.source == "ranked" else "estimated")

    def relative(self, way: Way) -> int | None:
        """Cycles to be compared with each other only: of this kernel, else of one that differs in constants. None where there
        are none, or firmware was measured for such ops."""
        board, key = self.board.name, way.kind[0]
        for log, place in self.known.ratios(key):
            rows = {(name, text): cycles for name, text, cycles in log.ranked(key, board, place)}
            if rows:
                return log.cycles(way.kernel, board, place) or rows.get(way.names)
        return None

    def _figure(self, way: Way, place: Place) -> Cycles | None:
        """What was measured in firmware: of this kernel, else of one that differs in constants."""
        known, board, key = self.known, self.board.name, way.kind[0]
        mine = known.believed.find(way.kernel, board, place)
        if mine is not None and mine.cycles is not None:
            return Cycles(mine.cycles, known.grade(mine, way.call.kernel))
        similar = self._similar[place].get((key, *way.names))
        if similar is not None:
            return Cycles(similar, "similar")
        other = None if mine else known.doubted.cycles(way.kernel, board, place)
        doubted = other or self._doubted[place].get((key, *way.names))
        return None if doubted is None else Cycles(max(doubted, known.least(key) + 1), "doubted")

    @cached_property
    def _similar(self) -> dict[Place, dict[tuple[str, str, str], int]]:
        return {place: self._least(self.known.believed, place) for place in (IN_FLASH, IN_COPIES)}

    @cached_property
    def _doubted(self) -> dict[Place, dict[tuple[str, str, str], int]]:
        return {place: self._least(self.known.doubted, place) for place in (IN_FLASH, IN_COPIES)}

    def _least(self, log: TuningLog, place: Place) -> dict[tuple[str, str, str], int]:
        keys = dict.fromkeys(m.op_key for m in log.measurements if m.place == place)
        ranked = ((key, row) for key in keys for row in log.ranked(key, self.board.name, place))
        return {(key, name, schedule): cycles for key, (name, schedule, cycles) in ranked}

    @cached_property
    def _ratios(self) -> dict[str, float]:
        known = self.known
        return {**ratios(self.board, known.kin.measurements), **ratios(self.board, known.believed.measurements)}

    def trusts(self, way: Way) -> bool:
        """Whether an estimate of such a way rests on measurements of its implementation."""
        return way.implementation.name in self._ratios

    @cached_property
    def _ratio(self) -> float:
        return median(self._ratios.values()) if self._ratios else self.board.core.cycles_per_instruction

    def _wait(self, way: Way, memory: str) -> float:
        """Cycles that a kernel waits for its tables in a memory."""
        path = self._path(memory)
        line = path.data.line if path.data else 4
        return way.table_bytes / line * path.first

    def _chained(self, way: Way, memory: str) -> float:
        """Cycles that loads of tables in a memory save as those of activations, in the first RAM if they can, overlap them."""
        timing = self.board.core.timing
        separate = timing is not None and not timing.chains_across_memories
        return way.counted.turns if separate and memory == self.board.chip.rams[0].name else 0.0

    def _path(self, memory: str) -> Path:
        return self._paths[memory]

    @cached_property
    def _paths(self) -> dict[str, Path]:
        chip = self.board.chip
        return {"": Path(), **{m.name: m.path for m in chip.memories}, FLASH: chip.flash.path}

    def _ram(self, way: Way) -> str:
        """Where the tables of a way will probably lie: in the first RAM that they leave half of free."""
        size, rams = way.table_bytes, self.board.chip.rams
        return next((m.name for m in rams if 2 * size <= m.size), rams[-1].name)
