"""Worker processes that build and run firmware for a tuning: the pool of this computer.

They are processes because half of a simulation is Python's: two threads measured 59 candidates in the time of one (12 s), two
processes in 8.5 s. A worker reads orders from its standard input and answers on its
standard output, both as pickles; it ends when the other end is gone, so that nothing is left of a session that is killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from smelt.errors import DeviceError, SmeltError
from smelt.planner.ways import Way
from smelt.targets.types import Core
from smelt.tuning.firmware import Firmware, firmware, outcomes
from smelt.tuning.pool import Answer, Order, Outcome, explained, is_ours

BATCH = 8  # candidates in one firmware
BATCH_INSTRUCTIONS = 12e6  # static ones in one firmware: about two seconds of simulation
BATCH_TABLES = 300_000  # bytes of constants in one firmware
BATCH_RESIDENT = 24_000  # of them in RAM, unless one candidate alone has more

DEPTH = 2
"""Orders that a worker may have."""

PATIENCE = 3.0
"""Seconds that a worker may take to end by itself after its session is gone."""


def fit_together(ways: Sequence[Way], core: Core) -> bool:
    """Whether one firmware can hold them."""
    return (
        len(ways) <= BATCH
        and sum(way.instructions(core) for way in ways) <= BATCH_INSTRUCTIONS
        and sum(way.table_bytes for way in ways) <= BATCH_TABLES
        and sum(way.table_bytes for way in ways if way.resident) <= BATCH_RESIDENT
        and len({way.kernel for way in ways}) == len(ways)
    )


class Workers:
    """`count` workers, who simulate boards with this core; `submit` to those that are `ready`, `next` waits for the next
    answer of any.

    A worker is given the next order while it works at one, so that it never waits for the session.
    """

    def __init__(self, count: int, core: Core) -> None:
        self._core = core
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._loads = [0] * count  # orders that are not done
        try:
            for number in range(count):
                self._processes.append(self._started(number))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parents[2])
        code = f"import sys; sys.path.insert(0, {root!r}); from smelt.tuning.workers import work; work()"
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise DeviceError(f"a worker process cannot be started: {error}") from error
        threading.Thread(target=self._listen, args=(number, process), daemon=True).start()
        return process

    def _listen(self, number: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for answer in _pickles(process.stdout):
            self._answers.put(Answer(number, *answer))
        self._answers.put(Answer(number, gone=True))

    @property
    def ready(self) -> bool:
        """Whether a worker can be given an order."""
        return min(self._loads) < DEPTH

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return any(self._loads)

    def fits(self, ways: Sequence[Way]) -> bool:
        """Whether one firmware can hold them."""
        return fit_together(ways, self._core)

    def submit(self, order: Order) -> int:
        """Give an order to the worker with the least to do; its number. Raises DoesNotFit."""
        work = firmware(order)
        number = self._loads.index(min(self._loads))
        self._loads[number] += 1
        stream = self._processes[number].stdin
        assert stream is not None
        with contextlib.suppress(OSError):  # a worker that is gone says so itself
            pickle.dump(work, stream)
            stream.flush()
        return number

    def next(self, timeout: float) -> Answer | None:
        """The next answer; None where there is none within `timeout` seconds. A worker that has gone is replaced, and its
        orders are forgotten."""
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            return None
        if answer.gone:
            self._processes[answer.worker] = self._started(answer.worker)
            self._loads[answer.worker] = 0
        elif answer.done:
            self._loads[answer.worker] -= 1
        return answer

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for process in self._processes:
            with contextlib.suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        for process in self._processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pickles(stream: BinaryIO | Any) -> Iterator[Any]:
    """What comes through a pipe, until it ends."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            yield pickle.load(stream)


# --- in the worker --------------------------------------------------------------------------------------------------


def work() -> None:
    """What a worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the session, which then closes the pipe
    signal.signal(signal.SIGTERM, _end)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed is not an answer
    orders: queue.Queue[Firmware | None] = queue.Queue()
    gone = threading.Event()
    threading.Thread(target=_receive, args=(orders, gone), daemon=True).start()
    with contextlib.suppress(OSError, SystemExit):  # nobody listens any more
        while (order := orders.get()) is not None:
            for answer in _answers(order):
                if gone.is_set():
                    break
                pickle.dump(answer, answers)
                answers.flush()
    os._exit(0)  # the other thread still reads


def _end(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # what is cleaned up now is not interrupted again
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where an exit meets a function that C calls, ctypes would print it
    sys.exit(1)


def _receive(orders: queue.Queue[Firmware | None], gone: threading.Event) -> None:
    for order in _pickles(sys.stdin.buffer):
        orders.put(order)
    gone.set()
    orders.put(None)
    if hasattr(signal, "pthread_kill"):  # what is under way is of no use to anybody: its temporary folder goes at once
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    timer = threading.Timer(PATIENCE, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _answers(order: Firmware) -> Iterator[tuple[Outcome | None, str | None, bool]]:
    """Outcomes, and at last how the order ended: (outcome, failure, whether that is fatal)."""
    try:
        for outcome in outcomes(order):
            yield outcome, None, False
        yield None, None, False
    except SmeltError as error:
        yield None, explained(error), is_ours(error)
    except Exception as error:  # a defect that one candidate meets must not end the tuning of all
        yield None, f"defect: {type(error).__name__}: {error}", False
