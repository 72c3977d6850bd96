"""`emit`: a plan as a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Literal, Protocol

import numpy as np

from smelt.firmware.exchange import Exchange
from smelt.firmware.forks import Act, acts_of
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.moves import dma_of
from smelt.firmware.names import check_name, part
from smelt.firmware.program import Band, Cell, Feed, Move, Port, Program, Region
from smelt.firmware.streams import Stream, stream_of
from smelt.firmware.transports import Place, deeds_of, place_of
from smelt.kernels.c_types import C_TYPES
from smelt.kernels.implementation import Argument, bytes_of
from smelt.loops.ir import Buffer, Scratch, Type
from smelt.loops.numbers import Numbered
from smelt.loops.routine import WrongCall
from smelt.model.graph import Array, Op, State, Tensor, scale_of
from smelt.planner.bands import Bands
from smelt.planner.in_tiles import InTiles
from smelt.planner.on_cores import OnCores
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.suite import Suite
from smelt.planner.tables import table_key
from smelt.planner.ways import Bring, Fetch, Part, Piece
from smelt.targets.types import Memory, Role

Known = dict[tuple[Type, bytes, tuple[str, int] | None], Constant]
"""Tables by type and content, and what they are for where that keeps them apart."""


class Homes(Protocol):
    """What knows where tables lie: a plan, or a suite."""

    def table_memory(self, table: Array) -> str | None: ...

    def table_flash(self, table: Array) -> str | None: ...


class Tables:
    """Names the tables of a network, equal ones once, those of other networks in `known` included. `homes` says where each lies.
    What tells networks of one `prefix` apart: `first` is added to numbers, `of` to comments. With `apart` only equal ones for the
    same parameter of the same step are one: that others are equal is a matter of numbers."""

    def __init__(
        self,
        prefix: str,
        homes: Homes,
        known: Known | None = None,
        first: int = 0,
        of: str = "",
        apart: bool = False,
    ) -> None:
        self._prefix, self._homes, self._first, self._of, self._apart = prefix, homes, first, of, apart
        self._known = {} if known is None else known

    def add(self, hint: str, number: int, type: Type, data: Array, comment: str) -> Constant:
        """The table of the step or state of that number."""
        flat = np.ascontiguousarray(data).reshape(-1)
        key = (type, flat.tobytes(), (hint, number) if self._apart else None)
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
    """What a network shares with the others of its suite: the suite's name, the size of each region, the tables, and what is known
    of kernels that several have."""

    suite: str
    sizes: Mapping[str, int]
    tables: Tables
    shapes: dict[str, str]


def emit(plan: Plan, name: str = "network", joint: Joint | None = None, exchanged: bool = False) -> Program:
    """The program that carries out `plan`, alone or as one of a suite. `name` prefixes what the C exports; raises OptionError if
    it cannot. With `exchanged` its tables are an image of their own, which other trainings may replace."""
    check_name(name)
    tables = joint.tables if joint else Tables(name, plan, apart=exchanged)
    exchange = Exchange(plan.board.core) if exchanged else None
    sizes = joint.sizes if joint else {m.name: plan.used(m.name) for m in plan.memories}
    invocations = tuple(
        _invocation(plan, number, step, piece, tables, exchange)
        for number, step in enumerate(plan.steps)
        for piece in step.pieces
    )
    stream = stream_of(plan, partial(_from_outside, plan, tables))
    shapes = joint.shapes if joint else dict[str, str]()
    for invocation in _alike(invocations):
        shapes.setdefault(invocation.kernel.name, _shapes(invocation.piece.way.op))
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
        dict(_acts(plan, _alike(invocations), tables, stream)),
        stream,
        shapes,
        _edges(plan, tables) if exchanged else None,
    )


def _edges(plan: Plan, tables: Tables) -> tuple[Constant, ...]:
    """What programs around the network must know of its numbers."""
    found = [q for t in (*plan.graph.inputs, *plan.graph.outputs) if (q := scale_of(t)) is not None]
    if not found:
        return ()
    scales = np.array([q.scale for q in found], np.float32)
    zeros = np.array([q.zero_point for q in found], np.int32)
    return (
        tables.add("scales", 0, "float", scales, "of inputs and outputs"),
        tables.add("zero_points", 0, "int32_t", zeros, "of inputs and outputs"),
    )


def emit_suite(suite: Suite) -> tuple[Program, ...]:
    """The programs of all networks of a suite, in its memory. Raises OptionError where a name cannot be one."""
    check_name(suite.name)
    sizes = {m.name: suite.used(m.name) for m in suite.memories}
    known, first, programs, shapes = Known(), 0, list[Program](), dict[str, str]()
    for name, plan in suite.placed.items():
        tables = Tables(suite.name, suite, known, first, f" of {name}")
        programs.append(emit(plan, name, Joint(suite.name, sizes, tables, shapes)))
        first += max(len(plan.steps), len(plan.graph.states))
    return tuple(programs)


def _shapes(op: Op) -> str:
    """The shapes of the first operand and of the first result: "32x32x8_to_16" where these differ in their channels only."""
    y = op.ys[0].shape
    x = op.activations[0].shape if op.activations else y
    if x == y:
        return _shape(x)
    return f"{_shape(x)}_to_{y[-1] if y and x[:-1] == y[:-1] else _shape(y)}"


def _shape(shape: tuple[int, ...]) -> str:
    """Without a batch of one."""
    return "x".join(map(str, shape[1:] if len(shape) > 1 and shape[0] == 1 else shape)) or "scalar"


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
    plan: Plan, invocations: Sequence[Invocation], tables: Tables, stream: Stream | None
) -> Iterator[tuple[Step, tuple[Act, ...]]]:
    """What happens in the steps on the cores of a cluster."""
    for number, step in enumerate(plan.steps):
        if isinstance(step.way, OnCores):
            came = (e.transfer for e in step.way.events if isinstance(e.transfer, Fetch))
            fetches = dict.fromkeys(fetch for fetch in came if fetch.source is None)
            known = {
                f: tables.add("of_round", number, "uint32_t", f.data, f"of rounds of {step.name}") for f in fetches
            }
            calls = [i for i in invocations if i.step is step]
            yield step, tuple(acts_of(plan, step.way, calls, known, stream))


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
    return place_of(plan.placement(there.owner), there.offset)


def _invocation(
    plan: Plan, number: int, step: Step, piece: Piece, constants: Tables, exchange: Exchange | None
) -> Invocation:
    found = exchange.kernel(piece.way) if exchange else Numbered(piece.call.kernel, ())
    arguments = tuple(
        _operand(plan, number, step, piece, buffer, argument, constants)
        for buffer, argument in zip(piece.call.kernel.buffers, piece.call.arguments, strict=True)
    )
    pairs = list(zip(piece.call.kernel.buffers, arguments, strict=True))
    meet = any(_meet(x, y) for x in pairs for y in pairs if (x[0].role, y[0].role) == ("input", "output"))
    numbers = tuple(
        constants.add(buffer.name, number, buffer.type, table, f"of {step.name}")
        for buffer, table in zip(found.kernel.buffers[len(arguments) :], found.tables, strict=True)
    )
    return Invocation(step, piece, found.kernel.sliding() if meet else found.kernel, (*arguments, *numbers))


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
    return place_of(plan.placement(argument))


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
