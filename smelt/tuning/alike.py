"""What was measured on one board and holds on another: the same core, and the same time to each memory that there was.

A board of a user's file that begins with one of smelt's, and those that have memories outside of the chip besides, so know what was
measured without them.
"""

from __future__ import annotations

from dataclasses import replace

from smelt.devices.simulators.version import model_of_time
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.targets.boards import BOARDS
from smelt.targets.types import Board


def holding(log: TuningLog, board: Board) -> TuningLog:
    """A log, with what it says of boards that take as long as this one as if it were of this one. What it says of this very board
    comes later, and so is what holds."""
    others = {b.name: b for b in BOARDS if b.name != board.name and takes_as_long(board, b)}
    found = (m for m in log.measurements if m.board in others)
    adopted = (replace(m, board=board.name, origin=_origin(m.origin, others[m.board], board)) for m in found)
    return TuningLog((*adopted, *log.measurements), log.damaged)


def takes_as_long(board: Board, other: Board) -> bool:
    """Whether a kernel takes on `board`, in memories that `other` has as well, what it takes there."""
    here, there = board.chip, other.chip
    known = {m.name: m for m in here.memories}
    return (
        board.core == other.core
        and here.double_precision == there.double_precision
        and set(there.setup) <= set(here.setup)
        and here.flash.name == there.flash.name
        and here.rams[0].name == there.rams[0].name
        and all(m.name in known and replace(known[m.name], size=m.size) == m for m in there.memories)
    )


def _origin(origin: Origin, other: Board, board: Board) -> Origin:
    """Who counted, with the name that this board's model of time has where it is today's of the other one."""
    theirs, mine = model_of_time(other), model_of_time(board)
    if not theirs or not origin.counter.endswith(theirs):
        return origin
    return replace(origin, counter=origin.counter.removesuffix(theirs) + mine)
