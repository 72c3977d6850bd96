"""A reader of flatbuffers that trusts nothing: every offset and length is checked before it is followed.

The generated readers assume a verified file. A damaged one makes them raise `struct.error`, read far away bytes, or
loop over vectors of four thousand million elements; here all of that is a `ModelError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.errors import ModelError

Array = np.ndarray[Any, np.dtype[Any]]

# What things cost of a reader's allowance, by the time they take
TABLE_COST = 8
INTEGER_COST = 4


class Reader:
    """Checked little-endian reads from `data`.

    `allowance` bounds the work of decoding: offsets may point many times at the same place, so a small file can
    pretend to be an enormous one.
    """

    def __init__(self, data: bytes, allowance: int = 1_000_000) -> None:
        self.data = data
        self._allowance = allowance

    def spend(self, count: int) -> None:
        """Account for decoding `count` numbers. Raises ModelError when there have been too many."""
        self._allowance -= count
        if self._allowance < 0:
            raise ModelError("the file is damaged: its tables refer to far more entries than a model has")

    def number(self, code: str, at: int) -> int:
        """The integer of `struct` format `code` at byte `at`."""
        self.inside(at, struct.calcsize("<" + code))
        value: int = struct.unpack_from("<" + code, self.data, at)[0]
        return value

    def real(self, at: int) -> float:
        """The float32 at byte `at`."""
        self.inside(at, 4)
        value: float = struct.unpack_from("<f", self.data, at)[0]
        return value

    def inside(self, at: int, size: int) -> None:
        """Raise ModelError unless bytes `at` to `at + size` exist."""
        if at < 0 or size < 0 or at + size > len(self.data):
            raise ModelError(
                f"the file is damaged or cut off: it refers to byte {at + size} of {len(self.data)}"
                if at >= 0
                else "the file is damaged: it refers to bytes before its beginning"
            )

    def follow(self, at: int) -> int:
        """Where the unsigned offset stored at `at` leads."""
        return at + self.number("I", at)

    def root(self) -> Table:
        """The table that the file's first word points at."""
        return self.table(self.follow(0))

    def table(self, at: int) -> Table:
        """The table at `at`, its vtable checked."""
        self.spend(TABLE_COST)
        vtable = at - self.number("i", at)
        vtable_size, size = self.number("H", vtable), self.number("H", vtable + 2)
        if vtable_size < 4 or size < 4:
            raise ModelError(f"the file is damaged: there is no valid table at byte {at}")
        self.inside(vtable, vtable_size)
        self.inside(at, size)
        return Table(self, at, size, vtable, vtable_size)


@dataclass(frozen=True)
class Table:
    """One table: fields by number, each absent or present."""

    reader: Reader
    at: int
    size: int
    vtable: int
    vtable_size: int

    def place(self, field: int, size: int) -> int | None:
        """The byte where `field` (of `size` bytes) is stored, or None if it is absent."""
        slot = 4 + 2 * field
        if slot + 2 > self.vtable_size:
            return None
        offset = self.reader.number("H", self.vtable + slot)
        if offset == 0:
            return None
        if offset < 4 or offset + size > self.size:
            raise ModelError(f"the file is damaged: field {field} of the table at byte {self.at} lies outside it")
        return self.at + offset

    def integer(self, field: int, code: str, default: int = 0) -> int:
        at = self.place(field, struct.calcsize("<" + code))
        return default if at is None else self.reader.number(code, at)

    def flag(self, field: int, default: bool = False) -> bool:
        return self.integer(field, "B", default) != 0

    def real(self, field: int, default: float = 0.0) -> float:
        at = self.place(field, 4)
        return default if at is None else self.reader.real(at)

    def table(self, field: int) -> Table | None:
        at = self.place(field, 4)
        return None if at is None else self.reader.table(self.reader.follow(at))

    def tables(self, field: int) -> Iterator[Table]:
        """The tables of a vector of offsets."""
        start, count = self._vector(field, 4)
        self.reader.spend(count)
        for at in range(start, start + 4 * count, 4):
            yield self.reader.table(self.reader.follow(at))

    def count(self, field: int) -> int:
        """How many elements a vector of offsets has."""
        return self._vector(field, 4)[1]

    def numbers(self, field: int, dtype: str) -> Array:
        """A vector of numbers of NumPy `dtype`, little-endian; empty where it is absent."""
        kind = np.dtype(dtype).newbyteorder("<")
        start, count = self._vector(field, kind.itemsize)
        self.reader.spend(count)
        return np.frombuffer(self.reader.data, kind, count, start) if count else np.empty(0, kind)

    def integers(self, field: int, dtype: str = "int32") -> tuple[int, ...]:
        """The same as Python integers, for vectors that are short in sound files."""
        self.reader.spend(INTEGER_COST * self._vector(field, np.dtype(dtype).itemsize)[1])
        return tuple(int(value) for value in self.numbers(field, dtype))

    def text(self, field: int, longest: int = 1000) -> str:
        """A string as printable text, at most `longest` characters of it."""
        start, count = self._vector(field, 1)
        decoded = self.reader.data[start : start + min(count, 4 * longest)].decode("utf-8", "replace")[:longest]
        return "".join(character if character.isprintable() else "_" for character in decoded)

    def span(self, field: int) -> tuple[int, int]:
        """First byte and length of a vector of bytes; (0, 0) where it is absent."""
        return self._vector(field, 1)

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        at = self.place(field, 4)
        if at is None:
            return 0, 0
        start = self.reader.follow(at)
        count = self.reader.number("I", start)
        self.reader.inside(start + 4, count * width)
        return start + 4, count
