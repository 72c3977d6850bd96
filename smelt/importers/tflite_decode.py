"""TFLM_DECODE: constants that a file stores compressed. They are decompressed while it is read.

Every result has two operands: its code, and 16 bytes that say how it is coded with tables behind them.
"""

from __future__ import annotations

import numpy as np

from smelt.importers.tflite_constants import spend
from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Array, Op, Tensor

DECODED = ("int8", "int16", "int32", "int64", "bool", "float32")
HEADER = 16  # bytes
MANY = 4096  # operands
STEPS_OF_A_SYMBOL = 64  # what decoding one takes, beside an element of a table
LOOKED_UP, HUFFMAN, PRUNED = range(3)


def decode(at: Site) -> tuple[Op, ...]:
    inputs, outputs = len(at.operator.inputs), len(at.operator.outputs)
    if inputs != 2 * outputs:
        at.broken(f"it has {inputs} inputs for {outputs} outputs, not two for each")
    for i in range(outputs):
        y = at.y(i, raw=True)
        code, how = (_bytes(at, at.operand(2 * i + j)) for j in range(2))
        at.bench.define(y, _decoded(at, y, code, how))
    return ()


def _bytes(at: Site, tensor: Tensor) -> bytes:
    if not tensor.is_constant:
        at.refuse(f"input '{tensor.name}' is computed while the model runs; a constant is supported")
    return tensor.constant.tobytes()


def _decoded(at: Site, y: Tensor, code: bytes, how: bytes) -> Array:
    if len(how) < HEADER:
        at.broken(f"what says how '{y.name}' is coded has {len(how)} bytes, not {HEADER} or more")
    kind, versions = how[0], (how[1], how[4])
    if kind not in (LOOKED_UP, HUFFMAN, PRUNED) or versions != (1, 1):
        found = f"'{y.name}' is coded in way {kind}, versions {versions[0]} and {versions[1]}"
        at.refuse(f"{found}; ways 0 to 2 of versions 1 and 1 are supported")
    spend(at, y.elements * (STEPS_OF_A_SYMBOL if kind == HUFFMAN else 1))
    return (_looked_up, _huffman, _pruned)[kind](at, y, code, how)


def _values(y: Tensor, how: bytes) -> Array:
    """What is behind the header, as values of y's type."""
    size = y.element.numpy.itemsize
    return y.element.unpack(how[HEADER : len(how) - (len(how) - HEADER) % size], (len(how) - HEADER) // size)


def _channels(at: Site, y: Tensor) -> Array:
    """The channel of each element of y, whose scales are along its first or its last axis."""
    q = y.quantization
    if q is None or q.axis is None:
        return np.zeros(y.elements, np.int64)
    if q.axis not in (0, len(y.shape) - 1):
        at.broken(f"output '{y.name}' is quantised along axis {q.axis}, neither the first nor the last")
    sizes = [extent if axis == q.axis else 1 for axis, extent in enumerate(y.shape)]
    channels = np.arange(y.shape[q.axis]).reshape(sizes)
    return np.broadcast_to(channels, y.shape).reshape(-1)


def _numbers(at: Site, y: Tensor, code: bytes, bits: int) -> Array:
    """A number of `bits` bits for every element, the most significant bit of each byte first."""
    needed = -(-y.elements * bits // 8)
    if len(code) < needed:
        at.broken(f"the code of '{y.name}' has {len(code)} bytes, not {needed}")
    found = np.unpackbits(np.frombuffer(code, np.uint8, needed), count=y.elements * bits).reshape(-1, bits)
    return found @ (1 << np.arange(bits)[::-1])


def _looked_up(at: Site, y: Tensor, code: bytes, how: bytes) -> Array:
    """Each number is a place in the table of its channel; those of the channels lie `stride` values apart."""
    bits, stride = how[5] & 7, how[6]
    if bits == 0:
        at.broken(f"'{y.name}' is coded in 0 bits for each element")
    values, places = _values(y, how), _numbers(at, y, code, bits) + stride * _channels(at, y)
    if places.max() >= values.size:
        at.broken(f"the code of '{y.name}' points behind its table of {values.size} values")
    return np.asarray(values[places])


def _pruned(at: Site, y: Tensor, code: bytes, how: bytes) -> Array:
    """A bit says for each element whether it is the next value, or stands for 0."""
    q, kept = y.quantization, _numbers(at, y, code, 1) != 0
    if q is not None and y.dtype != "int8" and any(q.zero_points):
        at.refuse(f"output '{y.name}' of {y.dtype} has a zero point other than 0")
    values, count = _values(y, how), int(np.count_nonzero(kept))
    if count > values.size:
        at.broken(f"'{y.name}' has {count} values that stand for something, of which {values.size} are there")
    zeros = np.array((0,) if q is None else q.zero_points)
    found = zeros[_channels(at, y) if zeros.size > 1 else np.zeros(y.elements, np.int64)].astype(y.element.numpy)
    found[kept] = values[:count]
    return found


def _huffman(at: Site, y: Tensor, code: bytes, how: bytes) -> Array:
    """Symbols by way of tables: an entry is a symbol and how many of the last bits are its own, or where the next table is and how
    many bits lead into it."""
    wide, first = how[5] & 1, (how[5] >> 4) + 1
    if y.dtype not in ("int8", "int16") or (y.dtype == "int16" and not wide):
        at.refuse(f"output '{y.name}' is {y.dtype}; int8, and int16 of tables of 32 bits are supported")
    size = 4 if wide else 2
    table = np.frombuffer(how, f"<u{size}", (len(how) - HEADER) // size, HEADER).tolist()
    stream, top = code + bytes(8), 8 * size - 5  # a flag, four bits of a count, and the rest
    at_bit, symbols = 0, list[int]()
    for _ in range(y.elements):
        place, used = 0, first
        while True:
            if at_bit > 8 * len(code):
                at.broken(f"the code of '{y.name}' ends after {len(symbols)} of {y.elements} symbols")
            chunk = int.from_bytes(stream[at_bit >> 3 : (at_bit >> 3) + 8], "big")
            place += chunk >> (64 - (at_bit & 7) - used) & ((1 << used) - 1)
            at_bit += used
            if place >= len(table):
                at.broken(f"the code of '{y.name}' points behind its tables of {len(table)} entries")
            entry = table[place]
            count, value = entry >> top & 15, entry & ((1 << top) - 1)
            if entry >> (top + 4):
                break
            place, used = place + value, count + 1
        at_bit -= max(used - count, 0)
        symbols.append(value)
    if at_bit > 8 * len(code):
        at.broken(f"the code of '{y.name}' ends before its last symbol does")
    return np.array(symbols, np.int64).astype(y.element.numpy)


DECODING: tuple[Arm, ...] = (
    Arm("CUSTOM TFLM_DECODE", "of constants only", (2, MANY), decode, types=DECODED, outputs=(1, MANY)),
)
