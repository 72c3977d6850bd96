"""How the flash of a chip is erased and programmed: what debuggers do, and simulated chips answer. Data only.

ST RM0432 3.7, RM0456 7.9, RM0385 3.7, RM0433 4.9: registers, keys, sizes; option registers as chips are delivered.
"""

from __future__ import annotations

from dataclasses import dataclass

from smelt.targets.types import KB, MB

KEYS = (0x45670123, 0xCDEF89AB)
"""What opens the control register, one after the other: the same for all STM32."""


@dataclass(frozen=True)
class FlashBank:
    """A part of the flash with registers of its own: addresses of its key, status and control register."""

    start: int
    size: int
    key: int
    status: int
    control: int


@dataclass(frozen=True)
class Programming:
    """`sectors` are the sizes that are erased at once, from the start of a bank (of each half, where `second` chooses one) on, the
    last one again and again. The others are bits of the control register: `number` is (first bit, bits) of the sector's."""

    banks: tuple[FlashBank, ...]
    sectors: tuple[int, ...]
    program: int
    erase: int
    everything: int
    number: tuple[int, int]
    start: int
    lock: int
    error: int  # of the status register: what was written did not fit
    constants: tuple[tuple[int, int], ...]  # registers that say how large the flash is, and what is protected: nothing
    touched: tuple[int, ...] = ()  # registers of others that loaders use
    second: int = 0  # the bit of the control register that chooses the upper half


def _both_halves(status: int, control: int, sector: int, constants: tuple[tuple[int, int], ...]) -> Programming:
    bank = FlashBank(0x08000000, 2 * MB, 0x40022008, 0x40022000 + status, 0x40022000 + control)
    return Programming(
        (bank,), (sector,), 1, 2, 1 << 2 | 1 << 15, (3, 8), 1 << 16, 1 << 31, 1 << 7, constants, second=1 << 11
    )


UNPROTECTED = 0xFF00FFFF  # WRP: a range that ends before it begins

PROGRAMMING = {
    "stm32l4x": _both_halves(
        0x10,
        0x14,
        4 * KB,
        (
            (0x1FFF75E0, 2048),
            (0x40022020, 0xFFEFF8AA),
            *((0x40022000 + at, UNPROTECTED) for at in (0x2C, 0x30, 0x4C, 0x50)),
        ),
    ),
    "stm32u5x": _both_halves(
        0x20,
        0x28,
        8 * KB,
        (
            (0x0BFA07A0, 2048),
            (0x40022040, 0x1FEFF8AA),
            *((0x40022000 + at, UNPROTECTED) for at in (0x58, 0x5C, 0x68, 0x6C)),
        ),
    ),
    "stm32f7x": Programming(
        banks=(FlashBank(0x08000000, 1 * MB, 0x40023C04, 0x40023C0C, 0x40023C10),),
        sectors=(*(32 * KB,) * 4, 128 * KB, 256 * KB),
        program=1,
        erase=2,
        everything=4,
        number=(3, 4),
        start=1 << 16,
        lock=1 << 31,
        error=1 << 7,
        constants=((0x1FF0F440, 1024 << 16), (0x40023C14, 0xC0FFAAFD), (0x40023C18, 0x00400080)),
    ),
    "stm32h7x": Programming(
        banks=tuple(
            FlashBank(0x08000000 + n * MB, MB, at + 4, at + 0x10, at + 0xC)
            for n, at in enumerate((0x52002000, 0x52002100))
        ),
        sectors=(128 * KB,),
        program=2,
        erase=4,
        everything=8,
        number=(8, 3),
        start=1 << 7,
        lock=1,
        error=1 << 18,
        constants=(
            (0x1FF1E880, 2048),
            *((0x5200201C + at, value) for at in (0, 0x100) for value in (0x1BC6AAF0,)),
            *((0x52002038 + at, 0xFF) for at in (0, 0x100)),
        ),
        touched=(0x58004800, 0x40002C00),  # watchdogs, which pyOCD's loader feeds
    ),
}
"""By OpenOCD's name of the family, which `Debug` has."""
