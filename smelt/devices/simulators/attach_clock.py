"""The registers of a simulated board that more than hold what is written to them: its clock's, its serial port's, its pin's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from smelt.devices.simulators.clock_tree import ClockTree
from smelt.devices.simulators.clock_tree_f7 import F7ClockTree
from smelt.devices.simulators.clock_tree_h7 import H7ClockTree
from smelt.devices.simulators.clock_tree_l4 import L4ClockTree
from smelt.devices.simulators.clock_tree_rp2 import Rp2ClockTree
from smelt.devices.simulators.clock_tree_small import G0ClockTree, L1ClockTree
from smelt.devices.simulators.clock_tree_u5 import U5ClockTree
from smelt.devices.simulators.flash_controller import FlashController
from smelt.devices.simulators.output_pin import OutputPin
from smelt.devices.simulators.serial_port import SerialPort
from smelt.targets.types import Board

TREES: dict[str, type[ClockTree]] = {
    "stm32_l4": L4ClockTree,
    "stm32_f7": F7ClockTree,
    "stm32_h7": H7ClockTree,
    "stm32_u5": U5ClockTree,
    "stm32_g0": G0ClockTree,
    "stm32_l1": L1ClockTree,
    "rp2": Rp2ClockTree,
}
"""By the interface that `Clock` names; registers of one without a model here are mere memory."""

PAGE = 4096


class Registers(Protocol):
    """What answers on a page."""

    def read(self, address: int, size: int) -> int: ...

    def write(self, address: int, size: int, value: int) -> None: ...

    def reset(self) -> None: ...


class BoardRegisters:
    """`tree` is the clock's, `serial` the port, `pin` the one that instruments watch; None where a board has none. `pages` say who
    answers where."""

    def __init__(self, board: Board, refuse: Callable[[str, int], None], word: Callable[[int], int]) -> None:
        """`refuse(sentence, address)` is called for what a manual forbids; `word(address)` is what other registers hold."""
        self._word = word
        self.pages: dict[int, Registers] = {}
        self.tree: ClockTree | None = None
        self.serial: SerialPort | None = None
        self.pin: OutputPin | None = None
        if board.clock is not None and board.clock.interface in TREES:
            self.tree = TREES[board.clock.interface](board, board.clock, refuse)
            self.pages |= dict.fromkeys(self.tree.PAGES, self.tree)
        if board.uart is not None:
            self.serial = SerialPort(board.uart, refuse, self.word)
            self.pages[board.uart.data & -PAGE] = self.serial
        if board.pin is not None:
            self.pin = OutputPin(board.pin, refuse, self.word)
            self.pages[board.pin.data & -PAGE] = self.pin

    def word(self, address: int) -> int:
        """What a register holds, whoever answers for it."""
        if self.tree is not None and address & -PAGE in self.tree.PAGES:
            return self.tree.value(address)
        if self.pin is not None and address & -PAGE == self.pin.pin.data & -PAGE:
            return self.pin.value(address)
        return self._word(address)

    def add_flash(self, flash: FlashController) -> None:
        """Let a flash controller answer, too; it shares its page with others."""
        for page in flash.pages:
            self.pages[page] = _Shared(flash, self.pages.get(page))

    def at(self, address: int) -> Registers | None:
        """Who answers at an address; None: it is mere memory."""
        return self.pages.get(address & -PAGE)

    def reset(self) -> None:
        for registers in dict.fromkeys(self.pages.values()):
            registers.reset()


class _Shared:
    """A page where a flash controller has some registers, and somebody else, or mere memory, the others."""

    def __init__(self, flash: FlashController, others: Registers | None) -> None:
        self._flash, self._others, self._words = flash, others, dict[int, int]()

    def read(self, address: int, size: int) -> int:
        if self._flash.knows(address):
            return self._flash.read(address, size)
        if self._others is not None:
            return self._others.read(address, size)
        return self._words.get(address & ~3, 0) >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        if self._flash.knows(address):
            self._flash.write(address, size, value)
        elif self._others is not None:
            self._others.write(address, size, value)
        elif size == 4:
            self._words[address] = value

    def reset(self) -> None:
        self._flash.reset()
        if self._others is not None:
            self._others.reset()
