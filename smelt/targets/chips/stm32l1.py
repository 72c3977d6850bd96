"""ST RM0038 (STM32L1): memory map and section 3 (flash)."""

from smelt.targets.cores.cortex_m3 import CORTEX_M3
from smelt.targets.types import KB, Cache, Chip, Memory, Path, Setup

# 64-bit reads, 1 wait state at 32 MHz, no cache: [E] the line that is being read and the one read ahead. [E] Constants wait each
# time.
_FLASH = Path(first=1, line=2, prefetch=True, instructions=Cache("flash-i", 16, 2, 8))

STM32L152RE = Chip(
    name="STM32L152RE",
    core=CORTEX_M3,
    memories=(
        Memory("flash", 0x08000000, 512 * KB, "code", path=_FLASH),
        Memory("sram", 0x20000000, 80 * KB, "data", "main"),
    ),
    setup=(
        Setup(0x40023C00, 1 << 2, 0, "FLASH_ACR: 64-bit reads"),
        Setup(0x40023C00, 1 << 1, 0, "FLASH_ACR: prefetch on"),
    ),
)
