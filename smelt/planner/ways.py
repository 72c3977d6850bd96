"""`Way`: one way to compute an op, built; and `Ways`: all that implementations offer, each built once.

What is asked of a way for its place in a plan (`ops`, `pieces`, `tables`, `scratch`, `slides`) is asked of a run of ops in bands
(`bands.py`) as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from smelt.errors import Unsupported
from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.cost import Counts, count
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Linear
from smelt.model.rescale import Rescale
from smelt.model.terms import FloorTerms, FusedTerms
from smelt.nouns import Noun
from smelt.planner.measurement import Place
from smelt.planner.offers import Offer, offers, refusals
from smelt.planner.price import Pricer
from smelt.planner.tables import TableKey, table_key, tables_of
from smelt.targets.types import Core

Kind = tuple[str, tuple[str, str]]
"""`op_key` of an op, and the names of an implementation and a schedule."""


@dataclass(frozen=True)
class Part:
    """Where an argument of a kernel call lies and what it is: `tensor` from byte `first` on, kept at `offset` of `owner`. What has
    no tensor is scratch. Rows of `row` bytes that lie `pitch` apart in the tensor follow one another; 0: it is in one piece."""

    owner: Tensor | Scratch
    offset: int = 0
    tensor: Tensor | None = None
    first: int = 0
    row: int = 0
    pitch: int = 0


@dataclass(frozen=True, eq=False)
class Bring(Noun):
    """Words of tables that come from a memory outside of the chip, which is not mapped, to the beginning of `buffer`, beside
    everything else. `channel` is a number of its own."""

    data: Array
    buffer: Scratch
    channel: int

    @property
    def name(self) -> str:
        """Of what is moved."""
        return "tables from outside"

    def in_full(self) -> str:
        return f"{self.data.nbytes} bytes of tables come from outside"


@dataclass(frozen=True, eq=False)
class Fetch(Noun):
    """Tables that come to the beginning of `buffer`, one behind another at multiples of 8 bytes. `channel` is that of a DMA. They
    are where constants are, or came from outside: then they are `at` bytes behind the beginning of `source`."""

    tables: tuple[Array, ...]
    buffer: Scratch
    channel: int
    source: Bring | None = None
    at: int = 0

    @cached_property
    def offsets(self) -> dict[TableKey, int]:
        """Where each is in the buffer."""
        found, offset = dict[TableKey, int](), 0
        for table in self.tables:
            found[table_key(table)] = offset
            offset += -(-table.nbytes // 8) * 8
        return found

    @cached_property
    def data(self) -> Array:
        """The bytes that come."""
        parts = (table.tobytes() + bytes(-table.nbytes % 8) for table in self.tables)
        return np.frombuffer(b"".join(parts), np.uint32)

    @property
    def name(self) -> str:
        """Of what is moved."""
        return "tables"

    def in_full(self) -> str:
        return f"{self.data.nbytes} bytes of tables come"


@dataclass(frozen=True, eq=False)
class Piece(Noun):
    """A kernel call of a step. `parts` says where arguments lie that are neither tensors of the graph nor scratch of the step;
    `tables` brings those of the call, where they are not read in place."""

    way: Way
    parts: Mapping[Tensor | Scratch, Part] = field(default_factory=dict)
    tables: Fetch | None = None

    @property
    def call(self) -> KernelCall:
        return self.way.call

    def part(self, argument: Tensor | Scratch) -> Part:
        """Where an argument lies."""
        return self.parts.get(argument) or Part(argument, tensor=argument if isinstance(argument, Tensor) else None)

    def in_full(self) -> str:
        return self.way.in_full()


@dataclass(frozen=True, eq=False)
class Way(Noun):
    """How an op is computed, and the kernel call that does it. `resident`: its tables (the constants of the call) are copied
    to RAM at start-up and read from there."""

    op: Op
    implementation: Implementation
    schedule: Schedule
    call: KernelCall
    resident: bool = False

    @property
    def ops(self) -> tuple[Op, ...]:
        """What it computes."""
        return (self.op,)

    @property
    def ways(self) -> tuple[Way, ...]:
        """How each of `ops` is done."""
        return (self,)

    @property
    def spends_flash(self) -> bool:
        """Whether it has tables that are much larger than the weights."""
        return self.implementation.spends_flash

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The activations that it needs."""
        return self.op.activations

    @property
    def ys(self) -> tuple[Tensor, ...]:
        """Its results."""
        return self.op.ys

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Its kernel calls, in order."""
        return (Piece(self),)

    def slide(self, x: Tensor) -> int | None:
        """By how many bytes y must at least begin before `x`, where nobody needs that any more, to be written over it; None where
        y may not. Only asked of ways with one result."""
        by = self.call.overlap(x, self.op.y).least
        return by if by < self.op.y.bytes else None

    @property
    def names(self) -> tuple[str, str]:
        """Of the implementation and the schedule."""
        return self.implementation.name, str(self.schedule)

    @cached_property
    def kind(self) -> Kind:
        """What it has in common with the ways to do such ops by the same implementation and schedule."""
        return op_key(self.op), self.names

    @property
    def how(self) -> str:
        """Implementation and schedule, for people."""
        return f"{self.implementation.name} [{self.schedule}]"

    @property
    def kernel(self) -> str:
        """The kernel's name, by which measurements know it."""
        return self.call.kernel.name

    @property
    def place(self) -> Place:
        """Whether tables and whether code lie in RAM."""
        return self.resident, False

    @property
    def key(self) -> tuple[str, bool]:
        """What tells ways to compute an op apart."""
        return self.kernel, self.resident

    @cached_property
    def counted(self) -> Counts:
        """The static cost of its kernel."""
        return count(self.call.kernel)

    @cached_property
    def pricer(self) -> Pricer:
        """What its kernel waits for memory."""
        return Pricer(self.call.kernel)

    def instructions(self, core: Core) -> float:
        """A static estimate of what its kernel executes on a core."""
        return self.counted.instructions(frozenset(i.name for i in core.intrinsics))

    @cached_property
    def tables(self) -> dict[TableKey, int]:
        """Its constants, with what each takes up in bytes."""
        return tables_of(self.call)

    @property
    def table_bytes(self) -> int:
        """What its constants take up."""
        return sum(self.tables.values())

    @cached_property
    def scratch(self) -> tuple[Scratch, ...]:
        """The scratch arguments of the call, in order."""
        return tuple(a for a in self.call.arguments if isinstance(a, Scratch))

    def copied(self) -> Way:
        """The same with its tables in RAM; what was found out about it already is not found out again."""
        way = Way(self.op, self.implementation, self.schedule, self.call, True)
        way.__dict__.update(
            {name: self.__dict__[name] for name in ("counted", "tables", "pricer", "kind") if name in self.__dict__}
        )
        return way

    def of(self, op: Op, tables: Sequence[Array] | None = None) -> Way:
        """The way for an op that differs in its tensors only, and in `tables` where these are given."""
        renamed = dict(zip((*self.op.inputs, *self.op.ys), (*op.inputs, *op.ys), strict=True))
        new = None if tables is None else iter(tables)
        arguments = tuple(
            renamed.get(a, a)
            if isinstance(a, Tensor)
            else Scratch(a.bytes)
            if isinstance(a, Scratch)
            else a
            if new is None
            else np.ascontiguousarray(next(new)).reshape(-1)
            for a in self.call.arguments
        )
        call = KernelCall(self.call.kernel, arguments)
        return Way(op, self.implementation, self.schedule, call, self.resident)

    def in_full(self) -> str:
        return f"{self.op.in_full()} by {self.implementation.name} [{self.schedule}]"


class Ways:
    """The ways that `implementations` (best first) offer for ops on a core. Each is built when it is first asked for, and
    kept: who plans or tunes one graph asks one such value."""

    def __init__(self, core: Core, implementations: Sequence[Implementation]) -> None:
        self.core, self.implementations = core, tuple(implementations)
        self._built: dict[tuple[Op, str, Schedule], Way] = {}
        self._names: dict[Op, dict[tuple[str, str], Offer]] = {}
        self.slabs: dict[Hashable, Way] = {}
        """Ways to compute slabs, by what tells those apart that have the same kernel and tables (`bands.py`)."""
        self.menus: dict[Hashable, list[Any]] = {}
        """What there is to choose from (`decide.Menu`), by what it depends on beside budgets: who plans a graph for other goals and
        budgets does not find it out again."""

    def offers(self, op: Op) -> Iterator[Offer]:
        """What is offered for `op`, best guess first."""
        return offers(op, self.core, self.implementations)

    def first(self, op: Op) -> Way:
        """The best guess. Raises Unsupported, with what every implementation of the operator asks for, where there is none."""
        offer = next(self.offers(op), None)
        if offer is None:
            raise Unsupported(op.origin or f"'{op}'", refusals(op, self.core, self.implementations))
        return self.built(op, offer)

    def frugal(self, op: Op) -> Way:
        """The best guess whose tables are no larger than the weights, where there is one. Raises Unsupported as `first` does."""
        offer = next((offer for offer in self.offers(op) if not offer[0].spends_flash), None)
        return self.first(op) if offer is None else self.built(op, offer)

    def first_of_each(self, op: Op, most: int) -> Iterator[Way]:
        """The first `most` schedules of each implementation, and the last, which is the one with the least scratch where that is
        a matter of schedules."""
        for _, group in groupby(self.offers(op), key=lambda offer: offer[0].name):
            some = list(group)
            yield from (self.built(op, offer) for offer in (*some[:most], *some[most:][-1:]))

    def every(self, op: Op) -> Iterator[Way]:
        """All of them; of those with equal kernels the first."""
        seen: set[str] = set()
        for way in (self.built(op, offer) for offer in self.offers(op)):
            if way.kernel not in seen:
                seen.add(way.kernel)
                yield way

    def named(self, op: Op, names: tuple[str, str]) -> Way | None:
        """The way of that implementation and schedule, as they print themselves; None where that is not offered."""
        if op not in self._names:
            self._names[op] = {(i.name, str(schedule)): (i, schedule) for i, schedule in self.offers(op)}
        offer = self._names[op].get(names)
        return None if offer is None else self.built(op, offer)

    def built(self, op: Op, offer: Offer) -> Way:
        """An offer as a way."""
        implementation, schedule = offer
        key = op, implementation.name, schedule
        if key not in self._built:
            self._built[key] = Way(op, implementation, schedule, implementation.build(op, schedule))
        return self._built[key]


def op_key(op: Op) -> str:
    """An operator with its shapes and attributes as text; ops of the same text may still have different kernels."""
    named = (f for f in fields(op) if f.name not in (*op.results, "origin", "exchanged"))
    names = [f.name for f in named if f.name not in NUMBERS or _differs(op, f)]
    if isinstance(op, Linear):
        names.append("clamp")
    operands = " ".join(f"{name}={_text(getattr(op, name))}" for name in names)
    return f"{type(op).__name__} {operands} -> {' '.join(map(_text, op.ys))}"


NUMBERS = ("rescale", "terms", "steps", "rounding")
"""Fields that say whose arithmetic an op has: named where it is not the usual one."""


def _differs(op: Op, field: Field[Any]) -> bool:
    return field.default is not MISSING and getattr(op, field.name) != field.default


def _text(value: Any) -> str:
    if isinstance(value, Rescale | FusedTerms | FloorTerms):
        return getattr(value, "rounding", type(value).__name__)
    if isinstance(value, Tensor):
        return f"{value.dtype}[{'x'.join(map(str, value.shape))}]" + ("!" if value.is_constant else "")
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    return str(value).replace(" ", "")
