"""Which device runs a board: its simulated copy, QEMU, or the board itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smelt.devices.probes import Probe, is_probe, open_probe
from smelt.devices.run import Run
from smelt.errors import DeviceError
from smelt.firmware.image import Image
from smelt.targets.in_ram import as_it_is
from smelt.targets.types import Board

if TYPE_CHECKING:
    from smelt.devices.qemu import QemuLink
    from smelt.devices.simulators.cluster_link import ClusterLink
    from smelt.devices.simulators.link import SimulatorLink

Device = str
"""By name: "simulator", "qemu", or a real board as `probes.open_probe` has it, "openocd:ADAPTER"."""


def default_device(board: Board) -> Device:
    """The simulator, which knows cycles, wherever there is one of the board's core."""
    return "simulator" if board.core.timing else "qemu"


def chosen(board: Board, device: Device | None) -> Device:
    """`device`, or the board's default for None. Raises `DeviceError` if it has no such board."""
    if device == "simulator" and default_device(board) != "simulator":
        raise DeviceError(f"{board.name}: there is no simulator of the {board.core.name}; QEMU has one: --device qemu")
    return device or default_device(board)


def run_image(
    board: Board, image: Image, inputs: bytes, device: Device | None = None, timing: bool = True, counting: bool = True
) -> Run:
    """Run a firmware on each of the concatenated `inputs`. Without `timing`, simulators are faster and give no cycles; without
    `counting`, QEMU needs no plugin and gives no instruction counts either. A real board counts the cycles of steps with `timing`,
    those of whole inferences anyway.

    Raises `DeviceError` where the firmware faults or hangs, or the device is missing.
    """
    if device is not None and is_probe(device):
        from smelt.devices.on_board import run_on_board

        return run_on_board(board, image, inputs, device, steps=timing)
    if chosen(board, device) == "qemu":
        from smelt.devices.qemu_run import Qemu

        return Qemu(board, counting).run(image, inputs)
    if board.chip.cluster:
        from smelt.devices.simulators.cluster_simulator import ClusterSimulator

        return ClusterSimulator(board).run(image, inputs)
    from smelt.devices.simulators.simulator import Simulator

    return Simulator(board, timing).run(image, inputs)


def open_link(board: Board, device: Device | None = None) -> SimulatorLink | ClusterLink | QemuLink | Probe:
    """A new debug link, to be closed by the caller (or `with`). Raises `DeviceError` if the device is missing."""
    if device is not None and is_probe(device):
        return open_probe(as_it_is(board), device)
    if chosen(board, device) == "qemu":
        from smelt.devices.qemu import QemuLink

        return QemuLink(board)
    if board.chip.cluster:
        from smelt.devices.simulators.cluster_link import ClusterLink

        return ClusterLink(board)
    from smelt.devices.simulators.link import SimulatorLink

    return SimulatorLink(board)
