"""Sessions and plain calls on the controller of a simulated chip with a cluster; which device runs such boards."""

import numpy as np
import pytest

from smelt.devices.choose import default_device, open_link, run_image
from smelt.devices.link import TargetFault, TimedOut
from smelt.devices.session import Session
from smelt.devices.session_errors import FunctionFault
from smelt.devices.simulators.cluster_link import ClusterLink
from smelt.errors import DeviceError
from tests.cluster_c import BOARD, image
from tests.test_cluster_runtime import SUMS

C = """
#include <stdint.h>
static int calls = 40;
int counted(void) { return ++calls; }
int sum(const int32_t *x, int n) { int s = 0; for (int i = 0; i < n; i++) s += x[i]; return s; }
void add_one(int32_t *x, int n) { for (int i = 0; i < n; i++) x[i]++; }
int through_null(void) { return *(volatile int *)4; }
"""
EBREAK, ENDLESS = bytes.fromhex("73001000"), bytes.fromhex("6f000000")
CODE, STACK = BOARD.chip.image_start, 0x1B001000


def test_a_session_drives_the_controller():
    with Session(BOARD) as session:
        module = session.load(C)
        x = session.tensor(np.arange(50, dtype=np.int32))
        module.add_one(x, 50)
        assert module.sum(x, 50).result == sum(range(51))
        assert [module.counted().result for _ in range(2)] == [41, 42]
        with pytest.raises(FunctionFault, match="through_null"):
            _ = module.through_null().result


def test_calls_stop_at_breakpoints_with_their_cycles():
    with open_link(BOARD) as link:
        assert isinstance(link, ClusterLink) and default_device(BOARD) == "simulator"
        link.write(CODE, bytes.fromhex("1305a002") + EBREAK)  # li a0, 42
        stops = [link.call(CODE, STACK, 1.0) for _ in range(2)]
        assert {s.pc for s in stops} == {CODE + 4} and link.machine.get(8, 10) == 42
        assert stops[0].cycles > stops[1].cycles == 1  # the first time it is not in the instruction cache


def test_what_goes_wrong_in_a_call_is_told():
    link = ClusterLink(BOARD)
    link.write(CODE, ENDLESS)
    with pytest.raises(TimedOut, match="0x1c000000"):
        link.call(CODE, STACK, 0.05)
    link.write(CODE, bytes(4))
    with pytest.raises(TargetFault, match="undefined instruction"):
        link.call(CODE, STACK, 1.0)
    with pytest.raises(TargetFault, match="read of memory never written at address 0x1b000ffc"):
        link.write(CODE, bytes.fromhex("0325c1ff"))  # lw a0, -4(sp)
        link.call(CODE, STACK, 1.0)
    for use in (lambda: link.read(0, 4), lambda: link.write(0x1000FFFF, b"12")):
        with pytest.raises(DeviceError):
            use()


def test_boards_with_a_cluster_are_run_by_its_simulator():
    given = bytes(range(256)) * 16
    result = run_image(BOARD, image(SUMS, 4096, 32, ("add_up",)), given)
    assert np.frombuffer(result.outputs, "<u4").tolist() == [2 * 32640] * 8 and len(result.step_cycles) == 1
