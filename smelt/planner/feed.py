"""Plans for an input that is fed: it comes in a few rows at a time, and never is whole.

The first ops are one run in bands, which are computed as soon as their rows are there; the rest of the graph is planned as it is,
with the result of the run for an input. Which ops are in the run and in how large bands follows from the bytes: of line buffers
and the result beside each other, and of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from smelt.errors import DoesNotFit, OptionError
from smelt.model.graph import Graph, Tensor
from smelt.planner.bands import Bands, in_bands
from smelt.planner.check import check, excess
from smelt.planner.flow import aligned, peak, steps_of, storages_of
from smelt.planner.line_buffers import Layout, can_run
from smelt.planner.placement import Placement, budgets
from smelt.planner.plan import Plan
from smelt.planner.step import Step, flow_of, named
from smelt.planner.ways import Way, Ways

ROWS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Rows of a band that are tried."""

TRIED = 3
"""How many runs are planned to the end: those that promise the least RAM."""

Planner = Callable[[Graph], Plan]
"""What plans the rest. Raises DoesNotFit."""


@dataclass(frozen=True)
class _Run:
    """The first ops in bands of so many rows: what line buffers, scratch and the result take up, and the rest at least."""

    ways: tuple[Way, ...]
    rows: int
    bytes: int
    rest: int

    @property
    def peak(self) -> int:
        return max(self.bytes, self.rest)


def fed_plan(graph: Graph, ways: Ways, planner: Planner) -> Plan:
    """The plan with the least RAM among those in which the input of `graph` is fed; checked.

    Raises OptionError where it cannot be, DoesNotFit, Unsupported.
    """
    fed = _fed(graph)
    runs = list(_runs(graph, ways, fed))
    if not runs:
        raise OptionError(
            f"'{graph.inputs[0].name}' cannot be fed in rows: the first layer, {steps_of(graph)[0].in_full()}, does not compute "
            "rows from rows"
        )
    best: dict[tuple[Way, ...], _Run] = {}
    for run in sorted(runs, key=lambda r: (r.peak, -r.rows)):
        best.setdefault(run.ways, run)
    plans, refusals = list[Plan](), list[DoesNotFit]()
    for run in sorted(best.values(), key=lambda r: (r.peak, len(r.ways)))[:TRIED]:
        try:
            plans.append(_planned(graph, run, ways, fed, planner))
        except DoesNotFit as error:
            refusals.append(error)
    if not plans:
        raise refusals[0]
    return min(plans, key=lambda plan: (plan.ram_bytes, len(plan.calls)))


def _fed(graph: Graph) -> Tensor:
    """The input of a graph, as its first reader sees it. Raises OptionError where there are others."""
    if len(graph.inputs) != 1:
        raise OptionError(f"only a network with one input can be fed, and '{graph.name}' has {len(graph.inputs)}")
    names = _alike(graph, graph.inputs[0])
    return next((t for op in steps_of(graph) for t in op.activations if t in names), graph.inputs[0])


def _alike(graph: Graph, tensor: Tensor) -> frozenset[Tensor]:
    """A tensor under all names that reshapes give it."""
    return frozenset(t for s in storages_of(graph) if tensor in s.tensors for t in s.tensors)


def _runs(graph: Graph, ways: Ways, fed: Tensor) -> Iterator[_Run]:
    """The first ops of a graph in bands, as far as they can be that and nobody else needs what is between them."""
    ops, inside = steps_of(graph), set(_alike(graph, fed))
    for count in range(1, len(ops) + 1):
        some, rest = ops[:count], ops[count:]
        if not can_run(some) or not {*some[-1].activations} <= inside:
            return
        others = {*graph.sinks, *(t for op in rest for t in op.activations)}
        if not others & inside:
            whole = tuple(map(ways.frugal, some))
            yield from _in_rows(graph, whole, ways, fed)
        inside |= _alike(graph, some[-1].y)


def _in_rows(graph: Graph, whole: tuple[Way, ...], ways: Ways, fed: Tensor) -> Iterator[_Run]:
    """A run in bands of different numbers of rows."""
    rest = _rest(graph, whole)
    least = peak(flow_of(rest, [ways.frugal(op) for op in steps_of(rest)]))
    y = whole[-1].op.y
    pool = max(sum(aligned(s.bytes) for s in way.scratch) for way in whole)
    for rows in ROWS:
        if rows <= max(y.shape[1:3]):
            layout = Layout(tuple(way.op for way in whole), rows, fed)
            lines = sum(line.bytes for line in layout.lines.values())
            yield _Run(whole, rows, lines + pool + aligned(y.bytes), least)


def _rest(graph: Graph, whole: Sequence[Way]) -> Graph:
    """What is behind a run, as a graph whose input is the run's result."""
    done = {way.op for way in whole}
    gone = {t for op in done for x in (*op.activations, *op.ys) for t in _alike(graph, x)} - _alike(
        graph, whole[-1].op.y
    )
    ops = tuple(op for op in graph.ops if op not in done and op.alias_of not in gone)
    return replace(graph, inputs=whole[-1].ys, ops=ops)


def _planned(graph: Graph, run: _Run, ways: Ways, fed: Tensor, planner: Planner) -> Plan:
    """The plan of a run and of the rest, checked. Raises DoesNotFit."""
    bands = in_bands(Layout(tuple(way.op for way in run.ways), run.rows, fed), run.ways, ways)
    rest = planner(_rest(graph, run.ways))
    steps = named([bands, *rest.ways])
    placements = [_later(graph, p) for p in rest.placements]
    placements += _beside(steps[0], placements, budgets(rest.board, rest.reserve))
    plan = replace(rest, graph=graph, steps=steps, placements=tuple(placements), bound=max(rest.bound, _bytes(bands)))
    if over := excess(plan):
        raise DoesNotFit(f"the plan does not fit {plan.board.name}: {over}")
    return check(plan)


def _bytes(bands: Bands) -> int:
    """What a run takes up at least while it is computed."""
    return sum(aligned(s.bytes) for s in bands.scratch) + sum(aligned(y.bytes) for y in bands.ys)


def _later(graph: Graph, placement: Placement) -> Placement:
    """A placement of the rest, which begins a step later. Only states are there before."""
    states = {t for state in graph.states for t in (state.read, state.write)}
    before = placement.first < 0 and not states.isdisjoint(placement.tensors)
    return replace(placement, first=-1 if before else placement.first + (placement.first >= 0), last=placement.last + 1)


def _beside(step: Step, placements: Sequence[Placement], room: dict[str, int]) -> Iterator[Placement]:
    """Places for the scratch of the first step, large ones first, beside its result: as low as can be, in the memory of the result
    if that has room. Raises DoesNotFit."""
    there = [p for p in placements if p.first <= 0]
    home = next(p.memory for p in there if not {*step.ys}.isdisjoint(p.tensors))
    for number, scratch in sorted(enumerate(step.scratch), key=lambda s: -s[1].bytes):
        size, name = aligned(scratch.bytes), f"{step.name}.scratch{number or ''}"
        for memory in sorted(room, key=lambda m: m != home):
            offset = _lowest(size, [(p.offset, p.end) for p in there if p.memory == memory])
            if offset + size <= room[memory]:
                break
        else:
            raise DoesNotFit(
                f"the line buffers of what is fed find no room: {size:,} bytes beside the result of the first layers"
            )
        there.append(Placement(name, memory, offset, size, 0, 0, scratch=scratch))
        yield there[-1]


def _lowest(size: int, taken: Sequence[tuple[int, int]]) -> int:
    """The lowest offset at which so many bytes meet nothing that is taken."""
    offset = 0
    for start, end in sorted(taken):
        if offset + size <= start:
            break
        offset = max(offset, end)
    return offset
