"""ST RM0433 (STM32H743). The D2 SRAMs have no clock after reset."""

from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.types import KB, MB, Cache, Chip, Debug, Dma, Memory, Path, Reach, Setup

_ICACHE, _DCACHE = Cache("icache", 16384, 2, 32, "random"), Cache("dcache", 16384, 4, 32, "random")

# AXI and flash at half the core's clock, 4 wait states there: 2 x (5 + [E] 4) cycles plus [E] 4 in the core.
_FLASH = Path(first=22, line=24, busy=6, prefetch=True, instructions=_ICACHE, data=_DCACHE)
_AXI = Path(first=12, line=14, busy=6, instructions=_ICACHE, data=_DCACHE)
_SRAM = Path(first=20, line=28, busy=14, instructions=_ICACHE, data=_DCACHE)

# RM0433 14: 16 channels, buffers of up to 128 bytes, bursts of up to 16 beats on the port of the TCMs (AHB, 32 bit; elsewhere
# the AXI, 64 bit), blocks of up to 64 KB, up to 4096 of them. All buses run at half the core's clock: a beat is 2 cycles. Nobody
# has published how fast it is. [E] The first beat comes as late as for the core (`Path.first` above); flash then gives 32 bytes in
# 24 cycles, as `_FLASH` has it; [E] five cycles of the AHB to the first beat at the TCM port. 128 bytes from AXI SRAM to DTCM so
# take 122 cycles: 1.05 bytes a cycle, 52 % of what that port could do at best.
_MDMA = Dma(
    name="mdma",
    interface="stm32_mdma",
    registers=0x52000000,
    channels=16,
    reaches=(
        Reach("flash", 8, 22, 6),
        Reach("itcm", 4, 10, 2, tightly=True),
        Reach("dtcm", 4, 10, 2, tightly=True),
        Reach("axi", 8, 12, 2),
        Reach("sram1", 4, 20, 2),
        Reach("sram2", 4, 20, 2),
        Reach("sram3", 4, 20, 2),
        Reach("sram4", 4, 20, 2),
    ),
    buffer=128,
    burst=16,
    rows=4096,
    row_bytes=64 * KB,
    begin=40,  # [E] 20 bus cycles of arbitration; programming comes on top, register by register
    line=8,  # four beats of 64 bits on the AXI (line fills, RM0433 2.1); both sides get their turn
    access=125,  # [E] in one cycle of four a word waits for one bank of two; after reset the core goes first (Arm DDI 0489: AHBSCR)
    register_read=24,  # [E] 12 bus cycles through the AXI to AHB3 and back
    register_write=8,  # [E] four bus cycles each, once the store buffer is full
    setup=(Setup(0x580244D4, 1, 0, "RCC_AHB3ENR: clock of the MDMA on"),),
)

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
    dma=(_MDMA,),
    debug=Debug(
        0x6BA00477,
        0x06450041,
        0x6BA02477,
        0x84770001,
        0x5C001000,
        0x450,
        0x2003,
        "stm32h7x",
        apb_dbgmcu=0xE00E1000,
        pyocd="stm32h743xx",
    ),
)
