"""The noun between graph and program: `Plan`, with its steps and placements, its own check, and how it prints."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

from smelt.errors import SmeltError
from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.nouns import Noun
from smelt.planner.flow import ALIGN, Flow, Use, index_of, peak, steps_of, storages_of
from smelt.planner.limits import FIXED_RAM, UNLIMITED, Limits, code_of
from smelt.planner.tables import TableKey, all_tables, distributed, resident_tables, table_key
from smelt.targets.types import Board, Memory

STACK_RESERVE = 4096
"""Bytes of the first RAM that are left to the stack, .data and .bss."""


@dataclass(frozen=True, eq=False)
class Step(Noun):
    """One op, how it is computed, and the kernel call that does it. `name` is unique and fits C identifiers.

    `resident`: its tables (the constants of the call) are copied to RAM at start-up and read from there.
    """

    op: Op
    implementation: Implementation
    schedule: Schedule
    call: KernelCall
    name: str
    resident: bool = False

    @property
    def way(self) -> tuple[str, str]:
        """The names of implementation and schedule."""
        return self.implementation.name, str(self.schedule)

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        """The scratch arguments of the call, in order."""
        return tuple(a for a in self.call.arguments if isinstance(a, Scratch))

    def in_full(self) -> str:
        return f"{self.name}: {self.op.in_full()} by {self.implementation.name} [{self.schedule}]"


@dataclass(frozen=True)
class Placement(Noun):
    """`size` bytes at `offset` of the buffer in `memory`, taken from step `first` up to step `last`, both included.

    Step -1 is before the run, when inputs are written; step n, of n steps, after it, when outputs are read. A storage
    has the tensors that share it; a scratch buffer belongs to one step and has the argument that it is.
    """

    name: str
    memory: str
    offset: int
    size: int
    first: int
    last: int
    tensors: tuple[Tensor, ...] = ()
    scratch: Scratch | None = None

    @property
    def end(self) -> int:
        return self.offset + self.size

    def meets(self, other: Placement) -> bool:
        """Whether the two ever hold something at the same time and in the same bytes."""
        return (
            self.memory == other.memory
            and self.first <= other.last
            and other.first <= self.last
            and self.offset < other.end
            and other.offset < self.end
        )


@dataclass(frozen=True, eq=False)
class Plan(Noun):
    """A graph, the board it runs on, steps in the order they run, and where everything lies.

    Inputs and intermediate tensors may be written over once nobody needs them any more: the caller writes the inputs
    before every run. `bound` is a number of bytes that no plan with these steps can go below in any order, so that
    `tensor_bytes - bound` says how far from the optimum the plan may be. `notes` tell users what could not be had.
    `limits` are the budgets that the plan keeps.
    """

    graph: Graph
    board: Board
    steps: tuple[Step, ...]
    placements: tuple[Placement, ...]
    reserve: int = STACK_RESERVE
    bound: int = 0
    notes: tuple[str, ...] = ()
    limits: Limits = UNLIMITED

    def placement(self, argument: Tensor | Scratch) -> Placement:
        """Where an argument of a kernel call lies. Raises KeyError for constants."""
        return self._places[argument]

    @cached_property
    def _places(self) -> dict[Tensor | Scratch, Placement]:
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
            memory = (self._table_places or {})[key]
            sizes[memory] = sizes.get(memory, 0) + size
        return sizes

    @property
    def table_bytes(self) -> int:
        """The bytes of all tables, each once: what they take up of the flash."""
        return sum(all_tables(step.call for step in self.steps).values())

    @property
    def ram_bytes(self) -> int:
        """What the firmware will take up in RAM: tensors, tables, and an estimate for stack and data."""
        return self.tensor_bytes + self.resident_bytes + FIXED_RAM

    @property
    def flash_bytes(self) -> int:
        """What the firmware will take up in flash: tables, and an estimate of the code."""
        return self.table_bytes + code_of(step.call for step in self.steps) + self.limits.code

    @property
    def slack(self) -> int:
        """What the estimate leaves of the flash budget; 0 where there is none."""
        return 0 if self.limits.flash is None else self.limits.flash - self.flash_bytes

    def table_memory(self, table: Array) -> str | None:
        """The RAM in which a table lies; None for one that stays in flash."""
        return (self._table_places or {}).get(table_key(table))

    def excess(self) -> str:
        """Which budget, of the limits and of the tables' own memories, the plan does not keep; nothing where it keeps all."""
        if self.limits.ram is not None and self.ram_bytes > self.limits.ram:
            return f"{self.ram_bytes:,} bytes of RAM are more than the budget of {self.limits.ram:,}"
        if self.limits.flash is not None and self.flash_bytes > self.limits.flash:
            return f"{self.flash_bytes:,} bytes of flash are more than the budget of {self.limits.flash:,}"
        if self._table_places is None:
            return f"{self.resident_bytes:,} bytes of tables find no room in RAM beside the tensors"
        return ""

    @cached_property
    def _table_places(self) -> dict[TableKey, str] | None:
        """Tables take what tensors leave, the fastest memory first. None where there is too little."""
        room = budgets(self.board, self.reserve)
        return distributed(resident_tables(self.steps), {m: size - self.used(m) for m, size in room.items()})

    @property
    def live_tensor_bytes(self) -> int:
        """The most bytes of tensors alive at once, scratch left out: what the model itself asks for in this order."""
        flow = flow_of(self.graph, self.steps)
        return peak(replace(flow, uses=tuple(replace(use, scratch=()) for use in flow.uses)))

    @property
    def scratch_bytes(self) -> int:
        """The most scratch that a step has."""
        return max((step.call.scratch_bytes for step in self.steps), default=0)

    def budget(self, memory: Memory) -> int:
        """What tensors may take up of a memory: all but the stack's reserve in the first one."""
        return budgets(self.board, self.reserve)[memory.name]

    def check(self) -> Plan:
        """Raise SmeltError unless the plan is sound. Knows nothing of how it was made and trusts none of it."""
        problems = list(_problems(self))
        if problems:
            raise SmeltError("the plan is wrong (a defect of smelt):\n" + "\n".join(f"  - {p}" for p in problems))
        return self

    def in_full(self) -> str:
        return "\n".join([*_title_lines(self), *_step_lines(self), *_map_lines(self)])


def budgets(board: Board, reserve: int) -> dict[str, int]:
    """The bytes that tensors may take up in each RAM of a board, by name, fastest first."""
    rams = board.chip.rams
    return {m.name: max(m.size - (reserve if m is rams[0] else 0), 0) // ALIGN * ALIGN for m in rams}


def flow_of(graph: Graph, steps: Sequence[Step]) -> Flow:
    """What `steps`, in this order, do to the storages of `graph`."""
    storages = storages_of(graph)
    index = index_of(storages)
    return Flow(
        storages,
        tuple(_use(step, index) for step in steps),
        frozenset(index[t] for t in graph.inputs),
        frozenset(index[t] for t in graph.outputs),
    )


def _use(step: Step, index: dict[Tensor, int]) -> Use:
    reads = frozenset(index[t] for t in step.op.activations)
    over = frozenset(s for s in reads if may_overwrite(step, [t for t in step.op.activations if index[t] == s]))
    return Use(reads, index[step.op.y], over, tuple(s.bytes for s in step.scratch))


def may_overwrite(step: Step, tensors: Collection[Tensor]) -> bool:
    """Whether `step` may write y over a storage shared by `tensors`: kernel and each operand there must allow it."""
    return step.call.kernel.in_place and operands(step.op, tensors) <= set(step.implementation.in_place)


def operands(op: Op, tensors: Collection[Tensor]) -> set[str]:
    """The names of the operands of `op` that are, or contain, one of `tensors`."""
    values = {field.name: getattr(op, field.name) for field in fields(op) if field.name != "y"}
    lists = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    return {name for name, value in lists.items() if any(v is t for v in value for t in tensors)}


def _problems(plan: Plan) -> Iterator[str]:
    yield from _step_problems(plan)
    yield from _memory_problems(plan)
    yield from _life_problems(plan)
    for a, b in _together(plan.placements):
        if a.meets(b) and not (_written_over(plan, a, b) or _written_over(plan, b, a)):
            yield f"'{a.name}' and '{b.name}' overlap in {a.memory}"


def _together(placements: Sequence[Placement]) -> Iterator[tuple[Placement, Placement]]:
    """All pairs that hold something at the same time."""
    by_time = sorted(placements, key=lambda p: p.first)
    starts = [p.first for p in by_time]
    for n, a in enumerate(by_time):
        yield from ((a, b) for b in by_time[n + 1 : bisect_right(starts, a.last)])


def _step_problems(plan: Plan) -> Iterator[str]:
    """Each op of the graph is one step, after the steps that make its operands."""
    ops = set(steps_of(plan.graph))
    if len(plan.steps) != len(ops) or {step.op for step in plan.steps} != ops:
        yield "the steps are not the ops of the graph"
    if len({step.name for step in plan.steps}) != len(plan.steps):
        yield "two steps have the same name"
    made = {t for s in storages_of(plan.graph) for t in s.tensors if set(s.tensors) & set(plan.graph.inputs)}
    together = {t: s.tensors for s in storages_of(plan.graph) for t in s.tensors}
    for step in plan.steps:
        for t in step.op.activations:
            if t not in made:
                yield f"{step.name} reads '{t.name}' before it is computed"
        made.update(together.get(step.op.y, ()))


def _memory_problems(plan: Plan) -> Iterator[str]:
    """Everything lies inside its memory, aligned, and has a place of its own size."""
    room = budgets(plan.board, plan.reserve)
    for p in plan.placements:
        if p.memory not in room:
            yield f"'{p.name}' lies in {p.memory}, which {plan.board.name} does not have for data"
        elif p.offset < 0 or p.end > room[p.memory]:
            yield f"'{p.name}' ({p.offset} to {p.end}) reaches out of {p.memory} ({room[p.memory]} bytes)"
        if p.offset % ALIGN:
            yield f"'{p.name}' is not aligned to {ALIGN} bytes"
        needed = max([t.bytes for t in p.tensors] + ([p.scratch.bytes] if p.scratch else []), default=0)
        if p.size < needed:
            yield f"'{p.name}' has {p.size} of {needed} bytes"
    if excess := plan.excess():
        yield excess
    owners = [owner for p in plan.placements for owner in (*p.tensors, *((p.scratch,) if p.scratch else ()))]
    if len(set(owners)) != len(owners):
        yield "something has two places"


def _life_problems(plan: Plan) -> Iterator[str]:
    """Everything has a place from when it is written until it was last read; aliases have the same."""
    end = len(plan.steps)
    needed: list[tuple[Tensor | Scratch, str, int, int]] = []
    needed += [(t, t.name, -1, -1) for t in plan.graph.inputs] + [(t, t.name, end, end) for t in plan.graph.outputs]
    for i, step in enumerate(plan.steps):
        needed += [(t, t.name, i, i) for t in (*step.op.activations, step.op.y)]
        needed += [(a, a.name, i, i) for a in step.call.arguments if isinstance(a, Tensor)]
        needed += [(s, f"scratch of {step.name}", i, i) for s in step.scratch]
    for owner, name, first, last in needed:
        place = plan._places.get(owner)
        if place is None:
            yield f"'{name}' has no place"
        elif not place.first <= first <= last <= place.last:
            yield f"'{name}' is used at step {first}, but has its place from {place.first} to {place.last}"
    for storage in storages_of(plan.graph):
        if len({id(plan._places.get(t)) for t in storage.tensors}) > 1:
            yield f"'{storage.name}' and its reshapes lie at different places"


def _written_over(plan: Plan, x: Placement, y: Placement) -> bool:
    """Whether `y` is written over `x`, which dies there, by a step that may do so."""
    if not (0 <= x.last == y.first < len(plan.steps) and x.offset == y.offset and y.size <= x.size):
        return False
    step = plan.steps[y.first]
    return step.op.y in y.tensors and bool(operands(step.op, x.tensors)) and may_overwrite(step, x.tensors)


def _title_lines(plan: Plan) -> Iterator[str]:
    excess = plan.tensor_bytes - plan.bound
    proof = f"at most {excess:,} more than the optimum" if excess > 0 else "the optimum"
    yield f"plan of {plan.graph.name} for {plan.board.name}: {plan.tensor_bytes:,} bytes of tensors, {proof}"
    if plan.limits != UNLIMITED:
        kept = (("RAM", plan.ram_bytes, plan.limits.ram), ("flash", plan.flash_bytes, plan.limits.flash))
        known = (f"about {n:,} of {most:,} bytes of {what}" for what, n, most in kept if most is not None)
        yield f"  budgets: {', '.join(known)}"
    if plan.resident_bytes:
        yield f"  tables in RAM: {plan.resident_bytes:,} bytes of {plan.table_bytes:,}"
    yield from (f"  note: {note}" for note in plan.notes)


def _step_lines(plan: Plan) -> Iterator[str]:
    width = max((len(step.name) for step in plan.steps), default=0)
    for i, step in enumerate(plan.steps):
        how = f"{step.implementation.name} [{step.schedule}]"
        scratch = f", scratch {step.call.scratch_bytes}" if step.scratch else ""
        y = plan.placement(step.op.y)
        resident = ", tables in RAM" if step.resident else ""
        yield f"  {i:3} {step.name:{width}}  {how}  -> {y.memory}+{y.offset}{scratch}{resident}"


def _map_lines(plan: Plan) -> Iterator[str]:
    for memory in plan.memories:
        yield f"  {memory.name}: {plan.used(memory.name):,} of {plan.budget(memory):,} bytes"
        for p in sorted((p for p in plan.placements if p.memory == memory.name), key=lambda p: (p.offset, p.first)):
            aliases = "".join(f" = {t.name}" for t in p.tensors[1:])
            yield f"    {p.offset:8,} {p.end:8,}  steps {p.first:3} to {p.last:3}  {p.name}{aliases}"
