"""The flash controller of a simulated chip: keys, erasing, programming. What is not erased cannot be programmed.

It is there for debuggers and for the loaders that they run on the chip; every order is carried out at once.
"""

from __future__ import annotations

from itertools import accumulate, chain, repeat

from smelt.devices.simulators.memory_map import Mapped, find
from smelt.targets.programming import KEYS, FlashBank, Programming

ERASED = 0xFF


class FlashController:
    """Answers for the registers of `programming`; `maps` hold the flash."""

    def __init__(self, programming: Programming, maps: tuple[Mapped, ...]) -> None:
        self.programming, self._maps = programming, maps
        self._banks = {at: b for b in programming.banks for at in (b.key, b.status, b.control)}
        self.constants = dict(programming.constants)
        self.reset()

    def reset(self) -> None:
        self._control = dict.fromkeys(self.programming.banks, self.programming.lock)
        self._status = dict.fromkeys(self.programming.banks, 0)
        self._opened = dict.fromkeys(self.programming.banks, 0)

    def knows(self, address: int) -> bool:
        return address & ~3 in self._banks or address & ~3 in self.constants

    @property
    def pages(self) -> set[int]:
        return {at & -4096 for at in chain(self._banks, self.constants, self.programming.touched)}

    def read(self, address: int, size: int) -> int:
        word = address & ~3
        bank = self._banks.get(word)
        value = self.constants.get(word, 0)
        if bank is not None:
            value = {bank.control: self._control[bank], bank.status: self._status[bank]}.get(word, 0)
        return value >> 8 * (address & 3) & ((1 << 8 * size) - 1)

    def write(self, address: int, size: int, value: int) -> None:
        bank = self._banks.get(address & ~3)
        if bank is None or address & 3 or size < 4:
            return
        if address == bank.key:
            right = KEYS[self._opened[bank]] == value
            self._opened[bank] = self._opened[bank] + 1 if right else int(value == KEYS[0])
            if self._opened[bank] == len(KEYS):
                self._control[bank] &= ~self.programming.lock
                self._opened[bank] = 0
        elif address == bank.status:
            self._status[bank] &= ~value
        elif not self._control[bank] & self.programming.lock:
            self._order(bank, value)

    def _order(self, bank: FlashBank, value: int) -> None:
        p = self.programming
        self._control[bank] = value & ~p.start
        if not value & p.start:
            return
        if value & p.erase:
            self._erase_sector(bank, value >> p.number[0] & ((1 << p.number[1]) - 1), bool(value & p.second))
        elif value & p.everything:
            self._set(bank.start, bytes([ERASED]) * bank.size)

    def _erase_sector(self, bank: FlashBank, number: int, upper: bool) -> None:
        base, size = (bank.start, bank.size // 2) if self.programming.second else (bank.start, bank.size)
        sizes = chain(self.programming.sectors, repeat(self.programming.sectors[-1]))
        ends = accumulate(next(sizes) for _ in range(number + 1))
        *_, end = ends
        length = (*self.programming.sectors, *(self.programming.sectors[-1:] * number))[number]
        if end <= size:
            self._set(base + size * upper + end - length, bytes([ERASED]) * length)

    def _set(self, address: int, data: bytes) -> None:
        mapped, offset = find(self._maps, address, len(data))
        mapped.data[offset : offset + len(data)] = bytearray(data)

    def program(self, address: int, data: bytes) -> bool:
        """Write to the flash as a program does. False: the controller is not open for that."""
        bank = next((b for b in self.programming.banks if b.start <= address < b.start + b.size), None)
        if (
            bank is None
            or not self._control[bank] & self.programming.program
            or self._control[bank] & self.programming.lock
        ):
            return False
        mapped, offset = find(self._maps, address, len(data))
        if all(mapped.data[offset : offset + len(data)] == ERASED):
            self._set(address, data)
        else:
            self._status[bank] |= self.programming.error
        return True
