"""What can go wrong while a device runs, as data."""

from __future__ import annotations

from typing import Literal

from smelt.errors import DeviceError

Kind = Literal[
    "read outside memory",
    "write outside memory",
    "access outside memory",  # a read or a write: not every device tells
    "fetch outside memory",
    "write to flash",
    "execution of data",
    "misaligned access",
    "undefined instruction",
    "unexpected breakpoint",
    "unexpected exception",
    "stack overflow",
    "run-away",
    "access in flight",  # to bytes that a DMA is moving
    "wrong use of a DMA",  # for which its manual promises nothing
    "wrong use of registers",  # an order of steps that the chip's manual forbids
    "deadlock",  # all cores wait for what nobody will do
    "read of memory never written",
    "wrong use of a hardware loop",
    "exit code",
]


class Fault(DeviceError):
    """The firmware did something that the device does not allow, at `pc`, inside `function`; `address` is the one it
    used."""

    def __init__(
        self, kind: Kind, board: str, function: str, pc: int, address: int | None = None, detail: str = ""
    ) -> None:
        self.kind, self.board, self.function, self.pc, self.address = kind, board, function, pc, address
        at = "" if address is None else f" (address {address:#010x})"
        super().__init__(f"{board}: {kind}{at} in {function} at {pc:#010x}{': ' + detail if detail else ''}")
