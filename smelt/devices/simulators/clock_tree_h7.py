"""The STM32H743's RCC, PWR, FLASH and what else its clock needs: ST RM0433 4.3.8 (wait states), 6 (PWR), 8 (RCC), 12 (SYSCFG)."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import LAG, MHZ, ClockTree, Flag, Refused, mhz, prescaler

RCC, PWR, FLASH, SYSCFG, DBGMCU = 0x58024400, 0x58024800, 0x52002000, 0x58000400, 0x5C001000
CR, CFGR, D1CFGR, D2CFGR, D3CFGR = RCC, RCC + 0x10, RCC + 0x18, RCC + 0x1C, RCC + 0x20
PLLCKSELR, PLLCFGR, PLL1DIVR, APB4ENR = RCC + 0x28, RCC + 0x2C, RCC + 0x30, RCC + 0xF4
PWR_CSR1, PWR_CR3, PWR_D3CR, SYSCFG_PWRCR = PWR + 0x04, PWR + 0x0C, PWR + 0x18, SYSCFG + 0x2C
PLLON, HSEBYP, HSEON, ODEN, SYSCFGEN, VOSRDY, ACTVOSRDY = 1 << 24, 1 << 18, 1 << 16, 1, 2, 1 << 13, 1 << 13
HSI_READY, PLL_READY = Flag(CR, 1, CR, 4), Flag(CR, PLLON, CR, 1 << 25)
SOURCES = (HSI_READY, Flag(CR, 1 << 7, CR, 1 << 8), Flag(CR, HSEON, CR, 1 << 17), PLL_READY)
NAMES = ("the HSI", "the CSI", "the HSE", "PLL1")
OF_PLL = {PLLCKSELR: (0x3F3, "RCC_PLLCKSELR"), PLLCFGR: (0x1000F, "RCC_PLLCFGR"), PLL1DIVR: (0xFFFF, "RCC_PLL1DIVR")}
LATER_REVISIONS, DELAY = 0x2000, "WRHIGHFREQ"
# By voltage scale, 0 to 3: MHz of the core, of AXI and AHB, of an APB; then of AXI for 0, 1, ... wait states.
LIMITS = ((480, 240, 120), (400, 200, 100), (300, 150, 75), (200, 100, 50))
WAITS = ((70, 140, 185, 225, 240), (70, 140, 210, 225, 240), (55, 110, 165, 225, 240), (45, 90, 135, 180, 225))
DELAYS = ((70, 185, 240), (70, 185, 225), (55, 165, 225), (45, 135, 225))  # of AXI for WRHIGHFREQ 0, 1, 2


class H7ClockTree(ClockTree):
    PAGES = (RCC & -4096, FLASH, SYSCFG & -4096, DBGMCU, 0x51008000)
    RESET = (
        (CR, 0x25),
        (FLASH, 0x37),
        (PWR_CR3, 6),
        (PWR_D3CR, 1 << 14),
        (PLLCKSELR, 0x02020200),
        (PLL1DIVR, 0x01010280),
        (PLLCFGR, 0x01FF0000),
    )
    FLAGS = SOURCES
    SWITCH = (CFGR, 0, 3, 3)

    def settle(self) -> None:
        super().settle()
        self.supplied = False
        self._power_since = 0

    @property
    def _debug(self) -> tuple[int, int]:
        found = self.board.chip.debug
        return (found.device, found.revision) if found else (0, LATER_REVISIONS)

    @property
    def scale(self) -> int:
        """The voltage scale: 0 is VOS1 with overdrive, else 4 less what PWR_D3CR has."""
        found = 4 - max(self.field(PWR_D3CR, 14, 2), 1)
        return 0 if found == 1 and self.has(SYSCFG_PWRCR, ODEN) else found

    def value(self, word: int) -> int:
        if word == DBGMCU:
            return self._debug[1] << 16 | self._debug[0]
        found = super().value(word)
        steady = self.supplied and self.time - self._power_since >= LAG
        if word == PWR_D3CR:
            return found & ~VOSRDY | (VOSRDY if steady else 0)
        return found & ~ACTVOSRDY | (ACTVOSRDY if steady else 0) if word == PWR_CSR1 else found

    def accepted(self, word: int, old: int, new: int) -> int:
        if word in OF_PLL and (old ^ new) & OF_PLL[word][0] and self.has(CR, PLLON):
            raise Refused(f"{OF_PLL[word][1]} is changed while PLL1 is on")
        if word == CR and new & HSEON and bool(new & HSEBYP) != self.clock.bypass:
            what = "a clock, not a crystal" if self.clock.bypass else "a crystal, not a clock"
            raise Refused(f"this board feeds {what} into the HSE (RCC_CR.HSEBYP)")
        if word == CFGR and (wanted := new & 7) != self.source and not self.is_ready(SOURCES[min(wanted, 3)]):
            raise Refused(f"SYSCLK is switched to {NAMES[min(wanted, 3)]} before it is ready")
        self._check_power(word, old, new)
        if word in (PWR_CR3, PWR_D3CR, SYSCFG_PWRCR):
            self.supplied = self.supplied or word == PWR_CR3
            self._power_since = self.time
        return new

    def _check_power(self, word: int, old: int, new: int) -> None:
        if word == PWR_CR3 and self.supplied and old != new:
            raise Refused("PWR_CR3 is written a second time: the supply is chosen once after power-on")
        if word == PWR_D3CR and (old ^ new) & 3 << 14:
            if not self.supplied:
                raise Refused("the voltage scale is changed before the supply is chosen (PWR_CR3)")
            if self.has(SYSCFG_PWRCR, ODEN):
                raise Refused("VOS0 is left otherwise than through VOS1: SYSCFG_PWRCR.ODEN goes first")
        if word == SYSCFG_PWRCR and new & ~old & ODEN:
            if not self.has(APB4ENR, SYSCFGEN):
                raise Refused("SYSCFG has no clock (RCC_APB4ENR): ODEN would be ignored")
            if self.scale != 1 or not self.value(PWR_D3CR) & VOSRDY:
                raise Refused("VOS0 without passing VOS1: PWR_D3CR.VOS = 3, then VOSRDY, then ODEN")
            if self._debug[1] < LATER_REVISIONS:
                raise Refused("VOS0 is for the chip's revisions X and V: this one ends at VOS1")

    def core_hz(self) -> float:
        return self._source_hz(self.source) / prescaler(self.field(D1CFGR, 8, 4))

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        if word == CR and new & ~old & PLLON:
            yield from self._pll_limits()
        core = self.core_hz()
        axi = core / prescaler(self.field(D1CFGR, 0, 4))
        limits = LIMITS[self.scale]
        name = f"in VOS{self.scale}"
        if core > limits[0] * MHZ:
            yield f"{mhz(core)} {name}: no more than {limits[0]} MHz"
        if axi > limits[1] * MHZ:
            yield f"AXI and AHB at {mhz(axi)} {name}: no more than {limits[1]} MHz (RCC_D1CFGR.HPRE comes before the switch)"
        for bus, register, low in (("APB3", D1CFGR, 4), ("APB1", D2CFGR, 4), ("APB2", D2CFGR, 8), ("APB4", D3CFGR, 4)):
            clock = axi / prescaler(self.field(register, low, 3), linear=1)
            if self.source == 3 and clock > limits[2] * MHZ:
                yield f"{bus} at {mhz(clock)} {name}: no more than {limits[2]} MHz (its prescaler comes before the switch)"
        yield from self._flash(axi)

    def _flash(self, axi: float) -> Iterator[str]:
        """WRHIGHFREQ is asked for at PLL1's clocks only: ST's own loader clears it at the HSI's 64 MHz, against the table."""
        for what, limits, given in (
            ("wait states (LATENCY)", WAITS[self.scale], self.field(FLASH, 0, 4)),
            (DELAY, DELAYS[self.scale], self.field(FLASH, 4, 2)),
        ):
            needed = next((n for n, limit in enumerate(limits) if axi <= limit * MHZ), len(limits))
            if given < needed and (what != DELAY or self.source == 3):
                yield f"FLASH_ACR has {given} as {what} at {mhz(axi)} of AXI in VOS{self.scale}: it needs {needed}"

    def _entry(self) -> float:
        source = (64 * MHZ, 4 * MHZ, self.clock.crystal_hz, 0)[self.field(PLLCKSELR, 0, 2)]
        return source / max(self.field(PLLCKSELR, 4, 6), 1)

    def _pll_limits(self) -> Iterator[str]:
        entry, vco = self._entry(), self._entry() * (self.field(PLL1DIVR, 0, 9) + 1)
        low = 1 << self.field(PLLCFGR, 2, 2)
        most, divider = 960 if self._debug[1] >= LATER_REVISIONS else 836, self.field(PLL1DIVR, 9, 7) + 1
        if not self.is_ready(SOURCES[self.field(PLLCKSELR, 0, 2) % 3]):
            yield f"PLL1 is switched on before its source, {NAMES[self.field(PLLCKSELR, 0, 2) % 3]}, is ready"
        elif not low * MHZ <= entry <= 2 * low * MHZ:
            yield f"PLL1's input is {mhz(entry)}, and RCC_PLLCFGR.PLL1RGE says {low} to {2 * low} MHz"
        elif divider > 1 and divider % 2:
            yield f"PLL1 is divided by {divider} (DIVP1): an odd number other than 1"
        elif not self.has(PLLCFGR, 2) and not 192 * MHZ <= vco <= most * MHZ:
            yield f"PLL1's VCO would run at {mhz(vco)}: it can 192 to {most} MHz"

    def _source_hz(self, source: int) -> float:
        pll = self._entry() * (self.field(PLL1DIVR, 0, 9) + 1) / (self.field(PLL1DIVR, 9, 7) + 1)
        return (64 * MHZ, 4 * MHZ, self.clock.crystal_hz, pll)[min(source, 3)]
