"""The .npy format, read by its grammar: nothing in a header is evaluated, and nothing is made larger than the file."""

from __future__ import annotations

import re
from math import prod

import numpy as np

from smelt.errors import OptionError
from smelt.model.graph import Array

MAGIC = b"\x93NUMPY"
LONGEST = 1 << 16  # bytes of a header; those of plain arrays have 118 or a few more
MOST_AXES = 16

_TYPE = re.compile(rb"""['"]descr['"]\s*:\s*['"]([^'"]{1,20})['"]""")
_ORDER = re.compile(rb"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(rb"""['"]shape['"]\s*:\s*\(([0-9L,\s]{0,400})\)""")
_SIZE = re.compile(rb"\s*([0-9]{1,18})L?\s*")
_PLAIN = re.compile(rb"[<>|=]?([biuf])([1248])")


def parse_npy(data: bytes, source: str) -> Array:
    """The array in the content of a .npy file, in the byte order of this machine.

    Raises OptionError where it is damaged or cut off, or holds no plain numbers.
    """
    header, start = _header(data, source)
    kind, order, shape = _TYPE.search(header), _ORDER.search(header), _SHAPE.search(header)
    if kind is None and b"descr" in header and b"[" in header:
        raise OptionError(f"{source} holds records, not an array of numbers")
    if kind is None or order is None or shape is None:
        raise OptionError(f"{source} is damaged: its header says no type, order and shape")
    if not _PLAIN.fullmatch(kind[1]):
        raise OptionError(f"{source} holds values of type {kind[1].decode('latin-1')!r}, not plain numbers")
    try:
        dtype = np.dtype(kind[1].decode("ascii"))
    except TypeError:  # b2, f1: no such number
        raise OptionError(f"{source} holds values of type {kind[1].decode('latin-1')!r}, not plain numbers") from None
    sizes = _sizes(shape[1], source)
    elements = prod(sizes)
    if len(sizes) > MOST_AXES:
        raise OptionError(f"{source} has {len(sizes)} axes; the most is {MOST_AXES}")
    if elements * dtype.itemsize > len(data) - start:
        raise OptionError(
            f"{source} is cut off: it has {len(data) - start:,} bytes of values, its header says {elements * dtype.itemsize:,}"
        )
    flat = np.frombuffer(data, dtype, elements, start).astype(dtype.newbyteorder("="))
    if elements == 0:
        return np.empty(0, flat.dtype)
    return flat.reshape(sizes, order="F" if order[1] == b"True" else "C")


def _sizes(text: bytes, source: str) -> tuple[int, ...]:
    """The sizes in what stands between the brackets of a shape."""
    words = text.split(b",")
    if not words[-1].strip():
        words.pop()  # the comma at the end, or no axis at all
    matches = [_SIZE.fullmatch(word) for word in words]
    if None in matches:
        raise OptionError(f"{source} is damaged: its shape is ({text.decode('latin-1')})")
    return tuple(int(match[1]) for match in matches if match)


def _header(data: bytes, source: str) -> tuple[bytes, int]:
    """The text of the header and where the values begin."""
    if not data.startswith(MAGIC) or len(data) < 10:
        raise OptionError(f"{source} is no .npy file (it does not begin as one)")
    width = 2 if data[6] == 1 else 4
    if data[6] not in (1, 2, 3):
        raise OptionError(f"{source} is a .npy file of version {data[6]}.{data[7]}; 1 to 3 can be read")
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if length > LONGEST or start > len(data):
        raise OptionError(f"{source} is damaged or cut off: its header would have {length:,} bytes")
    return data[8 + width : start], start
