"""The memories of a simulated board, as arrays that the emulator shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.semihosting import BadPointer
from smelt.targets.types import Board

PAGE = 4096
# What RAM holds after power-on is anything but zeros: programs that rely on it should fail here first.
POWER_ON = 0xA5
SYSTEM_CONTROL = 0xE000E000  # Cortex-M: NVIC, SCB, caches, debug
DWT_PAGE = 0xE0001000  # Cortex-M: the cycle counter
DHCSR, C_DEBUGEN = 0xE000EDF0, 1
CPUID = 0xE000ED00


@dataclass(frozen=True)
class Mapped:
    """Bytes at one address; an alias is a second `Mapped` with the same `data`."""

    name: str
    start: int
    data: np.ndarray[Any, np.dtype[np.uint8]]
    writable: bool
    executable: bool

    @property
    def end(self) -> int:
        return self.start + len(self.data)


def memory_map(board: Board, used: frozenset[str]) -> tuple[Mapped, ...]:
    """The board's memories, plus the pages of registers that the start-up code touches.

    A memory at address zero is left out unless it is named in `used`, so that null pointers are found.
    """
    found = []
    for memory in board.chip.memories:
        if memory.start == 0 and memory.name not in used:
            continue
        flash = memory is board.chip.flash
        data = np.full(memory.size, 0xFF if flash else POWER_ON, np.uint8)
        found += [Mapped(memory.name, at, data, not flash, True) for at in (memory.start, *memory.aliases)]
    setup = (*board.chip.setup, *(s for dma in board.chip.dma for s in dma.setup))
    pages = {s.address & -PAGE for s in setup}
    if board.core.isa.family == "arm":
        found.append(_system_control(board))
        found.append(Mapped("registers", DWT_PAGE, np.zeros(PAGE, np.uint8), True, False))
    found += [Mapped("registers", page, np.zeros(PAGE, np.uint8), True, False) for page in sorted(pages)]
    return tuple(found)


def _system_control(board: Board) -> Mapped:
    data = np.zeros(PAGE, np.uint8)
    data.view("<u4")[(DHCSR - SYSTEM_CONTROL) // 4] = C_DEBUGEN
    data.view("<u4")[(CPUID - SYSTEM_CONTROL) // 4] = board.core.cpuid or 0
    return Mapped("registers", SYSTEM_CONTROL, data, True, False)


def find(maps: tuple[Mapped, ...], address: int, size: int) -> tuple[Mapped, int]:
    """The memory that holds all of a range, and the offset in it; raises `BadPointer`."""
    for m in maps:
        if m.start <= address and address + size <= m.end:
            return m, address - m.start
    raise BadPointer(f"{address:#010x}, {size} bytes")


def read(maps: tuple[Mapped, ...], address: int, size: int) -> bytes:
    """Bytes of the device's memory, across neighbouring memories; raises `BadPointer`."""
    return b"".join(m.data[first : first + n].tobytes() for m, first, n in _pieces(maps, address, size))


def write(maps: tuple[Mapped, ...], address: int, data: bytes, even_flash: bool = False) -> None:
    """Change the device's memory, across neighbouring memories; raises `BadPointer` where it may not be written."""
    pieces = _pieces(maps, address, len(data))
    if not even_flash and any(not m.writable for m, _, _ in pieces):
        raise BadPointer(f"{address:#010x} is flash")
    done = 0
    for m, first, n in pieces:
        m.data[first : first + n] = np.frombuffer(data, np.uint8, n, done)
        done += n


def _pieces(maps: tuple[Mapped, ...], address: int, size: int) -> list[tuple[Mapped, int, int]]:
    pieces = []
    while size > 0:
        m, first = find(maps, address, 1)
        n = min(size, m.end - address)
        pieces.append((m, first, n))
        address, size = address + n, size - n
    return pieces
