"""Budgets of RAM and flash, and of each memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from smelt.errors import OptionError
from smelt.planner.code_size import ESTIMATED, CodeSizes
from smelt.targets.types import Board


@dataclass(frozen=True)
class Limits:
    """Budgets in bytes, everything included; None: what the board has. `sizes` are those of code; `code` is what the firmware
    that was built of a plan has beyond them and the estimate of what all share. `regions` say what may be taken of some memories
    (name, bytes); `weights` where tables lie: "flash", "ram", the name of a RAM, or nothing for as the goal has it."""

    ram: int | None = None
    flash: int | None = None
    code: int = 0
    sizes: CodeSizes = ESTIMATED
    regions: tuple[tuple[str, int], ...] = ()
    weights: str = ""

    @property
    def any(self) -> bool:
        """Whether there is a budget."""
        return self.ram is not None or self.flash is not None

    @property
    def in_flash(self) -> bool:
        """Whether tables have to stay in flash."""
        return self.weights == "flash"

    @property
    def in_ram(self) -> bool:
        """Whether all tables have to be copied to RAM."""
        return self.weights not in ("", "flash")

    def within(self, board: Board, reserve: int) -> Board:
        """The board with memories of the sizes that may be taken; those `reserve` bytes that the first RAM leaves alone besides."""
        sizes = dict(self.regions)
        first = board.chip.rams[0].name
        memories = tuple(
            replace(m, size=min(m.size, sizes[m.name] + (reserve if m.name == first else 0))) if m.name in sizes else m
            for m in board.chip.memories
        )
        return replace(board, chip=replace(board.chip, memories=memories)) if sizes else board


def checked(limits: Limits, board: Board) -> Limits:
    """Limits as they are. Raises OptionError where they name what the board does not have, or more than it has."""
    rams = {m.name: m.size for m in board.chip.rams}
    known = ", ".join(f"{name} ({size:,} bytes)" for name, size in rams.items())
    for name, size in limits.regions:
        if name not in rams:
            raise OptionError(f"{board.name} has no RAM '{name}': there are {known}")
        if size > rams[name]:
            raise OptionError(f"{name} of {board.name} has {rams[name]:,} bytes, not {size:,}")
    if limits.weights not in ("", "flash", "ram", *rams):
        raise OptionError(f"weights cannot lie in '{limits.weights}' on {board.name}: flash, ram, or one of {known}")
    return limits


def for_one_core(what: str, board: Board, instead: str) -> None:
    """Raises OptionError where steps are divided over the cores of a cluster: `what` is not for them, `instead` is what to do."""
    if board.chip.cluster is not None:
        raise OptionError(f"{board.name} divides steps over the cores of a cluster, and {what}: {instead}")


def regions_of(texts: Iterable[str]) -> dict[str, int]:
    """What may be taken of memories, written as NAME=SIZE; 0 takes nothing. Raises OptionError."""
    found: dict[str, int] = {}
    for text in texts:
        name, equals, size = (part.strip() for part in text.partition("="))
        if not name or not equals:
            raise OptionError(f"'{text}' is no region: write NAME=SIZE, such as dtcm=64K or sram3=0")
        found[name] = 0 if re.fullmatch(r"0+[kKmM]?[iI]?[bB]?", size) else size_of(size)
    return found


UNLIMITED = Limits()


def size_of(text: str) -> int:
    """Bytes of a size such as 20000, 57K, 57KB or 1M (K is 1024). Raises OptionError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([km]?)i?b?\s*", text.lower())
    if found is None or not float(found[1]):
        raise OptionError(f"'{text}' is no size: write bytes, or K or M behind a number (20000, 57K, 57KB, 1M)")
    return int(float(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2]])
