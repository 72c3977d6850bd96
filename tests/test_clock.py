"""From reset to full clock: the steps of every board on its simulated registers, and what these refuse."""

from dataclasses import replace

import pytest

from smelt.devices.faults import Fault
from smelt.devices.simulators.attach_clock import TREES, BoardRegisters
from smelt.devices.simulators.link import SimulatorLink
from smelt.devices.simulators.simulator import Simulator
from smelt.firmware.build import build
from smelt.targets.boards import BOARDS, board
from smelt.targets.registers import ALL, Condition, carry_out, change, wait
from tests.tiny_firmware import tiny, tiny_image

CLOCKED = [b for b in BOARDS if b.clock and b.clock.interface in TREES]
L4, F7, H7, U5, PICO = map(board, ("nucleo_l4r5zi", "disco_f746ng", "nucleo_h743zi", "nucleo_u575zi_q", "pico"))
REVISION_Y = replace(H7, chip=replace(H7.chip, debug=replace(H7.chip.debug, revision=0x1003)))


class Stopped(Exception):
    pass


def done(b, steps=None, tries=100):
    """The registers after the steps; Stopped with the sentence where they refuse one, or with "stuck: " where one waits in vain."""

    def refuse(sentence, address):
        raise Stopped(sentence)

    tree = BoardRegisters(b, refuse, lambda _: 0).tree
    stuck = carry_out(
        b.clock.steps if steps is None else steps,
        lambda at: tree.read(at, 4),
        lambda at, value: tree.write(at, 4, value),
        tries,
    )
    if stuck:
        raise Stopped(f"stuck: {stuck.why}")
    return tree


def without(b, *whys):
    """The steps of a board but for those; each must be there."""
    assert all(any(s.why.startswith(why) for s in b.clock.steps) for why in whys)
    return [s for s in b.clock.steps if not s.why.startswith(whys)]


def changed(b, why, value):
    assert sum(s.why.startswith(why) for s in b.clock.steps) == 1
    return [replace(s, value=value) if s.why.startswith(why) else s for s in b.clock.steps]


def earlier(b, why, before):
    """The steps with one of them moved right before another one."""
    (step,) = (s for s in b.clock.steps if s.why.startswith(why))
    rest = [s for s in b.clock.steps if s is not step]
    at = next(n for n, s in enumerate(rest) if s.why.startswith(before))
    return [*rest[:at], step, *rest[at:]]


@pytest.mark.parametrize("b", CLOCKED, ids=lambda b: b.name)
def test_every_board_comes_to_its_clock(b):
    assert done(b).core_hz() == b.clock_hz


@pytest.mark.parametrize("b", CLOCKED, ids=lambda b: b.name)
def test_also_from_where_it_already_is(b):
    """A debugger or a boot loader may have left the chip at its full clock."""
    if b.clock.interface == "stm32_h7":
        return  # its supply is chosen once after power-on; ST's boot ROM leaves it alone
    assert done(b, [*b.clock.steps, *b.clock.steps]).core_hz() == b.clock_hz


def test_earlier_revisions_of_the_h7_end_at_400_mhz():
    assert done(REVISION_Y).core_hz() == 400_000_000


NOT_NEEDED = ("as after a reset", "off", "SYSCLK from the HSI", "SYSCLK from the MSIS", "HSI on", "HSI16 on",
              "prefetch", "range 1", "SYSCFG", "by the LDO", "erratum")  # fmt: skip


@pytest.mark.parametrize("b", CLOCKED, ids=lambda b: b.name)
def test_no_change_can_be_left_out(b):
    """Or the chip refuses a later one, waits for ever, or has another clock; but for what is as after a reset anyway."""
    for left_out in (s for s in b.clock.steps if s.deed == "change"):
        steps = [s for s in b.clock.steps if s is not left_out]
        try:
            fine = done(b, steps).core_hz() == b.clock_hz
        except Stopped:
            fine = False
        assert not fine or any(part in left_out.why for part in NOT_NEEDED) or left_out.only, left_out.why


WRONG = {
    "l4: past 80 MHz at once": (L4, lambda: without(L4, "RCC_CFGR: AHB at half"), "80 MHz passed without the /2 stop"),
    "l4: no microsecond": (L4, lambda: without(L4, "a microsecond"), "80 MHz passed less than a microsecond"),
    "l4: no boost": (L4, lambda: without(L4, "PWR_CR5"), "120 MHz without range 1 boost"),
    "l4: wait states": (L4, lambda: without(L4, "FLASH_ACR"), "flash has 0 wait states .* it needs 2"),
    "l4: four wait states": (
        L4, lambda: [*changed(L4, "FLASH_ACR: 5", 4 | 7 << 8)[:12], *without(L4, "FLASH_ACR")[11:]], "has 4 .* needs 5",
    ),
    "l4: boost off too late": (L4, lambda: [*L4.clock.steps, change(0x40007080, 1 << 8, "off")], "without range 1 boost"),
    "l4: fewer wait states first": (L4, lambda: [*L4.clock.steps, change(0x40022000, 0, "0", mask=15)], "it needs 5"),
    "l4: the PLL's settings": (L4, lambda: earlier(L4, "RCC_CR: PLL on", "RCC_PLLCFGR"), "changed while the PLL is on|VCO"),
    "l4: PWR without a clock": (L4, lambda: without(L4, "RCC_APB1ENR1"), "PWR has no clock"),
    "l4: VCO": (L4, lambda: changed(L4, "RCC_PLLCFGR", 0x01007F02), "VCO would run at 2032 MHz"),
    "f7: overdrive on the PLL": (
        F7, lambda: [*F7.clock.steps, change(0x40007000, 0, "off", mask=3 << 16)],
        "overdrive bits .* while SYSCLK comes from the PLL",
    ),
    "f7: no overdrive": (F7, lambda: without(F7, "PWR_CR1: switch", "PWR_CSR1: ODSWRDY"), "216 MHz without overdrive"),
    "f7: ODSWEN before ODRDY": (F7, lambda: without(F7, "PWR_CSR1: ODRDY"), "ODSWEN is set before ODRDY"),
    "f7: scale while the PLL is on": (
        F7, lambda: [*changed(F7, "PWR_CR1: scale 1", 1 << 14), change(0x40007000, 3 << 14, "scale 1")],
        "216 MHz with PWR_CR1.VOS = 1",
    ),
    "f7: HSE not ready": (F7, lambda: without(F7, "RCC_CR: HSERDY"), "before its source, the HSE, is ready"),
    "f7: a bypass": (
        F7, lambda: [change(0x40023800, 1 << 18, "bypass"), *F7.clock.steps], "a crystal, not a clock",
    ),
    "f7: wait states": (F7, lambda: without(F7, "FLASH_ACR"), "flash has 0 wait states"),
    "f7: APB1": (F7, lambda: changed(F7, "RCC_CFGR: APB1", 0), "APB1 at 216 MHz: no more than 54 MHz"),
    "f7: ARTRST": (F7, lambda: [*F7.clock.steps, change(0x40023C00, 1 << 11, "rst")], "ARTRST is set while"),
    "f7: PWR without a clock": (F7, lambda: without(F7, "RCC_APB1ENR"), "PWR has no clock"),
    "h7: VOS0 past VOS1": (H7, lambda: without(H7, "PWR_D3CR: VOS1"), "VOS0 without passing VOS1"),
    "h7: VOS0 before VOSRDY": (H7, lambda: without(H7, "PWR_D3CR: VOSRDY", "RCC_APB4ENR: SYSCFGEN"), "VOS0 without passing VOS1"),
    "h7: SYSCFG without a clock": (H7, lambda: without(H7, "RCC_APB4ENR"), "SYSCFG has no clock"),
    "h7: no supply": (H7, lambda: without(H7, "PWR_CR3", "PWR_CSR1"), "before the supply is chosen"),
    "h7: VOS0 on revision Y": (REVISION_Y, lambda: [replace(s, only=None) for s in H7.clock.steps], "revisions X and V"),
    "h7: 480 MHz in VOS1": (H7, lambda: without(H7, "SYSCFG_PWRCR"), "480 MHz in VOS1: no more than 400 MHz|WRHIGHFREQ|needs"),
    "h7: AXI": (H7, lambda: without(H7, "RCC_D1CFGR"), "AXI and AHB at 480 MHz .* no more than 240"),
    "h7: APB": (H7, lambda: without(H7, "RCC_D2CFGR"), "APB1 at 240 MHz .* no more than 120"),
    "h7: PLL settings": (H7, lambda: [*H7.clock.steps, change(0x58024430, 7, "N", mask=0x1FF)], "is changed while PLL1 is on"),
    "h7: odd divider": (
        H7, lambda: [s if "480" not in s.why and "x 240" not in s.why else replace(s, value=0x010104EF) for s in H7.clock.steps],
        "divided by 3 .* odd",
    ),
    "h7: input range": (H7, lambda: changed(H7, "RCC_PLLCFGR", 1 << 16), "PLL1's input is 4 MHz"),
    "h7: wait states": (H7, lambda: without(H7, "FLASH_ACR: LATENCY")[:0] + changed(H7, "FLASH_ACR: 4", 0x20), "stuck: FLASH_ACR"),
    "h7: fewer wait states": (H7, lambda: [*H7.clock.steps, change(0x52002000, 2, "2", mask=15)], "it needs 4"),
    "h7: leaving VOS0": (H7, lambda: [*H7.clock.steps, change(0x58024818, 2 << 14, "VOS2", mask=3 << 14)], "ODEN goes first"),
    "u5: no booster": (U5, lambda: without(U5, "PWR_VOSR: booster on", "PWR_VOSR: BOOSTRDY"), "160 MHz before BOOSTRDY"),
    "u5: booster first": (U5, lambda: earlier(U5, "PWR_VOSR: booster on", "RCC_PLL1CFGR"), "the booster has no clock"),
    "u5: booster before VOSRDY": (U5, lambda: without(U5, "PWR_VOSR: VOSRDY"), "before VOSRDY"),
    "u5: MBOOST": (
        U5, lambda: [*earlier(U5, "RCC_PLL1DIVR", "RCC_PLL1CFGR")[:14], change(0x46020C28, 1 << 12, "MBOOST", mask=15 << 12)],
        "MBOOST is changed while the booster is on",
    ),
    "u5: range 4": (U5, lambda: without(U5, "PWR_VOSR: voltage range 1"), "in voltage range 4|stuck: PWR_VOSR"),
    "u5: range lowered first": (U5, lambda: [*U5.clock.steps, change(0x4602080C, 0, "4", mask=3 << 16)], "in voltage range 4"),
    "u5: wait states": (U5, lambda: without(U5, "FLASH_ACR"), "flash has 1 wait states .* it needs 4"),
    "u5: PLL settings": (U5, lambda: [*U5.clock.steps, change(0x46020C34, 1, "N", mask=0x1FF)], "changed while it is on"),
    "u5: PWR without a clock": (U5, lambda: without(U5, "RCC_AHB3ENR"), "PWR has no clock"),
    "pico: the PLL in its reset": (PICO, lambda: without(PICO, "RESETS", "RESET_DONE"), "PLL_SYS is in its reset"),
    "pico: half a reset": (PICO, lambda: without(PICO, "RESET_DONE"), "PLL_SYS is in its reset"),
    "pico: no crystal": (PICO, lambda: without(PICO, "XOSC_STATUS"), "clk_ref is switched to the crystal before it is ready"),
    "pico: XOSC": (PICO, lambda: changed(PICO, "XOSC_CTRL", 0xAA0), "XOSC_CTRL.ENABLE is 0x0"),
    "pico: no lock": (
        PICO, lambda: without(PICO, "PLL_SYS_CS: LOCK", "PLL_SYS_PRIM", "CLK_SYS_CTRL: PLL"), "PLL_SYS before it is ready",
    ),
    "pico: VCO": (PICO, lambda: changed(PICO, "PLL_SYS_FBDIV", 40), "would run at 480 MHz"),
    "pico: too fast": (PICO, lambda: changed(PICO, "PLL_SYS_PRIM", 5 << 16 | 1 << 12), "clk_sys at 300 MHz: no more than 133"),
    "pico: dividers off": (PICO, lambda: without(PICO, "PLL_SYS_PWR: dividers"), "before it is ready .*POSTDIVPD"),
    "pico: settings": (
        PICO, lambda: [*PICO.clock.steps, change(0x40028008, 100, "x 100", mask=0xFFF)], "other settings while its VCO runs",
    ),
    "pico: off": (PICO, lambda: [*PICO.clock.steps, change(0x40028004, 1, "off")], "switched off while clk_sys comes from it"),
    "pico: another source": (
        PICO, lambda: [*PICO.clock.steps, change(0x4000803C, 1 << 5, "PLL_USB")], "AUXSRC is changed while clk_sys comes",
    ),
    "u5: ICACHE": (U5, lambda: [change(0x40030400, 1, "on")], "while it is being invalidated"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_sequences_are_refused(name):
    b, steps, sentence = WRONG[name]
    with pytest.raises(Stopped, match=sentence):
        done(b, steps())


@pytest.mark.parametrize("b", CLOCKED, ids=lambda b: b.name)
def test_who_does_not_wait_for_the_pll_is_refused(b):
    steps = list(b.clock.steps)
    on = next(n for n, s in enumerate(steps) if s.why.endswith(("PLL on", "PLL1 on")))
    switch = next(s for s in steps if s.deed == "change" and ": SYSCLK from" in s.why and "PLL" in s.why)
    with pytest.raises(Stopped, match="before it is ready"):
        done(b, [*steps[: on + 1], switch])


def built(b, steps):
    return replace(b, clock=replace(b.clock, steps=tuple(steps)))


def test_firmware_that_does_it_wrongly_is_stopped_where_it_does():
    wrong = built(L4, without(L4, "RCC_CFGR: AHB at half"))
    with pytest.raises(Fault, match=r"wrong use of registers .* in carry_out at .*80 MHz passed without") as caught:
        Simulator(wrong).run(build(tiny(), wrong), bytes(16))
    assert caught.value.address == 0x40021008


def test_firmware_tells_which_flag_did_not_come():
    never = built(L4, [wait(0x40021000, 1 << 17, 1 << 17, "RCC_CR: HSERDY, and nobody has switched it on")])
    with pytest.raises(
        Fault, match="129 after printing 'start-up: the bits 0x00020000 of the register 0x40021000 did not come'"
    ):
        Simulator(never).run(build(tiny(), never), bytes(16), timeout_instructions=100_000_000)


def test_steps_for_other_revisions_are_passed_over():
    """The same firmware on an early chip, which has no VOS0: it would be refused."""
    image = tiny_image(H7.name)
    assert Simulator(REVISION_Y).run(image, bytes(16)).outputs == Simulator(H7).run(image, bytes(16)).outputs


def test_debug_links_meet_the_same_registers():
    with SimulatorLink(L4) as link:

        def word(at):
            return int.from_bytes(link.read(at, 4), "little")

        assert carry_out(L4.clock.steps, word, lambda at, value: link.write(at, value.to_bytes(4, "little"))) is None
        assert word(0x40021008) & 0xFF == 0xF and link.target.registers.tree.core_hz() == L4.clock_hz
        link.reset()
        assert word(0x40021008) == 0


def test_conditions():
    assert Condition(0, 0xF0, 0x20).holds(0x2F) and not Condition(0, 0xF0, 0x20).holds(0x3F)
    assert change(0, 5, "w").mask == 5 and change(0, 5, "w", mask=ALL).mask == ALL
