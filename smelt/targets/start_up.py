"""What the start-up code of a chip changes before anything else: its own registers, then what the core must be told of memories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.targets.types import Chip, Memory, Setup

DEVICE = (0xA0000000, 0xE0000000)
"""Where Arm's cores of the M profile take every address for a device's until an MPU says otherwise (Armv7-M ARM, B3.1): what lies
there is not cached, and unaligned accesses fault."""

# Armv7-M ARM, B3.5. Normal memory, write-back, read and write allocate; for everyone, not to be executed.
MPU_CTRL, MPU_RNR, MPU_RBAR, MPU_RASR = 0xE000ED94, 0xE000ED98, 0xE000ED9C, 0xE000EDA0
NORMAL = 1 << 28 | 3 << 24 | 1 << 19 | 1 << 17 | 1 << 16
ENABLE, AS_BY_DEFAULT = 1, 1 << 2  # with the default map for everything outside of regions
REGIONS = 8
ALL = 0xFFFFFFFF


def changes(chip: Chip) -> tuple[Setup, ...]:
    """The registers in the order in which they are changed."""
    return (*chip.setup, *_normal_memory(chip))


def like_devices(chip: Chip) -> Sequence[Memory]:
    """The memories that the core takes for devices after a reset."""
    arm, (low, high) = chip.core.isa.family == "arm", DEVICE
    return [m for m in chip.memories if arm and low <= m.start < high]


def _normal_memory(chip: Chip) -> Iterator[Setup]:
    """An MPU region for each memory that would be a device. Their sizes are powers of two, and they begin at multiples of them:
    `board_rules.py` sees to that."""
    found = like_devices(chip)
    for number, memory in enumerate(found):
        size = (memory.size.bit_length() - 2) << 1
        yield Setup(MPU_RNR, number, ALL, f"MPU_RNR: region {number}, for {memory.name}")
        yield Setup(MPU_RBAR, memory.start, ALL, f"MPU_RBAR: where {memory.name} begins")
        yield Setup(MPU_RASR, NORMAL | size | ENABLE, ALL, f"MPU_RASR: {memory.name} is normal memory, cached")
    if found:
        yield Setup(MPU_CTRL, ENABLE | AS_BY_DEFAULT, ALL, "MPU_CTRL: on, with the default map for everything else")
