"""ST RM0433 (STM32H743). The D2 SRAMs have no clock after reset."""

from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.types import KB, MB, Cache, Chip, Debug, Memory, Path, Setup

_ICACHE, _DCACHE = Cache("icache", 16384, 2, 32, "random"), Cache("dcache", 16384, 4, 32, "random")

# AXI and flash at half the core's clock, 4 wait states there: 2 x (5 + [E] 4) cycles plus [E] 4 in the core.
_FLASH = Path(first=22, line=24, busy=6, prefetch=True, instructions=_ICACHE, data=_DCACHE)
_AXI = Path(first=12, line=14, busy=6, instructions=_ICACHE, data=_DCACHE)
_SRAM = Path(first=20, line=28, busy=14, instructions=_ICACHE, data=_DCACHE)

STM32H743 = Chip(
    name="STM32H743",
    core=CORTEX_M7,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", path=_FLASH),
        Memory("itcm", 0x00000000, 64 * KB, "code"),
        Memory("dtcm", 0x20000000, 128 * KB, "data", "fast"),
        Memory("axi", 0x24000000, 512 * KB, "data", "main", _AXI),
        Memory("sram1", 0x30000000, 128 * KB, "data", "extra", _SRAM),
        Memory("sram2", 0x30020000, 128 * KB, "data", "extra2", _SRAM),
        Memory("sram3", 0x30040000, 32 * KB, "data", "extra3", _SRAM),
        Memory("sram4", 0x38000000, 64 * KB, "data", "extra4", _SRAM),
    ),
    setup=(Setup(0x580244DC, 7 << 29, 0, "RCC_AHB2ENR: clocks of SRAM1, SRAM2 and SRAM3 on"),),
    double_precision=True,
    debug=Debug(
        0x6BA00477, 0x06450041, 0x6BA02477, 0x84770001, 0x5C001000, 0x450, 0x2003, "stm32h7x", apb_dbgmcu=0xE00E1000
    ),
)
