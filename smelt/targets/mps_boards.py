"""Arm's MPS2 and MPS3 boards with the FPGA images that QEMU knows. They exist here to be emulated, not timed.

Memory maps: Arm application notes AN386, AN500, AN505 and AN547. Cores with the security extension boot in the secure state, so the
secure addresses are used.
"""

from __future__ import annotations

from smelt.targets.cores import CORTEX_M4, CORTEX_M7, CORTEX_M33
from smelt.targets.intrinsics import DSP
from smelt.targets.types import Board, Chip, Core, Memory

KB = 1024
MB = 1024 * KB
MHZ = 1_000_000

# zig implies neither Helium nor the hard-float ABI, which goes with its registers
CORTEX_M55 = Core(
    name="cortex_m55",
    architecture="thumb",
    zig=("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m55+mve_fp"),
    gcc=("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m55", "-mfloat-abi=hard"),
    intrinsics=DSP,
    caches=True,
)

AN386 = Chip(
    "MPS2-AN386",
    CORTEX_M4,
    (Memory("code", 0x00000000, 4 * MB, "code"), Memory("ssram", 0x20000000, 4 * MB, "data", "main")),
    debug_registers=False,
)
AN500 = Chip(
    "MPS2-AN500",
    CORTEX_M7,
    (Memory("code", 0x00000000, 4 * MB, "code"), Memory("ssram", 0x20000000, 4 * MB, "data", "main")),
    debug_registers=False,
)
AN505 = Chip(
    "MPS2-AN505",
    CORTEX_M33,
    (Memory("code", 0x10000000, 4 * MB, "code"), Memory("ssram", 0x38000000, 4 * MB, "data", "main")),
    debug_registers=False,
)
AN547 = Chip(
    "MPS3-AN547",
    CORTEX_M55,
    (
        Memory("itcm", 0x10000000, 512 * KB, "code"),
        Memory("dtcm", 0x30000000, 512 * KB, "data", "fast"),
        Memory("sram", 0x31000000, 4 * MB, "data", "main"),
    ),
    debug_registers=False,
)

MPS2_AN386 = Board("mps2_an386", "Arm MPS2 with AN386 (Cortex-M4), QEMU", AN386, 25 * MHZ)
MPS2_AN500 = Board("mps2_an500", "Arm MPS2 with AN500 (Cortex-M7), QEMU", AN500, 25 * MHZ)
MPS2_AN505 = Board("mps2_an505", "Arm MPS2 with AN505 (Cortex-M33), QEMU", AN505, 20 * MHZ)
MPS3_AN547 = Board("mps3_an547", "Arm MPS3 with AN547 (Cortex-M55), QEMU", AN547, 32 * MHZ)

MPS_BOARDS = (MPS2_AN386, MPS2_AN500, MPS2_AN505, MPS3_AN547)
