"""`emit`: a plan as a program - kernels, constant tables, and the calls that make up `network_run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count
from typing import Literal, Protocol

import numpy as np

from smelt.firmware.forks import Act, Asked, Haul, acts_of, asked
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.moves import dma_of
from smelt.firmware.names import check_name, part
from smelt.firmware.transports import Deeds, Place, Transport, deeds_of
from smelt.kernels.c_types import C_TYPES
from smelt.kernels.implementation import Argument, bytes_of
from smelt.loops.floats import computes_in_floats
from smelt.loops.ir import Buffer, Scratch, Type
from smelt.loops.kernel import Kernel
from smelt.loops.routine import WrongCall
from smelt.model.graph import Array, State, Tensor
from smelt.nouns import Noun
from smelt.planner.bands import Bands
from smelt.planner.in_tiles import InTiles
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.suite import Suite
from smelt.planner.tables import table_key
from smelt.planner.ways import Bring, Fetch, Part, Piece
from smelt.targets.types import Memory, Role


@dataclass(frozen=True)
class Region:
    """One buffer of the instance: `bytes` in the board's memory `memory`, which C calls by its role."""

    memory: str
    role: Role
    bytes: int


@dataclass(frozen=True, eq=False)
class Move(Noun):
    """A table on its way to where a step reads it: the DMA starts before the calls of step `first`, and is waited for before those
    of step `last`."""

    table: Constant
    place: Place
    first: int
    last: int
    channel: int

    def in_full(self) -> str:
        where = _shown(self.place)
        return f"{self.table.name} to {where} by channel {self.channel}, from step {self.first} until step {self.last}"


@dataclass(frozen=True, eq=False)
class Port(Noun):
    """An input or output: its name in C, which `field` prefixes for the structure, and where it is."""

    tensor: Tensor
    direction: Literal["in", "out"]
    name: str
    place: Place

    @property
    def field(self) -> str:
        return f"{self.direction}_{self.name}"


@dataclass(frozen=True, eq=False)
class Band(Noun):
    """What is computed as soon as rows up to `until` have come; those that are new come to `place`."""

    until: int
    place: Place
    invocations: tuple[Invocation, ...]


@dataclass(frozen=True, eq=False)
class Feed(Noun):
    """An input that comes in `rows` rows, and what is computed when; its port's place is that of the first row."""

    port: Port
    rows: int
    bands: tuple[Band, ...]

    @property
    def row_bytes(self) -> int:
        return self.port.tensor.bytes // self.rows

    @property
    def row_elements(self) -> int:
        return self.port.tensor.elements // self.rows


@dataclass(frozen=True, eq=False)
class Cell(Noun):
    """The place of a state, and how it begins: a table, or one byte repeated."""

    tensor: Tensor
    place: Place
    initial: Constant | int


@dataclass(frozen=True, eq=False)
class Program(Noun):
    """Everything the C says of one network, before it is text. `name` prefixes what the C exports; the network may belong to a
    `suite`, whose name then prefixes kernels, tables and memory, which are those of all its networks."""

    name: str
    plan: Plan
    regions: tuple[Region, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    invocations: tuple[Invocation, ...]
    cells: tuple[Cell, ...] = ()
    suite: str | None = None
    feed: Feed | None = None
    moves: tuple[Move, ...] = ()
    deeds: Mapping[Step, Deeds] = field(default_factory=dict)
    """Of steps in tiles: what happens before the call of that number."""
    acts: Mapping[Step, tuple[Act, ...]] = field(default_factory=dict)
    """Of steps on the cores of a cluster: all that happens, in order."""
    asked: tuple[tuple[int, Asked], ...] = ()
    """Tables that begin to come from outside of the chip before the step of that number."""

    @property
    def own(self) -> tuple[Invocation, ...]:
        """The kernel calls of a run: all but those of what is fed."""
        fed = sum(len(band.invocations) for band in self.feed.bands) if self.feed else 0
        return self.invocations[fed:]

    @property
    def transports(self) -> tuple[Transport, ...]:
        """What is moved between the calls of steps in tiles."""
        return tuple(d for some in self.deeds.values() for _, d in some if isinstance(d, Transport))

    @property
    def uses_dma(self) -> bool:
        """Whether a DMA moves tables or tiles."""
        return bool(self.moves) or any(t.channel is not None for t in self.transports)

    @property
    def owner(self) -> str:
        """What the names of kernels, tables and memory begin with."""
        return self.suite or self.name

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """Each kernel once, in order of first use."""
        return tuple({i.kernel.name: i.kernel for i in self.invocations}.values())

    @property
    def floats(self) -> bool:
        """Whether any of it computes in floating point."""
        return any(computes_in_floats(k) for k in self.kernels)

    def function(self, kernel: Kernel) -> str:
        """The name of the C function that is `kernel` in this program."""
        return f"{self.owner}_k_{kernel.name}"

    @property
    def calls(self) -> tuple[str, ...]:
        """The functions that a run calls, in order: kernels, or steps where these are functions of their own."""
        if self.plan.board.chip.cluster:
            return tuple(self.step(step) for step in self.plan.steps)
        return tuple(self.function(i.kernel) for i in self.invocations)

    @property
    def brings(self) -> int:
        """How many requests there are of memories outside of the chip."""
        return len(self.plan.all_brings)

    def step(self, step: Step) -> str:
        """The name of the C function that is a step, where steps are functions."""
        return f"{self.name}_s_{step.name}"

    def role(self, memory: str) -> Role:
        """What C calls the region in `memory`. Raises KeyError where there is none."""
        return {r.memory: r.role for r in self.regions}[memory]

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Each table once, in order of first use."""
        used = [a for i in self.invocations for a in i.arguments if isinstance(a, Constant)]
        hauls = (act for acts in self.acts.values() for act in acts if isinstance(act, Haul))
        used += [haul.far for haul in hauls if isinstance(haul.far, Constant)]
        used += [ask.table for _, ask in self.asked]
        used += [act.table for acts in self.acts.values() for act in acts if isinstance(act, Asked)]
        used += [move.table for move in self.moves]
        used += [cell.initial for cell in self.cells if isinstance(cell.initial, Constant)]
        return tuple({c.name: c for c in used}.values())

    @property
    def constant_bytes(self) -> int:
        return sum(c.data.nbytes for c in self.constants)

    @property
    def resident_bytes(self) -> int:
        """What of the constants is copied to RAM."""
        return sum(c.data.nbytes for c in self.constants if c.memory is not None)

    @property
    def table_memories(self) -> tuple[str, ...]:
        """The RAMs to which tables are copied, fastest first."""
        used = {c.memory for c in self.constants}
        return tuple(m.name for m in self.plan.board.chip.rams if m.name in used)

    @property
    def copied_from(self) -> str | None:
        """The flash outside of the chip from which they are copied; None: its own, or nothing is copied."""
        return next((c.flash for c in self.constants if c.memory), None)

    def in_full(self) -> str:
        lines = [f"program {self.name}: {len(self.kernels)} kernels, {self.constant_bytes} bytes of constants"]
        lines += [f"  region {r.memory}: {r.bytes} bytes" for r in self.regions]
        lines += [f"  state {c.tensor.name}: {_shown(c.place)}" for c in self.cells]
        lines += [f"  move {m.in_full()}" for m in self.moves]
        lines += [f"  {step.name}, before call {n}: {deed}" for step, some in self.deeds.items() for n, deed in some]
        lines += [f"  {i.step.name}: {i.kernel.name}({', '.join(map(_shown, i.arguments))})" for i in self.invocations]
        return "\n".join([*lines, "", *(k.in_full() for k in self.kernels)])


def _shown(argument: Place | Constant) -> str:
    return argument.name if isinstance(argument, Constant) else f"{argument.memory}+{argument.offset}"


Known = dict[tuple[Type, bytes], Constant]
"""Tables by type and content."""


class Homes(Protocol):
    """What knows where tables lie: a plan, or a suite."""

    def table_memory(self, table: Array) -> str | None: ...

    def table_flash(self, table: Array) -> str | None: ...


class Tables:
    """Names the tables of a network, equal ones once, those of other networks in `known` included. `homes` says where each lies.
    What tells networks of one `prefix` apart: `first` is added to numbers, `of` to comments."""

    def __init__(
        self,
        prefix: str,
        homes: Homes,
        known: Known | None = None,
        first: int = 0,
        of: str = "",
    ) -> None:
        self._prefix, self._homes, self._first, self._of = prefix, homes, first, of
        self._known = {} if known is None else known

    def add(self, hint: str, number: int, type: Type, data: Array, comment: str) -> Constant:
        """The table of the step or state of that number."""
        flat = np.ascontiguousarray(data).reshape(-1)
        key = (type, flat.tobytes())
        if key not in self._known:
            name = self._unused(f"{self._prefix}_table_{hint}_{self._first + number}")
            places = self._homes.table_memory(data), self._homes.table_flash(data)
            self._known[key] = Constant(name, type, flat, f"{comment}{self._of}", *places)
        return self._known[key]

    def _unused(self, name: str) -> str:
        """A name that no other table has: several kernels of one step may call theirs alike."""
        taken = {constant.name for constant in self._known.values()}
        return next(n for n in chain((name,), (f"{name}_{k}" for k in count(1))) if n not in taken)


@dataclass(frozen=True)
class Joint:
    """What a network shares with the others of its suite: the suite's name, the size of each region, and the tables."""

    suite: str
    sizes: Mapping[str, int]
    tables: Tables


def emit(plan: Plan, name: str = "network", joint: Joint | None = None) -> Program:
    """The program that carries out `plan`, alone or as one of a suite. `name` prefixes what the C exports; raises OptionError if
    it cannot."""
    check_name(name)
    tables = joint.tables if joint else Tables(name, plan)
    sizes = joint.sizes if joint else {m.name: plan.used(m.name) for m in plan.memories}
    invocations = tuple(
        _invocation(plan, number, step, piece, tables)
        for number, step in enumerate(plan.steps)
        for piece in step.pieces
    )
    outside: dict[Fetch | Bring, Constant] = {bring: _from_outside(plan, tables, bring) for bring in plan.all_brings}
    return Program(
        name,
        plan,
        tuple(Region(m.name, role_of(m), sizes[m.name]) for m in plan.memories),
        _ports(plan, "in", plan.graph.inputs if plan.fed is None else ()),
        _ports(plan, "out", plan.graph.outputs),
        _alike(invocations),
        tuple(_cell(plan, number, state, tables) for number, state in enumerate(plan.graph.states)),
        joint.suite if joint else None,
        _feed(plan, invocations),
        tuple(_moves(plan, tables)),
        {step: tuple(deeds_of(plan, step.way)) for step in plan.steps if isinstance(step.way, InTiles)},
        dict(_acts(plan, _alike(invocations), tables, outside)),
        tuple((number, asked(plan, bring, outside)) for number, bring in plan.brings),
    )


def emit_suite(suite: Suite) -> tuple[Program, ...]:
    """The programs of all networks of a suite, in its memory. Raises OptionError where a name cannot be one."""
    check_name(suite.name)
    sizes = {m.name: suite.used(m.name) for m in suite.memories}
    known, first, programs = Known(), 0, list[Program]()
    for name, plan in suite.placed.items():
        tables = Tables(suite.name, suite, known, first, f" of {name}")
        programs.append(emit(plan, name, Joint(suite.name, sizes, tables)))
        first += max(len(plan.steps), len(plan.graph.states))
    return tuple(programs)


def role_of(memory: Memory) -> Role:
    """What C calls a RAM. Raises ValueError for one that has no role: whoever describes a chip gives each RAM one."""
    if memory.role is None:
        raise ValueError(f"the memory {memory.name} has no role")
    return memory.role


def _from_outside(plan: Plan, tables: Tables, bring: Bring) -> Constant:
    """The table of a request, in the memory outside."""
    store = next(m.name for m in plan.board.chip.memories if m.holds == "code" and not m.mapped)
    return replace(tables.add("outside", bring.channel, "uint32_t", bring.data, "from outside"), flash=store)


def _acts(
    plan: Plan, invocations: Sequence[Invocation], tables: Tables, outside: Mapping[Fetch | Bring, Constant]
) -> Iterator[tuple[Step, tuple[Act, ...]]]:
    """What happens in the steps on the cores of a cluster."""
    for number, step in enumerate(plan.steps):
        if isinstance(step.way, OnCores):
            came = (e.transfer for e in step.way.events if isinstance(e.transfer, Fetch))
            fetches = dict.fromkeys(fetch for fetch in came if fetch.source is None)
            known: dict[Fetch | Bring, Constant] = {
                f: tables.add("of_round", number, "uint32_t", f.data, f"of rounds of {step.name}") for f in fetches
            }
            calls = [i for i in invocations if i.step is step]
            yield step, tuple(acts_of(plan, step.way, calls, {**known, **outside}))


def _feed(plan: Plan, invocations: tuple[Invocation, ...]) -> Feed | None:
    """What is fed; its bands are the kernel calls between one arrival of rows and the next."""
    way = plan.steps[0].way if plan.steps else None
    if not isinstance(way, Bands) or way.fed is None:
        return None
    stops = [*(number for number, _ in way.arrivals[1:]), len(way.pieces)]
    bands = tuple(
        Band(arrival.rows.stop, _at(plan, arrival.part), invocations[first:stop])
        for (first, arrival), stop in zip(way.arrivals, stops, strict=True)
    )
    (tensor,) = plan.graph.inputs
    return Feed(Port(tensor, "in", part(tensor.name), bands[0].place), way.fed.shape[way.layout.axis], bands)


def _at(plan: Plan, there: Part) -> Place:
    placement = plan.placement(there.owner)
    return Place(placement.memory, placement.offset + there.offset)


def _invocation(plan: Plan, number: int, step: Step, piece: Piece, constants: Tables) -> Invocation:
    arguments = tuple(
        _operand(plan, number, step, piece, buffer, argument, constants)
        for buffer, argument in zip(piece.call.kernel.buffers, piece.call.arguments, strict=True)
    )
    pairs = list(zip(piece.call.kernel.buffers, arguments, strict=True))
    meet = any(_meet(x, y) for x in pairs for y in pairs if (x[0].role, y[0].role) == ("input", "output"))
    return Invocation(step, piece, piece.call.kernel.sliding() if meet else piece.call.kernel, arguments)


def _meet(x: tuple[Buffer, Place | Constant], y: tuple[Buffer, Place | Constant]) -> bool:
    """Whether two arguments have bytes in common."""
    (a, a_place), (b, b_place) = x, y
    if not isinstance(a_place, Place) or not isinstance(b_place, Place) or a_place.memory != b_place.memory:
        return False
    return a_place.offset < b_place.offset + bytes_of(b) and b_place.offset < a_place.offset + bytes_of(a)


def _alike(invocations: tuple[Invocation, ...]) -> tuple[Invocation, ...]:
    """Where one call of a kernel is of the one that takes an output over an input, all are: it is there once."""
    sliding = {i.kernel.name for i in invocations}
    return tuple(
        replace(i, kernel=i.kernel.sliding()) if i.kernel.sliding().name in sliding else i for i in invocations
    )


def _moves(plan: Plan, constants: Tables) -> Iterator[Move]:
    """What arrives for the same step has channels of its own; what arrives for the next one may be under way as well."""
    count = dma_of(plan.board.chip).channels // 2 if plan.stages else 0
    numbers: Counter[int] = Counter()
    for stage in plan.stages:
        channel = numbers[stage.last] + (count if stage.last % 2 else 0)
        numbers[stage.last] += 1
        hint = next(
            part(b.name)
            for call in plan.steps[stage.last].calls
            for b, a in zip(call.kernel.buffers, call.arguments, strict=True)
            if a is stage.table
        )
        name = f"of {plan.steps[stage.last].name}"
        table = constants.add(hint, stage.last, C_TYPES[stage.table.dtype.name], stage.table, name)
        yield Move(table, _place(plan, stage.buffer), stage.first, stage.last, channel)


def _operand(
    plan: Plan, number: int, step: Step, piece: Piece, buffer: Buffer, argument: Argument, constants: Tables
) -> Place | Constant:
    """Raises WrongCall where there is less room than the kernel takes for granted."""
    if isinstance(argument, np.ndarray) and (stage := plan.stage(number, argument)):
        _check_room(step, buffer, stage.table.nbytes)
        return _place(plan, stage.buffer)
    if isinstance(argument, np.ndarray) and piece.tables is not None:
        _check_room(step, buffer, argument.nbytes)
        there = _place(plan, piece.tables.buffer)
        return replace(there, offset=there.offset + piece.tables.offsets[table_key(argument)])
    if isinstance(argument, np.ndarray):
        constant = constants.add(part(buffer.name), number, C_TYPES[argument.dtype.name], argument, f"of {step.name}")
        _check_room(step, buffer, constant.data.nbytes)
        return constant
    where = piece.part(argument)
    _check_room(step, buffer, plan.placement(where.owner).size - where.offset)
    return _at(plan, where)


def _check_room(step: Step, buffer: Buffer, room: int) -> None:
    if room < bytes_of(buffer):
        raise WrongCall(f"{step.name}: '{buffer.name}' needs {bytes_of(buffer)} bytes, {room} are there")


def _place(plan: Plan, argument: Tensor | Scratch) -> Place:
    placement = plan.placement(argument)
    return Place(placement.memory, placement.offset)


def _cell(plan: Plan, number: int, state: State, constants: Tables) -> Cell:
    stored = np.frombuffer(state.read.element.pack(state.initial), np.uint8)
    first = int(stored[0])
    if (stored == first).all():
        return Cell(state.read, _place(plan, state.read), first)
    table = constants.add("initial", number, "uint8_t", stored, f"initial value of state {state.read.name}")
    return Cell(state.read, _place(plan, state.read), table)


def _ports(plan: Plan, direction: Literal["in", "out"], tensors: tuple[Tensor, ...]) -> tuple[Port, ...]:
    ports: list[Port] = []
    for tensor in tensors:
        name = part(tensor.name, [p.name for p in ports])
        ports.append(Port(tensor, direction, name, _place(plan, tensor)))
    return tuple(ports)
