"""Write what the scheduler decides about smelt's routines in assembly, for every core: `python -m dev.orders`, a minute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from smelt.kernels.routines import BUILT
from smelt.loops.assembly.compile import decided
from smelt.loops.assembly.decisions import FILE, key_of, packed
from smelt.loops.assembly.ir import Code
from smelt.loops.assembly.timing import Timing
from smelt.targets.boards import BOARDS
from smelt.targets.intrinsics import SMLAD

PATH = Path(__file__).resolve().parents[1] / "smelt" / "loops" / "assembly" / FILE


def routines() -> Iterator[tuple[Code, Timing]]:
    """Every routine on every core that runs it."""
    for timing in dict.fromkeys(board.core.scheduling for board in BOARDS if board.core.has(SMLAD.name)):
        yield from ((build(timing), timing) for build in BUILT.values())


if __name__ == "__main__":
    PATH.write_bytes(packed({key_of(code, timing): decided(code, timing) for code, timing in routines()}))
