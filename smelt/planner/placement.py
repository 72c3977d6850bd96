"""Where bytes lie: `Placement`, and the room for them in a board's memories."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Tensor
from smelt.nouns import Noun
from smelt.planner.flow import ALIGN
from smelt.targets.types import Board, Memory

STACK_RESERVE = 4096
"""Bytes of the first RAM that are left to the stack, .data and .bss."""


@dataclass(frozen=True)
class Placement(Noun):
    """`size` bytes at `offset` of the buffer in `memory`, taken from step `first` up to step `last`, both included.

    Step -1 is before the run, when inputs are written; step n, of n steps, after it, when outputs are read. A storage
    has the tensors that share it; a scratch buffer belongs to one step and has the argument that it is.
    """

    name: str
    memory: str
    offset: int
    size: int
    first: int
    last: int
    tensors: tuple[Tensor, ...] = ()
    scratch: Scratch | None = None

    @property
    def end(self) -> int:
        return self.offset + self.size

    def meets(self, other: Placement) -> bool:
        """Whether the two ever hold something at the same time and in the same bytes."""
        return (
            self.memory == other.memory
            and self.first <= other.last
            and other.first <= self.last
            and self.offset < other.end
            and other.offset < self.end
        )


@dataclass(frozen=True, eq=False)
class Stage(Noun):
    """A table in flash that a DMA moves into `buffer`, from the beginning of step `first` on; the move is waited for before step
    `last`, which reads it there. In between nothing may touch the buffer."""

    table: Array
    buffer: Scratch
    first: int
    last: int

    def in_full(self) -> str:
        return f"{self.table.nbytes} bytes of a table, moved from step {self.first} on, read by step {self.last}"


WORKER_STACK_BYTES = 512 + 16
"""Of each core of a cluster, at the end of the memory that they share: a few words more than a power of two, so that cores that do
the same do not meet in one bank."""

WORKER_VARIABLES = 512
"""Bytes of that memory for what the controller and the workers tell each other."""


def budgets(board: Board, reserve: int) -> dict[str, int]:
    """The bytes that tensors may take up in each RAM of a board, by name, fastest first."""
    return {m.name: max(m.size - _taken(board, m, reserve), 0) // ALIGN * ALIGN for m in board.chip.rams}


def homes(board: Board, reserve: int) -> dict[str, int]:
    """The same for tensors from step to step: where a cluster computes, its own memory is for what is moved there."""
    cluster = board.chip.cluster
    return {m: 0 if cluster and m == cluster.memory else size for m, size in budgets(board, reserve).items()}


def _taken(board: Board, memory: Memory, reserve: int) -> int:
    """The bytes of a RAM that tensors cannot have. A cluster's controller keeps its own memory, and nothing is computed in one
    that is not mapped."""
    cluster = board.chip.cluster
    if not memory.mapped or (cluster and memory.name == cluster.controller_memory):
        return memory.size
    if cluster and memory.name == cluster.memory:
        return cluster.count * WORKER_STACK_BYTES + WORKER_VARIABLES
    return reserve if memory is board.chip.rams[0] else 0


def scratch_name(step: str, number: int) -> str:
    """What a scratch buffer of a step is called."""
    return f"{step}.scratch{number or ''}"
