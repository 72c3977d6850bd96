"""Which device counts the cycles of a tuning, and the pool that measures on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from smelt.devices.link import DebugLink
from smelt.devices.probes import VIRTUAL, open_probe
from smelt.errors import OptionError
from smelt.firmware.build import Compiler
from smelt.planner.measurement import DEVICE
from smelt.planner.measurement import VIRTUAL as SIMULATED
from smelt.targets.types import Board
from smelt.tuning.linked import LinkedDevice
from smelt.tuning.pool import Pool
from smelt.tuning.workers import Workers

WORKERS = 2


@dataclass(frozen=True)
class Where:
    """A device that counts cycles. `name` is what logs call it; `open` makes a debug link to it, None simulates firmware."""

    name: str
    open: Callable[[], AbstractContextManager[DebugLink]] | None = None

    @property
    def in_ram(self) -> bool:
        """Whether code and tables of what is measured lie in RAM."""
        return self.open is not None

    @property
    def places(self) -> str:
        """Where code and tables of what is measured lie, in words."""
        return "code and tables in RAM" if self.in_ram else "code in flash"

    def pool(self, board: Board, compiler: Compiler) -> Pool:
        """Who measures there."""
        return Workers(WORKERS, board.core) if self.open is None else LinkedDevice(self.open, compiler)


def counting_device(board: Board, device: str, adapter: str | None = None) -> Where:
    """The device of that name. `adapter` is an OpenOCD command that chooses it (by default an ST-LINK), a serial number for pyOCD,
    or "virtual" for a simulated chip behind the real debugger.

    Raises OptionError where nothing counts cycles, or there is no such device.
    """
    if device == "qemu":
        raise OptionError(
            "QEMU counts no cycles: tune on the simulator, or on a real board with --device openocd or pyocd"
        )
    if device not in ("simulator", "openocd", "pyocd"):
        raise OptionError(f"there is no device '{device}' to tune on: it can be simulator, openocd or pyocd")
    if device == "simulator" and adapter is not None:
        raise OptionError("--adapter is for real boards: --device openocd or pyocd")
    if device == "simulator" or adapter == VIRTUAL:
        return _simulated(board, device)
    return Where(f"{DEVICE}{device}", lambda: open_probe(board, f"{device}:{adapter or ''}"))


def _simulated(board: Board, device: str) -> Where:
    from smelt.devices.simulators.version import cycle_model

    if board.core.timing is None:
        raise OptionError(f"there is no model of the time that {board.core.name} takes: {board.name} cannot be tuned")
    if device == "simulator":
        return Where(cycle_model(board))
    return Where(f"{SIMULATED}{device}, {cycle_model(board)}", lambda: open_probe(board, f"{device}:{VIRTUAL}"))
