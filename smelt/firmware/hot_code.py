"""Code that the cores of a cluster run at the same time, in lines of the instruction cache that they share: what does not fit is
fetched again in every loop.

Counted in the firmware itself: the kernels of a round with all functions that they call, whole, whatever of them is run. That is
more than their loops. Calls are found by decoding RISC-V instructions; those through pointers are not seen, kernels have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from smelt.firmware.elf import Elf, Symbol
from smelt.planner.on_cores import OnCores
from smelt.targets.cluster import Cluster

LINE = 16
"""Bytes of a line of a cluster's instruction caches."""

JUMP, FAR_BASE, FAR_JUMP = 0x6F, 0x17, 0x67
"""Opcodes of JAL, AUIPC and JALR."""

COMPRESSED_CALL, COMPRESSED_JUMP = 0b001, 0b101
"""Functions of C.JAL and C.J, in the second quadrant."""


def cache_bytes(cluster: Cluster) -> int:
    """What the cache that workers share holds."""
    sets, ways = cluster.instructions
    return sets * ways * LINE


class HotCode:
    """What code of a firmware calls, each function looked at once."""

    def __init__(self, elf: Elf) -> None:
        self._elf = elf
        self._called: dict[int, tuple[Symbol, ...]] = {}

    def of(self, way: OnCores, functions: dict[str, str]) -> int:
        """The bytes of lines that the cores run in a round of a step, at most; `functions` are those of kernels by name."""
        rounds = {frozenset(piece.call.kernel.name for piece in r.pieces) for r in way.rounds}
        return max(self.lines_of(functions[name] for name in kernels) for kernels in rounds)

    def lines_of(self, names: Iterable[str]) -> int:
        """Bytes of the lines of some functions with all that they call."""
        left = [self._elf.symbols[name] for name in names]
        seen: dict[int, Symbol] = {}
        while left:
            symbol = left.pop()
            if symbol.address not in seen:
                seen[symbol.address] = symbol
                left += self.called(symbol)
        lines = {n for s in seen.values() for n in range(s.address // LINE, -(-(s.address + s.size) // LINE))}
        return len(lines) * LINE

    def called(self, symbol: Symbol) -> tuple[Symbol, ...]:
        """The functions that one jumps to."""
        if symbol.address not in self._called:
            targets = dict.fromkeys(targets_in(self._code(symbol), symbol.address))
            self._called[symbol.address] = tuple(self._starts[t] for t in targets if t in self._starts)
        return self._called[symbol.address]

    @cached_property
    def _starts(self) -> dict[int, Symbol]:
        return {s.address: s for s in self._elf.functions if s.size}

    def _code(self, symbol: Symbol) -> bytes:
        for segment in self._elf.segments:
            first = symbol.address - segment.address
            if 0 <= first < len(segment.data):
                return segment.data[first : first + symbol.size]
        return b""


def targets_in(code: bytes, address: int) -> Iterator[int]:
    """Where direct jumps and calls in some code go, which begins at an address."""
    at, bases = 0, dict[int, int]()
    while at + 2 <= len(code):
        half = int.from_bytes(code[at : at + 2], "little")
        if half & 3 != 3:
            if half & 3 == 1 and half >> 13 in (COMPRESSED_CALL, COMPRESSED_JUMP):
                yield address + at + _compressed_offset(half)
            at += 2
            continue
        word = int.from_bytes(code[at : at + 4], "little")
        opcode, register = word & 0x7F, word >> 7 & 31
        if opcode == JUMP:
            yield address + at + _offset(word)
        elif opcode == FAR_BASE:
            bases[register] = address + at + (word & 0xFFFFF000)
        elif opcode == FAR_JUMP and (word >> 15 & 31) in bases:
            yield (bases.pop(word >> 15 & 31) + _signed(word >> 20, 12)) & 0xFFFFFFFF
        at += 4


def _offset(word: int) -> int:
    high, low, middle, top = word >> 31, word >> 21 & 0x3FF, word >> 20 & 1, word >> 12 & 0xFF
    return _signed(high << 20 | top << 12 | middle << 11 | low << 1, 21)


def _compressed_offset(half: int) -> int:
    """Bits 12 to 2 are those of 11, 4, 9, 8, 10, 6, 7, 3, 2, 1 and 5."""
    places = (11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5)
    return _signed(sum((half >> (12 - n) & 1) << place for n, place in enumerate(places)), 12)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
