"""What is computed at one time: `Step`, and what steps do to memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smelt.kernels.implementation import KernelCall
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Op, Tensor
from smelt.nouns import Noun
from smelt.planner.bands import Bands
from smelt.planner.flow import Flow, Storage, Use, index_of, storages_of
from smelt.planner.in_tiles import InTiles
from smelt.planner.on_cores import OnCores
from smelt.planner.tables import TableKey
from smelt.planner.ways import Piece, Way

AnyWay = Way | Bands | InTiles | OnCores
"""How a step is done: one op by one kernel, several ops in bands of rows, one op in tiles that are moved, or on several cores."""


@dataclass(frozen=True, eq=False)
class Step(Noun):
    """What is computed at one time, and the way it is. `name` is unique and fits C identifiers."""

    way: AnyWay
    name: str

    @property
    def ops(self) -> tuple[Op, ...]:
        """What it computes, in order."""
        return self.way.ops

    @property
    def ys(self) -> tuple[Tensor, ...]:
        """Its results: those of its last op."""
        return self.way.ys

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its kernel calls, in order."""
        return self.way.pieces

    @property
    def calls(self) -> tuple[KernelCall, ...]:
        return tuple(piece.call for piece in self.way.pieces)

    @property
    def resident(self) -> bool:
        """Whether its tables (the constants of the calls) are copied to RAM at start-up and read from there."""
        return self.way.resident

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        """What it needs while it runs, and only then."""
        return self.way.scratch

    @property
    def scratch_bytes(self) -> int:
        return sum(s.bytes for s in self.way.scratch)

    @property
    def operators(self) -> str:
        """What it computes, for people."""
        return " + ".join(type(op).__name__ for op in self.way.ops)

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.way.ops)

    def in_full(self) -> str:
        return f"{self.name}: {self.way.in_full()}"


def named(ways: Sequence[AnyWay]) -> tuple[Step, ...]:
    """Ways as steps in this order, named after their operator and their position."""
    return tuple(Step(way, f"{type(way.ops[-1]).__name__.lower()}_{i}") for i, way in enumerate(ways))


def flow_of(graph: Graph, ways: Sequence[AnyWay]) -> Flow:
    """What the steps of `ways`, in this order, do to the storages of `graph`; what exists in line buffers only has none."""
    used = {*graph.sources, *graph.sinks, *(t for way in ways for t in (*way.reads, *way.ys))}
    fed = {way.fed for way in ways if isinstance(way, Bands) and way.fed is not None}
    storages = tuple(s for s in storages_of(graph) if used & {*s.tensors} and not fed & {*s.tensors})
    index = index_of(storages)
    return Flow(
        storages,
        tuple(use_of(way, storages, index) for way in ways),
        frozenset(index[t] for t in graph.sources if t in index),
        frozenset(index[t] for t in graph.sinks),
    )


def use_of(way: AnyWay, storages: Sequence[Storage], index: Mapping[Tensor, int]) -> Use:
    """What a way does to storages, of which `index` gives the positions."""
    reads = frozenset(index[t] for t in way.reads)
    renewed = frozenset(index[t] for t in way.reads if t in storages[index[t]].renewed)
    over: dict[int, int] = {}
    for s in reads if len(way.ys) == 1 else ():
        slides = [way.slide(t) for t in dict.fromkeys(way.reads) if index[t] == s]
        if None not in slides:
            over[s] = max(by for by in slides if by is not None)
    return Use(reads, tuple(index[y] for y in way.ys), over, tuple(s.bytes for s in way.scratch), renewed)


def resident_tables(steps: Iterable[Step]) -> dict[TableKey, int]:
    """The tables that are copied to RAM, each once: those read most per byte first. What one resident step copies, others that
    have the same table read there as well."""
    return _hottest(step for step in steps if step.resident)


def read_tables(steps: Iterable[Step]) -> dict[TableKey, int]:
    """The tables that are read from flash, each once: those read most per byte first."""
    steps = tuple(steps)
    copied = resident_tables(steps)
    return {key: size for key, size in _hottest(steps).items() if key not in copied}


def _hottest(steps: Iterable[Step]) -> dict[TableKey, int]:
    heat: dict[TableKey, float] = {}
    sizes: dict[TableKey, int] = {}
    for step in steps:
        tables = step.way.tables
        for key, size in tables.items():
            sizes[key] = size
            heat[key] = heat.get(key, 0.0) + step.macs / sum(tables.values())
    return {key: sizes[key] for key in sorted(sizes, key=lambda key: -heat[key])}
