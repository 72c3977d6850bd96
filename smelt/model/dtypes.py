"""What the types of elements are: range, bits, packing. Everything that depends on a type asks here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

DType = Literal["int4", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "float32", "float16"]
Kind = Literal["signed", "unsigned", "bool", "float"]


@dataclass(frozen=True)
class ElementType:
    """The type of a tensor's elements. `bits` is what an element takes in a device's memory.

    Types of less than a byte are packed there, the first element in the low bits; NumPy has each of them as an int8.
    """

    name: DType
    bits: int
    kind: Kind

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of arrays that hold elements one by one."""
        return np.dtype("int8" if self.is_packed else self.name)

    @property
    def is_packed(self) -> bool:
        return self.bits < 8

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        return self.kind in ("signed", "unsigned")

    @property
    def is_signed(self) -> bool:
        return self.kind == "signed"

    @property
    def low(self) -> int:
        """The least stored integer. Raises ValueError for floats."""
        self._demand_range()
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def high(self) -> int:
        """The greatest stored integer. Raises ValueError for floats."""
        self._demand_range()
        if self.kind == "bool":
            return 1
        return (1 << (self.bits - 1)) - 1 if self.is_signed else (1 << self.bits) - 1

    @property
    def range(self) -> tuple[int, int]:
        """`low` and `high`."""
        return self.low, self.high

    def _demand_range(self) -> None:
        if self.is_float:
            raise ValueError(f"{self.name} has no range of integers")

    def bytes_of(self, elements: int) -> int:
        """What so many elements take in a device's memory."""
        return -(-elements * self.bits // 8)

    def pack(self, values: np.ndarray[Any, Any]) -> bytes:
        """Elements as a device's memory (and a model file) has them: little-endian, row-major, types below a byte packed."""
        flat = np.ascontiguousarray(values, self.numpy).reshape(-1)
        if not self.is_packed:
            return flat.astype(self.numpy.newbyteorder("<")).tobytes()
        per_byte = 8 // self.bits
        fields = np.zeros(-(-flat.size // per_byte) * per_byte, np.uint8)
        fields[: flat.size] = flat.view(np.uint8) & ((1 << self.bits) - 1)
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(self.bits)
        return bytes(np.bitwise_or.reduce(fields.reshape(-1, per_byte) << shifts, axis=1).astype(np.uint8))

    def unpack(self, data: bytes | memoryview, elements: int, offset: int = 0) -> np.ndarray[Any, Any]:
        """`elements` elements from the bytes that begin at `offset`: the inverse of `pack`."""
        if not self.is_packed:
            stored = np.frombuffer(data, self.numpy.newbyteorder("<"), elements, offset)
            return np.ascontiguousarray(stored, self.numpy)
        per_byte = 8 // self.bits
        stored = np.frombuffer(data, np.uint8, self.bytes_of(elements), offset)
        shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(self.bits)
        fields = ((stored[:, np.newaxis] >> shifts) & ((1 << self.bits) - 1)).reshape(-1)[:elements].astype(np.int8)
        return np.asarray(np.where(fields > self.high, fields - (1 << self.bits), fields), np.int8)


ELEMENT_TYPES: tuple[ElementType, ...] = (
    ElementType("int4", 4, "signed"),
    ElementType("int8", 8, "signed"),
    ElementType("int16", 16, "signed"),
    ElementType("int32", 32, "signed"),
    ElementType("int64", 64, "signed"),
    ElementType("uint8", 8, "unsigned"),
    ElementType("uint32", 32, "unsigned"),
    ElementType("uint64", 64, "unsigned"),
    ElementType("bool", 8, "bool"),
    ElementType("float32", 32, "float"),
)

DTYPES: dict[str, ElementType] = {element.name: element for element in ELEMENT_TYPES}
"""Every type that a graph may have, by name."""

HALF = ElementType("float16", 16, "float")
"""How weights of float32 may be stored. Nothing else is of this type: what a file has in it is read as float32."""


def element_type(name: str) -> ElementType:
    """The type called `name`. Raises KeyError where graphs have no such type."""
    return HALF if name == HALF.name else DTYPES[name]


def bits_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array to compare bit for bit: floats as integers of their size, so that NaN equals itself and zeros keep their sign."""
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "f" else array
