"""The proof of a plan: it knows nothing of how the plan was made and trusts none of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from smelt.errors import SmeltError
from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.planner.flow import ALIGN, steps_of, storages_of
from smelt.planner.placement import Placement, budgets
from smelt.planner.plan import Plan
from smelt.planner.step import Step, may_overwrite, operands


def check(plan: Plan) -> Plan:
    """The plan, as it is. Raises SmeltError unless it is sound."""
    problems = list(_problems(plan))
    if problems:
        raise SmeltError("the plan is wrong (a defect of smelt):\n" + "\n".join(f"  - {p}" for p in problems))
    return plan


def excess(plan: Plan) -> str:
    """Which budget, of the limits and of the tables' own memories, the plan does not keep; nothing where it keeps all."""
    if plan.limits.ram is not None and plan.ram_bytes > plan.limits.ram:
        return f"{plan.ram_bytes:,} bytes of RAM are more than the budget of {plan.limits.ram:,}"
    if plan.limits.flash is not None and plan.flash_bytes > plan.limits.flash:
        return f"{plan.flash_bytes:,} bytes of flash are more than the budget of {plan.limits.flash:,}"
    if plan.table_places is None:
        return f"{plan.resident_bytes:,} bytes of tables find no room in RAM beside the tensors"
    return ""


def _problems(plan: Plan) -> Iterator[str]:
    yield from _step_problems(plan)
    yield from _memory_problems(plan)
    yield from _life_problems(plan)
    for a, b in _together(plan.placements):
        if a.meets(b) and not (_written_over(plan, a, b) or _written_over(plan, b, a)):
            yield f"'{a.name}' and '{b.name}' overlap in {a.memory}"


def _together(placements: Sequence[Placement]) -> Iterator[tuple[Placement, Placement]]:
    """All pairs that hold something at the same time."""
    by_time = sorted(placements, key=lambda p: p.first)
    starts = [p.first for p in by_time]
    for n, a in enumerate(by_time):
        yield from ((a, b) for b in by_time[n + 1 : bisect_right(starts, a.last)])


def _step_problems(plan: Plan) -> Iterator[str]:
    """Each op of the graph is one step, after the steps that make its operands."""
    ops = set(steps_of(plan.graph))
    if len(plan.steps) != len(ops) or {step.op for step in plan.steps} != ops:
        yield "the steps are not the ops of the graph"
    if len({step.name for step in plan.steps}) != len(plan.steps):
        yield "two steps have the same name"
    storages = storages_of(plan.graph)
    made = {t for s in storages for t in set(s.tensors) - s.renewed if set(s.tensors) & set(plan.graph.sources)}
    together, gone = {t: s for s in storages for t in s.tensors}, set[Tensor]()
    for step in plan.steps:
        for t in step.op.activations:
            if t not in made:
                yield f"{step.name} reads '{t.name}' before it is computed"
            if t in gone:
                yield f"{step.name} reads '{t.name}' after the state was renewed"
        yield from _argument_problems(step)
        for y in step.op.ys:
            storage = together[y]
            reads = storage.renewed and any(together[t] is storage for t in step.op.activations)
            if reads and not step.call.kernel.in_place:
                yield f"{step.name} writes '{y.name}' over the state that it reads"
            gone.update(set(storage.tensors) - storage.renewed if storage.renewed else ())
            made.update(storage.renewed or storage.tensors)


def _argument_problems(step: Step) -> Iterator[str]:
    """The kernel writes the op's result, and reads its operands."""
    for buffer, argument in zip(step.call.kernel.buffers, step.call.arguments, strict=True):
        if isinstance(argument, Tensor):
            allowed = step.op.ys if buffer.role == "output" else step.op.activations
            if not any(argument is t for t in allowed):
                yield f"{step.name} passes '{argument.name}' for '{buffer.name}', an {buffer.role}"


def _memory_problems(plan: Plan) -> Iterator[str]:
    """Everything lies inside its memory, aligned, and has a place of its own size."""
    room = budgets(plan.board, plan.reserve)
    for p in plan.placements:
        if p.memory not in room:
            yield f"'{p.name}' lies in {p.memory}, which {plan.board.name} does not have for data"
        elif p.offset < 0 or p.end > room[p.memory]:
            yield f"'{p.name}' ({p.offset} to {p.end}) reaches out of {p.memory} ({room[p.memory]} bytes)"
        if p.offset % ALIGN:
            yield f"'{p.name}' is not aligned to {ALIGN} bytes"
        needed = max([t.bytes for t in p.tensors] + ([p.scratch.bytes] if p.scratch else []), default=0)
        if p.size < needed:
            yield f"'{p.name}' has {p.size} of {needed} bytes"
    if over := excess(plan):
        yield over
    owners = [owner for p in plan.placements for owner in (*p.tensors, *((p.scratch,) if p.scratch else ()))]
    if len(set(owners)) != len(owners):
        yield "something has two places"


def _life_problems(plan: Plan) -> Iterator[str]:
    """Everything has a place from when it is written until it was last read; aliases have the same."""
    end = len(plan.steps)
    needed: list[tuple[Tensor | Scratch, str, int, int]] = []
    needed += [(t, t.name, -1, -1) for t in plan.graph.inputs] + [(t, t.name, end, end) for t in plan.graph.outputs]
    needed += [(t, t.name, -1, end) for state in plan.graph.states for t in (state.read, state.write)]
    for i, step in enumerate(plan.steps):
        needed += [(t, t.name, i, i) for t in (*step.op.activations, *step.op.ys)]
        needed += [(a, a.name, i, i) for a in step.call.arguments if isinstance(a, Tensor)]
        needed += [(s, f"scratch of {step.name}", i, i) for s in step.scratch]
    for owner, name, first, last in needed:
        place = plan.places.get(owner)
        if place is None:
            yield f"'{name}' has no place"
        elif not place.first <= first <= last <= place.last:
            yield f"'{name}' is used at step {first}, but has its place from {place.first} to {place.last}"
    for storage in storages_of(plan.graph):
        if len({id(plan.places.get(t)) for t in storage.tensors}) > 1:
            yield f"'{storage.name}' and its reshapes lie at different places"


def _written_over(plan: Plan, x: Placement, y: Placement) -> bool:
    """Whether `y` is written over `x`, which dies there, by a step that may do so."""
    if not (0 <= x.last == y.first < len(plan.steps) and x.offset == y.offset and y.size <= x.size):
        return False
    step = plan.steps[y.first]
    return (
        step.op.ys == (step.op.y,)
        and step.op.y in y.tensors
        and bool(operands(step.op, x.tensors))
        and may_overwrite(step.way, x.tensors)
    )
