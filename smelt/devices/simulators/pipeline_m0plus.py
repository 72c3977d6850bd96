"""A plain model of the Cortex-M0+: two stages, one instruction at a time, nothing overlaps. Arm's table; not validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smelt.devices.simulators.decode import Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.targets.types import CoreTiming

CALL = 2  # what BL adds


@dataclass(frozen=True)
class Nothing:
    """No instruction leaves anything behind."""


class M0Plus:
    """Costs are sums."""

    fetch_bytes = 4

    def __init__(self, timing: CoreTiming) -> None:
        self.timing = timing

    def idle(self) -> Nothing:
        return Nothing()

    def block(self, ops: Sequence[Op], state: Nothing) -> Timed[Nothing]:
        time, starts = 0, []
        for op in ops:
            starts.append(TICKS * time)
            time += self._cost(op)
        return Timed(tuple(starts), TICKS * time, state)

    def _cost(self, op: Op) -> int:
        if op.many:
            return 1 + op.registers
        special = {"load": 2, "store": 2, "mac": self.timing.multiply, "system": 3}
        return special.get(op.kind, 1)

    def leave(self, ops: Sequence[Op], taken: bool, target: Op | None) -> int:
        if not taken or not ops or not ops[-1].is_branch:
            return 0
        last, table = ops[-1], self.timing
        if last.loads_pc:
            return TICKS * table.load_pc
        if last.kind == "call":
            return TICKS * CALL
        return TICKS * (table.indirect if last.kind == "indirect" else table.taken)

    def mispredicted(self, timed: Timed[Nothing]) -> int:
        return 0
