"""The STM32F7's RCC, PWR and FLASH: ST RM0385 3.3.2 (wait states at 2.7 to 3.6 V), 4.1.4 (overdrive), 5 (RCC)."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import MHZ, ClockTree, Flag, Refused, mhz, prescaler, wait_states

RCC, PWR, FLASH = 0x40023800, 0x40007000, 0x40023C00
CR, PLLCFGR, CFGR, APB1ENR = RCC, RCC + 0x04, RCC + 0x08, RCC + 0x40
PWR_CR1, PWR_CSR1 = PWR, PWR + 0x04
PWREN, PLLON, HSEBYP, ODEN, ODSWEN = 1 << 28, 1 << 24, 1 << 18, 1 << 16, 1 << 17
ARTEN, ARTRST = 1 << 9, 1 << 11
HSE_READY, PLL_READY = Flag(CR, 1 << 16, CR, 1 << 17), Flag(CR, PLLON, CR, 1 << 25)
SOURCES = (Flag(CR, 1, CR, 2), HSE_READY, PLL_READY)
OVERDRIVE, SWITCHED = Flag(PWR_CR1, ODEN, PWR_CSR1, ODEN), Flag(PWR_CR1, ODSWEN, PWR_CSR1, ODSWEN)
NAMES = ("the HSI", "the HSE", "the PLL")
SCALES = {3: 180, 2: 168, 1: 144}  # MHz, by PWR_CR1.VOS, where the PLL runs


class F7ClockTree(ClockTree):
    PAGES = (RCC & -4096, PWR)
    RESET = ((CR, 0x81), (PLLCFGR, 0x24003010), (PWR_CR1, 0xC000))
    FLAGS = (*SOURCES, OVERDRIVE, SWITCHED)
    SWITCH = (CFGR, 0, 2, 2)

    def accepted(self, word: int, old: int, new: int) -> int:
        if word in (PWR_CR1, PWR_CSR1) and not self.has(APB1ENR, PWREN):
            raise Refused("PWR has no clock: RCC_APB1ENR.PWREN comes first")
        if word == PWR_CR1:
            return self._power(old, new)
        if word == PLLCFGR and old != new and self.has(CR, PLLON):
            raise Refused("RCC_PLLCFGR is changed while the PLL is on")
        if word == CR and new & (1 << 16) and bool(new & HSEBYP) != self.clock.bypass:
            what = "a clock, not a crystal" if self.clock.bypass else "a crystal, not a clock"
            raise Refused(f"this board feeds {what} into the HSE (RCC_CR.HSEBYP)")
        if word == CFGR and (wanted := new & 3) != self.source and not self.is_ready(SOURCES[min(wanted, 2)]):
            raise Refused(f"SYSCLK is switched to {NAMES[min(wanted, 2)]} before it is ready")
        if word == FLASH and new & ARTRST and new & ARTEN:
            raise Refused("FLASH_ACR.ARTRST is set while the accelerator is on")
        return new

    def _power(self, old: int, new: int) -> int:
        if (old ^ new) & (ODEN | ODSWEN) and self.source == 2:
            raise Refused("overdrive bits are changed while SYSCLK comes from the PLL")
        if new & ~old & ODSWEN and not self.is_ready(OVERDRIVE):
            raise Refused("PWR_CR1.ODSWEN is set before ODRDY")
        if (old ^ new) & 3 << 14 and self.has(CR, PLLON):
            return new & ~(3 << 14) | old & 3 << 14  # the hardware takes no notice
        return new

    def core_hz(self) -> float:
        return self._source_hz(self.source) / prescaler(self.field(CFGR, 4, 4))

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        if word == CR and new & ~old & PLLON:
            yield from self._pll_limits()
        overdrive = self.is_ready(SWITCHED)
        clock = self.core_hz()
        scale = self.field(PWR_CR1, 14, 2)
        limit = SCALES.get(scale, 0) + (36 if overdrive and scale == 3 else 12 if overdrive else 0)
        if self.source == 2 and clock > limit * MHZ:
            hint = "without overdrive" if scale == 3 and not overdrive else f"with PWR_CR1.VOS = {scale}"
            yield f"{mhz(clock)} {hint}: no more than {limit} MHz"
        for name, low, slow, fast in (("APB1", 10, 45, 54), ("APB2", 13, 90, 108)):
            bus = clock / prescaler(self.field(CFGR, low, 3), linear=1)
            if bus > (fast if overdrive else slow) * MHZ:
                yield f"{name} at {mhz(bus)}: no more than {fast if overdrive else slow} MHz"
        yield from wait_states(clock, tuple(range(30, 241, 30)), self.words.get(FLASH, 0) & 0xF, "FLASH_ACR")

    def _entry(self) -> float:
        source = self.clock.crystal_hz if self.has(PLLCFGR, 1 << 22) else 16 * MHZ
        return source / max(self.field(PLLCFGR, 0, 6), 1)

    def _pll_limits(self) -> Iterator[str]:
        vco = self._entry() * self.field(PLLCFGR, 6, 9)
        if self.has(PLLCFGR, 1 << 22) and not self.is_ready(HSE_READY):
            yield "the PLL is switched on before its source, the HSE, is ready"
        elif not 0.95 * MHZ <= self._entry() <= 2.1 * MHZ:
            yield f"the PLL's input is {mhz(self._entry())}: it takes 1 to 2 MHz"
        elif not 100 * MHZ <= vco <= 432 * MHZ:
            yield f"the PLL's VCO would run at {mhz(vco)}: it can 100 to 432 MHz"

    def _source_hz(self, source: int) -> float:
        pll = self._entry() * self.field(PLLCFGR, 6, 9) / (2 * self.field(PLLCFGR, 16, 2) + 2)
        return (16 * MHZ, self.clock.crystal_hz, pll, pll)[source]
