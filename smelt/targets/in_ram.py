"""Boards whose firmware lies in RAM: where nobody can program the flash."""

from __future__ import annotations

from dataclasses import replace

from smelt.targets.types import Board


def in_ram(board: Board) -> Board | None:
    """The board with its largest RAM for code and constants, in place of its flash; None where it has one RAM only. What is read
    there takes what it takes in that RAM."""
    home = max((m for m in board.chip.rams[1:] if not m.external), key=lambda m: m.size, default=None)
    if home is None:
        return None
    flash = replace(home, name=board.chip.flash.name, holds="code", role=None, aliases=())
    others = tuple(m for m in board.chip.memories if m is not home and m is not board.chip.flash)
    return replace(board, chip=replace(board.chip, memories=(flash, *others), boot_bytes=0), in_flash=board)


def as_it_is(board: Board) -> Board:
    """The board itself, of one whose RAM stands in for its flash."""
    return board.in_flash or board
