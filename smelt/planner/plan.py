"""The noun between graph and program: `Plan`. What makes it is in `make_plan`, what proves it in `check.py`, how it prints in
`plan_text.py`, and what is said where there is none in `refusals.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from smelt.kernels.implementation import KernelCall
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Graph, Tensor
from smelt.nouns import Noun, Table
from smelt.planner.bands import Bands
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.flashes import FlashPlaces, flash_places, uses_of
from smelt.planner.flow import peak
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import STACK_RESERVE, Placement, Stage, budgets, homes
from smelt.planner.plan_text import STEP_COLUMNS, budget_line, map_lines, step_lines, step_rows, title_line
from smelt.planner.step import AnyWay, Step, flow_of, read_tables, resident_tables
from smelt.planner.tables import TableKey, all_tables, distributed, table_key
from smelt.planner.ways import Bring
from smelt.targets.types import Board, Memory


@dataclass(frozen=True, eq=False)
class Plan(Noun):
    """A graph, the board it runs on, steps in the order they run, and where everything lies.

    Inputs and intermediate tensors may be written over once nobody needs them any more: the caller writes the inputs
    before every run. `bound` is a number of bytes that no plan with these steps can go below in any order, so that
    `tensor_bytes - bound` says how far from the optimum the plan may be. `notes` tell users what could not be had.
    `limits` are the budgets that the plan keeps. `cycles` are what it is predicted to take.
    `stages` are the tables that are moved to RAM while it runs; `cycles` count on none of them.
    """

    graph: Graph
    board: Board
    steps: tuple[Step, ...]
    placements: tuple[Placement, ...]
    reserve: int = STACK_RESERVE
    bound: int = 0
    notes: tuple[str, ...] = ()
    limits: Limits = UNLIMITED
    cycles: int = 0
    stages: tuple[Stage, ...] = ()
    brings: tuple[tuple[int, Bring], ...] = ()
    """Tables that begin to come from outside of the chip before the step of that number."""

    @property
    def ways(self) -> tuple[AnyWay, ...]:
        """How each step is done."""
        return tuple(step.way for step in self.steps)

    @cached_property
    def calls(self) -> tuple[KernelCall, ...]:
        """All kernel calls, in order."""
        return tuple(call for step in self.steps for call in step.calls)

    @property
    def fed(self) -> Tensor | None:
        """The input that comes in a few rows at a time, before the run, and never is whole; as the first step reads it."""
        way = self.steps[0].way if self.steps else None
        return way.fed if isinstance(way, Bands) else None

    def placement(self, argument: Tensor | Scratch) -> Placement:
        """Where an argument of a kernel call lies. Raises KeyError for constants."""
        return self.places[argument]

    @cached_property
    def places(self) -> dict[Tensor | Scratch, Placement]:
        """Where all arguments of kernel calls lie."""
        places: dict[Tensor | Scratch, Placement] = {t: p for p in self.placements for t in p.tensors}
        places.update({p.scratch: p for p in self.placements if p.scratch is not None})
        return places

    def used(self, memory: str) -> int:
        """The size of the buffer that the plan needs in one memory, in bytes."""
        return max((p.end for p in self.placements if p.memory == memory), default=0)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories in which something lies, fastest first."""
        return tuple(m for m in self.board.chip.rams if self.used(m.name))

    @property
    def idle_bytes(self) -> int:
        """What a plan over several memories leaves of the first one, which it uses as far as it can."""
        first, *others = self.memories or (None,)
        return self.budget(first) - self.used(first.name) if first is self.board.chip.rams[0] and others else 0

    @property
    def tensor_bytes(self) -> int:
        """The bytes of all buffers together, scratch included."""
        return sum(self.used(m.name) for m in self.memories)

    @property
    def resident_bytes(self) -> int:
        """The bytes of the tables that lie in RAM; flash has them as well."""
        return sum(resident_tables(self.steps).values())

    @property
    def resident_uses(self) -> dict[str, int]:
        """The same by memory."""
        sizes: dict[str, int] = {}
        for key, size in resident_tables(self.steps).items():
            memory = (self.table_places or {})[key]
            sizes[memory] = sizes.get(memory, 0) + size
        return sizes

    @property
    def table_bytes(self) -> int:
        """The bytes of all tables, each once: what they take up of the flash."""
        return sum(all_tables(self.calls).values())

    @property
    def ram_bytes(self) -> int:
        """What the firmware will take up in RAM: tensors, tables, and an estimate for stack and data."""
        return self.tensor_bytes + self.resident_bytes + FIXED_RAM

    @property
    def flash_bytes(self) -> int:
        """What the firmware will take up in flash: tables and code, which is measured or an estimate."""
        return self.table_bytes + self.limits.sizes.of_all(self.calls, self.board.core) + self.limits.code

    @property
    def all_brings(self) -> tuple[Bring, ...]:
        """All tables that come from outside of the chip, those that do while a step computes included."""
        events = (e.transfer for step in self.steps if isinstance(step.way, OnCores) for e in step.way.events)
        return tuple(dict.fromkeys([*(b for _, b in self.brings), *(b for b in events if isinstance(b, Bring))]))

    def stage(self, step: int, table: Array) -> Stage | None:
        """The move by which a step has a table in RAM; None where it reads the table where it lies."""
        return next((s for s in self.stages if s.last == step and s.table is table), None)

    def table_memory(self, table: Array) -> str | None:
        """The RAM in which a table lies; None for one that stays in flash."""
        return (self.table_places or {}).get(table_key(table))

    def table_flash(self, table: Array) -> str | None:
        """The flash outside of the chip where a table lies, or its first values; None: the chip's own."""
        return self.flash_places.outside(table_key(table)) if self.flash_places else None

    @cached_property
    def flash_places(self) -> FlashPlaces | None:
        """The flash of each table. None where there is too little."""
        code = self.flash_bytes - self.table_bytes
        return flash_places(self.board.chip, read_tables(self.steps), resident_tables(self.steps), code)

    @property
    def flash_uses(self) -> dict[str, int]:
        """The bytes of tables in each flash."""
        return uses_of(self.flash_places, read_tables(self.steps), resident_tables(self.steps))

    @cached_property
    def table_places(self) -> dict[TableKey, str] | None:
        """Tables take what tensors leave of the chip's own memories, the fastest first. None where there is too little."""
        there = self.limits.within(self.board, self.reserve)
        room, chip = homes(there, self.reserve), [m.name for m in self.board.chip.rams if not m.external]
        if self.limits.weights in room:
            chip = [self.limits.weights]
        return distributed(resident_tables(self.steps), {m: room[m] - self.used(m) for m in chip})

    @property
    def live_tensor_bytes(self) -> int:
        """The most bytes of tensors alive at once, scratch left out: what the model itself asks for in this order."""
        flow = flow_of(self.graph, self.ways)
        return peak(replace(flow, uses=tuple(replace(use, scratch=()) for use in flow.uses)))

    @property
    def scratch_bytes(self) -> int:
        """The most scratch that a step has."""
        return max((step.scratch_bytes for step in self.steps), default=0)

    def budget(self, memory: Memory) -> int:
        """What tensors may take up of a memory: all but the stack's reserve in the first one."""
        return budgets(self.board, self.reserve)[memory.name]

    def in_full(self) -> str:
        used = ((m, self.used(m.name), self.budget(m)) for m in self.memories)
        maps = (line for memory in used for line in map_lines(*memory, self.placements))
        return "\n".join([*self._title_lines(), *step_lines(self.steps, self.placements), *maps])

    def in_brief(self) -> str:
        return title_line(self.graph.name, self.board.name, self.tensor_bytes, self.bound)

    def as_tables(self) -> Iterator[Table]:
        """The steps, and what is used of each memory."""
        yield self.in_brief(), STEP_COLUMNS, step_rows(self.steps, self.placements)
        rows = [(m.name, self.used(m.name), self.budget(m)) for m in self.memories]
        yield "tensors", ("memory", "bytes", "of"), rows

    def _title_lines(self) -> Iterator[str]:
        yield self.in_brief()
        if self.limits.any:
            yield budget_line(self.limits, self.ram_bytes, self.flash_bytes)
        if self.limits.regions:
            yield f"  regions: {', '.join(f'{name} {size:,}' for name, size in self.limits.regions)}"
        if self.limits.weights:
            yield f"  weights: {self.limits.weights}"
        if self.resident_bytes:
            yield f"  tables in RAM: {self.resident_bytes:,} bytes of {self.table_bytes:,}"
        if self.stages:
            size = sum(s.table.nbytes for s in self.stages)
            yield f"  moved to RAM just before they are read: {len(self.stages)} tables, {size:,} bytes"
        yield from (f"  note: {note}" for note in self.notes)
