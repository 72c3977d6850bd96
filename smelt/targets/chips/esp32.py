"""Espressif, ESP32-C3 Technical Reference Manual: "System and Memory" and the watchdog chapters. The ROM's direct boot
maps the start of the flash for instructions at 0x42000000 and for data at 0x3C000000, and leaves the boot watchdogs
running."""

from smelt.targets.cores.riscv32imc import RISCV32IMC
from smelt.targets.types import KB, MB, Cache, Chip, Memory, Path, Setup

# [E] 16 KB, 8 ways, 32-byte lines (Espressif's manual); quad SPI at 80 MHz moves a line in about 80 cycles of the core.
_CACHE = Cache("cache", 16384, 8, 32)
_FLASH = Path(first=60, line=80, busy=20, instructions=_CACHE, data=_CACHE)

ESP32C3 = Chip(
    name="ESP32-C3",
    core=RISCV32IMC,
    memories=(
        Memory("flash", 0x42000000, 4 * MB, "code", path=_FLASH, aliases=(0x3C000000,), reads_at=0x3C000000),
        Memory("sram", 0x3FC80000, 384 * KB, "data", "main", aliases=(0x40380000,), fetches_at=0x40380000),
    ),
    setup=(
        Setup(0x600080A8, 0x50D83AA1, 0xFFFFFFFF, "RTC_CNTL_WDTWPROTECT: unlock the RTC watchdog"),
        Setup(0x60008090, 0, 0xFFFFFFFF, "RTC_CNTL_WDTCONFIG0: RTC watchdog off"),
        Setup(0x600080B0, 0x8F1D312A, 0xFFFFFFFF, "RTC_CNTL_SWD_WPROTECT: unlock the super watchdog"),
        Setup(0x600080AC, 1 << 31, 0, "RTC_CNTL_SWD_CONF: the super watchdog feeds itself"),
        Setup(0x6001F064, 0x50D83AA1, 0xFFFFFFFF, "TIMG0_WDTWPROTECT: unlock the watchdog of timer group 0"),
        Setup(0x6001F048, 0, 0xFFFFFFFF, "TIMG0_WDTCONFIG0: watchdog of timer group 0 off"),
    ),
    linker_script="flash_seen_twice.ld",
)
