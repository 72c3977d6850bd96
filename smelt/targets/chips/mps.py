"""The FPGA images of Arm's MPS2 and MPS3 boards that QEMU knows. They exist here to be emulated, not timed.

Memory maps: Arm application notes AN386, AN500, AN505 and AN547. Cores with the security extension boot in the secure state, so the
secure addresses are used.
"""

from smelt.targets.cores.cortex_m4 import CORTEX_M4
from smelt.targets.cores.cortex_m7 import CORTEX_M7
from smelt.targets.cores.cortex_m33 import CORTEX_M33
from smelt.targets.cores.cortex_m55 import CORTEX_M55
from smelt.targets.types import KB, MB, Chip, Memory

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
