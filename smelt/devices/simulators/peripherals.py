"""Stand-ins for the peripherals that the simulator does not have, for programs that set up clocks and print to serial ports.

A register reads as what was written to it. A program that reads the same register again and again waits for hardware: it gets, in
turn, values in which the usual "ready" bits follow their "on" bits, so that it goes on. Nothing else happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

START, SIZE = 0x40000000, 0x20000000
PAGE = 4096
_WORD = 0xFFFFFFFF


class Registers(Protocol):
    """A peripheral that is more than a stand-in."""

    def read(self, address: int, size: int) -> int: ...

    def write(self, address: int, size: int, value: int) -> None: ...


@dataclass
class Peripherals:
    """Registers by address, and the one that is being polled."""

    words: dict[int, int] = field(default_factory=dict)
    polled: int = -1
    times: int = 0
    others: tuple[tuple[int, Registers], ...] = ()  # what answers for itself, by the page where it does

    def read(self, address: int, size: int) -> int:
        for page, other in self.others:
            if page <= address < page + PAGE:
                return other.read(address, size)
        word = address & ~3
        self.times = self.times + 1 if word == self.polled else 0
        self.polled = word
        value = self._answer(self.words.get(word, 0))
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        for page, other in self.others:
            if page <= address < page + PAGE:
                other.write(address, size, value)
                return
        word, shift = address & ~3, 8 * (address & 3)
        mask = ((1 << 8 * size) - 1) << shift
        self.words[word] = self.words.get(word, 0) & ~mask & _WORD | value << shift & mask
        self.polled = -1

    def _answer(self, value: int) -> int:
        """What was written; then, by turns, with bits echoed one to three places up (ready, status), all ones, all zeros."""
        answers = (value, value | value << 1, value | value << 2, value | value << 3, _WORD, 0)
        return answers[self.times % len(answers)] & _WORD
