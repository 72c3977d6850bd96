"""Chips where code and data share one memory: where the one ends and the other begins is a choice, like places are.

Their values have two memories that lie one behind the other on the same level, the code's first.
"""

from __future__ import annotations

from dataclasses import replace

from smelt.targets.types import Board, Memory

GRAIN = 1024
"""Bytes that a border lies at a multiple of."""


def shared(board: Board) -> tuple[Memory, Memory] | None:
    """The part of the code and the part of the data of one memory; None where each has a memory of its own."""
    flash = board.chip.flash
    behind = next((m for m in board.chip.rams if m.start == flash.end and m.level == flash.level and m.mapped), None)
    return None if behind is None or not flash.level else (flash, behind)


def undecided(board: Board) -> Board:
    """The board as if each of the two had all of the memory: for plans that say afterwards how much they take."""
    parts = shared(board)
    if parts is None:
        return board
    code, data = parts
    size = code.size + data.size
    return _with(board, replace(code, size=size), replace(data, size=size))


def bordered(board: Board, data_bytes: int) -> Board:
    """The board with so many bytes for data, and all others for code. Raises ValueError where that is more than there are."""
    parts = shared(board)
    if parts is None:
        return board
    code, data = parts
    mine = -(-data_bytes // GRAIN) * GRAIN
    rest = code.size + data.size - mine
    if rest <= 0:
        raise ValueError(f"{data_bytes:,} bytes of data leave nothing for code in {code.size + data.size:,}")
    return _with(board, replace(code, size=rest), replace(data, start=code.start + rest, size=mine))


def as_data(board: Board) -> Board:
    """The board with all of the memory for data, where whoever uses it brings its code along with them."""
    parts = shared(board)
    if parts is None:
        return board
    code, data = parts
    return _with(board, replace(code, size=0), replace(data, start=code.start, size=code.size + data.size))


def _with(board: Board, *changed: Memory) -> Board:
    new = {m.name: m for m in changed}
    memories = tuple(new.get(m.name, m) for m in board.chip.memories)
    return replace(board, chip=replace(board.chip, memories=memories))
