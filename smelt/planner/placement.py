"""Where bytes lie: `Placement`, and the room for them in a board's memories."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Tensor
from smelt.nouns import Noun
from smelt.planner.flow import ALIGN
from smelt.targets.types import Board

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


def budgets(board: Board, reserve: int) -> dict[str, int]:
    """The bytes that tensors may take up in each RAM of a board, by name, fastest first."""
    rams = board.chip.rams
    return {m.name: max(m.size - (reserve if m is rams[0] else 0), 0) // ALIGN * ALIGN for m in rams}


def scratch_name(step: str, number: int) -> str:
    """What a scratch buffer of a step is called."""
    return f"{step}.scratch{number or ''}"
