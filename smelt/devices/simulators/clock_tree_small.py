"""The STM32G0's and the STM32L1's RCC, PWR and FLASH: ST RM0444 3.3.4, 5; RM0038 3.3.3, 5, 6."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import MHZ, ClockTree, Flag, Refused, mhz, prescaler, wait_states

PLLON, PWREN = 1 << 24, 1 << 28

G0_RCC, G0_FLASH = 0x40021000, 0x40022000
G0_CR, G0_CFGR, G0_PLLCFGR = G0_RCC, G0_RCC + 0x08, G0_RCC + 0x0C
G0_SOURCES = (
    Flag(G0_CR, 1 << 8, G0_CR, 1 << 10),
    Flag(G0_CR, 1 << 16, G0_CR, 1 << 17),
    Flag(G0_CR, PLLON, G0_CR, 1 << 25),
)

L1_RCC, L1_PWR, L1_FLASH = 0x40023800, 0x40007000, 0x40023C00
L1_CR, L1_CFGR, L1_APB1ENR = L1_RCC, L1_RCC + 0x08, L1_RCC + 0x24
L1_SOURCES = (
    Flag(L1_CR, 1 << 8, L1_CR, 1 << 9), Flag(L1_CR, 1, L1_CR, 2),
    Flag(L1_CR, 1 << 16, L1_CR, 1 << 17), Flag(L1_CR, PLLON, L1_CR, 1 << 25),
)  # fmt: skip
ACC64, LATENCY = 1 << 2, 1
MULTIPLIERS = (3, 4, 6, 8, 12, 16, 24, 32, 48)


class G0ClockTree(ClockTree):
    PAGES = (G0_RCC, G0_FLASH)
    RESET = ((G0_CR, 1 << 8), (G0_PLLCFGR, 0x1000), (G0_FLASH, 0x600))
    FLAGS = G0_SOURCES
    SWITCH = (G0_CFGR, 0, 3, 3)

    def accepted(self, word: int, old: int, new: int) -> int:
        if word == G0_PLLCFGR and old != new and self.has(G0_CR, PLLON):
            raise Refused("RCC_PLLCFGR is changed while the PLL is on")
        if word == G0_CFGR and (wanted := new & 7) != self.source and not self.is_ready(G0_SOURCES[min(wanted, 2)]):
            raise Refused(f"SYSCLK is switched to source {wanted} before it is ready")
        return new

    def core_hz(self) -> float:
        pll = self._vco() / (self.field(G0_PLLCFGR, 29, 3) + 1)
        return (16 * MHZ, self.clock.crystal_hz, pll)[min(self.source, 2)] / prescaler(self.field(G0_CFGR, 8, 4))

    def _vco(self) -> float:
        return 16 * MHZ / (self.field(G0_PLLCFGR, 4, 3) + 1) * self.field(G0_PLLCFGR, 8, 7)

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        vco, clock = self._vco(), self.core_hz()
        if word == G0_CR and new & ~old & PLLON and not 64 * MHZ <= vco <= 344 * MHZ:
            yield f"the PLL's VCO would run at {mhz(vco)}: it can 64 to 344 MHz"
        if clock > 64 * MHZ:
            yield f"{mhz(clock)}: no more than 64 MHz"
        yield from wait_states(clock, (24, 48, 64), self.words[G0_FLASH] & 7, "FLASH_ACR")


class L1ClockTree(ClockTree):
    PAGES = (L1_RCC & -4096, L1_PWR)
    RESET = ((L1_CR, 0x300), (L1_PWR, 1 << 12))
    FLAGS = L1_SOURCES
    SWITCH = (L1_CFGR, 0, 2, 2)

    def accepted(self, word: int, old: int, new: int) -> int:
        if word == L1_PWR and not self.has(L1_APB1ENR, PWREN):
            raise Refused("PWR has no clock: RCC_APB1ENR.PWREN comes first")
        if word == L1_FLASH and new & ~old & LATENCY and not old & ACC64:
            raise Refused("FLASH_ACR.LATENCY is set before ACC64")
        if word == L1_CFGR:
            if (old ^ new) & (1 << 16 | 0x3F << 18) and self.has(L1_CR, PLLON):
                raise Refused("the settings of the PLL are changed while it is on")
            if (wanted := new & 3) != self.source and not self.is_ready(L1_SOURCES[wanted]):
                raise Refused(f"SYSCLK is switched to source {wanted} before it is ready")
        return new

    def core_hz(self) -> float:
        return self._source_hz(self.source) / prescaler(self.field(L1_CFGR, 4, 4))

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        clock = self.core_hz()
        limit = (0, 32, 16, 4)[self.field(L1_PWR, 11, 2)]
        if clock > limit * MHZ:
            yield f"{mhz(clock)} in voltage range {self.field(L1_PWR, 11, 2)}: no more than {limit} MHz"
        yield from wait_states(
            clock, (16, 32) if limit == 32 else (8, 16), self.words.get(L1_FLASH, 0) & 1, "FLASH_ACR"
        )

    def _source_hz(self, source: int) -> float:
        entry = self.clock.crystal_hz if self.has(L1_CFGR, 1 << 16) else 16 * MHZ
        pll = entry * MULTIPLIERS[min(self.field(L1_CFGR, 18, 4), 8)] / (self.field(L1_CFGR, 22, 2) + 1)
        return (2.097 * MHZ, 16 * MHZ, self.clock.crystal_hz, pll)[source]
