"""What a pool was given and has not answered yet, and what is to be tried again because it failed together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from smelt.errors import BuildError, DoesNotFit
from smelt.tuning.bench import Bench
from smelt.tuning.pool import Answer, Outcome, Pool, explained
from smelt.tuning.search import Search, Subject

Results = Iterator[tuple[Subject, Outcome]]


def measured(pool: Pool, bench: Bench, search: Search, deadline: float) -> Results:
    """What a pool measures, until the time is over or nothing promises enough. Raises what the pool raises, and BuildError
    for what is no candidate's fault."""
    with pool:
        queues = _Queues(pool, bench, search)
        while True:
            while pool.ready and time.monotonic() < deadline and (subjects := queues.next()):
                yield from queues.submit(subjects)
            if not pool.busy:
                return
            answer = pool.next(max(deadline - time.monotonic(), 0))
            if answer is None:
                return  # the time is over: what is under way is given up
            yield from queues.results(answer)


class _Queues:
    def __init__(self, pool: Pool, bench: Bench, search: Search) -> None:
        self.pool, self.bench, self.search = pool, bench, search
        self.given: dict[int, list[list[Subject]]] = {}
        self.again: list[list[Subject]] = []

    def next(self) -> list[Subject]:
        return self.again.pop(0) if self.again else self.search.take(self._fits)

    def _fits(self, subjects: Sequence[Subject]) -> bool:
        return self.pool.fits([s.candidate for s in subjects])

    def submit(self, subjects: list[Subject]) -> Results:
        """Give a batch to a worker; yields a result only where that cannot be."""
        try:
            worker = self.pool.submit(self.bench.order(subjects))
        except DoesNotFit as error:
            yield from self._failed(subjects, explained(error))
            return
        self.given.setdefault(worker, []).append(subjects)

    def results(self, answer: Answer) -> Results:
        """What an answer means. Raises BuildError for what is no candidate's fault."""
        batches = self.given.setdefault(answer.worker, [])
        if answer.fatal:
            raise BuildError(answer.failure)
        if answer.outcome is not None:
            yield batches[0][answer.outcome.number], answer.outcome
        elif answer.gone:
            self.given[answer.worker] = []
            self.again += batches[1:]
            yield from self._failed(batches[0] if batches else [], "defect: the worker process ended")
        else:
            batch = batches.pop(0)
            if answer.failure is not None:
                yield from self._failed(batch, answer.failure)

    def _failed(self, batch: list[Subject], failure: str) -> Results:
        """Those of a batch that have no result are tried in two halves; what was alone has its failure."""
        rest = [s for s in batch if not self.search.has_result(s)]
        if len(batch) == 1 and rest:
            yield rest[0], Outcome(0, None, failure)
        else:
            half = (len(rest) + 1) // 2
            self.again += [some for some in (rest[:half], rest[half:]) if some]
