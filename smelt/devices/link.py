"""The debug link: the least that a microcontroller offers, and the ways in which a link fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from smelt.errors import DeviceError
from smelt.targets.types import Board


@dataclass(frozen=True)
class Stop:
    """Why the processor stopped, where, and after how many cycles (None where the link cannot tell)."""

    reason: str  # "breakpoint"
    pc: int
    cycles: int | None


class DebugLink(Protocol):
    """What everything above needs from a device. Addresses are the processor's; a link never leaves the processor running."""

    @property
    def board(self) -> Board: ...

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the device's memory; raises `DeviceError` where there is none."""

    def write(self, address: int, data: bytes) -> None:
        """Change the device's memory; raises `DeviceError` where that is not possible."""

    def call(self, entry: int, stack: int, timeout: float) -> Stop:
        """Run from `entry`, with the stack pointer at `stack`, until a breakpoint instruction.

        Raises `TimedOut` after `timeout` seconds (the processor is halted then), `TargetFault` (the board has been reset then),
        or `LinkLost`.
        """

    def reset(self) -> None:
        """Reset the processor and its peripherals and keep it halted. RAM may or may not keep its content."""


class LinkLost(DeviceError):
    """The way to the device is gone; only a new link helps."""


class TimedOut(DeviceError):
    """The code did not reach its breakpoint in time. The device is halted and can be used again."""

    def __init__(self, board: Board, entry: int, seconds: float, pc: int | None) -> None:
        self.entry, self.pc = entry, pc
        at = "" if pc is None else f"; it was at {pc:#010x}"
        super().__init__(f"{board.name}: the call of {entry:#010x} did not end within {seconds:g} s{at}")


class TargetFault(DeviceError):
    """The code did something that the processor does not allow. `address` is the one it used, where that is known."""

    def __init__(self, board: Board, kind: str, pc: int | None, address: int | None = None) -> None:
        self.kind, self.pc, self.address = kind, pc, address
        used = "" if address is None else f" at address {address:#010x}"
        where = "" if pc is None else f", by the instruction at {pc:#010x}"
        super().__init__(f"{board.name}: {kind}{used}{where}")


class UnexpectedReset(DeviceError):
    """The device was reset while code was running. It is halted and can be used again."""

    def __init__(self, board: Board, entry: int) -> None:
        super().__init__(f"{board.name}: the device was reset during the call of {entry:#010x}")


class WrongChip(DeviceError):
    """The chip at the other end is not the board's."""

    def __init__(self, board: Board, what: str, expected: int, found: int) -> None:
        self.expected, self.found = expected, found
        super().__init__(
            f"{board.name}: this is not a {board.chip.name}: its {what} is {found:#x}, expected {expected:#x}"
        )


@contextmanager
def reset_where_wrong(link: DebugLink) -> Iterator[None]:
    """Reset a device after code that did something wrong on it, and tell what; where the link is lost, nothing can."""
    try:
        yield
    except LinkLost:
        raise
    except DeviceError:
        link.reset()
        raise
