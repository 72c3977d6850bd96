"""The serial port of a simulated board: what a program sends is what the computer at the other end of the cable reads, and the
other way round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smelt.targets.registers import Uart, grouped

BUSY = 2
"""Looks at its status for which the port has no room after a byte."""


IDLE = 8
"""Looks at registers without a byte in between after which a program waits for one."""


class Line(Protocol):
    """What is at the other end of the cable."""

    def give(self, data: bytes) -> None:
        """Take what the board sent."""

    def take(self) -> bytes:
        """What is sent to the board, once there is something; none: nobody is there any more."""


class SerialPort:
    """Answers on the page of a serial port. A byte that comes before the port is set up, or has room, is refused: silicon would
    lose it. While the program waits for bytes, its time stands still."""

    def __init__(self, uart: Uart, refuse: Callable[[str, int], None], word: Callable[[int], int]) -> None:
        """`word(address)` is what a register on another page holds."""
        self.uart, self._refuse, self._word = uart, refuse, word
        self.sent = bytearray()
        self.on_line: Callable[[], None] = lambda: None
        self._line: Line | None = None
        self._hung_up: Callable[[], None] = lambda: None
        self.reset()

    def connect(self, line: Line, hung_up: Callable[[], None]) -> None:
        """Let a line be at the other end; `hung_up()` is called when nobody is there any more."""
        self._line, self._hung_up, self._given = line, hung_up, len(self.sent)

    @property
    def text(self) -> str:
        """What was sent, with lines as files have them."""
        return self.sent.decode("latin-1").replace("\r\n", "\n")

    @property
    def lines(self) -> int:
        return self.sent.count(b"\n")

    def reset(self) -> None:
        """What was sent stays with the other side."""
        self._words: dict[int, int] = {}
        self._busy = 0
        self._looks = 0
        self._waiting = bytearray()

    def read(self, address: int, size: int) -> int:
        word = address & ~3
        if word == self.uart.received:
            return self._receive()
        value = self._words.get(word, 0)
        ready, empty = self.uart.ready, self.uart.empty
        if empty and word == empty.address:
            self._look()
            value = value & ~empty.mask | (empty.value if not self._waiting else ~empty.value & empty.mask)
        if word == ready.address:
            bits = ready.value if not self._busy else ~ready.value & ready.mask
            value = value & ~ready.mask | bits
            self._busy = max(self._busy - 1, 0)
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        word, shift = address & ~3, 8 * (address & 3)
        if word == self.uart.data:
            self._send(value & 0xFF)
            return
        mask = ((1 << 8 * size) - 1) << shift
        self._words[word] = self._words.get(word, 0) & ~mask | value << shift & mask

    def _send(self, byte: int) -> None:
        if self._busy:
            self._refuse(f"a byte is sent while {self.uart.name.partition(',')[0]} has no room for it", self.uart.data)
            return
        if not self.sent and (missing := self._missing()):
            self._refuse(f"a byte is sent before the serial port is set up; {missing}", self.uart.data)
            return
        self._busy, self._looks = BUSY, 0
        self.sent.append(byte)
        if byte == ord("\n"):
            self.on_line()

    def _look(self) -> None:
        """The program looks whether a byte is there, or whether there is room for one: it waits if it does nothing else."""
        self._looks += 1
        if self._line is None or self._waiting or self._looks < IDLE:
            return
        self._line.give(bytes(self.sent[self._given :]))
        self._given = len(self.sent)
        data = self._line.take()
        self._waiting += data
        if not data:
            self._hung_up()

    def _receive(self) -> int:
        self._looks = 0
        return self._waiting.pop(0) if self._waiting else 0

    def _missing(self) -> str:
        """The first step of its set-up that was not done."""
        for only, group in grouped(self.uart.steps):
            if only is not None and not only.holds(self._word(only.address)):
                continue
            for step in group:
                if step.deed == "change" and not step.bits.holds(self._held(step.address)):
                    return step.why
        return ""

    def _held(self, address: int) -> int:
        return self._words.get(address, 0) if address & -4096 == self.uart.data & -4096 else self._word(address)
