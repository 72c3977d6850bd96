"""ELF files as far as firmware needs them: sections, segments and symbols. pyelftools does the reading."""

from __future__ import annotations

import bisect
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smelt.errors import BuildError
from smelt.nouns import Noun

_ALLOCATED, _EXECUTABLE = 2, 4


@dataclass(frozen=True)
class Section:
    name: str
    kind: str
    flags: int
    address: int
    offset: int  # in the file
    size: int

    @property
    def allocated(self) -> bool:
        return bool(self.flags & _ALLOCATED)

    @property
    def executable(self) -> bool:
        return bool(self.flags & _EXECUTABLE)

    @property
    def loaded(self) -> bool:
        """Whether its bytes come from the file."""
        return self.kind != "SHT_NOBITS"


@dataclass(frozen=True)
class Segment(Noun):
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
class Elf(Noun):
    entry: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    symbols: Mapping[str, Symbol]
    functions: tuple[Symbol, ...]  # by address

    def load_address(self, section: Section) -> int:
        """Where the flasher writes a section that is loaded."""
        inside = (s for s in self.segments if s.address <= section.address < s.address + len(s.data))
        return next((s.load + section.address - s.address for s in inside), section.address)

    def function_at(self, address: int) -> str:
        """The function that contains an address, or the nearest one before it, or the address itself as text."""
        index = bisect.bisect_right(self.functions, address, key=lambda f: f.address) - 1
        if index < 0:
            return f"{address:#010x}"
        function = self.functions[index]
        past = address - function.address - max(function.size, 1)
        return function.name if past < 0 else f"{address:#010x} (after {function.name})"


def read_elf(data: bytes) -> Elf:
    """Raises `BuildError` if `data` is no complete 32-bit little-endian ELF file, or pyelftools is missing."""
    try:
        from elftools.common.exceptions import ELFError
        from elftools.construct import ConstructError
        from elftools.elf.elffile import ELFFile
    except ImportError:
        raise BuildError("reading ELF files needs pyelftools: pip install 'smelt[simulate]'") from None
    try:
        file = ELFFile(io.BytesIO(data))
        if file.elfclass != 32 or not file.little_endian:
            raise BuildError("not a 32-bit little-endian ELF file")
        return _read(file)
    except (ELFError, ConstructError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise BuildError(f"not a readable ELF file: {error}") from error


def _read(file: Any) -> Elf:
    sections = tuple(
        Section(s.name, s["sh_type"], s["sh_flags"], s["sh_addr"], s["sh_offset"], s["sh_size"])
        for s in file.iter_sections()
    )
    segments = tuple(
        Segment(s["p_vaddr"], s["p_paddr"], s.data()) for s in file.iter_segments("PT_LOAD") if s["p_filesz"]
    )
    symbols = list(_symbols(file))
    functions = tuple(sorted((s for s in symbols if s.is_function), key=lambda s: (s.address, s.size)))
    return Elf(file["e_entry"], sections, segments, {s.name: s for s in symbols}, functions)


def _symbols(file: Any) -> Iterator[Symbol]:
    """Named data, functions and labels; not sections, files, or the $t, $d of Arm's mapping."""
    table = file.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table is not None else ():
        kind, value = symbol["st_info"]["type"], symbol["st_value"]
        if symbol.name and kind in ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC") and not symbol.name.startswith("$"):
            is_function = kind == "STT_FUNC"
            yield Symbol(symbol.name, value & ~1 if is_function else value, symbol["st_size"], is_function)
