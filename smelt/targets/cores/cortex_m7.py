"""Arm Cortex-M7 (Armv7E-M, two instructions at a time, caches). Sources: see `__init__.py`."""

from smelt.targets.cores.compilers import GCC_ARM, GCC_HARD, ZIG_ARM, ZIG_HARD
from smelt.targets.intrinsics import DSP
from smelt.targets.types import THUMB, Core, CoreTiming, FloatUnit, Style

CORTEX_M7 = Core(
    name="cortex_m7",
    isa=THUMB,
    zig=(*ZIG_ARM, "-mcpu=cortex_m7"),
    gcc=(*GCC_ARM, "-mcpu=cortex-m7"),
    floats=FloatUnit(
        zig=(*ZIG_HARD, "-mcpu=cortex_m7+fp_armv8d16sp"),
        gcc=(*GCC_HARD, "-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16"),
    ),
    doubles=FloatUnit(
        zig=(*ZIG_HARD, "-mcpu=cortex_m7+fp_armv8d16"),
        gcc=(*GCC_HARD, "-mcpu=cortex-m7", "-mfpu=fpv5-d16"),
    ),
    intrinsics=DSP,
    style=Style(inner="paired", issue=2, cheap_unaligned=False, cached_bytes=None),
    timing=CoreTiming(
        pipeline="m7",
        validated=True,
        divide=7,  # [E] within the M4's 2..12
        taken=0,  # [J] a predicted taken branch costs its issue slot
        indirect=0,  # predicted by the branch target cache when it goes where it went last
        load_pc=0,
        misaligned_target=0,
        unaligned_load=3,  # [J] +3 as the older, +4 as the younger instruction
        mispredicted=8, mispredicted_early=6,  # [J]
        float_add=3, float_mac=5, float_divide=16, float_root=14,  # [J] result latencies
        double_add=2, double_multiply=5, double_mac=8, double_divide=30,  # [J] for operands of different exponents
        double_root=30,  # [E] as the division
    ),
    cycles_per_instruction=0.77,
    caches=True,
    cpuid=0x411FC271,
    emulator="CORTEX_M7",
)  # fmt: skip
