"""A routine as it is followed: instructions in a row, and where they lead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from smelt.loops.assembly.ir import Block, Code, Instruction


@dataclass(frozen=True)
class Node:
    """Instructions in a row, each with its place among all that were there.

    `turns`: they are done again and again, as often as the node that begins the loop of that name says: `begins`. `length` is that
    of a turn. `ahead`: what may be read in advance of a turn that does not come.
    """

    label: str
    body: tuple[tuple[int, Instruction], ...]
    exit: Instruction | None = None
    begins: int = 0
    length: int = 0
    turns: str = ""
    ahead: tuple[tuple[int, Instruction], ...] = ()

    @property
    def counter(self) -> str:
        """The name of what counts the turns of its loop."""
        return f"turns of {self.turns or self.label}"


def nodes_of_blocks(blocks: Sequence[Block]) -> Iterator[Node]:
    """Blocks as a core executes them."""
    for block in blocks:
        yield Node(block.label, tuple(enumerate(block.body)), block.exit)


def nodes_of_code(code: Code) -> Iterator[Node]:
    """A routine as it is written: its loops with a turn that is counted."""
    for part in code.parts:
        if isinstance(part, Block):
            yield from nodes_of_blocks([part])
            continue
        turn, ends = tuple(enumerate(part.body)), tuple(enumerate(part.ends))
        yield Node(part.label, (), begins=part.unroll, length=len(turn))
        yield Node(f"{part.label}.turn", turn, turns=part.label)
        yield Node(f"{part.label}.ends", ends, part.exit, ahead=_free(turn, part.held))


def _free(turn: Iterable[tuple[int, Instruction]], held: Sequence[str]) -> tuple[tuple[int, Instruction], ...]:
    """Without the accesses of the regions `held`."""
    return tuple(p for p in turn if p[1].place is None or p[1].place.region not in held)
