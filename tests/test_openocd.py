"""A real OpenOCD with its stock configurations, on simulated chips."""

import re
from dataclasses import replace

import pytest

from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.link import LinkLost, WrongChip
from smelt.devices.openocd import OpenOcdLink, pieces
from smelt.errors import DeviceError
from smelt.targets.boards import BOARDS, board
from tests import link_deaths
from tests.links import CODE, DATA, load, openocd, ram_of
from tests.tiny_firmware import need

SQUARES = "volatile uint32_t *p = (volatile uint32_t *)0x%x; for (uint32_t i = 0; i < 8; i++) p[i] = i * i;"
F746 = debug_chip(board("disco_f746ng"))


@pytest.fixture(scope="module")
def f746():
    with openocd() as found:
        yield found


@pytest.mark.parametrize("name", [b.name for b in BOARDS if b.chip.debug])
def test_stock_configurations(name):
    with openocd(name) as link:
        ram = ram_of(link)
        entry, stack = load(link, ram, SQUARES % (ram + DATA))
        stop = link.call(entry, stack, 5)
        assert link.read(ram + DATA, 16) == b"".join((i * i).to_bytes(4, "little") for i in range(4))
        assert 30 < stop.cycles < 200
        output = link.process.output()
    assert "processor detected" in output
    assert "tap/device found" in output
    assert "UNEXPECTED" not in output
    # the stock files change the adapter's speed during a reset, which this adapter has none of
    assert re.findall(r"^Error: (?!Translation from khz)", output, re.MULTILINE) == []


def test_examination(f746):
    output = f746.process.output()
    assert "stm32f7x.cpu tap/device found: 0x5ba00477" in output
    assert "stm32f7x.bs tap/device found: 0x06449041" in output
    assert "Cortex-M7 r1p1 processor detected" in output
    assert "8 breakpoints, 4 watchpoints" in output
    assert f746.tcl("stm32f7x.cpu curstate").strip() == "halted"


def test_breakpoints_and_single_steps(f746):
    ram = ram_of(f746)
    entry, stack = load(
        f746, ram, 'register int a __asm__("r4") = 1; __asm__ volatile("nop\\n movs %0, #7\\n nop" : "+r"(a));'
    )
    code = f746.read(entry, 64)
    seven = entry + code.index(b"\x07\x24")
    f746.tcl(f"bp {seven:#x} 2 hw; set_reg {{pc {entry:#x} sp {stack:#x}}}; resume; wait_halt 2000")
    assert f746.tcl("get_reg {pc}").split()[1] == f"{seven:#010x}"
    f746.tcl("step")
    assert f746.tcl("get_reg {r4 pc}").split()[1::2] == ["0x00000007", f"{seven + 2:#010x}"]
    f746.tcl(f"rbp {seven:#x}")
    assert f746.call(entry, stack, 5).pc == entry + CODE + 4


def test_load_image_and_verify(f746, tmp_path):
    ram, data = ram_of(f746), bytes(range(256)) * 8
    (tmp_path / "image.bin").write_bytes(data)
    f746.tcl(f"load_image {{{(tmp_path / 'image.bin').as_posix()}}} {ram + 1:#x} bin")
    assert f746.read(ram + 1, len(data)) == data


def test_commands_that_fail(f746):
    with pytest.raises(DeviceError, match="nonsense"):
        f746.tcl("nonsense")
    with pytest.raises(DeviceError, match="here"):
        f746.tcl("error {not here}")
    assert f746.tcl("expr {6 * 7}") == "42"


def test_another_chip_by_its_tap():
    with pytest.raises(WrongChip, match=r"not a STM32F746: its JTAG identification is 0x4ba00477, expected 0x5ba00477"):
        openocd(chip=replace(F746, jtag_id=0x4BA00477))


def test_another_chip_of_the_same_family():
    with pytest.raises(WrongChip, match="its device identification is 0x451, expected 0x449") as caught:
        openocd(chip=replace(F746, device=0x451))
    assert (caught.value.expected, caught.value.found) == (0x449, 0x451)


def test_killed_in_the_middle():
    link = openocd()
    server = link._server.address[1]
    link_deaths.dies_in_the_middle(link)
    assert not link_deaths.listens(server)


def test_closing_ends_it():
    link_deaths.closing_ends_the_program(openocd())


def test_it_does_not_survive_its_parent():
    need("openocd")
    link_deaths.dies_with_its_parent("openocd()")


def test_no_adapter():
    need("openocd")
    with pytest.raises(LinkLost, match=r"(?i)openocd.*Failed to connect"):
        OpenOcdLink(
            board("disco_f746ng"),
            ("adapter driver remote_bitbang; remote_bitbang host 127.0.0.1; remote_bitbang port 9",),
        )


def test_no_program():
    with pytest.raises(DeviceError, match=r"no-such-openocd is not installed: install it"):
        OpenOcdLink(board("disco_f746ng"), (), program="no-such-openocd")


def test_boards_without_an_arm_debug_port():
    with pytest.raises(DeviceError, match="does not know the debug port of the ESP32-C3"):
        OpenOcdLink(board("esp32c3"), ())


def test_pieces():
    assert pieces(0, 8) == [(0, 4, 2)]
    assert pieces(1, 1) == [(1, 1, 1)]
    assert pieces(3, 6) == [(3, 1, 1), (4, 4, 1), (8, 1, 1)]
    assert pieces(2, 0) == []
