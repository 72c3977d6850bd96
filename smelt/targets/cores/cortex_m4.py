"""Arm Cortex-M4 (Armv7E-M). Sources: see `__init__.py`."""

from smelt.loops.assembly.timing import Latency, Timing
from smelt.targets.cores.compilers import GCC_ARM, GCC_HARD, ZIG_ARM, ZIG_HARD
from smelt.targets.intrinsics import DSP
from smelt.targets.types import THUMB, Core, CoreTiming, FloatUnit, Style

CORTEX_M4 = Core(
    name="cortex_m4",
    isa=THUMB,
    zig=(*ZIG_ARM, "-mcpu=cortex_m4"),
    gcc=(*GCC_ARM, "-mcpu=cortex-m4"),
    floats=FloatUnit(
        zig=(*ZIG_HARD, "-mcpu=cortex_m4+vfp4d16sp"),
        gcc=(*GCC_HARD, "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"),
        fused=False,  # [M4] VFMA takes three cycles, VMUL and VADD one each
    ),
    intrinsics=DSP,
    style=Style(loads_overlap=True),
    timing=CoreTiming(
        pipeline="m4",
        validated=True,
        divide=6,  # [M4] 2..12, early termination
        taken=1,  # [M4] P = 1..3; a direct target is known early
        indirect=2,  # [M4] P: the target comes from a register
        load_pc=3,  # [M4] P: the target comes from memory
        misaligned_target=1,  # [M4] P depends on alignment and width of the target; [C]
        unaligned_load=1,  # [M4] two bus accesses
        float_add=1, float_mac=3, float_divide=14, float_root=14,  # [M4] floating-point table
        chains_across_memories=False,  # [J] "only when targeting the same memory block"
    ),
    scheduling=Timing(  # [M4]
        results=(("fadd", Latency(*(2,) * 6)), ("fmac", Latency(*(4,) * 6))),  # nothing waits but the next instruction
        costs=(("fmac", 3), ("fdivide", 14)),
        load=2, chained=1, chained_apart=0.875, indexed_store=2, load_after_store=1, neighbour_address=1,
        round_bytes=448,  # caches in front of flash are small
    ),
    cycles_per_instruction=1.2,
    mpu=True,
    cpuid=0x410FC241,
    emulator="CORTEX_M4",
    breakpoint_unit=1,
)  # fmt: skip
