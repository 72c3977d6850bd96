"""Candidates in one firmware on the simulated board: the cycles of each, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smelt.devices.simulators.simulator import Simulator
from smelt.errors import BuildError, DeviceError, DoesNotFit, SmeltError
from smelt.firmware import build, emit, render, render_harness
from smelt.firmware.build import Compiler
from smelt.kernels.implementation import KernelCall
from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.reference import evaluate
from smelt.planner.flow import aligned
from smelt.planner.log import Measurement
from smelt.planner.plan import Placement, Plan, Step
from smelt.planner.tuner import Candidate
from smelt.targets.types import Board, Memory

INSTRUCTIONS = 1_000_000_000
"""What a batch may execute before it counts as a run-away."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Candidates with the keys of their ops, and where to measure them: tensors and scratch in `memory`."""

    board: Board
    memory: Memory
    compiler: Compiler
    toolchain: str
    candidates: tuple[tuple[str, Candidate], ...]

    def one_by_one(self) -> Iterator[Batch]:
        for candidate in self.candidates:
            yield Batch(self.board, self.memory, self.compiler, self.toolchain, (candidate,))

    def result(self, number: int, cycles: int | None, error: str | None = None) -> Measurement:
        """The measurement of one of the candidates."""
        key, c = self.candidates[number]
        how = c.implementation.name, str(c.schedule)
        return Measurement(c.call.kernel.name, key, *how, self.board.name, self.toolchain, cycles, error)


def measure(batch: Batch) -> tuple[Measurement, ...]:
    """Build and run a batch: one measurement for each candidate, in order.

    Where the batch fails, each candidate is tried alone, so that the failure stays its own. Raises BuildError only for
    what is no candidate's fault: no compiler, no room for its files.
    """
    try:
        return _measured(batch)
    except SmeltError as error:
        if isinstance(error, BuildError) and isinstance(error.__cause__, OSError):
            raise
        if len(batch.candidates) > 1:
            return tuple(m for single in batch.one_by_one() for m in measure(single))
        return (batch.result(0, None, f"{_kind(error)}: {error}"),)


def _kind(error: SmeltError) -> str:
    kinds = ((DoesNotFit, "memory"), (BuildError, "compile"), (DeviceError, "fault"))
    return next((name for kind, name in kinds if isinstance(error, kind)), "defect")


def _measured(batch: Batch) -> tuple[Measurement, ...]:
    plan = _plan(batch)
    program = emit(plan)
    image = build(render_harness(program, render(program)), batch.board, batch.compiler)
    inputs = _random_inputs(plan.graph)
    stream = b"".join(array.tobytes() for array in inputs.values())
    run = Simulator(batch.board).run(image, stream, INSTRUCTIONS)
    if len(run.outputs) != sum(t.bytes for t in plan.graph.outputs) or len(run.step_cycles) != len(plan.steps):
        raise DeviceError("the firmware did not run each kernel once")
    return tuple(_judged(batch, plan, inputs, run.outputs, run.step_cycles))


def _judged(
    batch: Batch, plan: Plan, inputs: dict[Tensor, Array], outputs: bytes, cycles: Sequence[int]
) -> Iterator[Measurement]:
    """Cycles for what computed the right values, the first difference for what did not."""
    offset, known = 0, dict[int, Array]()
    for number, step in enumerate(plan.steps):
        y = step.op.y
        got = np.frombuffer(outputs, np.dtype(y.dtype).newbyteorder("<"), y.elements, offset)
        offset += y.bytes
        original = id(batch.candidates[number][1].op)
        if original not in known:
            known[original] = evaluate(step.op, *(inputs[t] if t.data is None else t.data for t in step.op.inputs))
        wrong = got.view(np.uint8) != np.ascontiguousarray(known[original]).reshape(-1).view(np.uint8)
        error = f"mismatch: {int(wrong.sum())} of {y.bytes} bytes differ from the reference" if wrong.any() else None
        yield batch.result(number, None if error else int(cycles[number]), error)


def _random_inputs(graph: Graph) -> dict[Tensor, Array]:
    generator = np.random.default_rng(0)
    return {t: _random(generator, t) for t in graph.inputs}


def _random(generator: np.random.Generator, tensor: Tensor) -> Array:
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return generator.normal(0, 2, tensor.shape).astype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, tensor.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)


def _plan(batch: Batch) -> Plan:
    """The candidates as one graph: those of the same op share its inputs, each has a result of its own."""
    shared: dict[Op, dict[Tensor, Tensor]] = {}
    steps = []
    for number, (_, candidate) in enumerate(batch.candidates):
        inputs = shared.setdefault(candidate.op, _renamed(candidate.op, len(shared)))
        steps.append(_step(candidate, inputs, number))
    xs = tuple(x for renamed in shared.values() for x in renamed.values())
    graph = Graph("candidates", xs, tuple(step.op.y for step in steps), tuple(step.op for step in steps))
    places = tuple(_placements(batch.memory, xs, steps))
    plan = Plan(graph, batch.board, tuple(steps), places)
    if plan.used(batch.memory.name) > plan.budget(batch.memory):
        raise DoesNotFit(f"tensors and scratch need {plan.used(batch.memory.name):,} bytes of {batch.memory.name}")
    return plan.check()


def _renamed(op: Op, number: int) -> dict[Tensor, Tensor]:
    """A tensor of its own for every operand: in the model it may be the result of another candidate's op."""
    distinct = dict.fromkeys(op.activations)
    return {t: Tensor(f"x{number}_{i}", t.shape, t.dtype, t.quantization) for i, t in enumerate(distinct)}


def _step(candidate: Candidate, inputs: dict[Tensor, Tensor], number: int) -> Step:
    old, call = candidate.op, candidate.call
    y = Tensor(f"y{number}", old.y.shape, old.y.dtype, old.y.quantization)
    renamed = {**inputs, old.y: y}
    arguments = tuple(renamed.get(a, a) if isinstance(a, Tensor) else a for a in call.arguments)
    op = old.substitute(renamed)
    return Step(op, candidate.implementation, candidate.schedule, KernelCall(call.kernel, arguments), f"step{number}")


def _placements(memory: Memory, xs: Sequence[Tensor], steps: Sequence[Step]) -> Iterator[Placement]:
    """All tensors one after the other, then room for the scratch of one step at a time."""
    offset, end = 0, len(steps)
    for t, first in [*((x, -1) for x in xs), *((step.op.y, i) for i, step in enumerate(steps))]:
        yield Placement(t.name, memory.name, offset, aligned(t.bytes), first, end, (t,))
        offset += aligned(t.bytes)
    for i, step in enumerate(steps):
        top = offset
        for k, scratch in enumerate(step.scratch):
            size = aligned(scratch.bytes)
            yield Placement(f"{step.name}.scratch{k}", memory.name, top, size, i, i, scratch=scratch)
            top += size


def tensor_bytes(candidates: Sequence[Candidate]) -> int:
    """What a batch of candidates needs of its memory."""
    xs = {t: aligned(t.bytes) for c in candidates for t in c.op.activations}
    scratch = max((sum(aligned(s.bytes) for s in _scratch(c)) for c in candidates), default=0)
    return sum(xs.values()) + sum(aligned(c.op.y.bytes) for c in candidates) + scratch


def _scratch(candidate: Candidate) -> tuple[Scratch, ...]:
    return tuple(a for a in candidate.call.arguments if isinstance(a, Scratch))
