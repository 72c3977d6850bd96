"""Trials as firmware for a board: several programs in one image, each run on a board that was just switched on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smelt.devices.simulators.simulator import Simulator
from smelt.errors import DeviceError, DoesNotFit, SmeltError
from smelt.firmware import build, emit
from smelt.firmware.build import Compiler
from smelt.firmware.candidates import only, render_candidates
from smelt.firmware.image import Image, Sources
from smelt.firmware.program import Program
from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Graph, Tensor
from smelt.planner import check
from smelt.planner.flow import aligned
from smelt.planner.measurement import FLASH, Places
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.ways import Way
from smelt.targets.types import Board, Memory
from smelt.tuning.pool import Order, Outcome, Trial, explained


@dataclass(frozen=True, eq=False)
class Run:
    """One program of an image, the bytes that it reads, those that it must write, and where it has what."""

    entry: str
    kernels: tuple[str, ...]
    stream: bytes
    expected: bytes
    limit: int
    places: Places


@dataclass(frozen=True, eq=False)
class Firmware:
    """Everything that it takes to measure, as plain data that can go to another process."""

    board: Board
    compiler: Compiler
    sources: Sources
    runs: tuple[Run, ...]


def firmware(order: Order) -> Firmware:
    """The firmware for an order. Raises DoesNotFit."""
    programs = [_program(order, trial, n) for n, trial in enumerate(order.trials)]
    runs = [_run(trial, program, n) for n, (trial, program) in enumerate(zip(order.trials, programs, strict=True))]
    return Firmware(order.board, order.compiler, render_candidates(programs), tuple(runs))


def _run(trial: Trial, program: Program, number: int) -> Run:
    stream = b"".join(np.ascontiguousarray(array).tobytes() for array in trial.inputs)
    kernels = tuple(program.function(k) for k in program.kernels)
    data = number.to_bytes(4, "little") + stream
    return Run(f"{program.name}_run", kernels, data, trial.expected, trial.limit, places_of(program.plan))


def places_of(plan: Plan) -> Places:
    """Where the one step of a plan has what."""
    (step,), (memory,) = plan.steps, plan.memories
    tables = (
        {plan.table_memory(a) for call in step.calls for a in call.arguments if isinstance(a, np.ndarray)}
        if step.resident
        else set()
    )
    copies = next(iter(sorted(name for name in tables if name)), FLASH)
    scratch = memory.name if step.scratch else ""
    return Places(FLASH, copies, memory.name, memory.name, scratch)


def outcomes(work: Firmware) -> Iterator[Outcome]:
    """Build firmware and run it: each candidate on a board that was just switched on, so that none depends on the others.

    Raises SmeltError where there is no firmware: one of the candidates, or the lack of a compiler, is the reason.
    """
    image = build(work.sources, work.board, work.compiler)
    everything = {name for run in work.runs for name in run.kernels}
    for number, run in enumerate(work.runs):
        yield _outcome(work, only(image, run.entry, run.kernels, everything - set(run.kernels)), number)


def _outcome(work: Firmware, image: Image, number: int) -> Outcome:
    wanted = work.runs[number]
    try:
        run = Simulator(work.board).run(image, wanted.stream, wanted.limit)
        if len(run.step_cycles) != 1:
            raise DeviceError("the firmware did not run the kernel once")
    except SmeltError as error:
        return Outcome(number, None, explained(error), wanted.places)
    if wrong := differing(run.outputs, wanted.expected):
        return Outcome(number, None, wrong, wanted.places)
    return Outcome(number, int(run.step_cycles[0]), None, wanted.places)


def differing(got: bytes, expected: bytes) -> str | None:
    """The failure for bytes that are not the expected ones."""
    if len(got) != len(expected):
        return f"mismatch: {len(got)} instead of {len(expected)} bytes"
    count = int(np.count_nonzero(np.frombuffer(got, np.uint8) != np.frombuffer(expected, np.uint8)))
    return f"mismatch: {count} of {len(expected)} bytes differ from the reference" if count else None


# --- the program of a trial -------------------------------------------------------------------------------------------


def _program(order: Order, trial: Trial, number: int) -> Program:
    return emit(check(one_step(order, trial)), f"candidate_{number}")


def one_step(order: Order, trial: Trial) -> Plan:
    """A plan of nothing but a trial. Raises DoesNotFit."""
    plan = _plan(order.board, trial, order.memory)
    if plan.used(order.memory.name) > plan.budget(order.memory):
        largest = max(order.board.chip.rams, key=plan.budget)
        plan = _plan(order.board, trial, largest)
        if plan.used(largest.name) > plan.budget(largest):
            raise DoesNotFit(f"tensors and scratch need {plan.used(largest.name):,} bytes of {largest.name}")
    return plan


def _plan(board: Board, trial: Trial, memory: Memory) -> Plan:
    """One step: inputs, results and scratch one after the other."""
    old, way = trial.op, trial.way
    xs = tuple(dict.fromkeys(old.activations))
    renamed = {t: Tensor(f"x{n}", t.shape, t.dtype, t.quantization) for n, t in enumerate(xs)}
    renamed |= {y: Tensor(f"y{n}", y.shape, y.dtype, y.quantization) for n, y in enumerate(old.ys)}
    arguments = tuple(renamed.get(a, a) if isinstance(a, Tensor) else a for a in way.call.arguments)
    op, call = old.substitute(renamed), KernelCall(way.call.kernel, arguments)
    step = Step(Way(op, way.implementation, way.schedule, call, way.resident), "step")
    graph = Graph("candidate", tuple(renamed[x] for x in xs), op.ys, (op,))
    return Plan(graph, board, (step,), tuple(_placements(memory.name, graph, step)))


def _placements(memory: str, graph: Graph, step: Step) -> Iterator[Placement]:
    offset = 0
    for t, first in [*((x, -1) for x in graph.inputs), *((y, 0) for y in step.ys)]:
        yield Placement(t.name, memory, offset, aligned(t.bytes), first, 1, (t,))
        offset += aligned(t.bytes)
    for n, scratch in enumerate(step.scratch):
        yield Placement(f"step.scratch{n}", memory, offset, aligned(scratch.bytes), 0, 0, scratch=scratch)
        offset += aligned(scratch.bytes)
