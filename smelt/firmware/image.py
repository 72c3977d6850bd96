"""`Sources` and `Image`: what goes into the compiler, and what comes out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from smelt.errors import BuildError
from smelt.firmware.elf import Elf, Section, Symbol, read_elf
from smelt.nouns import Noun
from smelt.targets.types import Board, Memory

Content = Literal["code", "constants", "data", "tables", "arena", "stack"]


@dataclass(frozen=True)
class Sources(Noun):
    """The C files of one network, by relative name, ready for any C99 compiler.

    `entry` is the function that runs the network once; `kernels` are the functions it calls, one per step, in order
    (the same kernel may appear several times). `flags` adds compiler flags to single files. `tables` names the memories to
    which tables are copied at start-up, from the chip's own flash or the one outside that `copied_from` names. With `floats` they
    compute in floating point: by the core's unit if it has one.
    """

    files: Mapping[str, str]
    entry: str = "network_run"
    kernels: tuple[str, ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    floats: bool = False
    copied_from: str | None = None

    def in_full(self) -> str:
        """Which files there are, and how long."""
        size = sum(map(len, self.files.values()))
        title = f"sources of {self.entry}: {len(self.files)} files, {size:,} characters, digest {self.digest[:12]}"
        return "\n".join([title, *(f"  {name}: {len(text):,}" for name, text in self.files.items())])

    @property
    def digest(self) -> str:
        """SHA-256 over names and texts: equal digests are equal sources."""
        h = hashlib.sha256()
        for name in sorted(self.files):
            text = self.files[name].encode()
            h.update(f"{name}\0{len(text)}\0".encode() + text)
        return h.hexdigest()


@dataclass(frozen=True)
class Use:
    """`size` bytes of `memory` taken by `content`. Initial values of data count as data in RAM and as constants in
    flash, and so do tables that are copied to RAM."""

    memory: str
    content: Content
    size: int


@dataclass(frozen=True)
class Image(Noun):
    """A linked firmware: the ELF file that a board is flashed with, and what is known about it."""

    elf: bytes
    board: str
    compiler: str
    parsed: Elf = field(repr=False, compare=False)
    uses: tuple[Use, ...]
    entry: str
    kernels: tuple[str, ...]

    def in_full(self) -> str:
        """What it takes up of which memory."""
        title = f"image for {self.board} by {self.compiler}: {len(self.elf):,} bytes of ELF, digest {self.digest[:12]}"
        return "\n".join([title, *(f"  {use.memory} {use.content}: {use.size:,} bytes" for use in self.uses)])

    @property
    def symbols(self) -> Mapping[str, Symbol]:
        return self.parsed.symbols

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.elf).hexdigest()

    def size(self, memory: str, *contents: Content) -> int:
        """Bytes used in one memory, by the given contents or by all."""
        return sum(u.size for u in self.uses if u.memory == memory and (not contents or u.content in contents))

    def function_at(self, address: int) -> str:
        """The name of the function that contains an address, or of the nearest one before it."""
        return self.parsed.function_at(address)


def make_image(
    elf: bytes, board: Board, compiler: str, entry: str = "network_run", kernels: tuple[str, ...] = ()
) -> Image:
    """Read what the linker wrote. Raises `BuildError` if it is no 32-bit ELF file."""
    parsed = read_elf(elf)
    uses = tuple(_uses(parsed, board))
    return Image(elf, board.name, compiler, parsed, uses, entry, kernels)


def _uses(elf: Elf, board: Board) -> list[Use]:
    sums: dict[tuple[str, Content], int] = {}
    for section in elf.sections:
        if not section.allocated or not section.size or section.name == ".rodata_gap":
            continue  # the gap only keeps two views of one flash in step
        memory = memory_at(board, section.address)
        kinds: list[tuple[str, Content]] = [(memory.name, _content(section, memory, board))]
        if section.loaded and memory not in board.chip.flashes:
            home = memory_at(board, elf.load_address(section))
            kinds.append((home.name, "code" if section.executable else "constants"))
        for kind in kinds:
            sums[kind] = sums.get(kind, 0) + section.size
    return [Use(memory, content, size) for (memory, content), size in sums.items()]


def _content(section: Section, memory: Memory, board: Board) -> Content:
    if section.name == ".stack":
        return "stack"
    if section.name.startswith(".smelt.ram."):
        return "arena"
    if section.name.startswith(".smelt.tables."):
        return "tables"
    if section.executable or section.name == ".vectors":
        return "code"
    return "constants" if memory.holds == "code" else "data"


def memory_at(board: Board, address: int) -> Memory:
    """The memory of the board that holds an address, aliases included; raises `BuildError` if there is none."""
    for memory in board.chip.memories:
        if any(start <= address < start + memory.size for start in (memory.start, *memory.aliases)):
            return memory
    raise BuildError(f"the linker put something at {address:#010x}, where {board.name} has no memory")
