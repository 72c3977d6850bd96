"""The ROM table of a Cortex-M and the identification registers of its debug components, as constant words."""

from __future__ import annotations

from smelt.targets.types import Core, Debug

ROM, SCS, DWT, FPB = 0xE00FF000, 0xE000E000, 0xE0001000, 0xE0002000
ARM = (0x23B, 4)  # JEP106 code with continuation: bank 4, code 0x3B
ST = (0x020, 0)
GENERIC, TABLE, CORESIGHT = 0xE, 0x1, 0x9
# Floating-point unit with single precision: Armv7-M Architecture Reference Manual, MVFR0 and MVFR1
FEATURES = {0xE000EF40: 0x10110021, 0xE000EF44: 0x11000011}


def words(chip: Debug, core: Core) -> dict[int, int]:
    """Address -> value of everything that never changes."""
    found = {ROM + 4 * i: (base - ROM) & 0xFFFFF000 | 3 for i, base in enumerate((SCS, DWT, FPB))}
    found |= {ROM + 12: 0, ROM + 0xFCC: 1} | _ids(ROM, chip.device, ST, TABLE) | FEATURES
    if not core.coresight_ids:
        parts = ((SCS, 0x00C), (DWT, 0x002), (FPB, 0x003))
        return found | {a: v for base, part in parts for a, v in _ids(base, part, ARM, GENERIC).items()}
    for base, architecture in ((SCS, 0x2A04), (DWT, 0x1A02), (FPB, 0x1A03)):
        found |= _ids(base, core.part or 0, ARM, CORESIGHT) | {base + 0xFBC: 0x47700000 | architecture, base + 0xFCC: 0}
    return found


def _ids(base: int, part: int, designer: tuple[int, int], component: int) -> dict[int, int]:
    """PIDR0 to PIDR4 and CIDR0 to CIDR3: Arm Debug Interface v5, "component and peripheral ID registers"."""
    code, bank = designer
    return {
        base + 0xFD0: bank,
        base + 0xFE0: part & 0xFF,
        base + 0xFE4: part >> 8 | (code & 0xF) << 4,
        base + 0xFE8: 0x08 | (code >> 4 & 7),
        base + 0xFEC: 0,
        base + 0xFF0: 0x0D,
        base + 0xFF4: component << 4,
        base + 0xFF8: 0x05,
        base + 0xFFC: 0xB1,
    }
