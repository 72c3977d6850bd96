"""The registers by which a chip is brought to its clock (RCC, PWR, FLASH), as a program sees them, for all chips alike.

A register reads as what was written to it. Ready flags follow what switches their hardware on after some accesses (`LAG`): a
program that does not wait meets what is not ready. What a chip's manual forbids is refused, with a sentence: silicon may well get
away with it, on a warm day. A chip's own rules are in `clock_tree_*.py`; sources are named there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smelt.targets.registers import Clock
from smelt.targets.types import Board

MHZ = 1_000_000
LAG = 8
"""Accesses to these registers from an order to its flag."""

PAGE = 4096


class Refused(Exception):
    """What the program did, in a sentence."""


@dataclass(frozen=True)
class Flag:
    """`flag` of the register at `flags` is set, `LAG` accesses later, while the bit `on` of the register at `control` is."""

    control: int
    on: int
    flags: int
    flag: int


class ClockTree(ABC):
    """Answers for the registers of a board's clock. `refuse(sentence, address)` stops the program.

    Subclasses name `PAGES`, the values after a `RESET`, the `FLAGS`, and where SYSCLK is switched (`SWITCH`: register, shift of
    SW, of SWS, how many bits), and give their rules as `accepted` and `illegal`.
    """

    PAGES: tuple[int, ...] = ()
    RESET: tuple[tuple[int, int], ...] = ()
    FLAGS: tuple[Flag, ...] = ()
    SWITCH = (0, 0, 0, 0)

    def __init__(self, board: Board, clock: Clock, refuse: Callable[[str, int], None]) -> None:
        self.board, self.clock, self._refuse = board, clock, refuse
        self.words: dict[int, int] = {}
        self.time = 0
        self.reset()

    def reset(self) -> None:
        """As after a reset of the system."""
        self.words = dict(self.RESET)
        self._since: dict[Flag, int] = {}
        self.source, self.switched = 0, 0  # where SYSCLK comes from, and since when
        self.settle()

    def settle(self) -> None:
        """What is ready at once after a reset."""
        for flag in self.FLAGS:
            if self.words.get(flag.control, 0) & flag.on:
                self._since[flag] = -LAG

    # --- accesses ---------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> int:
        """`size` bytes of a register, with the flags of this moment."""
        self.time += 1
        value = self.value(address & ~3)
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        """Change bytes of a register, or be told why not."""
        self.time += 1
        word, shift = address & ~3, 8 * (address & 3)
        mask = ((1 << 8 * size) - 1) << shift
        old = self.words.get(word, 0)
        new = old & ~mask & 0xFFFFFFFF | value << shift & mask
        try:
            new = self.accepted(word, old, new)
        except Refused as error:
            self._refuse(str(error), address)
            return
        self.words[word] = new
        for flag in self.FLAGS:
            if flag.control == word:
                self._order(flag, bool(old & flag.on), bool(new & flag.on))
        self._switch()
        for sentence in self.illegal(word, old, new):
            self._refuse(sentence, address)
            return

    def value(self, word: int) -> int:
        """A register as it reads now."""
        value = self.words.get(word, 0)
        for flag in self.FLAGS:
            if flag.flags == word:
                value = value & ~flag.flag | (flag.flag if self.is_ready(flag) else 0)
        register, _, status, bits = self.SWITCH
        if word == register and bits:
            mask = ((1 << bits) - 1) << status
            arrived = self.source if self.time - self.switched >= LAG else self._before
            value = value & ~mask | arrived << status
        return value & 0xFFFFFFFF

    def _order(self, flag: Flag, before: bool, now: bool) -> None:
        if now and not before:
            self._since[flag] = self.time
        elif not now:
            self._since.pop(flag, None)

    _before = 0

    def _switch(self) -> None:
        register, shift, _, bits = self.SWITCH
        wanted = self.words.get(register, 0) >> shift & ((1 << bits) - 1)
        if wanted != self.source:
            self._before, self.source, self.switched = self.source, wanted, self.time

    # --- what rules are made of -------------------------------------------------------------------------------------

    def is_ready(self, flag: Flag) -> bool:
        return flag in self._since and self.time - self._since[flag] >= LAG

    def has(self, register: int, bits: int) -> bool:
        return self.words.get(register, 0) & bits == bits

    def field(self, register: int, low: int, bits: int) -> int:
        return self.words.get(register, 0) >> low & ((1 << bits) - 1)

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def accepted(self, word: int, old: int, new: int) -> int:
        """What a register becomes where `new` is written; raises Refused."""
        return new

    @abstractmethod
    def core_hz(self) -> float:
        """The clock of the core."""

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        """What is wrong now that a register has changed, in sentences."""
        return iter(())


def mhz(hertz: float) -> str:
    """A clock in words."""
    return f"{hertz / MHZ:g} MHz"


def wait_states(hertz: float, limits: tuple[int, ...], given: int, name: str) -> Iterator[str]:
    """A sentence where flash has too few wait states; `limits` are megahertz for 0, 1, 2, ... of them."""
    needed = next((n for n, limit in enumerate(limits) if hertz <= limit * MHZ), len(limits))
    if given < needed:
        yield f"flash has {given} wait states ({name}) at {mhz(hertz)}: it needs {needed}"


def prescaler(code: int, linear: int = 0) -> int:
    """The divider that STM32's AHB (4 bits) and APB (3 bits) prescalers mean by a code."""
    if linear:
        return 1 << max(code - 3, 0)
    return 1 if code < 8 else (2, 4, 8, 16, 64, 128, 256, 512)[code - 8]
