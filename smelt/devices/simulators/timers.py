"""The core's own timers, DWT->CYCCNT and SysTick, as the firmware reads them: they follow the simulated clock.

Both live in memory that is brought up to date just before the firmware reads it. Interrupts are not simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.simulators.memory_map import DWT_PAGE, SYSTEM_CONTROL, Mapped, find

DWT_CTRL, DWT_CYCCNT, CYCCNTENA = 0xE0001000, 0xE0001004, 1
SYSTICK_CTRL, SYSTICK_LOAD, SYSTICK_VAL = 0xE000E010, 0xE000E014, 0xE000E018
ENABLE, CORE_CLOCK, COUNTFLAG = 1, 1 << 2, 1 << 16
EXTERNAL_DIVIDER = 8  # STM32: SysTick's other clock is the bus clock over eight
PAGES = (DWT_PAGE, SYSTEM_CONTROL)
RANGES = ((DWT_CTRL, DWT_CYCCNT + 3), (SYSTICK_CTRL, SYSTICK_VAL + 3))


@dataclass
class Timers:
    """Answers for the registers on `PAGES`, most of which are mere memory. `now()` gives the cycles since reset."""

    maps: tuple[Mapped, ...]
    now: Callable[[], int]
    cycle_base: int = 0  # CYCCNT is now() minus this, while it counts
    tick_base: int = 0  # when SysTick last had its reload value
    wraps: int = 0  # that COUNTFLAG has reported

    def read(self, address: int, size: int) -> int:
        self.before_read(address)
        mapped, offset = find(self.maps, address, size)
        return int.from_bytes(mapped.data[offset : offset + size].tobytes(), "little")

    def write(self, address: int, size: int, value: int) -> None:
        self.before_write(address, value)
        mapped, offset = find(self.maps, address, size)
        mapped.data[offset : offset + size] = np.frombuffer(
            (value % (1 << 8 * size)).to_bytes(size, "little"), np.uint8
        )

    def before_read(self, address: int) -> None:
        word = address & ~3
        if word == DWT_CYCCNT and self._get(DWT_CTRL) & CYCCNTENA:
            self._set(DWT_CYCCNT, self.now() - self.cycle_base)
        elif word in (SYSTICK_VAL, SYSTICK_CTRL) and self._get(SYSTICK_CTRL) & ENABLE:
            self._tick(word)

    def before_write(self, address: int, value: int) -> None:
        word = address & ~3
        if word == DWT_CTRL:
            if value & CYCCNTENA and not self._get(DWT_CTRL) & CYCCNTENA:
                self.cycle_base = self.now() - self._get(DWT_CYCCNT)
            elif not value & CYCCNTENA:
                self.before_read(DWT_CYCCNT)
        elif word == DWT_CYCCNT:
            self.cycle_base = self.now() - value
        elif word == SYSTICK_VAL or (word == SYSTICK_CTRL and value & ENABLE and not self._get(word) & ENABLE):
            self.tick_base, self.wraps = self.now(), 0

    def _tick(self, word: int) -> None:
        control, load = self._get(SYSTICK_CTRL), self._get(SYSTICK_LOAD) & 0xFFFFFF
        ticks = (self.now() - self.tick_base) // (1 if control & CORE_CLOCK else EXTERNAL_DIVIDER)
        wraps, past = divmod(ticks, load + 1)
        if word == SYSTICK_VAL:
            self._set(SYSTICK_VAL, (load - past) if past else (load if not wraps else 0))
            return
        self._set(SYSTICK_CTRL, control & ~COUNTFLAG | (COUNTFLAG if wraps > self.wraps else 0))
        self.wraps = wraps

    def _word(self, address: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        mapped, offset = find(self.maps, address, 4)
        return mapped.data[offset : offset + 4].view("<u4")

    def _get(self, address: int) -> int:
        return int(self._word(address)[0])

    def _set(self, address: int, value: int) -> None:
        self._word(address)[0] = value & 0xFFFFFFFF
