"""Arm Cortex-M33 (Armv8-M with the main and the DSP extension). Sources: see `__init__.py`."""

from smelt.loops.assembly.timing import Latency, Timing
from smelt.targets.cores.compilers import GCC_ARM, GCC_HARD, ZIG_ARM, ZIG_HARD
from smelt.targets.intrinsics import DSP
from smelt.targets.types import THUMB, Core, CoreTiming, FloatUnit, Style

LATE = Latency(use=2, multiply=2, early=2, address=2)
"""Results of the second stage: a multiplier's adder and a store have them a cycle after all the same."""

# The DSP extension is optional on the M33; the STM32U5 has it. zig does not imply it, gcc does.
CORTEX_M33 = Core(
    name="cortex_m33",
    isa=THUMB,
    zig=(*ZIG_ARM, "-mcpu=cortex_m33+dsp"),
    gcc=(*GCC_ARM, "-mcpu=cortex-m33"),
    floats=FloatUnit(
        zig=(*ZIG_HARD, "-mcpu=cortex_m33+dsp+fp_armv8d16sp"),
        gcc=(*GCC_HARD, "-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16"),
        fused=False,
    ),
    intrinsics=DSP,
    style=Style(one_code_bus=True),
    timing=CoreTiming(
        pipeline="m33",
        validated=True,
        divide=6,  # [E] Arm gives 2..11
        taken=1,  # [J] 2 in all
        indirect=2,  # [E]
        load_pc=2,  # [E]
        misaligned_target=1,  # [E] the instruction takes two fetches, of 32 bits each
        unaligned_load=1,  # [E] two bus accesses
        float_add=1, float_mac=3, float_divide=14, float_root=14,  # [J] MAC; [M4] the others
    ),
    scheduling=Timing(
        results=(("load", LATE), ("mac", LATE), ("shifted", LATE), ("bits", LATE)),  # [J]
        costs=(("fmac", 3), ("fdivide", 14)),  # the unit is busy; other instructions need not wait
        short=True,  # constants in flash and instructions compete for one bus
    ),
    cycles_per_instruction=1.1,
    cpuid=0x410FD214,
    emulator="CORTEX_M33",
    coresight_ids=True,
)  # fmt: skip
