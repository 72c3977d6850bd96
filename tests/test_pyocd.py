"""pyOCD on simulated chips, through a probe without wires."""

import threading
from dataclasses import replace

import pytest

from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.link import LinkLost, WrongChip
from smelt.devices.pyocd_link import PyOcdLink
from smelt.errors import DeviceError
from smelt.targets.boards import BOARDS, board
from tests.links import DATA, load, need_module, pyocd, ram_of

F746 = debug_chip(board("disco_f746ng"))


@pytest.mark.parametrize("name", [b.name for b in BOARDS if b.chip.debug])
def test_boards(name):
    with pyocd(name) as link:
        ram = ram_of(link)
        entry, stack = load(link, ram, f"*(volatile uint32_t *){ram + DATA} = 4711;")
        assert link.call(entry, stack, 5).cycles < 60
        assert link.read(ram + DATA, 4) == (4711).to_bytes(4, "little")


def test_a_probe_that_is_unplugged():
    with pyocd() as link:
        entry, stack = load(link, ram_of(link), "for (;;) {}")
        threading.Timer(0.2, setattr, (link.probe, "unplugged", True)).start()
        with pytest.raises(LinkLost, match="unplugged"):
            link.call(entry, stack, 20)
        with pytest.raises(LinkLost):
            link.reset()
    link.close()


def test_another_chip():
    with pytest.raises(WrongChip, match="its device identification is 0x451, expected 0x449"):
        pyocd(chip=replace(F746, device=0x451))


def test_no_probe():
    need_module("pyocd")
    with pytest.raises(LinkLost, match=r"'no-such-probe' in its serial number must be connected; found: "):
        PyOcdLink(board("disco_f746ng"), uid="no-such-probe")


def test_boards_without_an_arm_debug_port():
    with pytest.raises(DeviceError, match="does not know the debug port of the ESP32-C3"):
        PyOcdLink(board("esp32c3"))


def test_breakpoint_comparators():
    with pyocd() as link:
        entry, stack = load(link, ram_of(link), '__asm__ volatile("nop\\n nop\\n nop");')
        core = link._core
        nops = entry + link.read(entry, 64).index(b"\x00\xbf\x00\xbf\x00\xbf")
        core.set_breakpoint(nops + 2, core.BreakpointType.HW)
        core.write_core_registers_raw(("sp", "pc", "lr"), (stack, entry, 0xFFFFFFFF))
        core.resume()
        while not core.is_halted():
            pass
        assert core.read_core_register("pc") == nops + 2
        core.remove_breakpoint(nops + 2)
        core.step()
        assert core.read_core_register("pc") == nops + 4
