"""The other end of a farm: a worker of Dask that owns boards, real ones behind links or simulated ones."""

from __future__ import annotations

import asyncio
import platform
import queue
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from smelt.devices.link import DebugLink
from smelt.errors import DeviceError, OptionError, SmeltError
from smelt.firmware.build import Compiler
from smelt.planner.limits import for_one_core
from smelt.targets.types import Board
from smelt.tuning.devices import counting_device
from smelt.tuning.firmware import Firmware, outcomes
from smelt.tuning.jobs import Job, Reply, check_address, resource
from smelt.tuning.linked import LinkedDevice
from smelt.tuning.pool import Outcome, explained, is_ours

Open = Callable[[], AbstractContextManager[DebugLink]]
WAITING = 30.0
"""Seconds that an order waits for a board that another one has, before it goes elsewhere."""


@dataclass(frozen=True)
class Owned:
    """A board of this worker: how people call it, and how a link to it is made."""

    name: str
    open: Open


class Boards:
    """Boards behind links, each for one order at a time. A link is made where it is needed first, and again after it was lost."""

    def __init__(self, owned: Sequence[Owned], compiler: Compiler) -> None:
        self._compiler = compiler
        self._names = {one.name for one in owned}
        self._free: queue.Queue[Owned] = queue.Queue()
        self._linked: dict[str, LinkedDevice] = {}
        for one in owned:
            self._free.put(one)

    def measure(self, job: Job) -> Reply:
        """The outcome of an order on a board that is free and not put aside."""
        board = self._taken(job.aside)
        if board is None:
            return Reply("", lost=True)
        try:
            return Reply(board.name, tuple(self._outcomes(board, job)))
        except SmeltError as error:
            self._forget(board)
            if is_ours(error):
                return Reply(board.name, failure=(explained(error), True))
            return Reply(board.name, lost=True)
        finally:
            self._free.put(board)

    def _taken(self, aside: frozenset[str]) -> Owned | None:
        """A board; those that are not wanted stay for other orders."""
        if not self._names - aside:
            return None
        unwanted = []
        try:
            while (board := self._free.get(timeout=WAITING)).name in aside:
                unwanted.append(board)
            return board
        except queue.Empty:
            return None
        finally:
            for one in unwanted:
                self._free.put(one)

    def _outcomes(self, board: Owned, job: Job) -> list[Outcome]:
        device = self._linked.get(board.name)
        if device is None:
            device = LinkedDevice(board.open, self._compiler).__enter__()
            self._linked[board.name] = device
        device.submit(job.work)
        answers = iter(lambda: device.next(0), None)
        return [answer.outcome for answer in answers if answer.outcome is not None]

    def _forget(self, board: Owned) -> None:
        device = self._linked.pop(board.name, None)
        if device is not None:
            with suppress(DeviceError, OSError):
                device.__exit__(None, None, None)


def measure(job: Job) -> Reply:
    """What Dask runs in a worker."""
    from distributed import get_worker

    if isinstance(job.work, Firmware):
        return _simulated(job.work)
    boards: Boards = get_worker().smelt_boards
    return boards.measure(job)


def _simulated(work: Firmware) -> Reply:
    try:
        return Reply("simulated", tuple(outcomes(work)))
    except SmeltError as error:
        return Reply("simulated", failure=(explained(error), is_ours(error)))


@dataclass(frozen=True)
class Offer:
    """What a worker offers: so many boards whose cycles are of an origin, those behind links by name."""

    origin: str
    count: int
    owned: tuple[Owned, ...] = ()


def offered(board: Board, device: str, adapters: Sequence[str], count: int) -> Offer:
    """The boards behind adapters, or so many simulated ones. Raises OptionError where nothing counts cycles, and for boards with a
    cluster."""
    for_one_core(
        "farms measure kernels on one", board, "`smelt tune` without --farm measures whole steps on this computer"
    )
    found = [counting_device(board, device, adapter) for adapter in (adapters or (None,))]
    if not found[0].in_ram:
        return Offer(found[0].name, count)
    names = [f"{platform.node()} {device} {adapter}" for adapter in (adapters or ("alone",))]
    owned = tuple(Owned(name, where.open) for name, where in zip(names, found, strict=True) if where.open is not None)
    return Offer(found[0].name, len(owned), owned)


def serve(address: str, board: Board, offer: Offer, compiler: Compiler) -> None:
    """Work for the scheduler at an address until it ends, or somebody interrupts. Raises OptionError where there is none."""
    try:
        from distributed import Worker
    except ImportError:
        raise OptionError("a worker needs Dask: pip install 'smelt[farm]'") from None
    check_address(address)

    async def work() -> None:
        resources: dict[str, float] = {resource(offer.origin, board): offer.count}
        async with Worker(address, nthreads=offer.count, resources=resources, dashboard=False) as worker:
            worker.smelt_boards = Boards(offer.owned, compiler)
            await worker.finished()

    try:
        asyncio.run(work())
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:  # Dask wraps what it meets when it starts
        raise OptionError(f"there is no scheduler of Dask at {address}: {error.__cause__ or error}") from None
