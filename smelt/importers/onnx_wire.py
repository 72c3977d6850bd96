"""The wire format of protocol buffers, read without trust: every length is checked, and nothing is copied before it is wanted."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.errors import ModelError

MOST_FIELDS = 1_000_000
"""Of a whole file: a few bytes of it must not become gigabytes of objects."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
Value = int | memoryview


class Wire:
    """A reader of messages that counts what it has read, `budget` fields at most."""

    def __init__(self, budget: int = MOST_FIELDS) -> None:
        self.budget = budget

    def fields(self, data: memoryview, what: str) -> Iterator[tuple[int, Value]]:
        """(number, value) of every field of a message: integers as such, everything else as the bytes it takes.

        Raises ModelError where `data` is no message; `what` names it there.
        """
        at = 0
        while at < len(data):
            self.budget -= 1
            if self.budget < 0:
                raise ModelError(f"it has more than {MOST_FIELDS:,} fields; no model for a microcontroller has")
            tag, at = varint(data, at, what)
            number, kind = tag >> 3, tag & 7
            if number == 0:
                raise ModelError(f"{what} has a field without a number at byte {at} of it")
            if kind == VARINT:
                value, at = varint(data, at, what)
                yield number, value
                continue
            size = {FIXED64: 8, FIXED32: 4}.get(kind)
            if kind == LENGTH:
                size, at = varint(data, at, what)
            if size is None:
                raise ModelError(f"{what} has a field of the unknown wire type {kind}")
            if size > len(data) - at:
                raise ModelError(
                    f"{what} is cut off: field {number} takes {size:,} bytes, {len(data) - at:,} are there"
                )
            yield number, data[at : at + size]
            at += size


def varint(data: memoryview, at: int, what: str) -> tuple[int, int]:
    """The integer of variable length at a place, and where it ends. Raises ModelError."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise ModelError(f"{what} is cut off or holds an integer that does not end")


def signed(value: int) -> int:
    """A varint as the signed integer of 64 bits that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def integers(value: Value, what: str) -> tuple[int, ...]:
    """Those of a repeated field: one, or many packed together."""
    if isinstance(value, int):
        return (signed(value),)
    found, at = [], 0
    while at < len(value):
        one, at = varint(value, at, what)
        found.append(signed(one))
    return tuple(found)


def text(value: Value, what: str) -> str:
    """A string. Raises ModelError where it is none."""
    try:
        return bytes(message(value, what)).decode()
    except UnicodeDecodeError:
        raise ModelError(f"{what} holds a name that is no UTF-8") from None


def message(value: Value, what: str) -> memoryview:
    """The bytes of a field that must have a length. Raises ModelError."""
    if isinstance(value, int):
        raise ModelError(f"{what} has an integer where a message, a string or an array belongs")
    return value


def number(value: Value, what: str) -> int:
    """The integer of a field that must be one. Raises ModelError."""
    if not isinstance(value, int):
        raise ModelError(f"{what} has bytes where an integer belongs")
    return signed(value)
