"""Candidates as firmware for a board: what is to be built and run, and what the cycles of each are, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from smelt.devices.simulators.simulator import Simulator
from smelt.errors import BuildError, DeviceError, DoesNotFit, SmeltError
from smelt.firmware import build, emit
from smelt.firmware.build import Compiler
from smelt.firmware.candidates import only, render_candidates
from smelt.firmware.image import Image, Sources
from smelt.firmware.program import Program
from smelt.inputs import random_inputs
from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.reference import trace
from smelt.planner.check import check
from smelt.planner.flow import aligned
from smelt.planner.log import Code, Measurement
from smelt.planner.placement import Placement
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.targets.types import Board, Memory
from smelt.tuning.search import Subject
from smelt.tuning.works import Candidate

INSTRUCTIONS, TIMES = 20_000_000, 50
"""What a candidate may execute before it counts as a run-away: so many, and so many times its static cost."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Where candidates are measured: tensors and scratch lie in `memory`, or in the largest RAM where that is too small.
    `graph` is the prepared model. `code` is where the device has the code."""

    board: Board
    memory: Memory
    compiler: Compiler
    toolchain: str
    device: str
    graph: Graph
    code: Code = "flash"

    @cached_property
    def values(self) -> Mapping[str, Array]:
        """Every tensor of the model for one random input: the activations that a kernel meets are not random."""
        return trace(self.graph, random_inputs(self.graph, 1)[0])

    def inputs(self, op: Op) -> tuple[Array, ...]:
        """The values of the operands of an op of the graph that are no constants, each once."""
        return tuple(self.values[t.name] for t in dict.fromkeys(op.activations))

    def result(self, subject: Subject, outcome: Outcome) -> Measurement:
        """A line for the log."""
        c = subject.candidate
        how = c.implementation.name, str(c.schedule), self.board.name, self.toolchain
        where = self.device, c.resident, c.counts, self.code
        return Measurement(c.call.kernel.name, subject.work.op_key, *how, outcome.cycles, outcome.error, *where)


@dataclass(frozen=True)
class Outcome:
    """What became of a trial, by its number in the order. Errors are "compile: ...", "fault: ...", "mismatch: ...", ..."""

    number: int
    cycles: int | None
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One program of an image, the bytes that it reads, and those that it must write."""

    entry: str
    kernels: tuple[str, ...]
    stream: bytes
    expected: bytes
    limit: int


@dataclass(frozen=True, eq=False)
class Order:
    """Everything that it takes to measure, as plain data that can go to another process."""

    board: Board
    compiler: Compiler
    sources: Sources
    trials: tuple[Trial, ...]


def order(bench: Bench, subjects: Sequence[Subject]) -> Order:
    """The firmware for some candidates. Raises DoesNotFit."""
    programs = [_program(bench, s.candidate, n) for n, s in enumerate(subjects)]
    trials = [_trial(bench, s.candidate, p, n) for n, (s, p) in enumerate(zip(subjects, programs, strict=True))]
    return Order(bench.board, bench.compiler, render_candidates(programs), tuple(trials))


def _trial(bench: Bench, candidate: Candidate, program: Program, number: int) -> Trial:
    stream = b"".join(np.ascontiguousarray(array).tobytes() for array in bench.inputs(candidate.op))
    return Trial(
        f"{program.name}_run",
        tuple(program.function(k) for k in program.kernels),
        number.to_bytes(4, "little") + stream,
        np.ascontiguousarray(bench.values[candidate.op.y.name]).tobytes(),
        INSTRUCTIONS + TIMES * int(candidate.cost),
    )


def outcomes(order: Order) -> Iterator[Outcome]:
    """Build and run an order: each candidate on a board that was just switched on, so that none depends on the others.

    Raises SmeltError where there is no firmware: one of the candidates, or the lack of a compiler, is the reason.
    """
    image = build(order.sources, order.board, order.compiler)
    everything = {name for trial in order.trials for name in trial.kernels}
    for number, trial in enumerate(order.trials):
        yield _outcome(order, only(image, trial.entry, trial.kernels, everything - set(trial.kernels)), number)


def _outcome(order: Order, image: Image, number: int) -> Outcome:
    trial = order.trials[number]
    try:
        run = Simulator(order.board).run(image, trial.stream, trial.limit)
        if len(run.step_cycles) != 1:
            raise DeviceError("the firmware did not run the kernel once")
    except SmeltError as error:
        return Outcome(number, None, explained(error))
    if wrong := differing(run.outputs, trial.expected):
        return Outcome(number, None, wrong)
    return Outcome(number, int(run.step_cycles[0]))


def differing(got: bytes, expected: bytes) -> str | None:
    """The error for bytes that are not the expected ones."""
    if len(got) != len(expected):
        return f"mismatch: {len(got)} instead of {len(expected)} bytes"
    count = int(np.count_nonzero(np.frombuffer(got, np.uint8) != np.frombuffer(expected, np.uint8)))
    return f"mismatch: {count} of {len(expected)} bytes differ from the reference" if count else None


def explained(error: SmeltError) -> str:
    """An error as a measurement has it."""
    kinds = ((DoesNotFit, "memory"), (BuildError, "compile"), (DeviceError, "fault"))
    kind = next((name for kind, name in kinds if isinstance(error, kind)), "defect")
    return f"{kind}: {error}"


def is_ours(error: SmeltError) -> bool:
    """Whether an error is no candidate's fault: there is no compiler, or no room for its files."""
    return isinstance(error, BuildError) and (isinstance(error.__cause__, OSError) or "not installed" in str(error))


# --- the program of a candidate -------------------------------------------------------------------------------------


def _program(bench: Bench, candidate: Candidate, number: int) -> Program:
    plan = _plan(bench, candidate, bench.memory)
    if plan.used(bench.memory.name) > plan.budget(bench.memory):
        largest = max(bench.board.chip.rams, key=plan.budget)
        plan = _plan(bench, candidate, largest)
        if plan.used(largest.name) > plan.budget(largest):
            raise DoesNotFit(f"tensors and scratch need {plan.used(largest.name):,} bytes of {largest.name}")
    return emit(check(plan), f"candidate_{number}")


def _plan(bench: Bench, candidate: Candidate, memory: Memory) -> Plan:
    """One step: inputs, result and scratch one after the other."""
    xs = tuple(dict.fromkeys(candidate.op.activations))
    old, call = candidate.op, candidate.call
    renamed = {t: Tensor(f"x{n}", t.shape, t.dtype, t.quantization) for n, t in enumerate(xs)}
    renamed[old.y] = Tensor("y", old.y.shape, old.y.dtype, old.y.quantization)
    arguments = tuple(renamed.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments)
    op, call = old.substitute(renamed), KernelCall(call.kernel, arguments)
    step = Step(op, candidate.implementation, candidate.schedule, call, "step", candidate.resident)
    graph = Graph("candidate", tuple(renamed[x] for x in xs), (op.y,), (op,))
    return Plan(graph, bench.board, (step,), tuple(_placements(memory.name, graph, step)))


def _placements(memory: str, graph: Graph, step: Step) -> Iterator[Placement]:
    offset = 0
    for t, first in [*((x, -1) for x in graph.inputs), (step.op.y, 0)]:
        yield Placement(t.name, memory, offset, aligned(t.bytes), first, 1, (t,))
        offset += aligned(t.bytes)
    for n, scratch in enumerate(step.scratch):
        yield Placement(f"step.scratch{n}", memory, offset, aligned(scratch.bytes), 0, 0, scratch=scratch)
        offset += aligned(scratch.bytes)
