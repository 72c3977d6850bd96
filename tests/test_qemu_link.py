"""QEMU's boards through its GDB stub."""

import numpy as np
import pytest

from smelt.devices.gdb import _expand
from smelt.devices.link import LinkLost, TargetFault
from smelt.devices.qemu import QemuLink
from smelt.devices.session import Session
from smelt.devices.session_errors import FunctionFault
from smelt.errors import DeviceError
from smelt.targets.boards import MPS_BOARDS, board
from tests import link_deaths
from tests.links import DATA, load, mps_board, qemu, ram_of
from tests.tiny_firmware import need

HOLES = {"mps2_an386": 0x70000000, "mps2_an500": 0x70000000, "mps2_an505": 0x0D000000, "mps3_an547": 0x0D000000}
SAY = """
static const char text[] = "hello from the board\\n";
__asm__ volatile("mov r0, #4\\n mov r1, %0\\n bkpt #0xab" :: "r"(text) : "r0", "r1", "memory");
"""
HELIUM = """
__asm__ volatile("ldr r0, =0xE000ED88\\n ldr r1, [r0]\\n orr r1, #0xF00000\\n str r1, [r0]\\n dsb\\n isb\\n"
    "movs r1, #3\\n vdup.8 q0, r1\\n vmladav.s8 r2, q0, q0\\n ldr r0, =%#x\\n str r2, [r0]" ::: "r0", "r1", "r2", "memory");
"""


@pytest.mark.parametrize("name", [b.name for b in MPS_BOARDS])
def test_boards(name):
    with qemu(name) as link:
        for memory in link.board.chip.rams:
            data = bytes(range(256)) * 16
            link.write(memory.end - len(data), data)
            assert link.read(memory.end - len(data), len(data)) == data
            entry, stack = load(link, memory.start, f"*(volatile uint32_t *){memory.start + DATA} = 4711;")
            assert link.call(entry, stack, 5).cycles is None
            assert link.read(memory.start + DATA, 4) == (4711).to_bytes(4, "little")


@pytest.mark.parametrize("name", [b.name for b in MPS_BOARDS])
def test_faults(name):
    with qemu(name) as link:
        entry, stack = load(link, ram_of(link), '__asm__ volatile("udf 1");')
        with pytest.raises(TargetFault, match="undefined instruction"):
            link.call(entry, stack, 5)
        entry, stack = load(link, ram_of(link), f"*(volatile uint32_t *){HOLES[name]} = 1;")
        with pytest.raises(TargetFault, match=f"data access outside memory at address {HOLES[name]:#010x}"):
            link.call(entry, stack, 5)


def test_helium():
    with qemu("mps3_an547") as link:
        ram = ram_of(link)
        entry, stack = load(link, ram, HELIUM % (ram + DATA))
        link.call(entry, stack, 5)
        assert int.from_bytes(link.read(ram + DATA, 4), "little") == 16 * 9


VECTORS = """
#include <stdint.h>
void twice(uint8_t *y, const uint8_t *x)
{
    __asm__ volatile("vldrb.u8 q0, [%1]\\n vadd.i8 q0, q0, q0\\n vstrb.8 q0, [%0]" :: "r"(y), "r"(x) : "q0", "memory");
}
void halve(float *y, const float *x, int n) { for (int i = 0; i < n; i++) y[i] = x[i] * 0.5f; }
void fault(void) { __asm__ volatile("udf 1"); }
"""


def test_modules_of_a_session_may_use_floats_and_helium():
    """Both are off after reset, also after the one that follows a fault."""
    with qemu("mps3_an547") as link, Session(link) as session:
        module = session.load(VECTORS)
        for _ in range(2):
            y = np.zeros(16, np.uint8)
            module.twice(y, np.arange(16, dtype=np.uint8)).result  # noqa: B018 - waits for it
            assert y.tolist() == [2 * i for i in range(16)]
            y = np.zeros(8, np.float32)
            module.halve(y, np.arange(8, dtype=np.float32), 8).result  # noqa: B018
            assert y.tolist() == [0.5 * i for i in range(8)]
            with pytest.raises(FunctionFault):
                module.fault().result  # noqa: B018


def test_semihosting_prints_and_does_not_stop():
    with qemu() as link:
        entry, stack = load(link, ram_of(link), SAY)
        link.call(entry, stack, 5)
        assert "hello from the board" in link.console


def test_killed_in_the_middle():
    link = qemu()
    port = link._gdb._connection.getpeername()[1]
    link_deaths.dies_in_the_middle(link)
    assert not link_deaths.listens(port)


def test_closing_ends_it():
    link_deaths.closing_ends_the_program(qemu())


def test_it_does_not_survive_its_parent():
    need("qemu-system-arm")
    link_deaths.dies_with_its_parent("qemu()")


def test_a_program_that_ends_the_machine():
    with qemu() as link:
        exit_ = '__asm__ volatile("mov r0, #0x18\\n ldr r1, =0x20026\\n bkpt #0xab" ::: "r0", "r1");'
        entry, stack = load(link, ram_of(link), exit_)
        with pytest.raises(LinkLost):
            link.call(entry, stack, 5)


def test_many_links_do_not_disturb_each_other():
    links = [qemu(b.name) for b in MPS_BOARDS]
    try:
        for number, link in enumerate(links):
            link.write(ram_of(link), bytes([number] * 4))
        assert [link.read(ram_of(link), 1)[0] for link in links] == list(range(len(links)))
    finally:
        for link in links:
            link.close()


def test_other_boards_and_programs():
    with pytest.raises(DeviceError, match=r"disco_f746ng: QEMU has no such board; it has mps2_an386"):
        QemuLink(board("disco_f746ng"))
    with pytest.raises(DeviceError, match=r"no-such-qemu is not installed"):
        QemuLink(mps_board("mps2_an500"), program="no-such-qemu")


def test_run_lengths_are_expanded():
    assert _expand(b"0* 12") == "000012"
    assert _expand(b"ab") == "ab"
