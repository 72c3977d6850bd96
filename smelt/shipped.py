"""The tuning log that smelt ships: the best ways to compute the layers of the MLPerf Tiny models, measured on simulated boards.

`dev/ship_log.py` writes it. It counts while the compiler, the headers of the kernels and the models of time are those that it was
measured with; `smelt doctor` says whether they are.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smelt.planner.log import TuningLog
    from smelt.targets.types import Board

FILE = "tuned.jsonl.gz"


@cache
def shipped_log() -> TuningLog:
    """What is shipped, whether it is still valid or not; empty where nothing is."""
    from smelt.planner.log import TuningLog

    file = files("smelt") / "assets" / FILE
    if not file.is_file():
        return TuningLog.empty
    return TuningLog.parse(gzip.decompress(file.read_bytes()))


def model_of_time(board: Board) -> str:
    """What counts the cycles of simulated copies of the board; empty where nothing does."""
    from smelt.devices.simulators.version import cycle_model
    from smelt.targets.timing import is_timed

    return cycle_model(board) if is_timed(board.core.name) else ""


def state(log: TuningLog) -> tuple[bool, str]:
    """Whether every board of a log was measured with what is installed, and what to say about it."""
    from smelt.errors import SmeltError
    from smelt.firmware.toolchain import toolchain
    from smelt.targets.boards import board

    stale = []
    for name in dict.fromkeys(m.board for m in log.measurements):
        try:
            tools, device = toolchain(board(name)), model_of_time(board(name))
        except SmeltError as error:
            return False, str(error)
        if not log.of(name, tools, device).measurements:
            found = next(m for m in log.measurements if m.board == name)
            stale.append(f"{name}: measured with {found.toolchain}, {found.device}; installed: {tools}, {device}")
    if stale:
        return False, "; ".join(stale)
    boards = len({m.board for m in log.measurements})
    return True, f"{len(log.measurements)} measurements on {boards} boards"
