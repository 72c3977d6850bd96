"""Which instructions are checked for alignment when their block starts, and which one by one."""

import pytest

pytest.importorskip("capstone")

from smelt.devices.simulators.alignment import Alignment

R0, R1, R2, R4, R5 = 0, 1, 2, 4, 5

# Thumb code; what is known at its start: (instruction, constant, {register: factor}); what must be checked at the instruction.
CASES = {
    "mov r4, r0; add r4, #2; ldrd r2, r3, [r4, #8]": ("CODE0", [(6, 2, {R0: 1})], []),
}
