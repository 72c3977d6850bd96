"""Boards of other computers as a pool: a farm on Dask.

Workers (`farm_worker.py`) tell Dask's scheduler which boards they own, as resources; the name of a resource says what counts cycles
there, the version of the simulator's model included, so that measurements of different origins never mix. A worker or board that
dies or hangs costs its measurement, which another board makes. What a board computes otherwise than expected is computed by another
one, too: if that is right, the first one is put aside.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from smelt.errors import OptionError
from smelt.planner.ways import Way
from smelt.targets.types import Board
from smelt.tuning.firmware import firmware
from smelt.tuning.jobs import CONNECTING, Job, Reply, check_address, resource
from smelt.tuning.pool import Answer, Order
from smelt.tuning.workers import fit_together

PATIENCE = 300.0
"""Seconds that a measurement may take, compiling included, until its board is taken for hung."""
LOOKS = 1.0  # seconds between two looks at what may hang
TRIES = 5  # boards on which an order is tried that have gone or do not answer
OPINIONS = 3  # boards that must be wrong alike until a candidate is taken for wrong
MISMATCH = "mismatch:"


@dataclass(eq=False)
class _Asked:
    """An order under way: how often it was given, and the boards on which the result was wrong, about which others are asked."""

    order: Order
    future: Any = None
    since: float = 0.0
    tries: int = 0
    doubted: frozenset[str] = frozenset()


class Farm:
    """The boards of a kind at the scheduler of an address. An order of a board behind a link has one trial; every order counts as a
    worker of its own. Raises OptionError where there is no scheduler, or no worker that owns such a board."""

    def __init__(self, address: str, board: Board, origin: str, in_ram: bool, patience: float = PATIENCE) -> None:
        self._address, self._board, self._resource = address, board, resource(origin, board)
        self._in_ram, self._patience = in_ram, patience
        self._asked: dict[int, _Asked] = {}
        self._done: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._answers: list[Answer] = []
        self._count = 0
        self.aside: frozenset[str] = frozenset()

    def __enter__(self) -> Farm:
        try:
            from distributed import Client
        except ImportError:
            raise OptionError("a farm needs Dask: pip install 'smelt[farm]'") from None
        check_address(self._address)
        try:
            self._client = Client(self._address, timeout=CONNECTING, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise OptionError(f"there is no scheduler of Dask at {self._address}: {error}") from None
        if not self._slots():
            kinds = sorted({name for w in self._workers() for name in w["resources"] if name.startswith("smelt/")})
            self._client.close()
            there = f"; there are {', '.join(kinds)}" if kinds else ""
            raise OptionError(
                f"no worker of the farm owns {self._resource.removeprefix('smelt/')}{there}: "
                f"start `smelt worker {self._address} --board {self._board.name}` where the board is"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for asked in self._asked.values():
            asked.future.cancel()
        self._client.close()

    def _workers(self) -> list[dict[str, Any]]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"].values())

    def _slots(self) -> int:
        """How many boards there are now."""
        return int(sum(worker["resources"].get(self._resource, 0) for worker in self._workers()))

    @property
    def ready(self) -> bool:
        return len(self._asked) < self._slots()

    @property
    def busy(self) -> bool:
        return bool(self._asked or self._answers)

    def fits(self, ways: Sequence[Way]) -> bool:
        return len(ways) == 1 if self._in_ram else fit_together(ways, self._board.core)

    def submit(self, order: Order) -> int:
        """Give an order to the farm; its number. Raises DoesNotFit."""
        self._count += 1
        self._asked[self._count] = asked = _Asked(order)
        try:
            self._send(self._count, asked)
        except BaseException:
            del self._asked[self._count]
            raise
        return self._count

    def _send(self, number: int, asked: _Asked) -> None:
        from smelt.tuning.farm_worker import measure

        work = asked.order if self._in_ram else firmware(asked.order)
        asked.tries, asked.since = asked.tries + 1, time.monotonic()
        asked.future = self._client.submit(
            measure, Job(work, self.aside | asked.doubted), resources={self._resource: 1}, pure=False, retries=0
        )
        asked.future.add_done_callback(lambda future: self._done.put((number, future)))

    def next(self, timeout: float) -> Answer | None:
        """The next answer; None where there is none within `timeout` seconds."""
        end = time.monotonic() + timeout
        while not self._answers:
            left = end - time.monotonic()
            try:
                number, future = self._done.get(timeout=max(min(left, LOOKS), 0.0))
            except queue.Empty:
                if left <= 0:
                    return None
                self._give_up_on_hung()
                continue
            asked = self._asked.get(number)
            if asked is not None and asked.future is future:
                self._hear(number, asked, _reply(future))
        return self._answers.pop(0)

    def _give_up_on_hung(self) -> None:
        for number, asked in [*self._asked.items()]:
            if time.monotonic() - asked.since > self._patience:
                asked.future.cancel()
                self._hear(number, asked, Reply("", lost=True))

    def _hear(self, number: int, asked: _Asked, reply: Reply) -> None:
        if reply.lost and asked.tries < TRIES and self._slots():
            self._send(number, asked)
        elif reply.lost:
            self._end(number, [Answer(number, gone=True)])
        elif reply.failure is not None:
            self._end(number, [Answer(number, failure=reply.failure[0], fatal=reply.failure[1])])
        elif self._in_ram and _is_wrong(reply) and len(asked.doubted | {reply.board}) < min(OPINIONS, self._slots()):
            asked.doubted |= {reply.board}
            self._send(number, asked)
        else:
            if not _is_wrong(reply):
                self.aside |= asked.doubted
            self._end(number, [*(Answer(number, outcome) for outcome in reply.outcomes), Answer(number)])

    def _end(self, number: int, answers: list[Answer]) -> None:
        del self._asked[number]
        self._answers += answers


def _reply(future: Any) -> Reply:
    """What a worker said; what Dask says of one that ended counts as a lost board."""
    if future.status == "finished":
        found: Reply = future.result()
        return found
    return Reply("", lost=True)


def _is_wrong(reply: Reply) -> bool:
    return any((o.failure or "").startswith(MISMATCH) for o in reply.outcomes)
