"""One op as it is computed: `Step`, and what steps do to memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from smelt.kernels.implementation import Implementation, KernelCall, Schedule
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Op, Tensor
from smelt.nouns import Noun
from smelt.planner.flow import Flow, Storage, Use, index_of, storages_of


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


def flow_of(graph: Graph, steps: Sequence[Step]) -> Flow:
    """What `steps`, in this order, do to the storages of `graph`."""
    storages = storages_of(graph)
    index = index_of(storages)
    return Flow(
        storages,
        tuple(_use(step, storages, index) for step in steps),
        frozenset(index[t] for t in graph.sources),
        frozenset(index[t] for t in graph.sinks),
    )


def _use(step: Step, storages: Sequence[Storage], index: dict[Tensor, int]) -> Use:
    reads = frozenset(index[t] for t in step.op.activations)
    over = frozenset(s for s in reads if may_overwrite(step, [t for t in step.op.activations if index[t] == s]))
    renewed = frozenset(index[t] for t in step.op.activations if t in storages[index[t]].renewed)
    return Use(reads, tuple(index[y] for y in step.op.ys), over, tuple(s.bytes for s in step.scratch), renewed)


def may_overwrite(step: Step, tensors: Collection[Tensor]) -> bool:
    """Whether `step` may write y over a storage shared by `tensors`: kernel and each operand there must allow it."""
    return step.call.kernel.in_place and operands(step.op, tensors) <= set(step.implementation.in_place)


def operands(op: Op, tensors: Collection[Tensor]) -> set[str]:
    """The names of the operands of `op` that are, or contain, one of `tensors`."""
    values = {field.name: getattr(op, field.name) for field in fields(op) if field.name not in op.results}
    lists = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    return {name for name, value in lists.items() if any(v is t for v in value for t in tensors)}
