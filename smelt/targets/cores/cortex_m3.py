"""Arm Cortex-M3 (Armv7-M): the Cortex-M4 without DSP instructions, and with slower multiplications.

Timing: Arm, Cortex-M3 Technical Reference Manual (DDI 0337), "Processor instructions" and "Load/store timings". Not validated:
nobody has published measurements that smelt's model is checked against.
"""

from smelt.targets.cores.compilers import GCC_ARM, ZIG_ARM
from smelt.targets.types import THUMB, Core, CoreTiming, Style

CORTEX_M3 = Core(
    name="cortex_m3",
    isa=THUMB,
    zig=(*ZIG_ARM, "-mcpu=cortex_m3"),
    gcc=(*GCC_ARM, "-mcpu=cortex-m3"),
    style=Style(loads_overlap=True),
    timing=CoreTiming(
        pipeline="m3",
        validated=False,
        divide=6,  # 2..12, early termination
        taken=1,  # P = 1..3; a direct target is known early
        indirect=2,
        load_pc=3,
        misaligned_target=1,  # P depends on alignment and width of the target
        unaligned_load=1,  # two bus accesses
        multiply=1,
        multiply_add=2,
        multiply_long=5,  # [E] 3..5, early termination; the multipliers of rescaling have 31 bits
        multiply_long_add=7,  # [E] 4..7
        chains_across_memories=False,  # [E] as on the M4
    ),
    software_mac=160,
    cycles_per_instruction=1.2,  # [E] as on the M4
    mpu=True,
    cpuid=0x412FC230,
    emulator="CORTEX_M3",
    breakpoint_unit=1,
)
