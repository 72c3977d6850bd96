"""`emit`: a plan as a program - kernels, constant tables, and the calls that make up `network_run`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smelt.errors import OptionError
from smelt.kernels.implementation import Argument
from smelt.loops.ir import Kernel, Scratch, Type
from smelt.model.graph import Array, Tensor
from smelt.planner.plan import Plan, Step

C_TYPES: dict[str, Type] = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "bool": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "float32": "float",
}

# What C (and the names smelt itself uses beside a network's) reserve.
RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register"
    " restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main network"
    " smelt KERNEL ALIGNED LINES RESIDENT inputs outputs class new delete this".split()
)


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """A C identifier that reminds of `name` and is not in `taken`."""
    base = re.sub(r"[^0-9a-zA-Z]+", "_", name.split(";")[0]).strip("_").lower() or "tensor"
    if base[0].isdigit() or base in RESERVED:
        base = f"t_{base}"
    taken, candidate, count = set(taken), base, 1
    while candidate in taken:
        count += 1
        candidate = f"{base}_{count}"
    return candidate


@dataclass(frozen=True, eq=False)
class Constant:
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
    """One buffer of the instance: `bytes` in the board's memory `memory`; `field` is its name in C."""

    memory: str
    field: str
    bytes: int


@dataclass(frozen=True, eq=False)
class Invocation:
    """A step's kernel with its arguments in order."""

    step: Step
    kernel: Kernel
    arguments: tuple[Place | Constant, ...]


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output: its field's name in C and where it is."""

    tensor: Tensor
    field: str
    place: Place


@dataclass(frozen=True, eq=False)
class Program:
    """Everything the C says, before it is text. `name` prefixes what the C exports."""

    name: str
    plan: Plan
    regions: tuple[Region, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    invocations: tuple[Invocation, ...]

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """Each kernel once, in order of first use."""
        return tuple({i.kernel.name: i.kernel for i in self.invocations}.values())

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Each table once, in order of first use."""
        used = [a for i in self.invocations for a in i.arguments if isinstance(a, Constant)]
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

    def __str__(self) -> str:
        lines = [f"program {self.name}: {len(self.kernels)} kernels, {self.constant_bytes} bytes of constants"]
        lines += [f"  region {r.memory}: {r.bytes} bytes" for r in self.regions]
        lines += [f"  {i.step.name}: {i.kernel.name}({', '.join(map(_shown, i.arguments))})" for i in self.invocations]
        return "\n".join([*lines, "", *(str(k) for k in self.kernels)])


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
            self._known[key] = Constant(f"{self._prefix}_{hint}", type, flat, comment, memory)
        return self._known[key]


def check_name(name: str) -> None:
    """Raise OptionError unless `name` can prefix C identifiers."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or (name in RESERVED and name != "network"):
        raise OptionError(f"'{name}' cannot be the name of a network: use small letters, digits and _, no C keyword")


def emit(plan: Plan, name: str = "network") -> Program:
    """The program that carries out `plan`. `name` prefixes what the C exports; raises OptionError if it cannot."""
    check_name(name)
    constants = _Constants(name, plan)
    invocations = tuple(_invocation(plan, number, step, constants) for number, step in enumerate(plan.steps))
    return Program(
        name,
        plan,
        tuple(Region(m.name, identifier(m.name), plan.used(m.name)) for m in plan.memories),
        _ports(plan, plan.graph.inputs),
        _ports(plan, plan.graph.outputs),
        invocations,
    )


def _invocation(plan: Plan, number: int, step: Step, constants: _Constants) -> Invocation:
    arguments = tuple(
        _operand(plan, f"{number}_{identifier(buffer.name)}", step, argument, constants)
        for buffer, argument in zip(step.call.kernel.buffers, step.call.arguments, strict=True)
    )
    return Invocation(step, step.call.kernel, arguments)


def _operand(plan: Plan, hint: str, step: Step, argument: Argument, constants: _Constants) -> Place | Constant:
    if isinstance(argument, np.ndarray):
        return constants.add(hint, C_TYPES[argument.dtype.name], argument, f"of {step.name}")
    return _place(plan, argument)


def _place(plan: Plan, argument: Tensor | Scratch) -> Place:
    placement = plan.placement(argument)
    return Place(placement.memory, placement.offset)


def _ports(plan: Plan, tensors: tuple[Tensor, ...]) -> tuple[Port, ...]:
    ports: list[Port] = []
    for tensor in tensors:
        field = identifier(tensor.name, [p.field for p in ports])
        ports.append(Port(tensor, field, _place(plan, tensor)))
    return tuple(ports)
