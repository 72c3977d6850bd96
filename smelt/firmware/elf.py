"""A reader of 32-bit little-endian ELF files: sections, segments and symbols, as far as firmware needs them."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from smelt.errors import BuildError

_ALLOCATED, _EXECUTABLE, _NOBITS, _SYMTAB, _LOAD = 2, 4, 8, 2, 1


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int

    @property
    def allocated(self) -> bool:
        return bool(self.flags & _ALLOCATED)

    @property
    def executable(self) -> bool:
        return bool(self.flags & _EXECUTABLE)

    @property
    def loaded(self) -> bool:
        """Whether its bytes come from the file."""
        return self.kind != _NOBITS


@dataclass(frozen=True)
class Segment:
    """Bytes that the flasher writes at `load` and that the running program sees at `address`."""

    address: int
    load: int
    data: bytes


@dataclass(frozen=True)
class Symbol:
    """A name with its address (the Thumb bit removed) and its size in bytes."""

    name: str
    address: int
    size: int
    is_function: bool


@dataclass(frozen=True)
class Elf:
    entry: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    symbols: Mapping[str, Symbol]
    functions: tuple[Symbol, ...]  # by address

    def function_at(self, address: int) -> str:
        """The function that contains an address, or the nearest one before it, or the address itself as text."""
        index = bisect.bisect_right(self.functions, address, key=lambda f: f.address) - 1
        if index < 0:
            return f"{address:#010x}"
        function = self.functions[index]
        past = address - function.address - max(function.size, 1)
        return function.name if past < 0 else f"{address:#010x} (after {function.name})"


def read_elf(data: bytes) -> Elf:
    """Raises `BuildError` if `data` is no complete 32-bit little-endian ELF file."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise BuildError(f"not a readable ELF file: {error}") from error


def _read(data: bytes) -> Elf:
    if data[:6] != b"\x7fELF\x01\x01":
        raise BuildError("not a 32-bit little-endian ELF file")
    entry, program, section = struct.unpack_from("<III", data, 24)
    program_size, programs, section_size, sections, names = struct.unpack_from("<HHHHH", data, 42)
    raw = [struct.unpack_from("<IIIIIIIIII", data, section + i * section_size) for i in range(sections)]
    strings = raw[names][4]
    found = tuple(Section(_string(data, strings + r[0]), r[1], r[2], r[3], r[4], r[5], r[6]) for r in raw)
    headers = [struct.unpack_from("<IIIIIIII", data, program + i * program_size) for i in range(programs)]
    segments = tuple(Segment(h[2], h[3], data[h[1] : h[1] + h[4]]) for h in headers if h[0] == _LOAD and h[4])
    symbols = [s for table in found if table.kind == _SYMTAB for s in _symbols(data, table, found[table.link].offset)]
    functions = tuple(sorted((s for s in symbols if s.is_function), key=lambda s: (s.address, s.size)))
    return Elf(entry, found, segments, {s.name: s for s in symbols}, functions)


def _symbols(data: bytes, table: Section, strings: int) -> list[Symbol]:
    found = []
    for name, value, size, info, _, _ in struct.iter_unpack("<IIIBBH", data[table.offset : table.offset + table.size]):
        text = _string(data, strings + name)
        kind = info & 15
        if text and kind <= 2 and not text.startswith("$"):
            found.append(Symbol(text, value & ~1 if kind == 2 else value, size, kind == 2))
    return found


def _string(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
