"""The counter of cycles in a RISC-V core's own control registers, which the emulator takes for undefined instructions."""

from __future__ import annotations

from collections.abc import Callable

SYSTEM, IMMEDIATE = 0x73, 4
WRITE, SET, CLEAR = 1, 2, 3
EVENTS, CONTROL, COUNT = 0, 1, 2
ON = 1  # of EVENTS: cycles; of CONTROL: counting


class CycleCsr:
    """Three registers from `first` on: which event counts, whether it does, and how many there were. `now()` gives the cycles since
    reset; `get` and `set` reach the core's registers by name."""

    def __init__(
        self, first: int, now: Callable[[], int], get: Callable[[str], int], set: Callable[[str, int], None]
    ) -> None:
        self._first, self._now, self._get, self._set = first, now, get, set
        self._words = [0, 0, 0]
        self._begun: int | None = None  # COUNT is now() minus this while it counts

    def execute(self, code: bytes) -> bool:
        """Do what an instruction does, if it is one for these registers."""
        word = int.from_bytes(code, "little")
        deed, register = word >> 12 & 7, (word >> 20) - self._first
        if word & 0x7F != SYSTEM or not 0 <= register < len(self._words) or not deed & 3:
            return False
        source, target = word >> 15 & 31, word >> 7 & 31
        operand = source if deed & IMMEDIATE else self._get(f"x{source}")
        old = self._read(register)
        if deed & 3 == WRITE or source:
            new = operand if deed & 3 == WRITE else old | operand if deed & 3 == SET else old & ~operand
            self._write(register, new & 0xFFFFFFFF)
        if target:
            self._set(f"x{target}", old)
        return True

    def _read(self, register: int) -> int:
        if register == COUNT and self._begun is not None:
            return self._now() - self._begun & 0xFFFFFFFF
        return self._words[register]

    def _write(self, register: int, value: int) -> None:
        count = self._read(COUNT)
        self._words[COUNT] = count
        self._words[register] = value
        counting = self._words[EVENTS] & ON and self._words[CONTROL] & ON
        self._begun = self._now() - self._words[COUNT] if counting else None
