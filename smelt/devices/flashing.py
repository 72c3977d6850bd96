"""Firmware into the flash of a board: through a debug probe, or by the vendor's own tool, which is told what to do."""

from __future__ import annotations

from smelt.devices.cortex_m import NOWHERE
from smelt.devices.probes import Probe, open_probe
from smelt.devices.run import RESET, STACK_TOP
from smelt.errors import DeviceError
from smelt.firmware.elf import read_elf
from smelt.targets.in_ram import as_it_is
from smelt.targets.types import Board


def flash(board: Board, elf: bytes, device: str) -> str:
    """Program a board, compare what is there with what was written, reset it and let it run; where the firmware is now, in words.

    Raises DeviceError where that fails, with what is missing.
    """
    with open_probe(as_it_is(board), device) as probe:
        where = probe.program(elf)
        if board.in_flash is None:
            probe.release()
        else:
            _start_in_ram(probe, elf)
    return where


def _start_in_ram(probe: Probe, elf: bytes) -> None:
    """Jump there: a reset would lead to the flash. The processor goes on when the probe is gone."""
    symbols = read_elf(elf).symbols
    probe.set_registers(sp=symbols[STACK_TOP].address, lr=NOWHERE, pc=symbols[RESET].address & ~1)
    probe.resume()


def flash_image(board: Board, elf: bytes) -> bytes:
    """What lies in the flash, from its first byte on, as tools without ELF want it; gaps are 0xFF.

    Raises DeviceError where the program has bytes elsewhere.
    """
    flash = board.chip.flash
    homes = (flash.start, *flash.aliases)
    data = bytearray()
    for segment in read_elf(elf).segments:
        offset = next((segment.load - at for at in homes if 0 <= segment.load - at < flash.size), None)
        if offset is None:
            raise DeviceError(f"{board.name}: the program has bytes at {segment.load:#010x}, which is not flash")
        data.extend(b"\xff" * (offset + len(segment.data) - len(data)))
        data[offset : offset + len(segment.data)] = segment.data
    return bytes(data)
