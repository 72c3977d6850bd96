"""The pipeline of the Cortex-M4, and with other figures that of the Cortex-M3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smelt.devices.simulators.decode import Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.targets.types import CoreTiming


@dataclass(frozen=True)
class M4State:
    """The last instruction, and how many misaligned 32-bit instructions end the code so far."""

    last: Op | None = None
    wide: int = 0


class M4:
    """Three stages, one instruction at a time; neighbouring loads overlap."""

    fetch_bytes = 4

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> M4State:
        return M4State()

    def block(self, ops: Sequence[Op], state: M4State) -> Timed[M4State]:
        last, wide, time = state.last, state.wide, 0
        starts, chained = [], []
        for op in ops:
            starts.append(TICKS * time)
            time += self._cost(op, last)
            if op.is_load and _chains(op, last):
                chained.append(op.at)
            wide = wide + 1 if op.size == 4 and op.at % 4 else 0
            time += wide == (4 if op.is_store else 3)  # the fetch unit falls behind, once
            last = op
        return Timed(tuple(starts), TICKS * time, M4State(last, wide), tuple(chained))

    def _cost(self, op: Op, last: Op | None) -> int:
        table = self.timing
        if op.kind == "nop":
            return 0 if last is not None and (last.kind == "load" or (last.kind == "store" and last.indexed)) else 1
        if op.kind == "it":
            return 0 if last is not None and last.narrow else 1
        if op.kind in ("load", "store", "load_many", "store_many"):
            return self._memory(op, last)
        late = last is not None and last.kind in ("fadd", "fmac") and bool(last.writes & (op.reads | op.accumulator))
        special = {
            "divide": table.divide, "fmac": table.float_mac, "fdivide": table.float_divide, "froot": table.float_root,
            "system": 2, "table": 3,  # [M4] two for the load, one for the sum, and `load_pc`
        }  # fmt: skip
        return special.get(op.kind, 1) + late

    def _memory(self, op: Op, last: Op | None) -> int:
        stall = 0
        if _depends(op, last) and not _follows_load(last):
            stall += 1  # the address adder has no forwarding
        if last is not None and last.kind == "store" and op.kind in ("load", "load_many"):
            stall += 1
        if op.many:
            return stall + 1 + op.registers
        cost = 2 if op.is_load or op.indexed or op.is_float else 1
        return stall + cost - _chains(op, last)

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        if not taken or not ops or not ops[-1].is_branch:
            return 0
        last, table = ops[-1], self.timing
        if last.loads_pc or last.kind == "table":
            refill = table.load_pc
        else:
            refill = table.indirect if last.kind == "indirect" else table.taken
        wide = target is not None and target.size == 4 and target.at % 4 != 0
        return TICKS * (refill + (table.misaligned_target if wide else 0))

    def mispredicted(self, timed: Timed[M4State]) -> int:
        return 0


def _follows_load(last: Op | None) -> bool:
    return last is not None and last.kind == "load"


def _depends(op: Op, last: Op | None) -> bool:
    """Whether the address comes from the instruction before."""
    if last is None:
        return False
    return bool((last.writes if last.many else last.writes | {last.base}) & op.address)


def _chains(op: Op, last: Op | None) -> bool:
    """Whether a load or store overlaps the load before it, as far as the code tells."""
    # [J] a 32-bit load that is not word-aligned fails to join the load before it
    misplaced = op.is_load and not op.narrow and not op.is_float and op.at % 4 != 0
    return _follows_load(last) and not _depends(op, last) and not misplaced
