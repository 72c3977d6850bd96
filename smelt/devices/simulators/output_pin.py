"""A pin of a simulated board that an instrument watches."""

from __future__ import annotations

from collections.abc import Callable

from smelt.targets.registers import Pin, grouped


class OutputPin:
    """Answers on the page of a pin's port, most of whose registers hold what is written to them. A pin that is pulled down before
    it is an output is refused."""

    def __init__(self, pin: Pin, refuse: Callable[[str, int], None], word: Callable[[int], int]) -> None:
        """`word(address)` is what a register on another page holds."""
        self.pin, self._refuse, self._word = pin, refuse, word
        self.on_edge: Callable[[bool], None] = lambda _: None
        self.reset()

    def reset(self) -> None:
        self._words: dict[int, int] = {}
        self.high = False

    def value(self, address: int) -> int:
        return self._words.get(address & ~3, 0)

    def read(self, address: int, size: int) -> int:
        return self.value(address) >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        word, shift = address & ~3, 8 * (address & 3)
        if word == self.pin.data:
            self._move(value << shift)
            return
        mask = ((1 << 8 * size) - 1) << shift
        self._words[word] = self.value(word) & ~mask | value << shift & mask

    def _move(self, word: int) -> None:
        for bits, high in ((self.pin.high, True), (self.pin.low, False)):
            if word & bits and high != self.high:
                self.high = high
                if missing := self._missing():
                    if high:
                        continue  # its level is chosen before it is an output
                    self._refuse(f"{self.pin.name} is pulled down before it is an output; {missing}", self.pin.data)
                    return
                self.on_edge(high)

    def _missing(self) -> str:
        """The first step of its set-up that was not done."""
        for _, group in grouped(self.pin.steps):
            for step in group:
                own = step.address & -4096 == self.pin.data & -4096
                held = self.value(step.address) if own else self._word(step.address)
                if step.address != self.pin.data and not step.bits.holds(held):
                    return step.why
        return ""
