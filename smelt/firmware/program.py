"""`emit`: a plan as a program - kernels, constant tables, and the calls that make up `network_run`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from smelt.firmware.names import check_name, part
from smelt.kernels.c_types import C_TYPES
from smelt.kernels.implementation import Argument, bytes_of
from smelt.loops.floats import computes_in_floats
from smelt.loops.ir import Buffer, Scratch, Type
from smelt.loops.kernel import Kernel
from smelt.loops.routine import WrongCall
from smelt.model.graph import Array, State, Tensor
from smelt.nouns import Noun
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.targets.types import Memory, Role


@dataclass(frozen=True, eq=False)
class Constant(Noun):
    """A table in flash, or in the RAM called `memory`, to which it is copied from flash at start-up."""

    name: str
    type: Type
    data: Array
    comment: str
    memory: str | None = None


@dataclass(frozen=True)
class Place:
    """Bytes of a region, `offset` from its start."""

    memory: str
    offset: int


@dataclass(frozen=True)
class Region:
    """One buffer of the instance: `bytes` in the board's memory `memory`, which C calls by its role."""

    memory: str
    role: Role
    bytes: int


@dataclass(frozen=True, eq=False)
class Invocation(Noun):
    """A step's kernel with its arguments in order."""

    step: Step
    kernel: Kernel
    arguments: tuple[Place | Constant, ...]


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
class Cell(Noun):
    """The place of a state, and how it begins: a table, or one byte repeated."""

    tensor: Tensor
    place: Place
    initial: Constant | int


@dataclass(frozen=True, eq=False)
class Program(Noun):
    """Everything the C says, before it is text. `name` prefixes what the C exports."""

    name: str
    plan: Plan
    regions: tuple[Region, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    invocations: tuple[Invocation, ...]
    cells: tuple[Cell, ...] = ()

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
        return f"{self.name}_k_{kernel.name}"

    def role(self, memory: str) -> Role:
        """What C calls the region in `memory`. Raises KeyError where there is none."""
        return {r.memory: r.role for r in self.regions}[memory]

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Each table once, in order of first use."""
        used = [a for i in self.invocations for a in i.arguments if isinstance(a, Constant)]
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

    def in_full(self) -> str:
        lines = [f"program {self.name}: {len(self.kernels)} kernels, {self.constant_bytes} bytes of constants"]
        lines += [f"  region {r.memory}: {r.bytes} bytes" for r in self.regions]
        lines += [f"  state {c.tensor.name}: {_shown(c.place)}" for c in self.cells]
        lines += [f"  {i.step.name}: {i.kernel.name}({', '.join(map(_shown, i.arguments))})" for i in self.invocations]
        return "\n".join([*lines, "", *(k.in_full() for k in self.kernels)])


def _shown(argument: Place | Constant) -> str:
    return argument.name if isinstance(argument, Constant) else f"{argument.memory}+{argument.offset}"


class _Constants:
    """Names tables, equal ones once."""

    def __init__(self, prefix: str, plan: Plan) -> None:
        self._prefix, self._plan = prefix, plan
        self._known: dict[tuple[Type, bytes], Constant] = {}

    def add(self, hint: str, type: Type, data: Array, comment: str) -> Constant:
        flat = np.ascontiguousarray(data).reshape(-1)
        key = (type, flat.tobytes())
        if key not in self._known:
            memory = self._plan.table_memory(data)
            self._known[key] = Constant(f"{self._prefix}_table_{hint}", type, flat, comment, memory)
        return self._known[key]


def emit(plan: Plan, name: str = "network") -> Program:
    """The program that carries out `plan`. `name` prefixes what the C exports; raises OptionError if it cannot."""
    check_name(name)
    constants = _Constants(name, plan)
    invocations = tuple(_invocation(plan, number, step, constants) for number, step in enumerate(plan.steps))
    return Program(
        name,
        plan,
        tuple(Region(m.name, role_of(m), plan.used(m.name)) for m in plan.memories),
        _ports(plan, "in", plan.graph.inputs),
        _ports(plan, "out", plan.graph.outputs),
        invocations,
        tuple(_cell(plan, number, state, constants) for number, state in enumerate(plan.graph.states)),
    )


def role_of(memory: Memory) -> Role:
    """What C calls a RAM. Raises ValueError for one that has no role: whoever describes a chip gives each RAM one."""
    if memory.role is None:
        raise ValueError(f"the memory {memory.name} has no role")
    return memory.role


def _invocation(plan: Plan, number: int, step: Step, constants: _Constants) -> Invocation:
    arguments = tuple(
        _operand(plan, f"{part(buffer.name)}_{number}", step, buffer, argument, constants)
        for buffer, argument in zip(step.call.kernel.buffers, step.call.arguments, strict=True)
    )
    return Invocation(step, step.call.kernel, arguments)


def _operand(
    plan: Plan, hint: str, step: Step, buffer: Buffer, argument: Argument, constants: _Constants
) -> Place | Constant:
    """Raises WrongCall where there is less room than the kernel takes for granted."""
    if isinstance(argument, np.ndarray):
        constant = constants.add(hint, C_TYPES[argument.dtype.name], argument, f"of {step.name}")
        _check_room(step, buffer, constant.data.nbytes)
        return constant
    _check_room(step, buffer, plan.placement(argument).size)
    return _place(plan, argument)


def _check_room(step: Step, buffer: Buffer, room: int) -> None:
    if room < bytes_of(buffer):
        raise WrongCall(f"{step.name}: '{buffer.name}' needs {bytes_of(buffer)} bytes, {room} are there")


def _place(plan: Plan, argument: Tensor | Scratch) -> Place:
    placement = plan.placement(argument)
    return Place(placement.memory, placement.offset)


def _cell(plan: Plan, number: int, state: State, constants: _Constants) -> Cell:
    stored = np.frombuffer(state.read.element.pack(state.initial), np.uint8)
    first = int(stored[0])
    if (stored == first).all():
        return Cell(state.read, _place(plan, state.read), first)
    table = constants.add(f"initial_{number}", "uint8_t", stored, f"initial value of state {state.read.name}")
    return Cell(state.read, _place(plan, state.read), table)


def _ports(plan: Plan, direction: Literal["in", "out"], tensors: tuple[Tensor, ...]) -> tuple[Port, ...]:
    ports: list[Port] = []
    for tensor in tensors:
        name = part(tensor.name, [p.name for p in ports])
        ports.append(Port(tensor, direction, name, _place(plan, tensor)))
    return tuple(ports)
