"""What a kernel will take where nobody measured it: an estimate, good enough to choose by and always marked as one.

The static cost of the loops (`loops/cost.py`) counts instructions; cycles are those times a ratio. The ratio is that of what *is*
measured for the same implementation on the same board, else of anything measured there, else one of the core. To that comes what
the core waits for tables in flash: `first` cycles for each line of the data cache (`Path`), each line once. Dense
layers read their tables just once, and the kernels for convolutions keep what they read in registers over many pixels: measured,
the convolutions of IC on the L4R5 gain one to two times that. Tables in RAM wait as long as that RAM makes them, which in most
chips is not at all. Where loads of two memories do not overlap (the M4), each turn from a table to activations costs a cycle more,
unless both lie in the same RAM.

What was measured through a debug link, with code and tables in RAM, is no figure for firmware. Where there is no other, the ways
that were measured so are in the ratio of these figures to each other ("ranked"); what the first of them takes is an estimate.

What is not measured is never believed to be faster than the implementations' own order says: see `Cycles.source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal

from smelt.kernels.implementation import KernelCall
from smelt.loops.cost import Counts, count
from smelt.planner.log import IN_FLASH, IN_RAM, TuningLog
from smelt.planner.tables import tables_of
from smelt.targets.types import Board, Path

Source = Literal["measured", "similar", "ranked", "estimated"]

MOST_SAVED = 0.4
"""Of the cycles of a kernel that tables in RAM are believed to save."""


@dataclass(frozen=True)
class Cycles:
    """Cycles of a kernel: "measured" this very kernel, "similar" one that differs in constants only, "ranked" an estimate whose
    ratio to the first guess was measured with code and tables in RAM, "estimated"."""

    value: int
    source: Source

    @property
    def is_estimate(self) -> bool:
        """Whether nobody measured how many they are."""
        return self.source in ("ranked", "estimated")


@dataclass(frozen=True, eq=False)
class Estimator:
    """What is known of the time on one board. `log` is of one toolchain."""

    board: Board
    log: TuningLog

    def cycles(self, op_key: str, way: tuple[str, str], call: KernelCall, counted: Counts) -> Cycles:
        """Of a kernel with its tables in flash. `way` names implementation and schedule, `counted` is the kernel's cost."""
        measured = self.log.cycles(call.kernel.name, self.board.name)
        if measured is not None:
            return Cycles(measured, "measured")
        similar = self._similar(False).get((op_key, *way))
        if similar is not None:
            return Cycles(similar, "similar")
        ratio = self._ratios.get(way[0], self._ratio)
        return Cycles(round(self._static(counted) * ratio + self._wait(call, "flash")), "estimated")

    def resident(self, op_key: str, way: tuple[str, str], call: KernelCall, counted: Counts, flash: Cycles) -> Cycles:
        """The same with its tables in RAM, where with its tables in flash it takes `flash`."""
        measured = self.log.cycles(call.kernel.name, self.board.name, True)
        if measured is not None:
            return Cycles(measured, "measured")
        similar = self._similar(True).get((op_key, *way))
        if similar is not None:
            return Cycles(similar, "similar")
        memory = self._ram(call)
        saved = self._wait(call, "flash") - self._wait(call, memory) + self._chained(counted, memory)
        value = round(flash.value - min(max(saved, 0), MOST_SAVED * flash.value))
        return Cycles(value, "ranked" if flash.source == "ranked" else "estimated")

    def in_ram(self, op_key: str, way: tuple[str, str], kernel: str) -> int | None:
        """Cycles with code and tables in RAM, to be compared with each other only: of this kernel, else of one that differs in
        constants. None where there are none, or firmware was measured for such ops."""
        if self.log.covers(op_key, self.board.name):
            return None
        rows = {(name, text): cycles for name, text, cycles in self.log.ranked(op_key, self.board.name, *IN_RAM)}
        return self.log.cycles(kernel, self.board.name, *IN_RAM) or rows.get(way)

    def _similar(self, resident: bool) -> dict[tuple[str, str, str], int]:
        return self._similar_resident if resident else self._similar_flash

    @cached_property
    def _similar_flash(self) -> dict[tuple[str, str, str], int]:
        return self._least(False)

    @cached_property
    def _similar_resident(self) -> dict[tuple[str, str, str], int]:
        return self._least(True)

    def _least(self, resident: bool) -> dict[tuple[str, str, str], int]:
        keys = dict.fromkeys(m.op_key for m in self.log.measurements if m.place == (resident, "flash"))
        ranked = ((key, row) for key in keys for row in self.log.ranked(key, self.board.name, resident))
        return {(key, name, schedule): cycles for key, (name, schedule, cycles) in ranked}

    def _static(self, counted: Counts) -> float:
        return counted.instructions(self._available)

    @cached_property
    def _available(self) -> frozenset[str]:
        return frozenset(i.name for i in self.board.core.intrinsics)

    @cached_property
    def _ratios(self) -> dict[str, float]:
        """Measured cycles for an instruction of the static cost, by implementation."""
        found: dict[str, list[float]] = {}
        for m in self.log.measurements:
            cost = dict(m.counts).get("cost", 0)
            if m.cycles and cost and m.board == self.board.name and m.place == IN_FLASH:
                found.setdefault(m.implementation, []).append(m.cycles / cost)
        return {name: median(ratios) for name, ratios in found.items()}

    @cached_property
    def _ratio(self) -> float:
        return median(self._ratios.values()) if self._ratios else self.board.core.cycles_per_instruction

    def _wait(self, call: KernelCall, memory: str) -> float:
        """Cycles that a kernel waits for its tables in a memory."""
        path = self._path(memory)
        line = path.data.line if path.data else 4
        return sum(tables_of(call).values()) / line * path.first

    def _chained(self, counted: Counts, memory: str) -> float:
        """Cycles that loads of tables in a memory save as those of activations, in the first RAM if they can, overlap them."""
        timing = self.board.core.timing
        separate = timing is not None and not timing.chains_across_memories
        return counted.turns if separate and memory == self.board.chip.rams[0].name else 0.0

    def _path(self, memory: str) -> Path:
        chip = self.board.chip
        return chip.flash.path if memory == "flash" else next(m.path for m in chip.memories if m.name == memory)

    def _ram(self, call: KernelCall) -> str:
        """Where the tables of a call will probably lie: in the first RAM that they leave half of free."""
        size, rams = sum(tables_of(call).values()), self.board.chip.rams
        return next((m.name for m in rams if 2 * size <= m.size), rams[-1].name)


def counted(call: KernelCall) -> Counts:
    """The static cost of a call's kernel."""
    return count(call.kernel)
