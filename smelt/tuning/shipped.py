"""The tuning log that smelt ships: the best ways to compute the layers of the MLPerf Tiny models, measured on simulated boards.

`dev/ship_log.py` writes it. It counts while the headers of the kernels and the models of time are those that it was measured with,
and other versions of the compiler are similar enough; `smelt doctor` says how things are.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

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


State = Literal["same", "similar", "stale"]


def state(log: TuningLog) -> tuple[State, str]:
    """Whether every board of a log was measured with what is installed, or some with another version of the compiler, or with
    something else; and what to say about it."""
    from smelt.devices.simulators.version import model_of_time
    from smelt.errors import SmeltError
    from smelt.planner.log import compiler_of
    from smelt.targets.boards import board

    stale, similar = [], set()
    for name in dict.fromkeys(m.board for m in log.measurements):
        try:
            tools, device = _installed(board(name)), model_of_time(board(name))
        except SmeltError as error:
            return "stale", str(error)
        found = log.usable(name, tools, device).graded(tools).measurements
        similar |= {compiler_of(m.toolchain) for m in found if m.toolchain != tools}
        if not found:
            first = next(m for m in log.measurements if m.board == name)
            stale.append(f"{name}: measured with {first.toolchain}, {first.device}; installed: {tools}, {device}")
    if stale:
        return "stale", "; ".join(stale)
    boards = len({m.board for m in log.measurements})
    size = f"{len(log.measurements)} measurements on {boards} boards"
    return ("similar", f"{size}, with {', '.join(sorted(similar))}") if similar else ("same", size)


def _installed(board: Board) -> str:
    """The bundled compiler, or none."""
    from smelt.errors import BuildError
    from smelt.firmware.toolchain import toolchain

    try:
        return toolchain(board)
    except BuildError:
        return toolchain(board, "none")
