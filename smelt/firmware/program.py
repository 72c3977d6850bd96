"""`Program`: kernels, constant tables, and the calls that make up `network_run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from smelt.firmware.forks import Act, Haul
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.names import SIGNIFICANT, telling
from smelt.firmware.offsets import Offset, offsets
from smelt.firmware.streams import Stream
from smelt.firmware.transports import Deeds, Place, Transport
from smelt.loops.floats import computes_in_floats
from smelt.loops.kernel import Kernel
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.targets.types import Role


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
    stream: Stream | None = None
    """Tables that come from outside of the chip while it runs."""

    shapes: Mapping[str, str] = field(default_factory=dict)
    """What kernels are used for, by their names: the shapes of the first step that has them."""

    edges: tuple[Constant, ...] | None = None
    """Where tables are an image of their own: the scales of inputs and outputs, and their zero points, of those that have any."""

    @property
    def exchanged(self) -> bool:
        """Whether its tables are an image of their own, in whose place another may come."""
        return self.edges is not None

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
        """The name of the C function that is `kernel` in this program: what it is, on which shapes, and a digest of it."""
        prefix = f"{self.owner}_k_"
        return prefix + telling(kernel.name, self.shapes.get(kernel.name, ""), SIGNIFICANT - len(prefix))

    @property
    def calls(self) -> tuple[str, ...]:
        """The functions that a run calls, in order: kernels, or steps where these are functions of their own."""
        if self.plan.board.chip.cluster:
            return tuple(self.step(step) for step in self.plan.steps)
        return tuple(self.function(i.kernel) for i in self.invocations)

    def step(self, step: Step) -> str:
        """The name of the C function that is a step, where steps are functions."""
        return f"{self.name}_s_{step.name}"

    @cached_property
    def offsets(self) -> Mapping[str, Offset]:
        """Macros for where things lie in regions, by the names of the plan's placements."""
        return offsets(self.plan, self.invocations, f"{self.name}_at")

    def role(self, memory: str) -> Role:
        """What C calls the region in `memory`. Raises KeyError where there is none."""
        return {r.memory: r.role for r in self.regions}[memory]

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """Each table once, in order of first use."""
        used = [a for i in self.invocations for a in i.arguments if isinstance(a, Constant)]
        hauls = (act for acts in self.acts.values() for act in acts if isinstance(act, Haul))
        used += [haul.far for haul in hauls if isinstance(haul.far, Constant)]
        used += [request.table for request in self.stream.requests] if self.stream else []
        used += [move.table for move in self.moves]
        used += [cell.initial for cell in self.cells if isinstance(cell.initial, Constant)]
        used += self.edges or ()
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

    def in_brief(self) -> str:
        return f"program {self.name}: {len(self.kernels)} kernels, {self.constant_bytes} bytes of constants"

    def in_full(self) -> str:
        lines = [self.in_brief()]
        lines += [f"  region {r.memory}: {r.bytes} bytes" for r in self.regions]
        lines += [f"  state {c.tensor.name}: {_shown(c.place)}" for c in self.cells]
        lines += [f"  move {m.in_full()}" for m in self.moves]
        lines += [f"  {step.name}, before call {n}: {deed}" for step, some in self.deeds.items() for n, deed in some]
        lines += [f"  {i.step.name}: {i.kernel.name}({', '.join(map(_shown, i.arguments))})" for i in self.invocations]
        return "\n".join([*lines, "", *(k.in_full() for k in self.kernels)])


def _shown(argument: Place | Constant) -> str:
    return argument.name if isinstance(argument, Constant) else f"{argument.memory}+{argument.offset}"
