"""Which chips can be debugged."""

from __future__ import annotations

from smelt.errors import DeviceError
from smelt.targets.types import Board, Debug


def debug_chip(board: Board) -> Debug:
    """How the chip of a board answers a debugger; raises `DeviceError` for chips of which that is not known."""
    if board.chip.debug is None:
        raise DeviceError(f"{board.name}: smelt does not know the debug port of the {board.chip.name}")
    return board.chip.debug
