"""Raspberry Pi RP2040 datasheet: address map, "Cache", "SSI", and the boot sequence.

The flash is another chip, on quad SPI, behind a cache (XIP). On silicon the boot ROM copies the first 256 bytes of it into SRAM,
checks their CRC and runs them: that second stage (boot2, of Raspberry Pi's SDK, for each flash chip another one) sets up the XIP
mode and starts the image behind it. smelt leaves these bytes free and does not write them: see docs/boards.md. The second core
stays asleep.
"""

from smelt.targets.cores.cortex_m0plus import CORTEX_M0PLUS
from smelt.targets.types import KB, MB, Cache, Chip, Memory, Path

# 16 KB, 2 ways, 8-byte lines, for instructions and data. [E] A miss with boot2's setting for the W25Q16 of the Pico, quad reads
# without command at half the core's clock: 6 + 2 + 4 clocks of address, mode and wait, 16 of data, 2 of the controller's own.
_CACHE = Cache("xip", 16 * KB, 2, 8)
_FLASH = Path(first=60, line=60, instructions=_CACHE, data=_CACHE)

RP2040 = Chip(
    name="RP2040",
    core=CORTEX_M0PLUS,
    memories=(
        Memory("flash", 0x10000000, 2 * MB, "code", path=_FLASH),
        Memory("sram", 0x20000000, 264 * KB, "data", "main"),  # four striped banks, two of 4 KB; no waiting
    ),
    debug_registers=False,  # Armv6-M: only a debugger sees them
    boot_bytes=256,
)
