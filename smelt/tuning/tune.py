"""Tuning: the candidates of every distinct step of a model are measured on a device, the most promising first, and logged.

Candidates are compiled in batches, but each of them is run and logged on its own: whatever kills a session, it loses the
measurements under way, one for each worker.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smelt import plugins
from smelt.firmware.build import Compiler
from smelt.firmware.toolchain import toolchain
from smelt.importers import load
from smelt.kernels.implementation import Implementation
from smelt.model.graph import Graph
from smelt.passes import prepare
from smelt.planner import make_plan
from smelt.planner.known import Known
from smelt.planner.log import TuningLog, append, check_writable, damage
from smelt.planner.measurement import Measurement, Origin
from smelt.planner.plan import Plan
from smelt.planner.ways import Ways
from smelt.targets.boards import named
from smelt.targets.types import Board
from smelt.tuning.alike import holding
from smelt.tuning.bench import Bench
from smelt.tuning.core_steps import CoreTuning, check_simulated, tune_steps
from smelt.tuning.devices import Where, counting_device
from smelt.tuning.farm import Farm
from smelt.tuning.queues import Results, measured
from smelt.tuning.search import Search
from smelt.tuning.told import Report, Tuning
from smelt.tuning.works import works


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
    farm: str | None = None,
) -> Tuning:
    """Measure ways to compute the model at `path` on `board` for `budget` seconds, and add them to the log `file`.

    What the log or `known` holds of this origin is not measured again; that and what similar origins counted teaches what to
    expect of the rest. `exhaustive` measures what promises nothing, too; without `resident`, tables are only measured in
    flash, except on real devices: through their debug links code and tables get into RAM. `implementations` default to all.
    `device` is "simulator", "openocd" or "pyocd"; `adapter` is how to reach a real one; `farm` is the address of a scheduler of
    Dask, whose workers own such devices. For a board with a cluster, whole steps on its cores are measured, on the simulator
    (`core_steps.py`). Raises what `compile` raises, OptionError where the device counts no cycles or the log
    cannot be written, DeviceError.
    """
    start = time.monotonic()
    board, file = named(board), Path(file)
    if board.chip.cluster is not None:
        check_simulated(board, device, farm)
    check_writable(file)
    where = counting_device(board, device, adapter)
    kept = TuningLog.load(file) if os.path.exists(file) else TuningLog.empty
    ways = Ways(board.core, plugins.implementations() if implementations is None else implementations)
    if board.chip.cluster is not None:
        origin, log = Origin(where.name, toolchain(board, compiler)), holding(kept + (known or TuningLog.empty), board)
        cores = CoreTuning(prepare(load(path)), board, ways, compiler, origin, log, file)
        return _finished(tune_steps(cores, start + budget, exhaustive, report), file, kept, start)
    case = _case(prepare(load(path)), board, ways, where, compiler, kept + (known or TuningLog.empty))
    room = _room(case.plan) if resident else 0
    search = Search(works(case.graph, board, ways, room, where.in_ram), case.known, exhaustive, in_ram=where.in_ram)
    session = _Session(case.bench, file, search, report)
    pool = where.pool(board, compiler) if farm is None else Farm(farm, board, where.name, where.in_ram)
    session.run(measured(pool, case.bench, search, start + budget))
    return _finished(_told(case, session), file, kept, start)


def _finished(told: Tuning, file: Path, kept: TuningLog, start: float) -> Tuning:
    """What is said at last."""
    notes = (*filter(None, (damage(file, kept),)), *told.notes)
    log = str(file) if os.path.exists(file) else None
    return replace(told, seconds=round(time.monotonic() - start, 1), log=log, notes=notes)


@dataclass(frozen=True, eq=False)
class _Case:
    """What is tuned, where, and what is known of it."""

    graph: Graph
    ways: Ways
    where: Where
    plan: Plan
    bench: Bench
    known: Known


def _case(graph: Graph, board: Board, ways: Ways, where: Where, compiler: Compiler, log: TuningLog) -> _Case:
    origin = Origin(where.name, toolchain(board, compiler))
    plan = make_plan(graph, board, ways)
    memory = max(plan.memories, key=lambda m: plan.used(m.name))
    bench = Bench(board, memory, compiler, origin, graph, where.in_ram)
    return _Case(graph, ways, where, plan, bench, Known.of(board, holding(log, board), origin))


def _told(case: _Case, session: _Session) -> Tuning:
    """What came of a session, but for the time that it took and the file."""
    where, search, hopeless = case.where, session.search, session.search.hopeless()
    exact = _exact(case.known, where).measurements
    after = Known.of(case.bench.board, TuningLog((*exact, *session.measurements)), case.bench.origin)
    tuned = make_plan(case.graph, case.bench.board, case.ways, known=after)
    return Tuning(
        model=case.graph.name,
        board=case.bench.board.name,
        device=where.name,
        places=where.places,
        steps=len(case.plan.steps),
        distinct_steps=len(search.works),
        candidates=len(search.subjects),
        known=session.known,
        measured=len(session.measurements),
        failed=sum(m.failure is not None for m in session.measurements),
        left=len(search.subjects) - search.known - hopeless,
        hopeless=hopeless,
        cycles_before=total_cycles(case.plan, after, where.in_ram),
        cycles_after=total_cycles(tuned, after, where.in_ram),
        notes=tuned.notes,
    )


def total_cycles(plan: Plan, known: Known, in_ram: bool = False) -> int | None:
    """The measured cycles of all steps of a plan; None where one was not measured. With their code in RAM their tables are
    there, too."""
    cycles = [known.cycles(way.kernel, (way.resident or in_ram, in_ram)) for some in plan.ways for way in some.ways]
    return sum(c for c in cycles if c is not None) if None not in cycles else None


def _exact(known: Known, where: Where) -> TuningLog:
    """What this very origin measured, code where it has it."""
    return known.believed.only(lambda m: m.origin == known.origin and m.code_in_flash != where.in_ram)


def _room(plan: Plan) -> int:
    """The bytes that a plan leaves free in one piece: tables that are to be in RAM must fit there."""
    return max(plan.budget(m) - plan.used(m.name) for m in plan.board.chip.rams)


class _Session:
    """Keeps results as they come: in the log, in the search, and on the terminal."""

    def __init__(self, bench: Bench, file: Path, search: Search, report: Report) -> None:
        self.bench, self.file, self.search, self.report = bench, file, search, report
        self.known = search.known
        self.measurements: list[Measurement] = []

    def run(self, results: Results) -> None:
        self._tell()
        for subject, outcome in results:
            m = self.bench.result(subject, outcome)
            append(self.file, [m])
            self.measurements.append(m)
            self.search.learn(m)
            self._tell()

    def _tell(self) -> None:
        self.report(self.search.known, len(self.search.subjects), self.search.best())
