"""The debug link to a simulated chip with a cluster in this very process. Calls run on the controller, which may start workers."""

from __future__ import annotations

import time

from smelt.devices.closing import Closing
from smelt.devices.debug_port.target import BusError
from smelt.devices.link import Stop, TargetFault, TimedOut
from smelt.devices.semihosting import BadPointer
from smelt.devices.simulators import cluster_machine as cm
from smelt.devices.simulators.cluster_faults import KINDS
from smelt.devices.simulators.cluster_machine import CONTROLLER, ClusterMachine
from smelt.targets.types import Board

SLICE = 1_000_000  # instructions, between looks at the time
RA, SP = 1, 2
NOWHERE = 0


class ClusterLink(Closing):
    """A `DebugLink`; cycles are exact."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.reset()

    def close(self) -> None:
        """Nothing is left behind."""

    def read(self, address: int, size: int) -> bytes:
        try:
            return self.machine.read(address, size)
        except BadPointer as error:
            raise BusError(self.board, address, size, "read") from error

    def write(self, address: int, data: bytes) -> None:
        try:
            self.machine.write(address, data)
        except BadPointer as error:
            raise BusError(self.board, address, len(data), "written") from error

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        machine = self.machine
        for register, value in ((SP, stack), (RA, NOWHERE), (cm.PC, entry)):
            machine.set(CONTROLLER, register, value)
        start, end = machine.state("now"), time.monotonic() + timeout
        while (reason := machine.run(machine.state("executed") + SLICE)) == cm.LIMIT:
            if time.monotonic() >= end:
                raise TimedOut(self.board, entry, timeout, machine.get(CONTROLLER, cm.PC))
        pc = machine.state("stop_pc")
        if reason == cm.BREAKPOINT:
            return Stop("breakpoint", pc, machine.state("now") - start)
        address = None if reason in (cm.UNDEFINED, cm.WRONG_LOOP, cm.EXITED) else machine.state("stop_address")
        self.reset()
        if reason == cm.DEADLOCK:
            raise TargetFault(self.board, "deadlock", None)
        raise TargetFault(self.board, KINDS.get(reason, "end of the program"), pc, address)

    def reset(self) -> None:
        """RAM loses its content."""
        self.machine = ClusterMachine(self.board.chip, self.board.chip.image_start)
