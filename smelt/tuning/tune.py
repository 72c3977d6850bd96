"""Tuning: the candidates of every distinct step of a model are measured on a device, the most promising first, and logged.

Candidates are compiled in batches, but each of them is run and logged on its own: whatever kills a session, it loses the
measurements under way, one for each worker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.errors import BuildError, DoesNotFit
from smelt.nouns import Noun

if TYPE_CHECKING:
    from smelt.firmware.build import Compiler
    from smelt.kernels.implementation import Implementation
    from smelt.planner.log import Code, Measurement, TuningLog
    from smelt.planner.plan import Plan
    from smelt.targets.types import Board
    from smelt.tuning.bench import Bench, Outcome
    from smelt.tuning.search import Search, Subject
    from smelt.tuning.workers import Answer, Workers

WORKERS = 2
BATCH = 8  # candidates in one firmware
BATCH_COST = 12e6  # static instructions in one firmware: about two seconds of simulation
BATCH_TABLES = 300_000  # bytes of constants in one firmware
BATCH_RESIDENT = 24_000  # of them in RAM, unless one candidate alone has more

Report = Callable[[int, int, int | None], None]
"""Told (candidates with a result, all candidates, the best sum of cycles so far or None) after every measurement."""

Results = Iterator[tuple["Subject", "Outcome"]]


@dataclass(frozen=True)
class Tuning(Noun):
    """What a tuning did. `measured` and `failed` count this session, `known` what the log held already, `left` what the
    budget did not allow, `hopeless` what was judged to promise too little. Cycles are the sums over the steps of the default
    and of the tuned plan, with code and tables where `places` says. `log` is None where there is no such file."""

    model: str
    board: str
    device: str
    places: str
    steps: int
    distinct_steps: int
    candidates: int
    known: int
    measured: int
    failed: int
    left: int
    hopeless: int
    cycles_before: int | None
    cycles_after: int | None
    seconds: float
    log: str | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def tune(
    path: Path | str,
    board: Board | str,
    file: Path | str,
    *,
    budget: float = 600,
    compiler: Compiler = "zig",
    implementations: Sequence[Implementation] | None = None,
    device: str = "simulator",
    adapter: str | None = None,
    exhaustive: bool = False,
    resident: bool = True,
    known: TuningLog | None = None,
    report: Report = lambda done, total, cycles: None,
) -> Tuning:
    """Measure ways to compute the model at `path` on `board` for `budget` seconds, and add them to the log `file`.

    What the log or `known` holds already is not measured again, and teaches what to expect of the rest. `exhaustive` measures
    what promises nothing, too; without `resident`, tables are only measured in flash, except on real devices: through their debug
    links code and tables get into RAM.
    `implementations` default to all. `device` is "simulator", "openocd" or "pyocd"; `adapter` is how to reach a real one.
    Raises what `compile` raises, OptionError where the device counts no cycles or the log cannot be written, DeviceError.
    """
    from smelt.firmware.toolchain import toolchain
    from smelt.importers import load
    from smelt.kernels import IMPLEMENTATIONS
    from smelt.passes import prepare
    from smelt.planner import make_plan
    from smelt.planner.log import TuningLog, check_writable, damage
    from smelt.targets.boards import named
    from smelt.tuning.bench import Bench
    from smelt.tuning.linked import counting_device, linked
    from smelt.tuning.search import Search
    from smelt.tuning.works import works

    start = time.monotonic()
    board, file = named(board), Path(file)
    check_writable(file)
    where = counting_device(board, device, adapter)
    offered = IMPLEMENTATIONS if implementations is None else implementations
    tools = toolchain(board, compiler)
    graph = prepare(load(path))
    plan = make_plan(graph, board, offered)
    memory = max(plan.memories, key=lambda m: plan.used(m.name))
    bench = Bench(board, memory, compiler, tools, where.name, graph, where.code)
    kept = TuningLog.load(file) if os.path.exists(file) else TuningLog.empty
    log = kept + (known or TuningLog.empty)
    mine = log.of(board.name, tools, where.name, where.code)
    todo = works(graph, board, offered, _room(plan) if resident else 0, in_ram=where.open is not None)
    search = Search(todo, mine, exhaustive)
    session = _Session(bench, file, search, mine, report)
    end = start + budget
    session.run(linked(bench, search, end, where.open) if where.open else _simulated(bench, search, end))
    tuned, hopeless = make_plan(graph, board, offered, log=session.log), search.hopeless()
    return Tuning(
        model=graph.name,
        board=board.name,
        device=where.name,
        places=where.places,
        steps=len(plan.steps),
        distinct_steps=len(todo),
        candidates=len(search.subjects),
        known=session.known,
        measured=session.measured,
        failed=session.failed,
        left=len(search.subjects) - search.known - hopeless,
        hopeless=hopeless,
        cycles_before=total_cycles(plan, session.log, where.code),
        cycles_after=total_cycles(tuned, session.log, where.code),
        seconds=round(time.monotonic() - start, 1),
        log=str(file) if os.path.exists(file) else None,
        notes=(*filter(None, (damage(file, kept),)), *tuned.notes),
    )


def total_cycles(plan: Plan, log: TuningLog, code: Code = "flash") -> int | None:
    """The measured cycles of all steps of a plan; None where one was not measured. With their code in RAM their tables are there,
    too."""
    names = [(step.call.kernel.name, plan.board.name, step.resident or code == "ram") for step in plan.steps]
    cycles = [log.cycles(*name, code) for name in names]
    return sum(c for c in cycles if c is not None) if None not in cycles else None


def _room(plan: Plan) -> int:
    """The bytes that a plan leaves free in one piece: tables that are to be in RAM must fit there."""
    return max(plan.budget(m) - plan.used(m.name) for m in plan.board.chip.rams)


class _Session:
    """Keeps results as they come: in the log, in the search, and on the terminal."""

    def __init__(self, bench: Bench, file: Path, search: Search, log: TuningLog, report: Report) -> None:
        self.bench, self.file, self.search, self.log, self.report = bench, file, search, log, report
        self.known, self.measured, self.failed = search.known, 0, 0

    def run(self, results: Results) -> None:
        self._tell()
        for subject, outcome in results:
            self._keep(self.bench.result(subject, outcome))

    def _keep(self, m: Measurement) -> None:
        from smelt.planner.log import TuningLog, append

        append(self.file, [m])
        self.log += TuningLog((m,))
        self.search.learn(m)
        self.measured += 1
        self.failed += m.error is not None
        self._tell()

    def _tell(self) -> None:
        self.report(self.search.known, len(self.search.subjects), self.search.best())


def _simulated(bench: Bench, search: Search, deadline: float) -> Results:
    """What worker processes measure on simulated boards, until the time is over or nothing promises enough."""
    from smelt.tuning.workers import Workers

    with Workers(WORKERS) as workers:
        queues = _Queues(bench, search)
        while True:
            while workers.ready and time.monotonic() < deadline and (subjects := queues.next()):
                yield from queues.submit(workers, subjects)
            if not workers.busy:
                return
            answer = workers.next(max(deadline - time.monotonic(), 0))
            if answer is None:
                return  # the time is over: what is under way is given up
            yield from queues.results(answer)


class _Queues:
    """What the workers were given and have not answered yet, and what is to be tried again because it failed together."""

    def __init__(self, bench: Bench, search: Search) -> None:
        self.bench, self.search = bench, search
        self.given: dict[int, list[list[Subject]]] = {}
        self.again: list[list[Subject]] = []

    def next(self) -> list[Subject]:
        return self.again.pop(0) if self.again else self.search.take(_fits)

    def submit(self, workers: Workers, subjects: list[Subject]) -> Results:
        """Give a batch to a worker; yields a result only where it cannot be built."""
        from smelt.tuning.bench import explained, order

        try:
            work = order(self.bench, subjects)
        except DoesNotFit as error:
            yield from self._failed(subjects, explained(error))
            return
        self.given.setdefault(workers.submit(work), []).append(subjects)

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
        from smelt.tuning.bench import Outcome

        rest = [s for s in batch if not self.search.has_result(s)]
        if len(batch) == 1 and rest:
            yield rest[0], Outcome(0, None, failure)
        else:
            half = (len(rest) + 1) // 2
            self.again += [some for some in (rest[:half], rest[half:]) if some]


def _fits(subjects: Sequence[Subject]) -> bool:
    """Whether one firmware can hold them."""
    candidates = [s.candidate for s in subjects]
    return (
        len(subjects) <= BATCH
        and sum(c.cost for c in candidates) <= BATCH_COST
        and sum(c.table_bytes for c in candidates) <= BATCH_TABLES
        and sum(c.table_bytes for c in candidates if c.resident) <= BATCH_RESIDENT
        and len({c.call.kernel.name for c in candidates}) == len(candidates)
    )
