"""Memories behind one another, and what it takes to move bytes from each to the next faster one: data, from `targets/`.

Levels are counted from the slowest: the home of a layer's operands, then any number of faster memories, of which the last is the
one that kernels compute in.
"""

from __future__ import annotations

from dataclasses import dataclass

from smelt.targets.types import Board, Dma, Memory, Path, Reach

PROGRAMMING, POLLING = 130, 60
"""Cycles that the core spends to start a move of a DMA (eight registers and what they are made of), and to see that it is over."""

COPYING, COPIED_ROW, COPIED_LINE, LINE = 30, 16, 14, 32
"""[E] Cycles of the core for a copy, for each of its rows, and for each line of so many bytes, with nothing to wait for."""

KILO = 1024
"""Bytes that `Link.kilobyte` moves."""


@dataclass(frozen=True)
class Link:
    """What moves bytes into a memory from the next slower one, or back. Cycles: `begin` of a move, `row` more for each row of it
    that lies apart from the others, `kilobyte` for 1,024 bytes; `start` and `wait` are the core's own, for each move. The core
    computes `beside` it, or does nothing else."""

    begin: int
    row: int
    kilobyte: int
    start: int = 0
    wait: int = 0
    beside: bool = False


@dataclass(frozen=True)
class Level:
    """A memory with room for `bytes` of tiles, and the ways into it from the level before and back."""

    memory: str
    bytes: int
    inward: Link
    outward: Link


@dataclass(frozen=True)
class Hierarchy:
    """Where operands are at home, and the levels that tiles of them go through; the last is computed in."""

    home: str
    levels: tuple[Level, ...]


def hierarchy(board: Board, memories: tuple[str, ...], room: tuple[int, ...]) -> Hierarchy:
    """The levels of some memories of a board, the slowest first, with so many bytes in each but the first: through a DMA where one
    reaches both, else copied by the core. Raises KeyError for a name that is none of the board's memories."""
    known = {m.name: m for m in board.chip.memories}
    pairs = zip(memories, memories[1:], room, strict=False)
    return Hierarchy(
        memories[0],
        tuple(
            Level(fast, size, link(board, known[slow], known[fast]), link(board, known[fast], known[slow]))
            for slow, fast, size in pairs
        ),
    )


def link(board: Board, source: Memory, target: Memory) -> Link:
    """What moves bytes from one memory to another."""
    for dma in board.chip.dma:
        ends = dma.reach(source.name), dma.reach(target.name)
        if ends[0] and ends[1]:
            return _moved(dma, ends[0], ends[1])
    return _copied(source.path, target.path)


def _moved(dma: Dma, source: Reach, target: Reach) -> Link:
    kilobyte = dma.cycles(source, target, KILO) - dma.begin
    row = dma.cycles(source, target, 16, 2, 16) - dma.cycles(source, target, 16, 1, 16)
    return Link(dma.begin, max(row - 16 * kilobyte // KILO, 0), kilobyte, PROGRAMMING, POLLING, beside=True)


def _copied(source: Path, target: Path) -> Link:
    """By the core: it waits for each line that it reads, and for the ways to be free again; what it writes is taken in lines."""
    reading = source.first + source.busy if source.data else source.first * LINE // 4
    writing = target.line if target.data else 0
    return Link(COPYING, COPIED_ROW, KILO // LINE * (COPIED_LINE + reading + writing))
