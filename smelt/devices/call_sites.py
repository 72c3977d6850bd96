"""Where a function of an Arm firmware returns to, found in the code: for observers that cannot read the link register."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.firmware.image import Image

CALL, JUMP = 0xD000, 0x9000  # in the second half of BL and of B.W
SHORT_JUMP = 0xE000


def return_addresses(image: Image, function: str) -> tuple[int, ...]:
    """The addresses after all calls of `function`, tail calls followed to their callers. Calls through pointers are not seen."""
    branches = list(_branches(image))
    known, left, found = {function}, [function], set[int]()
    while left:
        name = left.pop()
        target = image.symbols[name].address
        for at, to, links in branches:
            caller = image.function_at(at)
            if to != target or caller == name:
                continue
            if links:
                found.add(at + 4)
            elif caller in image.symbols and caller not in known:
                known.add(caller)
                left.append(caller)
    return tuple(sorted(found))


def _branches(image: Image) -> Iterator[tuple[int, int, bool]]:
    """Address, target, and whether it links. Every halfword is tried: what constants look like does no harm."""
    for segment in image.parsed.segments:
        halves = [int.from_bytes(segment.data[i : i + 2], "little") for i in range(0, len(segment.data) - 1, 2)]
        for i, (first, second) in enumerate(zip(halves, [*halves[1:], 0], strict=True)):
            at = segment.address + 2 * i
            if first & 0xF800 == 0xF000 and second & 0xD000 in (CALL, JUMP):
                yield at, at + 4 + _long_offset(first, second), second & 0xD000 == CALL
            elif first & 0xF800 == SHORT_JUMP:
                yield at, at + 4 + _signed((first & 0x7FF) << 1, 12), False


def _long_offset(first: int, second: int) -> int:
    sign = first >> 10 & 1
    high, low = (~((second >> bit & 1) ^ sign) & 1 for bit in (13, 11))
    return _signed(sign << 24 | high << 23 | low << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1, 25)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
