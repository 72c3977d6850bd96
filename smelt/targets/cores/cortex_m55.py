"""Arm Cortex-M55 (Armv8.1-M with Helium). Nobody has written a model of its time: QEMU emulates it."""

from smelt.targets.intrinsics import DSP
from smelt.targets.types import THUMB, Core, FloatUnit

# zig implies neither Helium nor the hard-float ABI, which goes with its registers; both are there with or without floats
_ZIG = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m55+mve_fp")
_GCC = ("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard")

CORTEX_M55 = Core(
    name="cortex_m55",
    isa=THUMB,
    zig=_ZIG,
    gcc=_GCC,
    floats=FloatUnit(zig=_ZIG, gcc=_GCC),
    intrinsics=DSP,
    caches=True,
    cpuid=0x410FD221,
)
