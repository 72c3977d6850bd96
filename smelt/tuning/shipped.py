"""The tuning log that smelt ships: the best ways to compute the layers of the MLPerf Tiny models, measured on simulated boards.

`dev/ship_log.py` writes it. Where the compiler, the models of time or what kernels call are other ones than those that it was
measured with, its figures are similar; `smelt doctor` says how things are.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import Literal

from smelt.devices.simulators.version import model_of_time
from smelt.errors import BuildError, SmeltError
from smelt.firmware.toolchain import toolchain
from smelt.planner.known import Known
from smelt.planner.log import TuningLog
from smelt.planner.measurement import Origin
from smelt.targets.boards import board
from smelt.targets.types import Board

FILE = "tuned.jsonl.gz"


@cache
def shipped_log() -> TuningLog:
    """What is shipped, whether it is still valid or not; empty where nothing is."""
    file = files("smelt") / "assets" / FILE
    if not file.is_file():
        return TuningLog.empty
    return TuningLog.parse(gzip.decompress(file.read_bytes()))


State = Literal["same", "similar", "stale"]


def state(log: TuningLog) -> tuple[State, str]:
    """Whether every board of a log was measured with what is installed, or some by a similar origin, or with another
    compiler; and what to say about it."""
    stale, similar = [], set()
    for name in dict.fromkeys(m.board for m in log.measurements):
        try:
            known = Known.of(board(name), log, _installed(board(name)))
        except SmeltError as error:
            return "stale", str(error)
        similar |= {other for m in known.believed.measurements for other in known.others(m.origin)}
        if not known.believed.measurements:
            first, mine = known.measurements[0].origin, _installed(board(name))
            stale.append(f"{name}: measured with {first.compiler}; installed: {mine.compiler}")
    if stale:
        return "stale", "; ".join(stale)
    boards = len({m.board for m in log.measurements})
    size = f"{len(log.measurements)} measurements on {boards} boards"
    return ("similar", f"{size}, with {', '.join(sorted(similar))}") if similar else ("same", size)


def _installed(board: Board) -> Origin:
    """The simulator, and the bundled compiler or none."""
    try:
        return Origin(model_of_time(board), toolchain(board))
    except BuildError:
        return Origin(model_of_time(board), toolchain(board, "none"))
