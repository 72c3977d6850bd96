"""Protocol buffers, written: as much of them as .onnx files need. The numbers of fields are those of onnx.proto."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from smelt.model.graph import Array

VARINT, LENGTH, FIXED32 = 0, 2, 5
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "int4": 22}
FLOAT, INTEGER, TEXT, INTEGERS = 1, 2, 3, 7
"""Kinds of attributes."""

IR_VERSION = 10
OPSET = 21

Value = int | float | str | Sequence[int]
"""Of an attribute."""


class Message:
    """A message that fields are added to, in order."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def number(self, field: int, value: int) -> Message:
        """An integer of variable length."""
        self.parts.append(_varint(field << 3 | VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF))
        return self

    def real(self, field: int, value: float) -> Message:
        """A float32."""
        self.parts.append(_varint(field << 3 | FIXED32) + struct.pack("<f", value))
        return self

    def add(self, field: int, value: Message | bytes | str) -> Message:
        """A message, bytes or a text."""
        data = value.bytes if isinstance(value, Message) else value.encode() if isinstance(value, str) else value
        self.parts.append(_varint(field << 3 | LENGTH) + _varint(len(data)) + data)
        return self

    @property
    def bytes(self) -> bytes:
        return b"".join(self.parts)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def node(op: str, inputs: Iterable[str], output: str, attributes: Mapping[str, Value]) -> Message:
    """An operator with one result, after which it is called."""
    found = Message()
    for name in inputs:
        found.add(1, name)
    found.add(2, output).add(3, output).add(4, op)
    for key, value in attributes.items():
        found.add(5, _attribute(key, value))
    return found


def _attribute(name: str, value: Value) -> Message:
    found = Message().add(1, name)
    if isinstance(value, float):
        return found.real(2, value).number(20, FLOAT)
    if isinstance(value, int):
        return found.number(3, value).number(20, INTEGER)
    if isinstance(value, str):
        return found.add(4, value).number(20, TEXT)
    for integer in value:
        found.number(8, integer)
    return found.number(20, INTEGERS)


def initialiser(name: str, data: Array, dtype: str) -> Message:
    """A constant. Two of type int4 share a byte, the first one in its low bits."""
    found = Message()
    for size in data.shape:
        found.number(1, size)
    found.number(2, TYPES[dtype]).add(8, name)
    if dtype == "int4":
        flat = np.append(data.reshape(-1), np.zeros(data.size % 2, np.int8)).astype(np.uint8) & 15
        return found.add(9, (flat[::2] | flat[1::2] << 4).astype(np.uint8).tobytes())
    return found.add(9, np.ascontiguousarray(data, np.dtype(dtype).newbyteorder("<")).tobytes())


def edge(name: str, shape: Sequence[int]) -> Message:
    """An input or output of reals."""
    sizes = Message()
    for size in shape:
        sizes.add(1, Message().number(1, size))
    tensor = Message().number(1, TYPES["float32"]).add(2, sizes)
    return Message().add(1, name).add(2, Message().add(1, tensor))


def model(
    name: str,
    nodes: Sequence[Message],
    constants: Sequence[Message],
    inputs: Sequence[Message],
    outputs: Sequence[Message],
    metadata: Mapping[str, str],
) -> bytes:
    """The file."""
    graph = Message()
    for field, messages in ((1, nodes), (5, constants), (11, inputs), (12, outputs)):
        for message in messages:
            graph.add(field, message)
    graph.add(2, name)
    found = Message().number(1, IR_VERSION).add(2, "smelt").add(7, graph)
    found.add(8, Message().add(1, "").number(2, OPSET))
    for key, value in metadata.items():
        found.add(14, Message().add(1, key).add(2, value))
    return found.bytes
