"""Arm Cortex-M7 (Armv7E-M, two instructions at a time, caches). Sources: see `__init__.py`."""

from smelt.loops.assembly.ir import Kind
from smelt.loops.assembly.timing import Latency, Timing
from smelt.targets.cores.compilers import GCC_ARM, GCC_HARD, ZIG_ARM, ZIG_HARD
from smelt.targets.intrinsics import DSP
from smelt.targets.types import THUMB, Core, CoreTiming, FloatUnit, Style

ARITHMETIC = Latency(early=2, address=2, accumulate=0, store=0)
_FLOAT: tuple[Kind, ...] = ("fadd", "fmac")
_ALONE: tuple[Kind, ...] = ("fcore", "fdivide")
_KINDS: tuple[Kind, ...] = ("alu", "shift", "shifted", "bits", "mac", "load", "store", "branch", *_FLOAT, *_ALONE)
SCHEDULING = Timing(  # [J]
    issue=2,
    results=(
        ("alu", ARITHMETIC),
        ("shift", ARITHMETIC),
        ("shifted", ARITHMETIC),
        ("bits", ARITHMETIC),
        ("mac", Latency(use=2, multiply=2, accumulate=1, early=3, address=3, store=1)),
        ("load", Latency(use=1, multiply=2, accumulate=0, early=2, address=2, store=0)),
        ("fadd", Latency(use=3, multiply=3, accumulate=3, store=1)),
        ("fmac", Latency(use=5, multiply=5, accumulate=3, store=3)),
        ("fdivide", Latency(use=16, multiply=16, accumulate=16, store=16)),
        ("fcore", Latency(use=2, multiply=2, accumulate=2, early=2, address=2, store=2)),
    ),
    narrow=Latency(use=2, multiply=2, accumulate=1, early=3, address=3, store=0),
    stepped=Latency(early=2),
    apart=frozenset(
        {
            *((older, "bits") for older in _KINDS),
            *((older, younger) for older in _FLOAT for younger in _FLOAT),
            *(pair for one in _ALONE for kind in _KINDS for pair in ((one, kind), (kind, one))),
            *((older, "shifted") for older in ("shifted", "bits", "shift")),
            ("mac", "mac"),
            ("store", "store"),
            ("mac", "store"),
            ("store", "mac"),
        }
    ),
    banks=True,
)

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
    style=Style(issue=2, cheap_unaligned=False, cached_bytes=None),
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
    scheduling=SCHEDULING,
    cycles_per_instruction=0.77,
    caches=True,
    mpu=True,
    cpuid=0x411FC271,
    emulator="CORTEX_M7",
)  # fmt: skip
