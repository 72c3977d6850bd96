"""Arm Cortex-M0+ (Armv6-M): no DSP, no division, no access to unaligned words, a multiplier of 32 x 32 -> 32 bits.

Timing: Arm, Cortex-M0+ Technical Reference Manual (DDI 0484), "Instruction set summary", for memory that never waits. Nobody has
published measurements per instruction that smelt's model is checked against: its cycles are not validated. What the pipeline's
model knows itself: loads and stores 2, LDM, STM, PUSH and POP 1 + N, BL 3, MRS, MSR and barriers 3.

The multiplier is the chip designer's choice: one cycle, or 32. Both chips here have the fast one (RP2040 datasheet, 2.4.1.1; ST
PM0223); a chip with the slow one is `replace(CORTEX_M0PLUS, timing=replace(..., multiply=32))`.
"""

from smelt.targets.cores.compilers import GCC_ARM, ZIG_ARM
from smelt.targets.types import ARMV6M, Core, CoreTiming, Style

CORTEX_M0PLUS = Core(
    name="cortex_m0plus",
    isa=ARMV6M,
    zig=(*ZIG_ARM, "-mcpu=cortex_m0plus"),
    gcc=(*GCC_ARM, "-mcpu=cortex-m0plus"),
    style=Style(cheap_unaligned=False),
    timing=CoreTiming(
        pipeline="m0plus",
        validated=False,
        divide=0,  # there is no such instruction
        taken=1,  # 2 in all
        indirect=1,  # BX: 2 in all
        load_pc=2,  # POP with the program counter: 3 + N
        misaligned_target=0,  # [E]
        unaligned_load=0,  # it faults
        multiply=1,
    ),
    software_mac=275,
    cpuid=0x410CC601,
    emulator="CORTEX_M0",
)
