"""The chips: cores with their memories, at the addresses and in the sizes of the vendors' reference manuals.

Flash wait states are those at the clock of the board (ST: "Read access latency" tables). Where one RAM has a second
address (`aliases`) the startup code and the linker use only the first. Flash that also appears at address zero after
reset is not listed there, so that the simulators can catch null pointers.
"""

from __future__ import annotations

from smelt.targets.cores import CORTEX_M4, CORTEX_M7, CORTEX_M33, RISCV32IMC
from smelt.targets.types import Chip, Memory, Setup

KB = 1024
MB = 1024 * KB

# ST RM0432 (STM32L4+): memory map and section 3 (flash). The flash accelerator's caches are on after reset.
STM32L4R5 = Chip(
    name="STM32L4R5",
    core=CORTEX_M4,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", wait_states=5),
        Memory("sram1", 0x20000000, 192 * KB, "data", "main"),
        Memory("sram2", 0x20030000, 64 * KB, "data", "extra", aliases=(0x10000000,)),
        Memory("sram3", 0x20040000, 384 * KB, "data", "extra2"),
    ),
    setup=(Setup(0x40022000, 1 << 8, 0, "FLASH_ACR: prefetch on"),),
)

# ST RM0385 (STM32F75x/F74x). Flash answers on the AXI bus at 0x08000000 and on the ITCM bus at 0x00200000.
STM32F746 = Chip(
    name="STM32F746",
    core=CORTEX_M7,
    memories=(
        Memory("flash", 0x08000000, 1 * MB, "code", wait_states=7, aliases=(0x00200000,)),
        Memory("itcm", 0x00000000, 16 * KB, "code"),
        Memory("dtcm", 0x20000000, 64 * KB, "data", "fast"),
        Memory("sram1", 0x20010000, 240 * KB, "data", "main"),
        Memory("sram2", 0x2004C000, 16 * KB, "data", "extra"),
    ),
    setup=(Setup(0x40023C00, 3 << 8, 0, "FLASH_ACR: accelerator and prefetch of the ITCM bus on"),),
)

# ST RM0433 (STM32H743). The D2 SRAMs have no clock after reset.
STM32H743 = Chip(
    name="STM32H743",
    core=CORTEX_M7,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", wait_states=4),
        Memory("itcm", 0x00000000, 64 * KB, "code"),
        Memory("dtcm", 0x20000000, 128 * KB, "data", "fast"),
        Memory("axi", 0x24000000, 512 * KB, "data", "main"),
        Memory("sram1", 0x30000000, 128 * KB, "data", "extra"),
        Memory("sram2", 0x30020000, 128 * KB, "data", "extra2"),
        Memory("sram3", 0x30040000, 32 * KB, "data", "extra3"),
        Memory("sram4", 0x38000000, 64 * KB, "data", "extra4"),
    ),
    setup=(Setup(0x580244DC, 7 << 29, 0, "RCC_AHB2ENR: clocks of SRAM1, SRAM2 and SRAM3 on"),),
    double_precision=True,
)

# ST RM0456 (STM32U5), TrustZone off (the state in which the Nucleo ships): non-secure addresses.
STM32U575 = Chip(
    name="STM32U575",
    core=CORTEX_M33,
    memories=(
        Memory("flash", 0x08000000, 2 * MB, "code", wait_states=4),
        Memory("sram1", 0x20000000, 192 * KB, "data", "main"),
        Memory("sram2", 0x20030000, 64 * KB, "data", "extra"),
        Memory("sram3", 0x20040000, 512 * KB, "data", "extra2"),
        Memory("sram4", 0x28000000, 16 * KB, "data", "extra3"),
    ),
    setup=(
        Setup(0x40022000, 1 << 8, 0, "FLASH_ACR: prefetch on"),
        Setup(0x40030400, 1 << 0, 0, "ICACHE_CR: instruction cache on"),
    ),
)

# Espressif, ESP32-C3 Technical Reference Manual: "System and Memory" and the watchdog chapters. The ROM's direct boot
# maps the start of the flash for instructions at 0x42000000 and for data at 0x3C000000, and leaves the boot watchdogs
# running.
ESP32C3 = Chip(
    name="ESP32-C3",
    core=RISCV32IMC,
    memories=(
        Memory("flash", 0x42000000, 4 * MB, "code", aliases=(0x3C000000,)),
        Memory("sram", 0x3FC80000, 384 * KB, "data", "main", aliases=(0x40380000,)),
    ),
    setup=(
        Setup(0x600080A8, 0x50D83AA1, 0xFFFFFFFF, "RTC_CNTL_WDTWPROTECT: unlock the RTC watchdog"),
        Setup(0x60008090, 0, 0xFFFFFFFF, "RTC_CNTL_WDTCONFIG0: RTC watchdog off"),
        Setup(0x600080B0, 0x8F1D312A, 0xFFFFFFFF, "RTC_CNTL_SWD_WPROTECT: unlock the super watchdog"),
        Setup(0x600080AC, 1 << 31, 0, "RTC_CNTL_SWD_CONF: the super watchdog feeds itself"),
        Setup(0x6001F064, 0x50D83AA1, 0xFFFFFFFF, "TIMG0_WDTWPROTECT: unlock the watchdog of timer group 0"),
        Setup(0x6001F048, 0, 0xFFFFFFFF, "TIMG0_WDTCONFIG0: watchdog of timer group 0 off"),
    ),
)

CHIPS = (STM32L4R5, STM32F746, STM32H743, STM32U575, ESP32C3)
