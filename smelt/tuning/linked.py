"""A device behind a debug link as a pool: candidates in a session, one after the other, code and tables in RAM."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any

from smelt.devices.link import DebugLink, LinkLost
from smelt.devices.session import Session
from smelt.errors import DeviceError, SmeltError
from smelt.firmware.build import Compiler
from smelt.model.graph import Tensor
from smelt.planner.measurement import RAM, Places
from smelt.planner.ways import Way
from smelt.targets.types import Board
from smelt.tuning.firmware import differing
from smelt.tuning.pool import Answer, Order, Outcome, Trial, explained, is_ours

SECONDS = 60.0
"""How long a kernel may take on a device."""

Called = tuple[bytes, int | None, Places]
"""What a kernel wrote, the cycles that it took, the call itself included, and where things lay."""


class LinkedDevice:
    """One worker: `open` makes the link. What it raises is no candidate's fault: DeviceError where there is no device or no
    counter of cycles, LinkLost where it goes away."""

    def __init__(self, open: Callable[[], AbstractContextManager[DebugLink]], compiler: Compiler = "zig") -> None:
        self._open, self._compiler = open, compiler
        self._stack = ExitStack()
        self._session: Session | None = None
        self._answers: deque[tuple[Order, int]] = (
            deque()
        )  # the trials that are left; a number behind the last ends an order

    def __enter__(self) -> LinkedDevice:
        with ExitStack() as stack:
            link = stack.enter_context(self._open())
            self._session = stack.enter_context(Session(link, timeout=SECONDS, compiler=self._compiler))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def ready(self) -> bool:
        return not self._answers

    @property
    def busy(self) -> bool:
        return bool(self._answers)

    def fits(self, ways: Sequence[Way]) -> bool:
        return len(ways) == 1

    def submit(self, order: Order) -> int:
        self._answers.extend((order, number) for number in range(len(order.trials) + 1))
        return 0

    def next(self, timeout: float) -> Answer | None:
        """A device is not asked in vain: what is under way is waited for, whatever the timeout."""
        if not self._answers:
            return None
        order, number = self._answers.popleft()
        if number == len(order.trials):
            return Answer(0)
        assert self._session is not None, "the pool is entered"
        return Answer(0, outcome(self._session, order, number))


def outcome(session: Session, order: Order, number: int) -> Outcome:
    """What becomes of a trial."""
    trial = order.trials[number]
    try:
        got, cycles, places = called(session, order.board, trial, order.memory.name)
    except LinkLost:
        raise
    except SmeltError as error:
        if is_ours(error):
            raise
        return Outcome(number, None, explained(error))
    if cycles is None:
        raise DeviceError(f"{order.board.name}: the device has no counter of cycles, so nothing can be tuned on it")
    wrong = differing(got, trial.expected)
    return Outcome(number, None if wrong else cycles, wrong, places)


def called(session: Session, board: Board, trial: Trial, memory: str) -> Called:
    """What the kernel does on the device."""
    op, call = trial.op, trial.call
    module = session.load(call)
    tensors = {t: session.empty(t.shape, _type(t), memory) for t in (*dict.fromkeys(op.activations), *op.ys)}
    code = _memory(board, module.block.address)
    try:
        for t, value in zip(tensors, trial.inputs, strict=False):
            tensors[t].write(value.astype(_type(t)))
        done = module[call](*(tensors[a] for a in call.arguments if isinstance(a, Tensor))).wait()
        y = b"".join(tensors[y].numpy().tobytes() for y in op.ys)
        x = next((_memory(board, tensors[t].address) for t in op.activations), "")
        places = Places(code, code, x, _memory(board, tensors[op.y].address), RAM if trial.way.scratch else "")
        return y, done.cycles, places
    finally:
        for tensor in tensors.values():
            tensor.release()
        module.release()


def _memory(board: Board, address: int) -> str:
    """The name of the RAM at an address."""
    return next((m.name for m in board.chip.rams if m.start <= address < m.end), RAM)


def _type(tensor: Tensor) -> Any:
    """The type of a tensor's elements in C."""
    return "uint8" if tensor.dtype == "bool" else tensor.dtype
