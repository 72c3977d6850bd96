"""A plan as it is looked at: memories over the time of a run, what lies in them, where most is alive and what that is.

`smelt plan` prints it, `plan_page.py` draws it, `--json` writes it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from smelt.compile import Compilation, measured
from smelt.errors import DoesNotFit
from smelt.loops.ir import Scratch
from smelt.nouns import Noun
from smelt.planner import TuningLog, trade_offs
from smelt.planner.bands import Bands
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.costs import cycles_in
from smelt.planner.known import Known
from smelt.planner.peak import Part, Peak, about, moment
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.predict import Cycles, Predictor
from smelt.planner.step import Step
from smelt.planner.tables import TableKey, table_key
from smelt.planner.tradeoff import Point
from smelt.report.plan_bands import Band, bands_of, lanes_of
from smelt.targets.types import Memory

Kind = Literal["input", "output", "state", "tensor", "lines", "scratch", "moved", "table", "stack", "code"]
FIXED = ("table", "stack", "code")
"""Kinds of what is there all the time."""
OF_STEPS = ("lines", "scratch", "moved")
"""Kinds of what is there for a step only: line buffers of a run of ops in bands, scratch, and tables that a DMA moves from flash
while the step before computes."""


@dataclass(frozen=True)
class Box:
    """`size` bytes at `offset` of what the plan takes of a memory, from time `first` to time `last`, both included.

    Time -1 is before the run, n is step n, the number of steps is after the run. `about` is type and shape, or what it is for;
    `also` are other names of the same bytes, `made_by` and `read_by` steps by number; `over` are the boxes over which it is
    written, wholly or in part.
    """

    name: str
    kind: Kind
    memory: str
    offset: int
    size: int
    first: int
    last: int
    about: str = ""
    also: tuple[str, ...] = ()
    made_by: tuple[int, ...] = ()
    read_by: tuple[int, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class StepView:
    """One step: what it computes and how, and what it costs. `cycles` are expected ones, estimates where `estimated`; `alive` is
    bytes of tensors and scratch while it runs. A run of ops in bands has `bands`, in order; `lanes` are the tensors of which they
    compute rows."""

    name: str
    op: str
    origin: str
    implementation: str
    schedule: str
    kernels: tuple[str, ...]
    macs: int
    cycles: int
    estimated: bool
    alive: int
    scratch_bytes: int
    table_bytes: int
    tables_in_ram: bool
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    lanes: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class MemoryView:
    """What the plan takes of one memory: of its `bytes` at address `start`, `used` by all boxes together. `budget` is what tensors
    may take, `arena` what they and scratch do take; `alive` are bytes of them at each time, from -1 on."""

    name: str
    holds: Literal["data", "code"]
    start: int
    bytes: int
    budget: int
    arena: int
    used: int
    alive: tuple[int, ...]


@dataclass(frozen=True)
class PlanView(Noun):
    """A plan with everything that people look at. `bound` is what no plan of these steps can go below, in bytes of tensors and
    scratch (`tensor_bytes`); `points` are what other budgets would buy."""

    model: str
    board: str
    goal: str
    ram_bytes: int
    flash_bytes: int
    max_ram: int | None
    max_flash: int | None
    cycles: int
    estimated_steps: int
    clock_hz: int
    tensor_bytes: int
    bound: int
    peak: Peak
    memories: tuple[MemoryView, ...]
    steps: tuple[StepView, ...]
    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    notes: tuple[str, ...]

    @property
    def times(self) -> tuple[str, ...]:
        """The name of each time."""
        return ("before", *(step.name for step in self.steps), "after")


def look(compilation: Compilation, log: TuningLog | None, goal: str, curve: bool = True) -> PlanView:
    """How the plan of a compilation is looked at, which was made for a goal with what a log knows (`smelt.compile`). With a curve:
    what RAM, flash and cycles can be had together within the same budgets, where steps are not divided over cores."""
    plan = compilation.plan
    known = measured(log, plan.board, "none")
    points: tuple[Point, ...] = ()
    if curve and plan.board.chip.cluster is None:
        with suppress(DoesNotFit):  # of goals that spend more than this plan
            points = trade_offs(compilation.graph, plan.board, known=known, limits=plan.limits)
    return plan_view(compilation, known, goal, points)


def plan_view(compilation: Compilation, known: Known, goal: str, points: tuple[Point, ...] = ()) -> PlanView:
    """How the plan of a compilation is looked at. `known` is what it was made with, `points` the trade-offs there are."""
    plan = compilation.plan
    taken = tuple(_taken(plan))
    boxes = (*taken, *_tables(plan), *_estimates(plan))
    predictor = Predictor(known)
    cycles = tuple(cycles_in(plan, predictor, step) for step in plan.steps)
    memories = tuple(_memory(plan, memory, boxes) for memory in (*plan.board.chip.rams, *plan.board.chip.flashes))
    alive = [sum(at) for at in zip(*(m.alive for m in memories), strict=True)]
    steps = tuple(_step(plan, boxes, number, n, alive[number + 1]) for number, n in enumerate(cycles))
    return PlanView(
        model=compilation.graph.name,
        board=plan.board.name,
        goal=goal,
        ram_bytes=plan.ram_bytes,
        flash_bytes=plan.flash_bytes,
        max_ram=plan.limits.ram,
        max_flash=plan.limits.flash,
        cycles=sum(n.value for n in cycles),
        estimated_steps=sum(n.is_estimate for n in cycles),
        clock_hz=plan.board.clock_hz,
        tensor_bytes=plan.tensor_bytes,
        bound=plan.bound,
        peak=_peak(taken, alive, [step.name for step in plan.steps]),
        memories=tuple(m for m in memories if m.used),
        steps=steps,
        boxes=boxes,
        points=points,
        notes=compilation.notes,
    )


# --- what lies in memory ----------------------------------------------------------------------------------------------


def _taken(plan: Plan) -> Iterator[Box]:
    """Tensors and scratch."""
    graph = plan.graph
    states = {t for state in graph.states for t in (state.read, state.write)}
    scratch = _scratch(plan)
    kind: Kind
    for p in plan.placements:
        kind, words = ("tensor", about(p.tensors[0])) if p.scratch is None else scratch[p.scratch]
        if states & set(p.tensors):
            kind = "state"
        elif set(graph.inputs) & set(p.tensors):
            kind = "input"
        elif set(graph.outputs) & set(p.tensors):
            kind = "output"
        made, read = (tuple(found) for found in _users(plan.steps, p))
        over = tuple(q.name for q in plan.placements if q is not p and _written_over(p, q))
        also = tuple(t.name for t in p.tensors[1:])
        yield Box(p.name, kind, p.memory, p.offset, p.size, p.first, p.last, words, also, made, read, over)


def _scratch(plan: Plan) -> dict[Scratch, tuple[Kind, str]]:
    """What each scratch buffer is, and what it is for."""
    found: dict[Scratch, tuple[Kind, str]] = {
        s: ("scratch", f"of {step.name}") for step in plan.steps for s in step.scratch
    }
    for way in plan.ways:
        lines = way.layout.lines if isinstance(way, Bands) else {}
        found |= {scratch: ("lines", f"rows of '{t.name}', {about(t)}") for t, scratch in lines.items()}
    for stage in plan.stages:
        words = (
            f"{stage.table.nbytes:,} bytes of a table, moved from flash while {plan.steps[stage.first].name} computes"
        )
        found[stage.buffer] = ("moved", words)
    return found


def _users(steps: Sequence[Step], p: Placement) -> tuple[list[int], list[int]]:
    """The steps that write a placement, and those that read it."""
    if p.scratch is not None:
        return [p.first], [p.last]
    tensors = set(p.tensors)
    made = [n for n, step in enumerate(steps) if tensors & set(step.ys)]
    return made, [n for n, step in enumerate(steps) if tensors & set(step.way.reads)]


def _written_over(new: Placement, old: Placement) -> bool:
    """Whether one begins where the other ends its life, in the same bytes."""
    return new.meets(old) and old.last == new.first and old.first < new.first


def _tables(plan: Plan) -> Iterator[Box]:
    """Tables, each once: in flash, above the code, and those that are copied, in RAM above tensors and scratch."""
    names, users = dict[TableKey, str](), dict[TableKey, list[int]]()
    sizes = dict[TableKey, int]()
    for n, step in enumerate(plan.steps):
        sizes.update(step.way.tables)
        for call in step.calls:
            for buffer, argument in zip(call.kernel.buffers, call.arguments, strict=True):
                if isinstance(argument, np.ndarray):
                    key = table_key(argument)
                    names[key] = names.get(key) or _unused(f"{step.name}.{buffer.name}", names.values())
                    users.setdefault(key, []).append(n)
    users = {key: list(dict.fromkeys(numbers)) for key, numbers in users.items()}
    end, copies, flashes = len(plan.steps), plan.table_places or {}, plan.flash_places
    at = {m.name: plan.used(m.name) for m in plan.board.chip.rams} | {m.name: 0 for m in plan.board.chip.flashes}
    at[plan.board.chip.flash.name] = plan.flash_bytes - plan.table_bytes
    for key, size in sizes.items():
        flash = (flashes.outside(key) if flashes else None) or plan.board.chip.flash.name
        for memory in (flash, *((copies[key],) if key in copies else ())):
            words = "copied to RAM at start-up" if memory == flash and key in copies else "constants"
            yield Box(names[key], "table", memory, at[memory], size, -1, end, words, read_by=tuple(users[key]))
            at[memory] += size


def _unused(name: str, taken: Collection[str]) -> str:
    """A name that no other table has: several kernels of one step may call theirs alike."""
    return next(n for n in (name, *(f"{name}{k}" for k in range(1, len(taken) + 1))) if n not in taken)


def _estimates(plan: Plan) -> Iterator[Box]:
    """What the firmware has besides: stack and data, code."""
    flash, first, end = plan.board.chip.flash.name, plan.board.chip.rams[0].name, len(plan.steps)
    above = plan.used(first) + plan.resident_uses.get(first, 0)
    yield Box(
        "stack and data", "stack", first, above, FIXED_RAM, -1, end, f"an estimate; {plan.reserve:,} are reserved"
    )
    yield Box("code", "code", flash, 0, plan.flash_bytes - plan.table_bytes, -1, end, "an estimate")


def _memory(plan: Plan, memory: Memory, boxes: Sequence[Box]) -> MemoryView:
    mine = [box for box in boxes if box.memory == memory.name]
    taken = [box for box in mine if box.kind not in FIXED]
    alive = tuple(bytes_of(box for box in taken if box.first <= t <= box.last) for t in range(-1, len(plan.steps) + 1))
    budget = memory.size if memory.holds == "code" else plan.budget(memory)
    used = max((box.end for box in mine), default=0)
    arena = plan.used(memory.name)
    return MemoryView(memory.name, memory.holds, memory.start, memory.size, budget, arena, used, alive)


def bytes_of(boxes: Iterable[Box]) -> int:
    """The bytes that boxes take up, those that they share once."""
    total = top = 0
    for box in sorted(boxes, key=lambda box: box.offset):
        total += max(box.end - max(top, box.offset), 0)
        top = max(top, box.end)
    return total


def _peak(taken: Sequence[Box], alive: Sequence[int], names: Sequence[str]) -> Peak:
    """The first time at which most is alive."""
    time = alive.index(max(alive)) - 1
    parts = [
        Part(
            box.name,
            *(("scratch", box.size) if box.kind in OF_STEPS else ("tensor", box.size, box.about, _over(box, time))),
        )
        for box in taken
        if box.first <= time <= box.last
    ]
    return Peak(time, moment(time, names), alive[time + 1], tuple(sorted(parts, key=lambda part: -part.bytes)))


def _over(box: Box, time: int) -> tuple[str, ...]:
    """What a box is being written over at some time."""
    return box.over if box.first == time else ()


# --- steps ------------------------------------------------------------------------------------------------------------


def _step(plan: Plan, boxes: Sequence[Box], number: int, cycles: Cycles, alive: int) -> StepView:
    step, names = plan.steps[number], {what: p.name for what, p in plan.places.items()}
    tensors = [box for box in boxes if box.kind not in (*OF_STEPS, "table")]
    implementation, schedule = step.way.names
    return StepView(
        name=step.name,
        op=step.operators,
        origin=", ".join(op.origin for op in step.ops),
        implementation=implementation,
        schedule=schedule,
        kernels=tuple(dict.fromkeys(call.kernel.name for call in step.calls)),
        macs=step.macs,
        cycles=cycles.value,
        estimated=cycles.is_estimate,
        alive=alive,
        scratch_bytes=step.scratch_bytes,
        table_bytes=sum(step.way.tables.values()),
        tables_in_ram=step.resident,
        reads=tuple(box.name for box in tensors if number in box.read_by),
        writes=tuple(box.name for box in tensors if number in box.made_by),
        lanes=lanes_of(step.way) if isinstance(step.way, Bands) else (),
        bands=tuple(bands_of(step.way, names)) if isinstance(step.way, Bands) else (),
    )
