"""Several networks on one board, of which one runs at a time: `Suite`, where all of it lies, and the proof of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from smelt.errors import SmeltError
from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Array, Tensor
from smelt.nouns import Noun
from smelt.planner.check import check
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.flashes import FlashPlaces, flash_places, uses_of
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.placement import Placement, budgets
from smelt.planner.plan import Plan
from smelt.planner.step import Step, read_tables, resident_tables
from smelt.planner.tables import TableKey, all_tables, distributed, table_key
from smelt.targets.types import Board, Memory


@dataclass(frozen=True, eq=False)
class Suite(Noun):
    """Networks that take the same memory in turn, by name, each with the plan that it has alone; `limits` are budgets of all.

    A region begins with what they take in turn, as large as the most that one of them needs. Behind it lie the states of each,
    which no other touches.
    """

    name: str
    plans: Mapping[str, Plan]
    limits: Limits = UNLIMITED

    @property
    def board(self) -> Board:
        return self._first.board

    @property
    def _first(self) -> Plan:
        return next(iter(self.plans.values()))

    @property
    def reserve(self) -> int:
        """What is left alone of the first RAM."""
        return self._first.reserve

    @property
    def most_flash(self) -> int:
        """The budget of flash, be it that of the board."""
        flash = self.board.chip.flash_bytes
        return flash if self.limits.flash is None else min(flash, self.limits.flash)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Those of all networks."""
        return tuple(step for plan in self.plans.values() for step in plan.steps)

    def shared(self, memory: str) -> int:
        """The bytes of one memory that the networks take in turn."""
        return max(turn_bytes(plan, memory) for plan in self.plans.values())

    def private(self, memory: str) -> int:
        """The bytes of one memory in which networks have their states."""
        return sum(state_bytes(plan, memory) for plan in self.plans.values())

    def used(self, memory: str) -> int:
        """The size of the buffer that all of them need in one memory, in bytes."""
        return self.shared(memory) + self.private(memory)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories in which something lies, fastest first."""
        return tuple(m for m in self.board.chip.rams if self.used(m.name))

    @property
    def tensor_bytes(self) -> int:
        """The bytes of all buffers together, scratch and states included."""
        return sum(self.used(m.name) for m in self.memories)

    @property
    def resident_bytes(self) -> int:
        """The bytes of the tables that lie in RAM, each once; flash has them as well."""
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
    def calls(self) -> tuple[KernelCall, ...]:
        """All kernel calls of all networks."""
        return tuple(call for step in self.steps for call in step.calls)

    @property
    def table_bytes(self) -> int:
        """The bytes of all tables, each once."""
        return sum(all_tables(self.calls).values())

    @property
    def ram_bytes(self) -> int:
        """What the firmware will take up in RAM: buffers, tables, and an estimate for stack and data."""
        return self.tensor_bytes + self.resident_bytes + FIXED_RAM

    @property
    def flash_bytes(self) -> int:
        """What the firmware will take up in flash: tables and code, each once, which is measured or an estimate."""
        return self.table_bytes + self.limits.sizes.of_all(self.calls, self.board.core) + self.limits.code

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
        """Tables take what buffers leave of the chip's own memories, the fastest first. None where there is too little."""
        room, chip = budgets(self.board, self.reserve), [m.name for m in self.board.chip.rams if not m.external]
        return distributed(resident_tables(self.steps), {m: room[m] - self.used(m) for m in chip})

    @cached_property
    def placed(self) -> dict[str, Plan]:
        """The plans in the common memory: what is taken in turn moved together, the states behind it, network after network."""
        free = {m.name: self.shared(m.name) for m in self.board.chip.rams}
        moved: dict[str, Plan] = {}
        for name, plan in self.plans.items():
            placements = tuple(_moved(plan, p, free) for p in plan.placements)
            moved[name] = replace(plan, placements=placements, limits=UNLIMITED)
            free = {memory: start + state_bytes(plan, memory) for memory, start in free.items()}
        return moved

    def in_full(self) -> str:
        lines = [
            f"suite {self.name} for {self.board.name}: {', '.join(self.plans)}, {self.tensor_bytes:,} bytes of RAM"
        ]
        for m in self.memories:
            lines.append(f"  {m.name}: {self.shared(m.name):,} bytes in turn, {self.private(m.name):,} of states")
        return "\n".join([*lines, *(plan.in_full() for plan in self.placed.values())])


def is_state(plan: Plan, placement: Placement) -> bool:
    """Whether something lies there that a run leaves for the next one."""
    return not _states(plan).isdisjoint(placement.tensors)


def _states(plan: Plan) -> frozenset[Tensor]:
    return frozenset(t for state in plan.graph.states for t in (state.read, state.write))


def state_bytes(plan: Plan, memory: str) -> int:
    """What the states of a network take up of a memory."""
    return sum(p.size for p in plan.placements if p.memory == memory and is_state(plan, p))


def turn_bytes(plan: Plan, memory: str) -> int:
    """What a network takes up of a memory besides its states. These hold their bytes all the time, so that nothing else ever lies
    there, and without them what is above moves down."""
    there = (p for p in plan.placements if p.memory == memory and not is_state(plan, p))
    return max((p.end - _below(plan, p) for p in there), default=0)


def _below(plan: Plan, placement: Placement) -> int:
    """The bytes of states below a placement."""
    there = (p for p in plan.placements if p.memory == placement.memory and p.offset < placement.offset)
    return sum(p.size for p in there if is_state(plan, p))


def _moved(plan: Plan, placement: Placement, free: Mapping[str, int]) -> Placement:
    """A placement in the common memory, where the states of this network begin at `free`."""
    below = _below(plan, placement)
    offset = free[placement.memory] + below if is_state(plan, placement) else placement.offset - below
    return replace(placement, offset=offset)


def check_suite(suite: Suite) -> Suite:
    """The suite, as it is. Raises SmeltError unless each of its plans is sound where it lies, no network ever touches a state of
    another, and all of it is within memories and budgets."""
    for plan in suite.placed.values():
        check(plan)
    problems = list(_problems(suite))
    if problems:
        raise SmeltError("the suite is wrong (a defect of smelt):\n" + "\n".join(f"  - {p}" for p in problems))
    return suite


def excess(suite: Suite) -> str:
    """What of the memories or budgets the suite does not keep; nothing where it keeps all."""
    for memory, room in budgets(suite.board, suite.reserve).items():
        if suite.used(memory) > room:
            return f"{suite.used(memory):,} bytes of {memory} are needed, {room:,} are there"
    if suite.table_places is None:
        return f"{suite.resident_bytes:,} bytes of tables find no room in RAM beside {suite.tensor_bytes:,} of tensors"
    if suite.flash_places is None:
        return f"{suite.table_bytes:,} bytes of tables find no room in flash beside the code"
    ram, flash = suite.limits.ram, suite.most_flash
    if ram is not None and suite.ram_bytes > ram:
        return f"{suite.ram_bytes:,} bytes of RAM are needed, the budget is {ram:,}"
    return f"{suite.flash_bytes:,} bytes of flash are needed, {flash:,} are there" if suite.flash_bytes > flash else ""


def missing(suite: Suite) -> int:
    """The bytes that `excess` is about, of all memories and budgets together."""
    room, (ram, flash) = budgets(suite.board, suite.reserve), (suite.limits.ram, suite.most_flash)
    over = [max(suite.used(memory) - size, 0) for memory, size in room.items()]
    free = sum(max(size - suite.used(memory), 0) for memory, size in room.items())
    over.append(0 if suite.table_places is not None else max(suite.resident_bytes - free, 1))
    over.append(0 if ram is None else max(suite.ram_bytes - ram, 0))
    return sum(over) + max(suite.flash_bytes - flash, 0)


def _problems(suite: Suite) -> Iterator[str]:
    if len({(plan.board.name, plan.reserve) for plan in suite.plans.values()}) != 1:
        yield "its plans are for different boards"
    placed = [(name, p, is_state(plan, p)) for name, plan in suite.placed.items() for p in plan.placements]
    states = [(name, p) for name, p, is_own in placed if is_own]
    for name, p, _ in placed:
        yield from (
            f"'{p.name}' of {name} lies in the state '{state.name}' of {other}"
            for other, state in states
            if other != name and state.memory == p.memory and state.offset < p.end and p.offset < state.end
        )
        if p.end > suite.used(p.memory):
            yield f"'{p.name}' of {name} reaches out of the {suite.used(p.memory):,} bytes of {p.memory}"
    if over := excess(suite):
        yield over
