"""Tuning: every candidate of every distinct step of a model is measured on the simulated board, and logged.

The workers are threads: what takes time are the processes of the compiler and the native simulator, and threads cannot
outlive a session that is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smelt.errors import OptionError

if TYPE_CHECKING:
    from smelt.firmware.build import Compiler
    from smelt.kernels.implementation import Implementation
    from smelt.measure import Batch
    from smelt.planner.log import Measurement, TuningLog
    from smelt.planner.plan import Plan
    from smelt.planner.tuner import Candidate, Work
    from smelt.targets.types import Board, Memory

WORKERS = 2
BATCH = 6  # candidates in one firmware
BATCH_COST = 8e6  # static instructions in one firmware: about two seconds of simulation
BATCH_TABLES = 300_000  # bytes of constants in one firmware
HOPELESS = 3.0  # times the least static cost of a step: what costs more is not measured


Report = Callable[[int, int, int | None], None]
"""Told (candidates with a result, all candidates, the best sum of cycles so far or None) after every batch."""


@dataclass(frozen=True)
class Tuning:
    """What a tuning did. `measured` and `failed` count this session, `known` what the log held already, `left` what the
    budget did not allow. Cycles are the sums over the steps of the default and of the tuned plan."""

    model: str
    board: str
    steps: int
    distinct_steps: int
    candidates: int
    known: int
    measured: int
    failed: int
    left: int
    cycles_before: int | None
    cycles_after: int | None
    seconds: float
    log: str
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Job:
    """A candidate to measure, and the work that it is for."""

    work: Work
    candidate: Candidate


def tune(
    path: Path,
    board: Board,
    file: Path,
    *,
    budget: float = 600,
    compiler: Compiler = "zig",
    implementations: Sequence[Implementation] | None = None,
    report: Report = lambda done, total, cycles: None,
) -> Tuning:
    """Measure the candidates of the model at `path` on the simulated `board` for `budget` seconds, into the log `file`.

    What the log holds already is not measured again. `implementations` default to all. Raises what `compile` raises,
    OptionError where the board has no model of time or the log cannot be written.
    """
    from smelt.firmware.toolchain import toolchain
    from smelt.importers import load
    from smelt.kernels import IMPLEMENTATIONS
    from smelt.passes import prepare
    from smelt.planner import make_plan
    from smelt.planner.log import TuningLog
    from smelt.planner.tuner import works
    from smelt.targets.timing import is_timed

    start = time.monotonic()
    if not is_timed(board.core.name):
        raise OptionError(f"there is no model of the time that {board.core.name} takes: {board.name} cannot be tuned")
    offered = IMPLEMENTATIONS if implementations is None else implementations
    tools = toolchain(board, compiler)
    graph = prepare(load(path))
    plan = make_plan(graph, board, offered)
    log = TuningLog.load(file) if file.exists() else TuningLog.empty
    todo = works(graph, board, offered)
    session = _Session(board, tools, compiler, file, log.of(board.name, tools), plan, todo, report)
    session.run(start + budget)
    tuned = make_plan(graph, board, offered, log=session.log)
    return Tuning(
        model=graph.name,
        board=board.name,
        steps=len(plan.steps),
        distinct_steps=len(todo),
        candidates=session.total,
        known=session.known,
        measured=session.measured,
        failed=session.failed,
        left=session.left,
        cycles_before=total_cycles(plan, session.log),
        cycles_after=total_cycles(tuned, session.log),
        seconds=round(time.monotonic() - start, 1),
        log=str(file),
        notes=tuned.notes,
    )


def total_cycles(plan: Plan, log: TuningLog) -> int | None:
    """The measured cycles of all steps of a plan; None where one was not measured."""
    cycles = [log.cycles(step.call.kernel.name, plan.board.name) for step in plan.steps]
    return sum(c for c in cycles if c is not None) if None not in cycles else None


class _Session:
    """Measuring with two workers; only this thread writes the log."""

    def __init__(
        self,
        board: Board,
        tools: str,
        compiler: Compiler,
        file: Path,
        log: TuningLog,
        plan: Plan,
        todo: Sequence[Work],
        report: Report,
    ) -> None:
        self.board, self.tools, self.compiler, self.file, self.log = board, tools, compiler, file, log
        self.plan, self.todo, self.report = plan, todo, report
        every = list(_ordered(todo))
        self.jobs = [job for job in every if log.find(job.candidate.call.kernel.name, board.name, tools) is None]
        self.total, self.known = len(every), len(every) - len(self.jobs)
        self.measured = self.failed = 0

    @property
    def left(self) -> int:
        return self.total - self.known - self.measured

    def run(self, deadline: float) -> None:
        """Measure until nothing is left or the time is over."""
        batches = _batches(self.jobs, self.plan.budget(self.memory))
        pending: set[Future[tuple[Measurement, ...]]] = set()
        self._tell()
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                while True:
                    while len(pending) < WORKERS and time.monotonic() < deadline and (jobs := next(batches, None)):
                        pending.add(pool.submit(self._measure, jobs))
                    if not pending:
                        return
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._keep(future.result())
            except KeyboardInterrupt:  # what is under way ends in a few seconds and is worth keeping
                for future in wait(pending).done:
                    self._keep(future.result())
                raise

    @property
    def memory(self) -> Memory:
        """Where the plan has most of its tensors: candidates are measured there."""
        return max(self.plan.memories, key=lambda m: self.plan.used(m.name))

    def _measure(self, jobs: Sequence[_Job]) -> tuple[Measurement, ...]:
        from smelt.measure import measure

        return measure(self._batch(jobs))

    def _batch(self, jobs: Sequence[_Job]) -> Batch:
        from smelt.measure import Batch

        candidates = tuple((job.work.op_key, job.candidate) for job in jobs)
        return Batch(self.board, self.memory, self.compiler, self.tools, candidates)

    def _keep(self, measurements: tuple[Measurement, ...]) -> None:
        from smelt.planner.log import TuningLog, append

        append(self.file, measurements)
        self.log += TuningLog(measurements)
        self.measured += len(measurements)
        self.failed += sum(m.error is not None for m in measurements)
        self._tell()

    def _tell(self) -> None:
        self.report(self.known + self.measured, self.total, self._best())

    def _best(self) -> int | None:
        total = 0
        for work in self.todo:
            found = (self.log.cycles(c.call.kernel.name, self.board.name) for c in work.candidates)
            cycles = [c for c in found if c is not None]
            if not cycles:
                return None
            total += work.times * min(cycles)
        return total


def _ordered(todo: Iterable[Work]) -> Iterator[_Job]:
    """The defaults of all steps, then the second candidates, and so on; within a round the costly steps first."""
    costly = sorted(todo, key=lambda w: -w.times * w.candidates[0].cost)
    for row in zip_longest(*([_Job(work, c) for c in _hopeful(work)] for work in costly)):
        yield from (job for job in row if job is not None)


def _hopeful(work: Work) -> list[Candidate]:
    least = min(c.cost for c in work.candidates)
    return [c for i, c in enumerate(work.candidates) if i == 0 or c.cost <= HOPELESS * least]


def _batches(jobs: Sequence[_Job], room: int) -> Iterator[list[_Job]]:
    """Jobs in groups that one firmware can hold, in about the order given."""
    batch: list[_Job] = []
    for job in jobs:
        if batch and not _holds([*batch, job], room):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch


def _holds(jobs: Sequence[_Job], room: int) -> bool:
    from smelt.measure import tensor_bytes

    candidates = [job.candidate for job in jobs]
    return (
        len(jobs) <= BATCH
        and sum(c.cost for c in candidates) <= BATCH_COST
        and sum(c.table_bytes for c in candidates) <= BATCH_TABLES
        and tensor_bytes(candidates) <= room
    )
