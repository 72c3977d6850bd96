"""Every way to a device, for the tests of sessions: the simulator in process, real OpenOCD and pyOCD on simulated chips, QEMU."""

from __future__ import annotations

from typing import Any

from smelt.devices.link import DebugLink, LinkLost
from tests.links import LINKS

TRANSPORTS = (
    "simulator-nucleo_l4r5zi",
    "simulator-esp32c3",
    "openocd-disco_f746ng",
    "pyocd-nucleo_u575zi_q",
    "qemu-mps2_an386",
    "qemu-mps2_an505",
    "qemu-mps3_an547",
)
# One of each, where every board would tell the same.
FEW = (
    "simulator-nucleo_l4r5zi",
    "simulator-esp32c3",
    "openocd-disco_f746ng",
    "pyocd-nucleo_u575zi_q",
    "qemu-mps2_an386",
)


def opened(transport: str) -> Any:
    """A debug link for a `with` statement; the test is skipped where its program is missing."""
    kind, name = transport.split("-")
    return LINKS[kind](name)


class Breakable:
    """A link to which things happen: `before_call` and `after_call` run around every call."""

    def __init__(self, link: DebugLink) -> None:
        self.link, self.board = link, link.board
        self.lost = False
        self.before_call = self.after_call = lambda: None

    def die(self) -> None:
        self.lost = True

    def reset_with_rubbish(self) -> None:
        """What a watchdog does: the RAM holds what the start-up code of the flash left there."""
        self.link.reset()
        for memory in self.board.chip.rams:
            self.link.write(memory.start, b"\xa5" * min(memory.size, 8192))

    def read(self, address: int, size: int) -> bytes:
        self._alive()
        return self.link.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._alive()
        self.link.write(address, data)

    def reset(self) -> None:
        self._alive()
        self.link.reset()

    def call(self, entry: int, stack: int, timeout: float) -> Any:
        self.before_call()
        self._alive()
        stop = self.link.call(entry, stack, timeout)
        self.after_call()
        self._alive()
        return stop

    def _alive(self) -> None:
        if self.lost:
            raise LinkLost("the probe was unplugged")
