"""Simulated boards give their memory back: a process may run thousands of them."""

import sys
from pathlib import Path

import pytest

from smelt.devices.simulators.simulator import Simulator
from smelt.targets.boards import board
from tests.tiny_firmware import tiny_image


def resident_kilobytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="platform: needs /proc")
@pytest.mark.parametrize("name", ["disco_f746ng", "nucleo_l4r5zi"])
def test_runs_leave_no_memory_behind(name):
    """A board that is not given back costs about 7 MB; a few are enough to see it."""
    image = tiny_image(name)
    for _ in range(4):
        Simulator(board(name)).run(image)
    before = resident_kilobytes()
    for _ in range(12):
        Simulator(board(name)).run(image)
    assert resident_kilobytes() - before < 12_000
