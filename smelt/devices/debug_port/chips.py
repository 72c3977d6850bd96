"""How the chips answer a debugger: identification codes from the vendors' reference manuals, debug chapters."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.errors import DeviceError
from smelt.targets.types import Board, Chip


@dataclass(frozen=True)
class DebugChip:
    """`dbgmcu` is the address of the DBGMCU_IDCODE register as the processor sees it; its low 12 bits are `device`."""

    chip: str
    jtag_id: int
    boundary_id: int  # of the second TAP, for boundary scan; TDI enters there
    swd_id: int
    ap_id: int
    cpu_part: int  # bits 4 to 15 of CPUID
    dbgmcu: int
    device: int
    revision: int
    openocd: str  # OpenOCD's own configuration of the family
    apb_dbgmcu: int | None = None  # where a second access port sees DBGMCU


DEBUG_CHIPS = (
    DebugChip(  # ST RM0432 and RM0351
        "STM32L4R5", 0x4BA00477, 0x06470041, 0x2BA01477, 0x24770011, 0xC24, 0xE0042000, 0x470, 0x1001, "stm32l4x"
    ),
    DebugChip(  # ST RM0385
        "STM32F746", 0x5BA00477, 0x06449041, 0x5BA02477, 0x74770001, 0xC27, 0xE0042000, 0x449, 0x1001, "stm32f7x"
    ),
    DebugChip(  # ST RM0433
        "STM32H743", 0x6BA00477, 0x06450041, 0x6BA02477, 0x84770001, 0xC27, 0x5C001000, 0x450, 0x2003, "stm32h7x",
        apb_dbgmcu=0xE00E1000,
    ),
    DebugChip(  # ST RM0456
        "STM32U575", 0x0BA04477, 0x06482041, 0x0BE12477, 0x14770015, 0xD21, 0xE0044000, 0x482, 0x2001, "stm32u5x"
    ),
)  # fmt: skip


def debug_chip(board: Board) -> DebugChip:
    """The chip of a board; raises `DeviceError` for chips without a known Arm debug port."""
    return of_chip(board.chip, board.name)


def of_chip(chip: Chip, name: str) -> DebugChip:
    for found in DEBUG_CHIPS:
        if found.chip == chip.name:
            return found
    raise DeviceError(f"{name}: smelt does not know the debug port of the {chip.name}")
