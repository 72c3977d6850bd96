"""What a debug port needs from a processor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from smelt.errors import DeviceError
from smelt.targets.types import Board

Cause = Literal["breakpoint", "fault", "reset"]


class BusError(DeviceError):
    """There is no memory at this address, or not for this use."""

    def __init__(self, board: Board, address: int, size: int, how: str) -> None:
        self.address = address
        super().__init__(f"{board.name}: {size} bytes at {address:#010x} cannot be {how}")


class NotLike(BusError):
    """A register does not take what is written to it."""

    def __init__(self, board: Board, address: int, why: str) -> None:
        self.address = address
        DeviceError.__init__(self, f"{board.name}: the register at {address:#010x} does not take that: {why}")


@dataclass(frozen=True)
class Event:
    """Why the processor stopped; the program counter is that of the breakpoint or of the faulting instruction. "reset" means
    that the code has requested one, which the target leaves to its owner.

    `kind` is one of the names in `smelt.devices.cortex_m.FAULTS`; `address` is what a faulting access used."""

    cause: Cause
    pc: int
    kind: str = ""
    address: int | None = None


class Target(Protocol):
    """A processor with its memory, halted unless `run` or `step` is at work. The cycle counter (DWT) is part of the memory, and so
    are all registers of the system control space that the debug port does not know better."""

    @property
    def board(self) -> Board: ...

    def read(self, address: int, size: int) -> bytes:
        """Raises `BusError`."""

    def write(self, address: int, data: bytes) -> None:
        """Raises `BusError`."""

    def read_register(self, name: str) -> int:
        """A register by its name: "r0" to "r12", "sp", "lr", "pc", "xpsr", "msp", "psp", "control", "s0"..."""

    def write_register(self, name: str, value: int) -> None: ...

    def run(self) -> Event | None:
        """Execute for a moment (some milliseconds); None if nothing stopped the processor."""

    def step(self) -> Event | None:
        """Execute one instruction."""

    def reset(self) -> None:
        """As after the reset pin: memory keeps its content, the registers come from the vector table."""

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        """Stop before the instructions at these addresses, and no others."""
