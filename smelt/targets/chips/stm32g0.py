"""ST RM0444 (STM32G0x1): memory map and section 3 (flash). RAM parity is off, as delivered: all of it is RAM."""

from smelt.targets.cores.cortex_m0plus import CORTEX_M0PLUS
from smelt.targets.types import KB, Cache, Chip, Memory, Path, Setup

# 64-bit flash lines, 2 wait states at 64 MHz; a cache of two lines for instructions, on after reset. [E] Constants go past it, and
# wait each time.
_FLASH = Path(first=2, line=3, prefetch=True, instructions=Cache("flash-i", 16, 2, 8))

STM32G0B1 = Chip(
    name="STM32G0B1",
    core=CORTEX_M0PLUS,
    memories=(
        Memory("flash", 0x08000000, 512 * KB, "code", path=_FLASH),
        Memory("sram", 0x20000000, 144 * KB, "data", "main"),
    ),
    setup=(Setup(0x40022000, 1 << 8, 0, "FLASH_ACR: prefetch on"),),
    debug_registers=False,  # Armv6-M: only a debugger sees them
)
