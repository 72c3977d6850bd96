"""Options of custom operators: maps of scalars in FlatBuffers' schema-less format, distrusted byte by byte.

The format (flatbuffers.dev, "FlexBuffers internals"): the last byte is the width of the root value, the one before it its packed
type, before that lies the value. A packed type is the kind times 4 plus the logarithm of the width of what it refers to. Offsets
count backwards. In front of a map's values stand their number, the width of its keys, and the offset to its keys.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from smelt.errors import ModelError

Scalar = int | float | bool | str

INT, UINT, FLOAT, STRING, INDIRECT_INT, INDIRECT_UINT, INDIRECT_FLOAT, MAP, BOOL = 1, 2, 3, 5, 6, 7, 8, 9, 26
FORMATS = {(INT, w): f for w, f in ((1, "<b"), (2, "<h"), (4, "<i"), (8, "<q"))}
FORMATS |= {(UINT, w): f for w, f in ((1, "<B"), (2, "<H"), (4, "<I"), (8, "<Q"))}
FORMATS |= {(FLOAT, w): f for w, f in ((2, "<e"), (4, "<f"), (8, "<d"))}
INDIRECT = {INDIRECT_INT: INT, INDIRECT_UINT: UINT, INDIRECT_FLOAT: FLOAT}
MOST_KEYS = 256


def read_map(data: bytes) -> dict[str, Scalar]:
    """The scalars of the map that `data` is, by key; values of other kinds are left out. Raises ModelError for anything else."""
    if not data:
        return {}
    reader = _Reader(data)
    width = reader.number(len(data) - 1, UINT, 1)
    if width not in (1, 2, 4, 8):
        raise ModelError(f"its options are damaged: a value of {width} bytes")
    packed = reader.number(len(data) - 2, UINT, 1)
    kind, inner = packed >> 2, 1 << (packed & 3)
    if kind != MAP:
        raise ModelError("its options are no map")
    return reader.map(reader.target(len(data) - 2 - width, width), inner)


@dataclass(frozen=True)
class _Reader:
    data: bytes

    def number(self, at: int, kind: int, width: int) -> int:
        return int(self.value(at, kind, width))

    def value(self, at: int, kind: int, width: int) -> int | float:
        form = FORMATS.get((kind, width))
        if form is None or not 0 <= at <= len(self.data) - width:
            raise ModelError("its options are damaged: a value lies outside them")
        (found,) = struct.unpack_from(form, self.data, at)
        return float(found) if kind == FLOAT else int(found)

    def target(self, at: int, width: int) -> int:
        """What the offset at `at` points to."""
        return at - self.number(at, UINT, width)

    def text(self, at: int) -> str:
        end = self.data.find(b"\0", at) if at >= 0 else -1
        if end < 0:
            raise ModelError("its options are damaged: a text lies outside them")
        return self.data[at:end].decode("utf-8", "replace")

    def map(self, at: int, width: int) -> dict[str, Scalar]:
        size, key_width = self.number(at - width, UINT, width), self.number(at - 2 * width, UINT, width)
        if size > MOST_KEYS:
            raise ModelError(f"its options have {size} keys")
        keys = self.target(at - 3 * width, width)
        found: dict[str, Scalar] = {}
        for i in range(size):
            packed = self.number(at + size * width + i, UINT, 1)
            scalar = self.scalar(at + i * width, packed >> 2, width, 1 << (packed & 3))
            if scalar is not None:
                found[self.text(self.target(keys + i * key_width, key_width))] = scalar
        return found

    def scalar(self, at: int, kind: int, width: int, inner: int) -> Scalar | None:
        if kind in (INT, UINT, FLOAT):
            return self.value(at, kind, width)
        if kind == BOOL:
            return bool(self.number(at, UINT, width))
        if kind in INDIRECT:
            return self.value(self.target(at, width), INDIRECT[kind], inner)
        return self.text(self.target(at, width)) if kind == STRING else None
