"""The STM32L4+'s RCC, PWR and FLASH: ST RM0432 3.3.3 (wait states), 5 (PWR), 6 (RCC)."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import MHZ, ClockTree, Flag, Refused, mhz, prescaler, wait_states

RCC, PWR, FLASH = 0x40021000, 0x40007000, 0x40022000
CR, CFGR, PLLCFGR, APB1ENR1 = RCC, RCC + 0x08, RCC + 0x0C, RCC + 0x58
PWR_CR1, PWR_SR2, PWR_CR5 = PWR, PWR + 0x14, PWR + 0x80
PWREN, PLLON, PLLREN, R1MODE = 1 << 28, 1 << 24, 1 << 24, 1 << 8
PLL_READY = Flag(CR, PLLON, CR, 1 << 25)
SOURCES = (Flag(CR, 1, CR, 2), Flag(CR, 1 << 8, CR, 1 << 10), Flag(CR, 1 << 16, CR, 1 << 17), PLL_READY)
NAMES = ("the MSI", "the HSI16", "the HSE", "the PLL")
MSI_KHZ = (100, 200, 400, 800, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 48000)
WITHOUT_BOOST = 80
MICROSECOND = 16
"""Accesses that take no less at 60 MHz, four cycles and more each."""


class L4ClockTree(ClockTree):
    PAGES = (RCC, PWR, FLASH)
    RESET = ((CR, 0x63), (PLLCFGR, 0x1000), (PWR_CR1, 1 << 9), (PWR_CR5, R1MODE), (FLASH, 0x600))
    FLAGS = SOURCES
    SWITCH = (CFGR, 0, 2, 2)

    def accepted(self, word: int, old: int, new: int) -> int:
        if PWR <= word < PWR + 0x400 and not self.has(APB1ENR1, PWREN):
            raise Refused("PWR has no clock: RCC_APB1ENR1.PWREN comes first")
        if word == PLLCFGR and old != new and self.has(CR, PLLON):
            raise Refused("RCC_PLLCFGR is changed while the PLL is on")
        if word == CFGR and (wanted := new & 3) != self.source:
            if not self.is_ready(SOURCES[wanted]):
                raise Refused(f"SYSCLK is switched to {NAMES[wanted]} before it is ready")
            if wanted == 3 and not self.has(PLLCFGR, PLLREN):
                raise Refused("SYSCLK is switched to the PLL, whose output R is off (RCC_PLLCFGR.PLLREN)")
        return self._prescaled(old, new) if word == CFGR else new

    def _prescaled(self, old: int, new: int) -> int:
        """RM0432 6.2.9: through 80 MHz, the AHB stops at half of SYSCLK for a microsecond."""
        before, after = self._ahb(old, self.source), self._ahb(new, new & 3)
        if before <= WITHOUT_BOOST * MHZ < after:
            if new & 3 != self.source or not old >> 4 & 8:
                raise Refused("80 MHz passed without the /2 stop (RCC_CFGR.HPRE) on the way")
            if self.time - self.switched < MICROSECOND:
                raise Refused("80 MHz passed less than a microsecond after the switch to the PLL")
        return new

    def core_hz(self) -> float:
        return self._ahb(self.words.get(CFGR, 0), self.source)

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        if word == CR and new & ~old & PLLON:
            yield from self._pll_limits()
        clock = self.core_hz()
        if clock > WITHOUT_BOOST * MHZ and self.has(PWR_CR5, R1MODE):
            yield f"{mhz(clock)} without range 1 boost (PWR_CR5.R1MODE)"
        if self.field(PWR_CR1, 9, 2) != 1 and clock > 26 * MHZ:
            yield f"{mhz(clock)} in voltage range 2 (PWR_CR1.VOS)"
        yield from wait_states(clock, (20, 40, 60, 80, 100, 120), self.words[FLASH] & 0xF, "FLASH_ACR")

    def _pll_limits(self) -> Iterator[str]:
        entry = self._source_hz(self.words.get(PLLCFGR, 0) & 3 and (self.words[PLLCFGR] & 3) - 1)
        entry /= self.field(PLLCFGR, 4, 4) + 1
        vco = entry * self.field(PLLCFGR, 8, 7)
        if not 2.66 * MHZ <= entry <= 16 * MHZ:
            yield f"the PLL's input is {mhz(entry)}: it takes 2.66 to 16 MHz"
        elif not 64 * MHZ <= vco <= 344 * MHZ:
            yield f"the PLL's VCO would run at {mhz(vco)}: it can 64 to 344 MHz"

    def _source_hz(self, source: int) -> float:
        if source == 3:
            source_of_pll = max(self.field(PLLCFGR, 0, 2) - 1, 0)
            vco = self._source_hz(source_of_pll) / (self.field(PLLCFGR, 4, 4) + 1) * self.field(PLLCFGR, 8, 7)
            return vco / (2 * self.field(PLLCFGR, 25, 2) + 2)
        selected = self.field(CR, 4, 4) if self.has(CR, 1 << 3) else 6
        return (MSI_KHZ[min(selected, 11)] * 1000, 16 * MHZ, self.clock.crystal_hz)[source]

    def _ahb(self, configuration: int, source: int) -> float:
        return self._source_hz(source) / prescaler(configuration >> 4 & 15)
