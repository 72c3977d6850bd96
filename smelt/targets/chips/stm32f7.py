"""ST RM0385 (STM32F75x/F74x). Flash answers on the AXI bus at 0x08000000 and on the ITCM bus at 0x00200000."""

from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.types import KB, MB, Cache, Chip, Debug, Memory, Path, Setup

_ICACHE, _DCACHE = Cache("icache", 4096, 2, 32, "random"), Cache("dcache", 4096, 4, 32, "random")

# Flash of 256-bit rows with 7 wait states behind a 64-bit AXI; 8 cycles for the row, [E] 6 for cache and bus, then three more
# beats. SRAM1/2 sit on a 32-bit AHB: [E] 8 cycles to the first word, eight beats a line.
_FLASH = Path(first=14, line=14, busy=3, prefetch=True, instructions=_ICACHE, data=_DCACHE)
_SRAM = Path(first=8, line=10, busy=7, instructions=_ICACHE, data=_DCACHE)

STM32F746 = Chip(
    name="STM32F746",
    core=CORTEX_M7,
    memories=(
        Memory("flash", 0x08000000, 1 * MB, "code", path=_FLASH, aliases=(0x00200000,)),
        Memory("itcm", 0x00000000, 16 * KB, "code"),
        Memory("dtcm", 0x20000000, 64 * KB, "data", "fast"),
        Memory("sram1", 0x20010000, 240 * KB, "data", "main", _SRAM),
        Memory("sram2", 0x2004C000, 16 * KB, "data", "extra", _SRAM),
    ),
    setup=(Setup(0x40023C00, 3 << 8, 0, "FLASH_ACR: accelerator and prefetch of the ITCM bus on"),),
    debug=Debug(
        0x5BA00477, 0x06449041, 0x5BA02477, 0x74770001, 0xE0042000, 0x449, 0x1001, "stm32f7x", pyocd="stm32f746nghx"
    ),
)
