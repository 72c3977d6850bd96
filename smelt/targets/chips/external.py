"""Chips with the memories that boards put beside them.

What a miss costs is computed from what others measured, with an error of perhaps 30 % [E]: SDRAM of 16 bits read by an STM32H723 at
127 MB/s, behind its cache, with 100 MHz at the SDRAM: about 250 ns a line, of 16 beats and nine clocks more; 39 MB/s copied inside
of the SDRAM of an STM32F746 at 192 MHz. Serial flash and PSRAM: clocks of command, address, wait states (ST's board support
packages) and of a line's data.

SDRAM costs what a line in an open row does: input and output of a kernel lie in rows of different banks. Serial memories cost what
a new command does: kernels that read several rows of weights in turn end the controller's reading ahead each time. `line` is by so
much above `first` as writing a line back takes. Nothing runs from these memories.

All controllers are set up by somebody else (`smelt_board_memories` in firmware/support/startup.c). STM32 manuals: RM0385, RM0433,
RM0468, memory maps.
"""

from dataclasses import replace

from smelt.targets.chips.stm32f7 import STM32F746
from smelt.targets.chips.stm32h7 import STM32H743
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.types import KB, MB, Cache, Chip, Memory, Path, Setup


def _data(chip: Chip) -> Cache | None:
    return chip.flash.path.data


# Board support package of the 32F746GDISCOVERY: MT48LC4M32B2 of which 16 bits are wired, HCLK / 2; N25Q128A, four lines, 108 MHz,
# 10 wait states: 8 + 6 + 10 + 64 clocks a line.
STM32F746_SDRAM = replace(
    STM32F746,
    name="STM32F746, SDRAM, QSPI",
    memories=(
        *STM32F746.memories,
        Memory("sdram", 0xC0000000, 8 * MB, "data", "external", Path(52, 87, data=_data(STM32F746)), external=True),
        Memory("qspi", 0x90000000, 16 * MB, "code", path=Path(176, 176, data=_data(STM32F746)), external=True),
    ),
)

# The H743 with one sector of flash (RM0433); board support package of the STM32H750B-DK: 16 bits of SDRAM at 100 MHz, CAS 3; two
# MT25QL512 side by side, eight lines.
STM32H750 = replace(
    STM32H743,
    name="STM32H750, SDRAM, QSPI",
    memories=(
        replace(STM32H743.flash, size=128 * KB),
        *STM32H743.memories[1:],
        Memory("sdram", 0xD0000000, 16 * MB, "data", "external", Path(120, 201, data=_data(STM32H743)), external=True),
        Memory("qspi", 0x90000000, 128 * MB, "code", path=Path(260, 260, data=_data(STM32H743)), external=True),
    ),
)

_ICACHE, _DCACHE = Cache("icache", 32 * KB, 2, 32, "random"), Cache("dcache", 32 * KB, 4, 32, "random")

# AXI at half the core's clock, 3 wait states there: 2 x (4 + [E] 4) cycles plus [E] 4 in the core; RAMs as in the H743.
_FLASH = Path(first=20, line=22, busy=6, prefetch=True, instructions=_ICACHE, data=_DCACHE)
_AXI = Path(first=12, line=14, busy=6, instructions=_ICACHE, data=_DCACHE)
_SRAM = Path(first=20, line=28, busy=14, instructions=_ICACHE, data=_DCACHE)

# RM0468, with the TCM and AXI RAM shared as delivered. HyperRAM (S70KL1281) and octal flash (MX25LM51245G) at 100 MHz, both edges.
STM32H735 = Chip(
    name="STM32H735, HyperRAM, OctoSPI",
    core=CORTEX_M7,
    memories=(
        Memory("flash", 0x08000000, 1 * MB, "code", path=_FLASH),
        Memory("itcm", 0x00000000, 64 * KB, "code"),
        Memory("dtcm", 0x20000000, 128 * KB, "data", "fast"),
        Memory("axi", 0x24000000, 320 * KB, "data", "main", _AXI),
        Memory("sram1", 0x30000000, 16 * KB, "data", "extra", _SRAM),
        Memory("sram2", 0x30004000, 16 * KB, "data", "extra2", _SRAM),
        Memory("sram4", 0x38000000, 16 * KB, "data", "extra3", _SRAM),
        Memory("psram", 0x70000000, 16 * MB, "data", "external", Path(190, 277, data=_DCACHE), external=True),
        Memory("octospi", 0x90000000, 64 * MB, "code", path=Path(190, 190, data=_DCACHE), external=True),
    ),
    setup=(Setup(0x580244DC, 3 << 29, 0, "RCC_AHB2ENR: clocks of SRAM1 and SRAM2 on"),),
    double_precision=True,
)
