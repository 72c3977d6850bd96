"""The cores: how to compile for them, and what their instructions can do."""

from __future__ import annotations

from smelt.targets.intrinsics import DSP
from smelt.targets.types import Core

# The firmware computes with integers only, so the ABI is the soft-float one everywhere.
_ZIG_ARM = ("-target", "thumb-freestanding-eabi")
_GCC_ARM = ("arm-none-eabi-gcc", "-mthumb", "-mfloat-abi=soft")

CORTEX_M4 = Core(
    name="cortex_m4",
    architecture="thumb",
    zig=(*_ZIG_ARM, "-mcpu=cortex_m4"),
    gcc=(*_GCC_ARM, "-mcpu=cortex-m4"),
    intrinsics=DSP,
)

CORTEX_M7 = Core(
    name="cortex_m7",
    architecture="thumb",
    zig=(*_ZIG_ARM, "-mcpu=cortex_m7"),
    gcc=(*_GCC_ARM, "-mcpu=cortex-m7"),
    intrinsics=DSP,
    caches=True,
)

# The DSP extension is optional on the M33; the STM32U5 has it. zig does not imply it, gcc does.
CORTEX_M33 = Core(
    name="cortex_m33",
    architecture="thumb",
    zig=(*_ZIG_ARM, "-mcpu=cortex_m33+dsp"),
    gcc=(*_GCC_ARM, "-mcpu=cortex-m33"),
    intrinsics=DSP,
)

RISCV32IMC = Core(
    name="riscv32imc",
    architecture="riscv32",
    zig=("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-mabi=ilp32"),
    gcc=("riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-mcmodel=medany"),
)

CORES = (CORTEX_M4, CORTEX_M7, CORTEX_M33, RISCV32IMC)
