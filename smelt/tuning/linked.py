"""Candidates on a device behind a debug link: in a session, one after the other, code and tables in RAM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.link import DebugLink, LinkLost
from smelt.devices.session import Session
from smelt.errors import DeviceError, OptionError, SmeltError
from smelt.model.graph import Tensor
from smelt.planner.log import DEVICE, Code
from smelt.planner.log import VIRTUAL as LINKED
from smelt.targets.types import Board
from smelt.tuning.bench import Bench, Outcome, differing, explained, is_ours
from smelt.tuning.search import Search, Subject

ST_LINK = "source [find interface/stlink.cfg]"
VIRTUAL = "virtual"
SECONDS = 60.0
"""How long a kernel may take on a device."""


@dataclass(frozen=True)
class Where:
    """A device that counts cycles. `name` is what logs call it; `open` makes a debug link to it, None simulates firmware."""

    name: str
    open: Callable[[], AbstractContextManager[DebugLink]] | None = None

    @property
    def code(self) -> Code:
        """Where the code of what is measured lies."""
        return "ram" if self.open else "flash"

    @property
    def places(self) -> str:
        """Where code and tables of what is measured lie, in words."""
        return "code and tables in RAM" if self.open else "code in flash"


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
    return Where(f"{DEVICE}{device}", lambda: _opened(board, device, adapter))


def _simulated(board: Board, device: str) -> Where:
    from smelt.devices.simulators.version import cycle_model

    if board.core.timing is None:
        raise OptionError(f"there is no model of the time that {board.core.name} takes: {board.name} cannot be tuned")
    if device == "simulator":
        return Where(cycle_model(board))
    return Where(f"{LINKED}{device}, {cycle_model(board)}", lambda: _virtual(board, device))


def _virtual(board: Board, device: str) -> Any:
    from smelt.devices.simulators.virtual import SimulatedOpenOcdLink, SimulatedPyOcdLink

    return SimulatedOpenOcdLink(board) if device == "openocd" else SimulatedPyOcdLink(board)


def _opened(board: Board, device: str, adapter: str | None) -> Any:
    if device == "openocd":
        from smelt.devices.openocd import OpenOcdLink

        return OpenOcdLink(board, (adapter or ST_LINK,))
    from smelt.devices.pyocd_link import PyOcdLink

    return PyOcdLink(board, adapter)


def linked(
    bench: Bench, search: Search, deadline: float, open: Callable[[], AbstractContextManager[DebugLink]]
) -> Iterator[tuple[Subject, Outcome]]:
    """What the device behind a link measures, until the time is over or nothing promises enough.

    Raises DeviceError where there is no device or no counter of cycles, LinkLost where it goes away.
    """
    with open() as link, Session(link, timeout=SECONDS, compiler=bench.compiler) as session:
        while time.monotonic() < deadline and (subjects := search.take(lambda some: len(some) == 1)):
            yield subjects[0], _outcome(bench, session, subjects[0])


def _outcome(bench: Bench, session: Session, subject: Subject) -> Outcome:
    try:
        got, cycles = _called(bench, session, subject)
    except LinkLost:
        raise
    except SmeltError as error:
        if is_ours(error):
            raise
        return Outcome(0, None, explained(error))
    if cycles is None:
        raise DeviceError(f"{bench.board.name}: the device has no counter of cycles, so nothing can be tuned on it")
    expected = np.ascontiguousarray(bench.values[subject.candidate.op.y.name]).tobytes()
    wrong = differing(got, expected)
    return Outcome(0, None if wrong else cycles, wrong)


def _called(bench: Bench, session: Session, subject: Subject) -> tuple[bytes, int | None]:
    """What the kernel writes on the device, and the cycles that it takes there, the call itself included."""
    op, call = subject.candidate.op, subject.candidate.call
    module = session.load(call)
    tensors = {t: session.empty(t.shape, _type(t), bench.memory.name) for t in (*dict.fromkeys(op.activations), op.y)}
    try:
        for t, value in zip(tensors, bench.inputs(op), strict=False):
            tensors[t].write(value.astype(_type(t)))
        done = module[call](*(tensors[a] for a in call.arguments if isinstance(a, Tensor))).wait()
        return tensors[op.y].numpy().tobytes(), done.cycles
    finally:
        for tensor in tensors.values():
            tensor.release()
        module.release()


def _type(tensor: Tensor) -> str:
    """The type of a tensor's elements in C."""
    return "uint8" if tensor.dtype == "bool" else tensor.dtype
