"""One op as it is computed: `Step`, and what steps do to memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Op, Tensor
from smelt.nouns import Noun
from smelt.planner.flow import Flow, Storage, Use, index_of, storages_of
from smelt.planner.tables import TableKey
from smelt.planner.ways import Way


@dataclass(frozen=True, eq=False)
class Step(Noun):
    """One op and the way it is computed. `name` is unique and fits C identifiers."""

    way: Way
    name: str

    @property
    def op(self) -> Op:
        return self.way.op

    @property
    def implementation(self) -> Implementation:
        return self.way.implementation

    @property
    def schedule(self) -> Schedule:
        return self.way.schedule

    @property
    def call(self) -> KernelCall:
        return self.way.call

    @property
    def resident(self) -> bool:
        """Whether its tables (the constants of the call) are copied to RAM at start-up and read from there."""
        return self.way.resident

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        """The scratch arguments of the call, in order."""
        return self.way.scratch

    def copied(self) -> Step:
        """The same with its tables in RAM."""
        return Step(self.way.copied(), self.name)

    def in_full(self) -> str:
        return f"{self.name}: {self.way.in_full()}"


def named(ways: Sequence[Way]) -> tuple[Step, ...]:
    """Ways as steps in this order, named after their operator and their position."""
    return tuple(Step(way, f"{type(way.op).__name__.lower()}_{i}") for i, way in enumerate(ways))


def flow_of(graph: Graph, ways: Sequence[Way]) -> Flow:
    """What the steps of `ways`, in this order, do to the storages of `graph`."""
    storages = storages_of(graph)
    index = index_of(storages)
    return Flow(
        storages,
        tuple(_use(way, storages, index) for way in ways),
        frozenset(index[t] for t in graph.sources),
        frozenset(index[t] for t in graph.sinks),
    )


def _use(way: Way, storages: Sequence[Storage], index: dict[Tensor, int]) -> Use:
    reads = frozenset(index[t] for t in way.op.activations)
    over = frozenset(s for s in reads if may_overwrite(way, [t for t in way.op.activations if index[t] == s]))
    renewed = frozenset(index[t] for t in way.op.activations if t in storages[index[t]].renewed)
    return Use(reads, tuple(index[y] for y in way.op.ys), over, tuple(s.bytes for s in way.scratch), renewed)


def may_overwrite(way: Way, tensors: Collection[Tensor]) -> bool:
    """Whether a step may write y over a storage shared by `tensors`: kernel and each operand there must allow it."""
    return way.call.kernel.in_place and operands(way.op, tensors) <= set(way.implementation.in_place)


def operands(op: Op, tensors: Collection[Tensor]) -> set[str]:
    """The names of the operands of `op` that are, or contain, one of `tensors`."""
    values = {field.name: getattr(op, field.name) for field in fields(op) if field.name not in op.results}
    lists = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    return {name for name, value in lists.items() if any(v is t for v in value for t in tensors)}


def resident_tables(steps: Iterable[Step]) -> dict[TableKey, int]:
    """The tables that are copied to RAM, each once: those read most per byte first. What one resident step copies, others that
    have the same table read there as well."""
    heat: dict[TableKey, float] = {}
    sizes: dict[TableKey, int] = {}
    for step in steps:
        tables = step.way.tables if step.resident else {}
        for key, size in tables.items():
            sizes[key] = size
            heat[key] = heat.get(key, 0.0) + step.op.macs / sum(tables.values())
    return {key: sizes[key] for key in sorted(sizes, key=lambda key: -heat[key])}
