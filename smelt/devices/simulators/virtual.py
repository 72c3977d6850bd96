"""Simulated chips behind real debuggers: they are given what a real chip has, a debug port."""

from __future__ import annotations

from types import TracebackType

from smelt.devices.debug_port.bitbang import BitbangServer
from smelt.devices.debug_port.chips import debug_chip
from smelt.devices.debug_port.core import Core
from smelt.devices.debug_port.jtag import chain
from smelt.devices.debug_port.port import DebugPort
from smelt.devices.openocd import OpenOcdLink
from smelt.devices.pyocd_link import PyOcdLink
from smelt.devices.simulators.target import SimulatedTarget
from smelt.errors import DeviceError
from smelt.targets.types import Board, Debug


class SimulatedOpenOcdLink(OpenOcdLink):
    """A real OpenOCD that debugs a simulated chip through JTAG."""

    def __init__(self, board: Board, chip: Debug | None = None) -> None:
        """`chip` lets the scan chain claim to be another chip than the board's."""
        chip = chip or debug_chip(board)
        port = DebugPort(Core(SimulatedTarget(board), chip), chip.jtag_id)
        self._server = BitbangServer(chain(port, chip), port)
        number = self._server.address[1]
        adapter = f"adapter driver remote_bitbang; remote_bitbang host 127.0.0.1; remote_bitbang port {number}"
        try:
            super().__init__(board, (adapter,))
        except BaseException:
            self._server.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        super().close()
        self._server.close()


class SimulatedPyOcdLink(PyOcdLink):
    """pyOCD that debugs a simulated chip, through a probe at the level of debug port registers."""

    def __init__(self, board: Board, chip: Debug | None = None) -> None:
        """`chip` lets the debug port claim to be another chip than the board's."""
        chip = chip or debug_chip(board)
        port = DebugPort(Core(SimulatedTarget(board), chip), chip.swd_id)
        try:
            from smelt.devices.pyocd_probe import SimulatedProbe
        except ImportError as error:
            raise DeviceError("pyOCD is not installed: pip install 'smelt[pyocd]'") from error
        self.probe = SimulatedProbe(port, board.name)
        super().__init__(board, probe=self.probe)
