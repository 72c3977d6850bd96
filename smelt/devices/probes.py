"""Debug links to real boards by name: OpenOCD's and pyOCD's, or to a simulated chip behind either of them."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from smelt.devices.link import DebugLink
from smelt.errors import DeviceError, OptionError
from smelt.targets.in_ram import in_ram
from smelt.targets.types import Board

ST_LINK = "source [find interface/stlink.cfg]"
VIRTUAL = "virtual"
PROBES = ("openocd", "pyocd")


class Probe(DebugLink, Protocol):
    """A debug link that also programs flash, and runs a program for as long as it likes."""

    def program(self, elf: bytes) -> str:
        """Write a program where it says and read it back; where it now is, in words. The processor is halted after a reset."""

    def registers(self, *names: str) -> dict[str, int]:
        """Of the halted processor: "r0" to "r12", "sp", "lr", "pc", "xpsr"."""

    def set_registers(self, **values: int) -> None: ...

    def resume(self) -> None: ...

    def stopped(self, seconds: float) -> bool:
        """Whether the processor stops within this time."""

    def halt(self) -> None: ...

    def break_at(self, address: int) -> None:
        """Stop before the instruction at `address`."""

    def do_not_break_at(self, address: int) -> None: ...

    def release(self) -> None:
        """Reset the board and let it run on its own."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def is_probe(device: str | None) -> bool:
    """Whether a device is a real board: "openocd" or "pyocd", with an adapter behind a colon or without."""
    return device is not None and device.partition(":")[0] in PROBES


def open_probe(board: Board, device: str) -> Probe:
    """The link that "openocd" or "pyocd" names. An adapter behind a colon is an OpenOCD command that chooses it (by default an
    ST-LINK), a serial number for pyOCD, or "virtual" for a simulated chip behind the real debugger.

    Raises DeviceError where there is no such device, OptionError where the name is another one.
    """
    name, _, adapter = device.partition(":")
    if name not in PROBES:
        raise OptionError(f"'{name}' is no way to a real board: {' or '.join(PROBES)} is")
    if adapter == VIRTUAL:
        from smelt.devices.simulators.virtual import SimulatedOpenOcdLink, SimulatedPyOcdLink

        return SimulatedOpenOcdLink(board) if name == "openocd" else SimulatedPyOcdLink(board)
    if name == "openocd":
        from smelt.devices.openocd import OpenOcdLink

        return OpenOcdLink(board, (adapter or ST_LINK,))
    from smelt.devices.pyocd_link import PyOcdLink

    return PyOcdLink(board, adapter or None)


def firmware_board(board: Board, device: str | None) -> tuple[Board, str]:
    """The board to build firmware for where `device` runs it, and what is to be told: pyOCD programs no flash without a pack for
    the chip, and then the firmware lies in RAM.

    Raises DeviceError where it cannot.
    """
    if device is None or device.partition(":")[0] != "pyocd":
        return board, ""
    from smelt.devices.pyocd_link import can_program, missing_pack

    if can_program(board):
        return board, ""
    there = in_ram(board)
    if there is None:
        raise DeviceError(missing_pack(board))
    return (
        there,
        f"{missing_pack(board)}. Until then the firmware lies in RAM, and is gone when the board is switched off",
    )


def named(device: str | None, adapter: str | None) -> str | None:
    """A device with its adapter, as one name. Raises OptionError for an adapter of what has none."""
    if adapter is None:
        return device
    if not is_probe(device):
        raise OptionError("--adapter is for real boards: --device openocd or pyocd")
    return f"{device}:{adapter}"
