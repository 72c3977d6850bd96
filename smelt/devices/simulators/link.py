"""The debug link to a simulated chip in this very process."""

from __future__ import annotations

import time

from smelt.devices.closing import Closing
from smelt.devices.cortex_m import NOWHERE, THUMB_STATE
from smelt.devices.link import Stop, TargetFault, TimedOut, UnexpectedReset
from smelt.devices.simulators.target import SimulatedTarget
from smelt.targets.types import Board


class SimulatorLink(Closing):
    """A `DebugLink`; cycles are exact."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.target = SimulatedTarget(board)

    def close(self) -> None:
        """Nothing is left behind."""

    def read(self, address: int, size: int) -> bytes:
        return self.target.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self.target.write(address, data)

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        target = self.target
        registers = (("sp", stack), ("lr", NOWHERE), ("pc", entry))
        for name, value in (*registers, ("xpsr", THUMB_STATE)) if self._is_arm else registers:
            target.write_register(name, value)
        start = target.cycles
        end = time.monotonic() + timeout
        # in one go, so that the cycles are exact; only a program that waits for an interrupt comes back too early
        while (event := target.run_for(end - time.monotonic())) is None and time.monotonic() < end:
            pass
        if event is None:
            raise TimedOut(self.board, entry & ~1, timeout, target.read_register("pc"))
        if event.cause == "reset":
            self.reset()
            raise UnexpectedReset(self.board, entry & ~1)
        if event.cause == "fault":
            self.reset()
            raise TargetFault(self.board, event.kind, event.pc, event.address)
        return Stop("breakpoint", event.pc, target.cycles - start)

    def reset(self) -> None:
        self.target.reset()

    @property
    def _is_arm(self) -> bool:
        return self.board.core.isa.family == "arm"
