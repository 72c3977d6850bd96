"""ST RM0432 (STM32L4+): memory map and section 3 (flash). The flash accelerator's caches are on after reset."""

from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.types import KB, MB, RAM_BUS, Cache, Chip, Debug, Memory, Path, Setup

# 64-bit lines in dual-bank mode (as delivered); 32 x 4 lines for instructions, 8 x 4 for data, LRU; 5 wait states. An access that
# misses takes 1 + 5 cycles. The core fetches instructions and constants from flash over buses of their own; RAM is on the system
# bus for both.
_FLASH = Path(
    first=5, line=6, prefetch=True, instructions=Cache("flash-i", 1024, 4, 8), data=Cache("flash-d", 256, 4, 8)
)
_RAM = Path(bus=RAM_BUS)

STM32L4R5 = Chip(
    name="STM32L4R5",
    core=CORTEX_M4,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", path=_FLASH),
        Memory("sram1", 0x20000000, 192 * KB, "data", "main", _RAM),
        Memory("sram2", 0x20030000, 64 * KB, "data", "extra", _RAM, aliases=(0x10000000,)),
        Memory("sram3", 0x20040000, 384 * KB, "data", "extra2", _RAM),
    ),
    setup=(Setup(0x40022000, 1 << 8, 0, "FLASH_ACR: prefetch on"),),
    debug=Debug(  # RM0432 and RM0351
        0x4BA00477, 0x06470041, 0x2BA01477, 0x24770011, 0xE0042000, 0x470, 0x1001, "stm32l4x", pyocd="stm32l4r5zitx"
    ),
)
