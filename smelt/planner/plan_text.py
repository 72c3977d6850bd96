"""How a plan prints: a title, a line for each step, a map of each memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.planner.limits import Limits
from smelt.planner.placement import Placement
from smelt.planner.step import Step
from smelt.targets.types import Memory


def title_line(graph: str, board: str, tensor_bytes: int, bound: int) -> str:
    """What is planned for which board, and how far from the least bytes of tensors, `bound`, it is."""
    excess = tensor_bytes - bound
    proof = f"at most {excess:,} more than the optimum" if excess > 0 else "the optimum"
    return f"plan of {graph} for {board}: {tensor_bytes:,} bytes of tensors, {proof}"


def budget_line(limits: Limits, ram_bytes: int, flash_bytes: int) -> str:
    """What is taken of the budgets that there are."""
    kept = (("RAM", ram_bytes, limits.ram), ("flash", flash_bytes, limits.flash))
    known = (f"about {n:,} of {most:,} bytes of {what}" for what, n, most in kept if most is not None)
    return f"  budgets: {', '.join(known)}"


def step_lines(steps: Sequence[Step], placements: Sequence[Placement]) -> Iterator[str]:
    """How each step is computed, and where its result lies."""
    places = {t: p for p in placements for t in p.tensors}
    width = max((len(step.name) for step in steps), default=0)
    for i, step in enumerate(steps):
        scratch = f", scratch {step.scratch_bytes}" if step.scratch else ""
        ys = ", ".join(_at(places[y]) for y in step.ys)
        resident = ", tables in RAM" if step.resident else ""
        yield f"  {i:3} {step.name:{width}}  {step.way.how}  -> {ys}{scratch}{resident}"


STEP_COLUMNS = ("", "step", "way", "result", "scratch", "MACs")


def step_rows(steps: Sequence[Step], placements: Sequence[Placement]) -> list[tuple[object, ...]]:
    """The same as rows of a table."""
    places = {t: p for p in placements for t in p.tensors}
    return [
        (i, s.name, s.way.how, ", ".join(_at(places[y]) for y in s.ys), s.scratch_bytes, s.macs)
        for i, s in enumerate(steps)
    ]


def _at(place: Placement) -> str:
    return f"{place.memory}+{place.offset}"


def map_lines(memory: Memory, used: int, budget: int, placements: Sequence[Placement]) -> Iterator[str]:
    """What lies in one memory, lowest first; `used` and `budget` in bytes."""
    yield f"  {memory.name}: {used:,} of {budget:,} bytes"
    for p in sorted((p for p in placements if p.memory == memory.name), key=lambda p: (p.offset, p.first)):
        aliases = "".join(f" = {t.name}" for t in p.tensors[1:])
        yield f"    {p.offset:8,} {p.end:8,}  steps {p.first:3} to {p.last:3}  {p.name}{aliases}"
