"""The memories of a simulated board, as arrays that the emulator shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.semihosting import BadPointer
from smelt.targets.start_up import changes
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


def memory_map(board: Board, used: frozenset[str], extents: Mapping[str, int] | None = None) -> tuple[Mapped, ...]:
    """The board's memories, plus the pages of registers that the start-up code touches.

    A memory at address zero is left out unless it is named in `used`, so that null pointers are found. Of a memory outside of the
    chip there may be the first bytes only (`extents`), since it is a hundred times as large as what a program has in it.
    """
    found = []
    for memory in board.chip.memories:
        if memory.start == 0 and memory.name not in used:
            continue
        flash = memory in board.chip.flashes
        size = memory.size if extents is None or not memory.external else extents.get(memory.name, 0)
        data = np.full(size, 0xFF if flash else POWER_ON, np.uint8)
        places = (memory.start, *memory.aliases) if size else ()
        found += [Mapped(memory.name, at, data, not flash, not memory.external) for at in places]
    pages = {address & -PAGE for address in _registers(board)}
    if board.core.isa.family == "arm":
        pages -= {SYSTEM_CONTROL, DWT_PAGE}
        found.append(_system_control(board))
        found.append(Mapped("registers", DWT_PAGE, np.zeros(PAGE, np.uint8), True, False))
    found += [Mapped("registers", page, np.zeros(PAGE, np.uint8), True, False) for page in sorted(pages)]
    return tuple(found)


def _registers(board: Board) -> Iterator[int]:
    """The addresses of all that start-up code touches."""
    yield from (s.address for s in changes(board.chip))
    yield from (s.address for dma in board.chip.dma for s in dma.setup)
    for steps in (board.clock, board.uart, board.pin):
        for step in steps.steps if steps else ():
            yield step.address
            yield from (only.address for only in (step.only,) if only)
    yield from (board.uart.data, board.uart.ready.address) if board.uart else ()
    yield from (board.pin.data,) if board.pin else ()


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
