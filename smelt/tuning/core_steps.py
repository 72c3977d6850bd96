"""Tuning for boards with a cluster: whole steps, divided over its cores, each as firmware of its own on the simulated board.

What a kernel takes on one core says little of a step: shares wait for banks, for moves and for the slowest core. So what is
measured is a step as a plan has it, with its moves: of each distinct one the first guess, and sizes of rounds and schedules that
are predicted to take little more. There are few of them, and no model is learned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from smelt.devices.simulators.cluster_simulator import ClusterSimulator
from smelt.errors import OptionError, SmeltError
from smelt.firmware.build import Compiler, TooMuchCode, build
from smelt.firmware.emit import emit
from smelt.firmware.harness import render_harness
from smelt.firmware.image import Image
from smelt.firmware.sources import render
from smelt.inputs import random_inputs
from smelt.model.graph import Array, Graph
from smelt.model.reference import run, trace
from smelt.planner import make_plan
from smelt.planner.check import check
from smelt.planner.core_figures import name_of, routines_of, schedule_of, step_key
from smelt.planner.core_search import CoreSearch
from smelt.planner.flow import aligned
from smelt.planner.kept import with_way
from smelt.planner.known import Known
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.log import TuningLog, append
from smelt.planner.measurement import FLASH, Measurement, Origin, Places
from smelt.planner.on_cores import OnCores
from smelt.planner.placement import Placement, homes
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.settle import settled
from smelt.planner.step import Step
from smelt.planner.ways import Ways
from smelt.targets.border import undecided
from smelt.targets.types import Board
from smelt.tuning.firmware import differing
from smelt.tuning.pool import explained, is_ours
from smelt.tuning.told import Report, Tuning

SCHEDULES = 2
"""Of each implementation that are tried."""

SIZES = 6
"""Of rounds that are tried with each, the best predicted ones."""

WORTH = 1.3
"""Times the predicted cycles of the first guess: what more is predicted for is measured only where everything is."""

BUILDS, MORE = 4, 256
"""How often firmware is planned anew where its code takes more than it was left, and bytes that it is left besides."""


@dataclass(frozen=True, eq=False)
class CoreWork:
    """A distinct step that a plan has `times`; its candidates, the first guess first, then by their predicted cycles."""

    candidates: tuple[OnCores, ...]
    times: int


@dataclass(frozen=True, eq=False)
class CoreTuning:
    """What is tuned, and what a log says of it."""

    graph: Graph
    board: Board
    ways: Ways
    compiler: Compiler
    origin: Origin
    log: TuningLog
    file: Path

    def known(self, *more: Measurement) -> Known:
        """What the log says with some more lines."""
        return Known.of(self.board, TuningLog((*self.log.measurements, *more)), self.origin)


def check_simulated(board: Board, device: str, farm: str | None) -> None:
    """Raises OptionError where steps on cores would be measured on something else than this computer's simulator."""
    if device != "simulator" or farm is not None:
        raise OptionError(
            f"{board.name} divides steps over the cores of a cluster, and those are measured on this computer's simulator only: "
            "leave out --device, --adapter and --farm"
        )


def tune_steps(case: CoreTuning, deadline: float, exhaustive: bool, report: Report) -> Tuning:
    """Measure until the time is over. Raises what planning and building raise, where no candidate is to blame."""
    start = time.monotonic()
    known = case.known()
    default = make_plan(case.graph, case.board, case.ways)
    works = core_works(default, case.ways, exhaustive)
    everything = [way for work in works for way in work.candidates]
    queue = [way for way in _in_order(works) if not _is_known(known, way, case.board)]
    done, before = len(everything) - len(queue), known.measurements
    values = trace(case.graph, random_inputs(case.graph, 1)[0])
    found: list[Measurement] = []
    report(done, len(everything), None)
    for way in queue:
        if time.monotonic() >= deadline:
            break
        found.append(_measurement(case, way, values))
        append(case.file, found[-1:])
        report(done + len(found), len(everything), _best(case.known(*found), works))
    after = case.known(*found)
    tuned = make_plan(case.graph, case.board, case.ways, known=after)
    cycles = _whole_runs(case, default, tuned, after) if found or before else (None, None)
    return Tuning(
        model=case.graph.name,
        board=case.board.name,
        device=case.origin.counter,
        places="whole steps on all cores",
        steps=len(default.steps),
        distinct_steps=len(works),
        candidates=len(everything),
        known=done,
        measured=len(found),
        failed=sum(m.failure is not None for m in found),
        left=len(queue) - len(found),
        hopeless=0,
        cycles_before=cycles[0],
        cycles_after=cycles[1],
        notes=tuned.notes,
        seconds=round(time.monotonic() - start, 1),
    )


# What there is to measure


def core_works(plan: Plan, ways: Ways, exhaustive: bool = False) -> tuple[CoreWork, ...]:
    """The distinct steps of a plan that are divided over cores, in the order in which they first occur."""
    search = CoreSearch.of(plan, Predictor(Known(plan.board)), ways)
    found: dict[str, list[OnCores]] = {}
    times: dict[str, int] = {}
    for step in plan.steps:
        guess = search.chosen(step.way.whole) if isinstance(step.way, OnCores) else None
        if guess is not None:
            name = f"{step_key(guess.op)} {name_of(guess)}"
            times[name] = times.get(name, 0) + 1
            if name not in found:
                found[name] = _candidates(search, ways, guess, exhaustive)
    return tuple(CoreWork(tuple(some), times[name]) for name, some in found.items())


def _candidates(search: CoreSearch, ways: Ways, guess: OnCores, exhaustive: bool) -> list[OnCores]:
    some = [w for w in ways.first_of_each(guess.op, SCHEDULES) if not w.spends_flash]
    by_name = {name_of(guess): guess}
    for way in chain((guess.whole,), some):
        for made in search.all(way, SIZES):
            if exhaustive or made.cycles <= WORTH * guess.cycles:
                by_name.setdefault(name_of(made), made)
    first, *others = by_name.values()
    return [first, *sorted(others, key=lambda way: way.cycles)]


def _in_order(works: Sequence[CoreWork]) -> Iterator[OnCores]:
    """First guesses, the costliest steps first; then second ones, and so on."""
    costly = sorted(works, key=lambda work: -work.times * work.candidates[0].cycles)
    for place in range(max((len(work.candidates) for work in works), default=0)):
        yield from (work.candidates[place] for work in costly if place < len(work.candidates))


def _is_known(known: Known, way: OnCores, board: Board) -> bool:
    figure = known.believed.find(name_of(way), board.name)
    return figure is not None and known.worth(figure, lambda: routines_of(way, board.core)) == "measured"


def _best(known: Known, works: Sequence[CoreWork]) -> int | None:
    """The least cycles of all steps; None while one has no figure."""
    total = 0
    for work in works:
        cycles = [c for way in work.candidates if (c := known.cycles(name_of(way)))]
        if not cycles:
            return None
        total += work.times * min(cycles)
    return total


# Measuring


def _measurement(case: CoreTuning, way: OnCores, values: Mapping[str, Array]) -> Measurement:
    """A line for the log. Raises what is no candidate's fault."""
    cycles, failure = None, None
    try:
        cycles, failure = _counted(case, way, values)
    except SmeltError as error:
        if is_ours(error):
            raise
        failure = explained(error)
    core, far = case.board.core, _far(case.board)
    name, cluster = way.whole.implementation.name, case.board.chip.cluster
    assert cluster is not None, "steps on cores are for clusters"
    return Measurement(
        name_of(way), step_key(way.op), name, schedule_of(way), case.board.name, cycles, failure, case.origin,
        Places(FLASH, FLASH, far, far, cluster.memory), step_features(way), routines_of(way, core),
    )  # fmt: skip


def step_features(way: OnCores) -> tuple[tuple[str, int], ...]:
    """What is known of a step without running it."""
    op, buffers = way.op, sum(s.bytes for s in way.scratch)
    parts = {"predicted": way.cycles, "macs": op.macs, "tables": sum(way.tables.values()), "scratch": buffers}
    parts |= {"x": sum(t.bytes for t in op.activations), "y": op.ys[0].bytes, "cores": way.cores}
    parts |= {"rounds": len(way.rounds), "calls": len(way.pieces), "moves": len(way.events) // 2}
    return tuple((key, value) for key, value in parts.items() if value)


def _counted(case: CoreTuning, way: OnCores, values: Mapping[str, Array]) -> tuple[int | None, str | None]:
    """The cycles of a step, or why there are none. Raises SmeltError."""
    plan, image = _firmware(lambda limits: one_step(case.board, way, limits), case.compiler)
    inputs = b"".join(np.ascontiguousarray(values[x.name]).tobytes() for x in plan.graph.inputs)
    counted = ClusterSimulator(case.board).run(image, inputs)
    expected = b"".join(np.ascontiguousarray(values[y.name]).tobytes() for y in way.ys)
    wrong = differing(counted.outputs, expected)
    return (None, wrong) if wrong else (int(counted.step_cycles[0]), None)


def one_step(board: Board, way: OnCores, limits: Limits = UNLIMITED) -> Plan:
    """A plan of nothing but a step whose tensors lie where those of networks do. Raises DoesNotFit."""
    there, far, offset = undecided(board), _far(board), 0
    op = way.op
    graph = Graph("candidate", tuple(dict.fromkeys(op.activations)), op.ys, (op,))
    placements: list[Placement] = []
    for tensor, first in (*((x, -1) for x in graph.inputs), *((y, 0) for y in op.ys)):
        placements.append(Placement(tensor.name, far, offset, aligned(tensor.bytes), first, 1, (tensor,)))
        offset += aligned(tensor.bytes)
    cluster = board.chip.cluster
    assert cluster is not None, "steps on cores are for clusters"
    plan = Plan(graph, there, (Step(way.whole, "step"),), tuple(placements), limits=limits)
    return settled(check(with_way(plan, 0, way, cluster.memory)), board)


def _far(board: Board) -> str:
    """The memory in which tensors of networks lie."""
    room = homes(undecided(board), 0)
    return max(room, key=lambda name: room[name])


def _firmware(planned: Callable[[Limits], Plan], compiler: Compiler) -> tuple[Plan, Image]:
    """Of a plan, whose code may have to be left more room. Raises SmeltError."""
    limits = UNLIMITED
    for number in range(BUILDS):
        plan = planned(limits)
        program = emit(plan)
        try:
            return plan, build(render_harness(program, render(program)), plan.board, compiler)
        except TooMuchCode as error:
            if number == BUILDS - 1:
                raise
            limits = replace(limits, code=limits.code + error.bytes + MORE)
    raise AssertionError("the last build has raised or returned")


# What came of it


def _whole_runs(case: CoreTuning, default: Plan, tuned: Plan, known: Known) -> tuple[int, int]:
    """Cycles of the network as it is without what was measured, and with it."""
    before = _whole_run(case, None)
    same = [way.key for way in default.ways] == [way.key for way in tuned.ways]
    return before, before if same else _whole_run(case, known)


def _whole_run(case: CoreTuning, known: Known | None) -> int:
    def planned(limits: Limits) -> Plan:
        return make_plan(case.graph, case.board, case.ways, known=known, limits=limits)

    _, image = _firmware(planned, case.compiler)
    (inputs,) = random_inputs(case.graph, 1)
    counted = ClusterSimulator(case.board).run(image, b"".join(np.ascontiguousarray(x).tobytes() for x in inputs))
    expected = b"".join(np.ascontiguousarray(y).tobytes() for y in run(case.graph, inputs))
    assert not differing(counted.outputs, expected), "firmware equals the reference"
    return sum(counted.step_cycles) + counted.overhead_cycles
