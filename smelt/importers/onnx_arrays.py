"""Tensors of an ONNX file as arrays: sizes are compared with what is there before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from smelt.errors import ModelError, printable
from smelt.importers.onnx_wire import Value, Wire, integers, message, number, text
from smelt.model.graph import Array
from smelt.nouns import clipped

MOST_ELEMENTS = 1 << 26
MOST_AXES = 8
MOST_OF_NAME = 200
"""Characters of a name in a message, about."""

TYPES: dict[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16", 21: "uint4", 22: "int4", 25: "uint2", 26: "int2",
}  # fmt: skip
"""Element types by their numbers in the file."""

UNKNOWN: dict[int, str] = {
    8: "string", 14: "complex64", 15: "complex128", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2",
    20: "float8e5m2fnuz", 23: "float4e2m1", 24: "float8e8m0",
}  # fmt: skip

REALS = ("float32", "float16", "float64", "bfloat16")
PACKED = {"uint4": 4, "int4": 4, "uint2": 2, "int2": 2}
INTS_FIELD = 5
HELD_BY_INTS = ("int32", "int16", "int8", "uint16", "uint8", "bool", "float16", "bfloat16", *PACKED)


def type_name(code: int) -> str:
    """The element type with this number, known or not."""
    return TYPES.get(code) or UNKNOWN.get(code) or f"type {code}"


@dataclass
class RawTensor:
    """The fields of a TensorProto."""

    dims: list[int] = field(default_factory=list)
    dtype: int = 0
    name: str = ""
    raw: memoryview | None = None
    numbers: dict[int, list[Value]] = field(default_factory=dict)  # typed data by field
    external: dict[str, str] = field(default_factory=dict)
    outside: bool = False


def read_tensor(data: memoryview, wire: Wire, what: str) -> RawTensor:
    """The fields of a tensor, not decoded yet. Raises ModelError."""
    found = RawTensor()
    for key, value in wire.fields(data, what):
        match key:
            case 1:
                found.dims += integers(value, what)
            case 2:
                found.dtype = number(value, what)
            case 8:
                found.name = text(value, what)
            case 9:
                found.raw = message(value, what)
            case 4 | 5 | 7 | 10 | 11:
                found.numbers.setdefault(key, []).append(value)
            case 13:
                pair = dict(wire.fields(message(value, what), what))
                found.external[text(pair.get(1, b_empty()), what)] = text(pair.get(2, b_empty()), what)
            case 14:
                found.outside = number(value, what) == 1
    return found


def b_empty() -> memoryview:
    return memoryview(b"")


def packed_type(raw: RawTensor) -> str:
    """The element type of a tensor where it takes less than a byte, else nothing."""
    name = TYPES.get(raw.dtype, "")
    return name if name in PACKED else ""


def array_of(raw: RawTensor, folder: Path | None) -> Array:
    """The array of a tensor: reals as float32. External data lies in `folder` or below it. Raises ModelError."""
    what = f"tensor '{clipped(printable(raw.name), MOST_OF_NAME)}'"
    name = TYPES.get(raw.dtype)
    if name is None:
        raise ModelError(f"{what} is of {type_name(raw.dtype)}, which smelt does not read")
    shape = tuple(raw.dims)
    if len(shape) > MOST_AXES or any(size < 0 for size in shape) or prod(shape) > MOST_ELEMENTS:
        raise ModelError(f"{what} claims the shape {list(shape)}")
    stored = _external(raw, what, folder) if raw.outside else raw.raw
    values = _typed(raw, name, what) if stored is None else _from_bytes(stored, name, prod(shape), what)
    if values.size != prod(shape):
        raise ModelError(f"{what} of shape {list(shape)} holds {values.size:,} values")
    values = values.reshape(shape)
    return values.astype(np.float32) if name in REALS else values


def _external(raw: RawTensor, what: str, folder: Path | None) -> memoryview:
    """The part of a file beside the model that holds the tensor. Nothing outside the model's folder is opened."""
    place = raw.external.get("location", "")
    shown = clipped(printable(place), MOST_OF_NAME)
    if folder is None or not place:
        raise ModelError(f"{what} has its data in another file, which is not there")
    home = folder.resolve()
    try:
        file = (home / place).resolve()
        if not file.is_relative_to(home) or Path(place).is_absolute():
            raise ModelError(f"{what} has its data in '{shown}', outside the model's folder")
        size = file.stat().st_size
        offset = int(raw.external.get("offset", "0"))
        length = int(raw.external.get("length", str(size - offset)))
        if not (0 <= offset <= size and 0 <= length <= size - offset) or not file.is_file():
            raise ModelError(f"{what} wants bytes {offset:,} to {offset + length:,} of a file of {size:,}")
        if length > 8 * MOST_ELEMENTS:
            raise ModelError(f"{what} takes {length:,} bytes; no microcontroller holds that")
        with file.open("rb") as opened:
            opened.seek(offset)
            return memoryview(opened.read(length))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its place is no number or no name"
        raise ModelError(f"{what} has its data in '{shown}', which cannot be read: {reason}") from None


def _from_bytes(data: memoryview, name: str, elements: int, what: str) -> Array:
    if name in PACKED:
        return _unpacked(np.frombuffer(data, np.uint8), name, elements, what)
    width = 2 if name == "bfloat16" else np.dtype(name).itemsize
    if len(data) != width * elements:
        raise ModelError(f"{what} of {elements:,} elements of {name} holds {len(data):,} bytes")
    if name == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, np.dtype(name).newbyteorder("<")).astype(name)


def _unpacked(data: Array, name: str, elements: int, what: str) -> Array:
    """Types below a byte: the first element is in the low bits."""
    bits = PACKED[name]
    if data.size != -(-elements * bits // 8):
        raise ModelError(f"{what} of {elements:,} elements of {name} holds {data.size:,} bytes")
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    fields = ((data[:, np.newaxis] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:elements]
    if name.startswith("u"):
        return fields.astype(np.uint8)
    wide = fields.astype(np.int8)
    return np.where(wide >= 1 << (bits - 1), wide - (1 << bits), wide).astype(np.int8)


def _typed(raw: RawTensor, name: str, what: str) -> Array:
    """Data in a field of its type: floats, doubles, and integers of several widths."""
    if name in ("float32", "float64"):
        kind, key = ("<f4", 4) if name == "float32" else ("<f8", 10)
        parts = [bytes(message(value, what)) for value in raw.numbers.get(key, [])]
        data = b"".join(parts)
        if len(data) % np.dtype(kind).itemsize:
            raise ModelError(f"{what} has {len(data):,} bytes of {name}")
        return np.frombuffer(data, kind).astype(name)
    key = INTS_FIELD if name in HELD_BY_INTS else 7 if name == "int64" else 11
    found = np.array([v for value in raw.numbers.get(key, []) for v in integers(value, what)], np.int64)
    if name in PACKED:
        return _unpacked(found.astype(np.uint8), name, prod(raw.dims), what)
    if name == "float16":
        return found.astype(np.uint16).view(np.float16)
    if name == "bfloat16":
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found.astype(name)
