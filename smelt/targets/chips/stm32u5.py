"""ST RM0456 (STM32U5), TrustZone off (the state in which the Nucleo ships): non-secure addresses."""

from smelt.targets.cores.cortex_m33 import CORTEX_M33
from smelt.targets.types import CODE_BUS, KB, MB, RAM_BUS, Cache, Chip, Debug, Memory, Path, Setup

# 128-bit flash lines, 4 wait states; the 8 KB cache on the code bus holds instructions and constants alike. nRF5340's cache of the
# same shape takes about 7 cycles a miss; here 4 wait states + 2 in the cache. The core has one bus for code, where it reads
# constants, too, and one for RAM.
_CACHE = Cache("icache", 8192, 2, 16)
_FLASH = Path(first=6, line=6, busy=1, prefetch=True, instructions=_CACHE, data=_CACHE, bus=CODE_BUS)
_RAM = Path(bus=RAM_BUS)

STM32U575 = Chip(
    name="STM32U575",
    core=CORTEX_M33,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", path=_FLASH),
        Memory("sram1", 0x20000000, 192 * KB, "data", "main", _RAM),
        Memory("sram2", 0x20030000, 64 * KB, "data", "extra", _RAM),
        Memory("sram3", 0x20040000, 512 * KB, "data", "extra2", _RAM),
        Memory("sram4", 0x28000000, 16 * KB, "data", "extra3", _RAM),
    ),
    setup=(
        Setup(0x40022000, 1 << 8, 0, "FLASH_ACR: prefetch on"),
        Setup(0x40030400, 1 << 0, 0, "ICACHE_CR: instruction cache on"),
    ),
    debug=Debug(
        0x0BA04477, 0x06482041, 0x0BE12477, 0x14770015, 0xE0044000, 0x482, 0x2001, "stm32u5x", pyocd="stm32u575zitxq"
    ),
)
