"""The nouns of ON WHAT: `Memory`, `Core`, `Chip`, `Board`. Data only; every number names its source where it is
written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from smelt.loops.ir import Intrinsic
from smelt.nouns import Noun

Contents = Literal["code", "data"]
Role = Literal["fast", "main", "extra", "extra2", "extra3", "extra4"]
"""What a RAM is to an application, on whatever chip: tightly coupled to the core; the RAM where variables usually go; the others,
in the order in which plans take them."""


@dataclass(frozen=True)
class Memory:
    """A range of addresses. `holds` says what may live there: flash holds code (and constants), RAM data (and the
    stack). Each RAM for data has a `role`, which generated C calls it by."""

    name: str
    start: int
    size: int
    holds: Contents
    role: Role | None = field(default=None, repr=False)  # no figure depends on it, so it is in no digest
    wait_states: int = 0
    aliases: tuple[int, ...] = ()  # other start addresses of the very same bytes

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class Core(Noun):
    """An instruction set and how to compile for it. `intrinsics` are the ones that are single instructions here."""

    name: str
    architecture: Literal["thumb", "riscv32"]
    zig: tuple[str, ...]  # flags of the bundled compiler
    gcc: tuple[str, ...]  # program name first, then flags
    intrinsics: tuple[Intrinsic, ...] = ()
    caches: bool = False  # instruction and data caches inside the core, which the startup code switches on

    def has(self, intrinsic: str) -> bool:
        return any(i.name == intrinsic for i in self.intrinsics)


@dataclass(frozen=True)
class Setup:
    """A register that the startup code changes before anything else: it sets `value` after clearing `clear`."""

    address: int
    value: int
    clear: int
    why: str


@dataclass(frozen=True)
class Chip(Noun):
    """A core and its memories. The first code memory is the flash with the firmware, read-only at run time; other code
    memories are RAM for code (ITCM). Data memories come fastest first; the first one holds stack, .data and .bss."""

    name: str
    core: Core
    memories: tuple[Memory, ...]
    setup: tuple[Setup, ...] = ()
    double_precision: bool = False  # its floating-point unit computes in double precision as well
    debug_registers: bool = (
        True  # a program sees in them whether a debugger is there to answer it; QEMU's chips have none
    )

    @property
    def flash(self) -> Memory:
        return next(m for m in self.memories if m.holds == "code")

    @property
    def rams(self) -> tuple[Memory, ...]:
        return tuple(m for m in self.memories if m.holds == "data")


@dataclass(frozen=True)
class Board(Noun):
    """What users name with one word. `picojoules_per_cycle` is measured on the real board, whole chip; None: not published."""

    name: str
    title: str
    chip: Chip
    clock_hz: int
    picojoules_per_cycle: float | None = None

    @property
    def core(self) -> Core:
        return self.chip.core
