"""The RP2040's resets, crystal oscillator, PLL_SYS and clocks: its datasheet 2.14 to 2.18."""

from __future__ import annotations

from collections.abc import Iterator

from smelt.devices.simulators.clock_tree import LAG, MHZ, ClockTree, Flag, Refused, mhz
from smelt.targets.registers import ALL

CLOCKS, RESETS, XOSC, PLL = 0x40008000, 0x4000C000, 0x40024000, 0x40028000
REF_CTRL, REF_SELECTED, SYS_CTRL, SYS_SELECTED = CLOCKS + 0x30, CLOCKS + 0x38, CLOCKS + 0x3C, CLOCKS + 0x44
RESET_DONE, XOSC_STATUS = RESETS + 8, XOSC + 4
PLL_CS, PLL_PWR, PLL_FBDIV, PLL_PRIM = PLL, PLL + 4, PLL + 8, PLL + 12
PLL_SYS, EVERYTHING = 1 << 12, 0x01FFFFFF
OFF, DIVIDERS_OFF = 1 | 1 << 5, 1 << 3  # PD and VCOPD; POSTDIVPD
ON, NOT_ON = 0xFAB, 0xD1E  # of XOSC_CTRL.ENABLE
CRYSTAL = Flag(XOSC, 1 << 12, XOSC_STATUS, 1 << 31)
RING_HZ = 6.5 * MHZ
MOST_HZ = 133 * MHZ


class Rp2ClockTree(ClockTree):
    """clk_sys comes from clk_ref, or from PLL_SYS; clk_ref from the ring oscillator, or from the crystal."""

    PAGES = (CLOCKS, RESETS, XOSC, PLL)
    RESET = ((RESETS, EVERYTHING), (PLL_CS, 1), (PLL_PWR, 0x2D), (PLL_PRIM, 7 << 16 | 7 << 12))
    FLAGS = (CRYSTAL,)
    SWITCH = (SYS_CTRL, 0, 0, 0)

    def settle(self) -> None:
        super().settle()
        self._written: dict[int, int] = {}  # when a register got another value; of PLL_PWR, when its VCO went on or off
        self._before_reset = EVERYTHING

    def value(self, word: int) -> int:
        if word == RESET_DONE:
            held = self.words[RESETS] | (0 if self._is_settled(RESETS) else self._before_reset)
            return ~held & EVERYTHING
        if word == PLL_CS:
            return self.words[PLL_CS] & 0x13F | (self._locked << 31)
        if word in (REF_SELECTED, SYS_SELECTED):
            bits = 3 if word == REF_SELECTED else 1
            return 1 << (self.words.get(word - 8, 0) & bits) if self._is_settled(word - 8) else 0
        return super().value(word)

    def _is_settled(self, word: int) -> bool:
        return self.time - self._written.get(word, -LAG) >= LAG

    @property
    def _locked(self) -> bool:
        return not self.words[PLL_PWR] & OFF and self._is_settled(PLL_PWR)

    def accepted(self, word: int, old: int, new: int) -> int:
        if word & -4096 == PLL and not self.value(RESET_DONE) & PLL_SYS:
            raise Refused("PLL_SYS is in its reset (RESETS, RESET_DONE): it takes nothing")
        if word == XOSC and new >> 12 not in (ON, NOT_ON):
            raise Refused(f"XOSC_CTRL.ENABLE is 0x{new >> 12:X}: it knows 0xFAB and 0xD1E only")
        if word in (PLL_CS, PLL_FBDIV) and (old ^ new) & 0xFFF and not self.words[PLL_PWR] & OFF:
            raise Refused("PLL_SYS gets other settings while its VCO runs")
        if word == REF_CTRL and new & 3 == 2 and not self.is_ready(CRYSTAL):
            raise Refused("clk_ref is switched to the crystal before it is ready (XOSC_STATUS.STABLE)")
        if word == SYS_CTRL:
            self._check_switch(old, new)
        if (old ^ new) & (OFF if word == PLL_PWR else ALL):
            self._written[word] = self.time
            if word == RESETS:
                self._before_reset = old
        return new

    def _check_switch(self, old: int, new: int) -> None:
        if old & 1 and (old ^ new) & 7 << 5:
            raise Refused("CLK_SYS_CTRL.AUXSRC is changed while clk_sys comes from there: that glitches")
        if new & 1 and not new & 7 << 5 and (not self._locked or self.words[PLL_PWR] & DIVIDERS_OFF):
            raise Refused("clk_sys is switched to PLL_SYS before it is ready (LOCK, then POSTDIVPD)")

    def core_hz(self) -> float:
        if self.words.get(SYS_CTRL, 0) & 1:
            return self._vco() / max(self.field(PLL_PRIM, 16, 3) * self.field(PLL_PRIM, 12, 3), 1)
        return self.clock.crystal_hz if self.words.get(REF_CTRL, 0) & 3 == 2 else RING_HZ

    def _vco(self) -> float:
        return self.clock.crystal_hz / max(self.field(PLL_CS, 0, 6), 1) * self.field(PLL_FBDIV, 0, 12)

    def illegal(self, word: int, old: int, new: int) -> Iterator[str]:
        vco, clock = self._vco(), self.core_hz()
        if word == PLL_PWR and old & OFF and not new & OFF and not 750 * MHZ <= vco <= 1600 * MHZ:
            yield f"the VCO of PLL_SYS would run at {mhz(vco)}: it can 750 to 1600 MHz"
        if clock > MOST_HZ:
            yield f"clk_sys at {mhz(clock)}: no more than {mhz(MOST_HZ)}"
        if self.words.get(SYS_CTRL, 0) & 1 and self.words[PLL_PWR] & (OFF | DIVIDERS_OFF):
            yield "PLL_SYS is switched off while clk_sys comes from it"
