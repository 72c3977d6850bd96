"""The STM32U5's RCC, PWR, FLASH and ICACHE: ST RM0456 7.3.3 (wait states), 8 (ICACHE), 10 (PWR), 11 (RCC). TrustZone is off."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import LAG, MHZ, ClockTree, Flag, Refused, mhz, prescaler, wait_states

RCC, PWR, FLASH, ICACHE = 0x46020C00, 0x46020800, 0x40022000, 0x40030400
CR, CFGR1, CFGR2, PLL1CFGR, PLL1DIVR, AHB3ENR = RCC, RCC + 0x1C, RCC + 0x20, RCC + 0x28, RCC + 0x34, RCC + 0x94
PWR_VOSR, ICACHE_SR = PWR + 0x0C, ICACHE + 4
PWREN, PLLON, BOOSTEN, BOOSTRDY, VOSRDY, MBOOST, REN = 1 << 2, 1 << 24, 1 << 18, 1 << 14, 1 << 15, 15 << 12, 1 << 18
MSIS_READY, PLL_READY = Flag(CR, 1, CR, 4), Flag(CR, PLLON, CR, 1 << 25)
SOURCES = (MSIS_READY, Flag(CR, 1 << 8, CR, 1 << 10), Flag(CR, 1 << 16, CR, 1 << 17), PLL_READY)
BOOST_READY = Flag(PWR_VOSR, BOOSTEN, PWR_VOSR, BOOSTRDY)
NAMES = ("the MSIS", "the HSI16", "the HSE", "PLL1")
RANGES = (25, 55, 110, 160)  # MHz, by PWR_VOSR.VOS: ranges 4 to 1
WAITS = ((12, 25), (24, 48, 55), (30, 60, 90, 110), (32, 64, 96, 128, 160))
WITHOUT_BOOST = 55


class U5ClockTree(ClockTree):
    PAGES = (RCC & -4096, FLASH, ICACHE & -4096)
    RESET = ((CR, 1), (FLASH, 1), (PWR_VOSR, 0))
    FLAGS = (*SOURCES, BOOST_READY)
    SWITCH = (CFGR1, 0, 2, 2)

    def settle(self) -> None:
        super().settle()
        self._scaled = -LAG

    def value(self, word: int) -> int:
        found = super().value(word)
        if word == PWR_VOSR:
            return found & ~VOSRDY | (VOSRDY if self.time - self._scaled >= LAG else 0)
        return found | (1 if self.time < LAG else 0) if word == ICACHE_SR else found

    def accepted(self, word: int, old: int, new: int) -> int:
        if PWR <= word < PWR + 0x400 and not self.has(AHB3ENR, PWREN):
            raise Refused("PWR has no clock: RCC_AHB3ENR.PWREN comes first")
        if word in (PLL1CFGR, PLL1DIVR) and old != new and self.has(CR, PLLON):
            raise Refused("the settings of PLL1 are changed while it is on")
        if word == PLL1CFGR and (old ^ new) & MBOOST and self.has(PWR_VOSR, BOOSTEN):
            raise Refused("RCC_PLL1CFGR.PLL1MBOOST is changed while the booster is on")
        if word == PWR_VOSR:
            self._check_power(old, new)
        if word == CFGR1 and (wanted := new & 3) != self.source:
            if not self.is_ready(SOURCES[wanted]):
                raise Refused(f"SYSCLK is switched to {NAMES[wanted]} before it is ready")
            if wanted == 3 and not self.has(PLL1CFGR, REN):
                raise Refused("SYSCLK is switched to PLL1, whose output R is off (RCC_PLL1CFGR.PLL1REN)")
        if word == ICACHE and new & ~old & 1 and self.value(ICACHE_SR) & 1:
            raise Refused("the instruction cache is switched on while it is being invalidated (ICACHE_SR.BUSYF)")
        return new

    def _check_power(self, old: int, new: int) -> None:
        if (old ^ new) & 3 << 16:
            self._scaled = self.time
        if new & ~old & BOOSTEN:
            if not self.field(PLL1CFGR, 0, 2):
                raise Refused(
                    "the booster has no clock: it is fed by PLL1's source (RCC_PLL1CFGR.PLL1SRC), which comes first"
                )
            if not self.value(PWR_VOSR) & VOSRDY:
                raise Refused("the booster is switched on before VOSRDY")

    def core_hz(self) -> float:
        return self._source_hz(self.source) / prescaler(self.field(CFGR2, 0, 4))

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        if word == CR and new & ~old & PLLON:
            yield from self._pll_limits()
        clock = self.core_hz()
        scale = self.field(PWR_VOSR, 16, 2)
        if clock > WITHOUT_BOOST * MHZ and not self.is_ready(BOOST_READY):
            yield f"{mhz(clock)} before BOOSTRDY: no more than {WITHOUT_BOOST} MHz without the booster"
        if clock > RANGES[scale] * MHZ:
            yield f"{mhz(clock)} in voltage range {4 - scale}: no more than {RANGES[scale]} MHz"
        yield from wait_states(clock, WAITS[scale], self.words[FLASH] & 0xF, "FLASH_ACR")

    def _entry(self) -> float:
        source = (0, 4 * MHZ, 16 * MHZ, self.clock.crystal_hz)[self.field(PLL1CFGR, 0, 2)]
        return source / (self.field(PLL1CFGR, 8, 4) + 1)

    def _pll_limits(self) -> Iterator[str]:
        vco = self._entry() * (self.field(PLL1DIVR, 0, 9) + 1)
        if not 4 * MHZ <= self._entry() <= 16 * MHZ:
            yield f"PLL1's input is {mhz(self._entry())}: it takes 4 to 16 MHz"
        elif not 128 * MHZ <= vco <= 544 * MHZ:
            yield f"PLL1's VCO would run at {mhz(vco)}: it can 128 to 544 MHz"

    def _source_hz(self, source: int) -> float:
        pll = self._entry() * (self.field(PLL1DIVR, 0, 9) + 1) / (self.field(PLL1DIVR, 24, 7) + 1)
        return (4 * MHZ, 16 * MHZ, self.clock.crystal_hz, pll)[source]
