"""The order in which a tuning measures: the defaults of all steps, then whatever the learned model promises most from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smelt.planner.known import Known
from smelt.planner.measurement import Measurement
from smelt.planner.ways import Way
from smelt.tuning.learned import Array, Example, Learned, Prediction, fit, of_candidate, of_measurement
from smelt.tuning.works import Work

ENOUGH = 0.002
"""The share of all cycles that one candidate must promise to be worth a measurement."""

LEAN = 0.25  # what a gain for those with little RAM or flash counts, beside one for all
LEANER = 1.25  # times the best cycles: what a candidate with the least scratch and tables may take and still be of use
SLACK, FEW = 1.125, 256  # so many times as much, and so many bytes more, is about as much
EXPLORED = 0.1  # share of the measurements that are drawn by lot from what is promising
NEWS, ANOTHER_PRIOR = 1.03, 1.5  # growths of what is known after which the model is fitted, and its prior chosen, again
FIRST = 2  # defaults of each step that are measured before there is anything to learn from: the first, the least static cost


@dataclass(frozen=True, eq=False)
class Subject:
    """A candidate that is measured for a work."""

    work: Work
    candidate: Way


class Search:
    """Which candidates of `works` to measure next. The same calls give the same order.

    What is `known` and as good as measured now, code where `in_ram` says, is not measured again. The rest of it teaches,
    whatever it is about: other steps, other models, what similar origins counted; and what of a step was the best by such
    figures comes early.
    """

    def __init__(
        self, works: Sequence[Work], known: Known, exhaustive: bool = False, seed: int = 0, in_ram: bool = False
    ) -> None:
        self._generator = np.random.default_rng(seed)
        self._core = known.board.core
        self._exhaustive = exhaustive
        found: dict[tuple[str, bool], Subject] = {}
        for work in works:
            for candidate in work.candidates:
                found.setdefault(candidate.key, Subject(work, candidate))
        self.subjects = list(found.values())
        self.works = list(works)
        self._examples = [of_candidate(s.work.op_key, s.candidate, self._core) for s in self.subjects]
        self._by_key = {s.candidate.key: n for n, s in enumerate(self.subjects)}
        self._taught: list[tuple[Example, int]] = []
        self._results: dict[int, int | None] = {}
        self._hints: dict[int, int] = {}
        self._taken: set[int] = set()
        self._learned: Learned | None = None
        self._count = self._chosen = 0  # measurements that it was fitted to, and that its prior was chosen by
        self._begin(known, in_ram)

    def _begin(self, known: Known, in_ram: bool) -> None:
        """Learn what is known, what is measured last."""
        measured = []
        for m in (*known.doubted.measurements, *known.believed.measurements):
            if m.code_in_flash == in_ram:
                continue
            number = self._number(m)
            kernel = None if number is None else self.subjects[number].candidate.call.kernel
            if kernel is None or known.grade(m, kernel) != "measured":
                self._teach(m)
                if number is not None and m.cycles:
                    self._hints[number] = m.cycles
            else:
                measured.append(m)
        for m in measured:
            self.learn(m)

    # --- what happened ----------------------------------------------------------------------------------------------

    def _number(self, m: Measurement) -> int | None:
        """Of the subject that was measured."""
        tables_in_ram, _ = m.place
        return self._by_key.get((m.kernel, tables_in_ram))

    def learn(self, m: Measurement) -> None:
        """A measurement, of one of the subjects, as it holds now."""
        number = self._number(m)
        if number is not None:
            self._results[number] = m.cycles
            self._taken.add(number)
        self._teach(m)

    def _teach(self, m: Measurement) -> None:
        number = self._number(m)
        example = self._examples[number] if number is not None else of_measurement(m)
        if example is not None and m.cycles:
            self._taught.append((example, m.cycles))

    def has_result(self, subject: Subject) -> bool:
        return self._by_key[subject.candidate.key] in self._results

    @property
    def known(self) -> int:
        """How many subjects have a result."""
        return len(self._results)

    def best(self) -> int | None:
        """The cycles of all steps by the fastest ways with tables where the default has them; None while a step has none."""
        total = 0
        for work in self.works:
            cycles = [
                c
                for n in self._numbers(work)
                if self.subjects[n].candidate.resident == work.candidates[0].resident and (c := self._results.get(n))
            ]
            if not cycles:
                return None
            total += work.times * min(cycles)
        return total

    def _numbers(self, work: Work) -> list[int]:
        return [n for c in work.candidates if (n := self._by_key.get(c.key)) is not None]

    # --- what to do -------------------------------------------------------------------------------------------------

    def take(self, fits: Callable[[Sequence[Subject]], bool]) -> list[Subject]:
        """The next subjects, as many as `fits` accepts together, at least one; none where nothing promises enough."""
        batch: list[int] = []
        for number in self._order():
            if batch and not fits([self.subjects[n] for n in (*batch, number)]):
                break
            batch.append(number)
        self._taken.update(batch)
        return [self.subjects[n] for n in batch]

    def hopeless(self) -> int:
        """How many subjects without a result were judged to promise too little: none before the first results of all steps are
        there to judge by."""
        left = [n for n in range(len(self.subjects)) if n not in self._results]
        if self._exhaustive or not left or not self._taught or any(n not in self._results for n in self._first()):
            return 0
        promises, _ = self._judged(left)
        return int(np.count_nonzero(promises <= ENOUGH * (self.best() or 1)))

    def _order(self) -> Iterator[int]:
        first = [n for n in dict.fromkeys(self._first()) if n not in self._taken]
        yield from first
        left = [n for n in range(len(self.subjects)) if n not in self._taken and n not in first]
        if first or not left or not self._taught:
            yield from () if first or self._taught else left
            return
        yield from self._promising(left)

    def _first(self) -> Iterator[int]:
        """The defaults of all steps, and what similar origins found best, the costliest steps first."""
        costly = sorted(self.works, key=lambda w: -w.times * w.candidates[0].instructions(self._core))
        for place in range(FIRST):
            for work in costly:
                if place < len(work.candidates) and (n := self._by_key[work.candidates[place].key]) is not None:
                    yield n
        for work in costly:
            hinted = [n for n in self._numbers(work) if n in self._hints]
            if hinted:
                yield min(hinted, key=lambda n: self._hints[n])

    def _promising(self, left: Sequence[int]) -> Iterator[int]:
        """By expected gain; of each step a few at a time, as they teach about each other."""
        if self._exhaustive:
            yield from sorted(left, key=lambda n: self.subjects[n].candidate.instructions(self._core))
            return
        promises, gains = self._judged(left)
        total = self.best() or 1
        worth = [i for i in np.argsort(-gains, kind="stable") if promises[i] > ENOUGH * total]
        rest = [i for i in np.argsort(-promises, kind="stable") if promises[i] > ENOUGH * total and gains[i] <= 0]
        queue = list(dict.fromkeys(int(i) for i in (*worth, *rest)))
        while queue:
            lot = self._generator.random() < EXPLORED
            yield left[queue.pop(int(self._generator.integers(len(queue))) if lot else 0)]

    def _judged(self, left: Sequence[int]) -> tuple[Array, Array]:
        """For each of `left`: cycles of the whole model that it may save at best, and that it is expected to save."""
        everything = self._predicted()
        predicted = Prediction(everything.mean[left], everything.deviation[left])
        times = np.array([self.subjects[n].work.times for n in left], np.float64)
        best = np.array([self._least(n, same=False) for n in left])
        lean = np.array([self._least(n, same=True) for n in left])
        possible = predicted.optimistic()
        best, lean = (np.where(base > 0, base, 2 * possible) for base in (best, lean))  # a step without any result yet
        promises = np.maximum(best - possible, LEAN * (lean - possible))
        gains = np.maximum(predicted.gain(best), LEAN * predicted.gain(lean))
        return times * promises, times * gains

    def _predicted(self) -> Prediction:
        """What is expected of every subject. It is learned anew whenever there is enough that is new."""
        count = len(self._taught)
        if self._learned is None or count >= NEWS * self._count + 4:
            late = self._learned is None or count >= ANOTHER_PRIOR * self._chosen
            prior = None if late or self._learned is None else self._learned.prior
            self._learned = fit([e for e, _ in self._taught], [c for _, c in self._taught], prior)
            self._chosen, self._count = count if late else self._chosen, count
            self._expected = self._learned.predict(self._examples)
        return self._expected

    def _least(self, number: int, same: bool) -> float:
        """The best cycles so far of the step; with `same`, of candidates that need no more RAM and flash than this one."""
        mine = self.subjects[number]
        found = [(c, self.subjects[n].candidate) for n in self._numbers(mine.work) if (c := self._results.get(n))]
        least = min((c for c, other in found if mine.candidate.resident or not other.resident), default=0)
        if not same:
            return float(least)
        return float(min((c for c, other in found if _no_more(other, mine.candidate)), default=LEANER * least))


def _no_more(a: Way, b: Way) -> bool:
    """Whether `a` needs about no more scratch, tables, and tables in RAM than `b`."""
    scratch = a.call.scratch_bytes <= SLACK * b.call.scratch_bytes + FEW
    return scratch and a.table_bytes <= SLACK * b.table_bytes + FEW and a.resident <= b.resident
