"""Plans for an input that is fed: it comes in a few rows at a time, and never is whole.

The first ops are one run in bands, which are computed as soon as their rows are there; the rest of the graph is planned as it is,
with the result of the run for an input. Which ops are in the run and in how large bands follows from the bytes: of line buffers
and the result beside each other, and of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from smelt.errors import DoesNotFit, OptionError
from smelt.loops.ir import Scratch
from smelt.model.graph import Graph, Op, Tensor
from smelt.model.slabs import slab
from smelt.planner.bands import Bands, in_bands
from smelt.planner.check import check, excess
from smelt.planner.flow import aligned, peak, steps_of, storages_of
from smelt.planner.line_buffers import Layout, Slab, can_run
from smelt.planner.placement import Placement, budgets, scratch_name
from smelt.planner.plan import Plan
from smelt.planner.rowwise import Rowwise
from smelt.planner.step import Step, flow_of, named
from smelt.planner.ways import Way, Ways

ROWS = (1, 2, 4, 8, 16)
"""Rows of a band that are tried, of the last result or of all between."""

TRIED = 2
"""How many runs are planned to the end: those that promise the least RAM."""

BUILT = 4
"""How many layouts of a run are built at most, until one is found that needs no more RAM than the smallest, or the rest."""

SCHEDULES = 3
"""How many schedules of each implementation are looked at for little scratch."""

Planner = Callable[[Graph], Plan]
"""What plans the rest. Raises DoesNotFit."""


@dataclass(frozen=True)
class _Run:
    """The first ops of a graph: the ways to do them, layouts, and what the rest takes up at least."""

    ways: tuple[Way, ...]
    layouts: tuple[Layout, ...]
    rest: int

    @property
    def promise(self) -> int:
        """What will be taken up at least."""
        return max(_line_bytes(self.layouts[0]), self.rest)


def fed_plan(graph: Graph, ways: Ways, planner: Planner, least: bool = False) -> Plan:
    """The plan with the least RAM among those in which the input of `graph` is fed; checked. With `least`, or where nothing
    fits without, kernels of the fed layers are chosen for little scratch, too, as far as that is more than the rest needs.

    Raises OptionError where it cannot be, DoesNotFit, Unsupported.
    """
    fed = _fed(graph)
    runs = sorted(_runs(graph, ways, fed), key=lambda run: (run.promise, len(run.ways)))
    if not runs:
        raise OptionError(
            f"'{graph.inputs[0].name}' cannot be fed in rows: the first layer, {steps_of(graph)[0].in_full()}, does not compute "
            "rows from rows"
        )
    refusals = list[DoesNotFit]()
    for lean in (True,) if least else (False, True):
        plans = list[Plan]()
        for run in runs[:TRIED]:
            try:
                plans.append(_planned(graph, run, ways, planner, lean))
            except DoesNotFit as error:
                refusals.append(error)
        if plans:
            return min(plans, key=lambda plan: (plan.ram_bytes, len(plan.calls)))
    raise refusals[-1]


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
            yield _Run(whole, tuple(sorted(_layouts(some, fed), key=_line_bytes)), _least(_rest(graph, whole), ways))
        inside |= _alike(graph, some[-1].y)


def _layouts(ops: tuple[Op, ...], fed: Tensor) -> Iterator[Layout]:
    """Bands of different numbers of rows, and rows one by one."""
    for rows in ROWS:
        yield Layout(ops, rows, fed)
        yield Rowwise(ops, 1, fed, rows)


def _least(graph: Graph, ways: Ways) -> int:
    """What the tensors of a graph take up at least, scratch left out."""
    flow = flow_of(graph, [ways.frugal(op) for op in steps_of(graph)])
    return peak(replace(flow, uses=tuple(replace(use, scratch=()) for use in flow.uses)))


def _line_bytes(layout: Layout) -> int:
    """What line buffers and result take up."""
    return sum(aligned(s.bytes) for s in layout.lines.values()) + aligned(layout.y.bytes)


def _in_bands(run: _Run, ways: Ways, room: int) -> Bands:
    """The run in the layout with the fewest kernel calls that needs no more than `room`, or than the smallest layout."""
    smallest = in_bands(run.layouts[0], [[way] for way in run.ways], ways)
    room = max(room, _bytes(smallest))
    others = [layout for layout in run.layouts[1:] if _line_bytes(layout) <= room]
    for layout in sorted(others, key=lambda layout: len(layout.actions))[:BUILT]:
        found = in_bands(layout, [[way] for way in run.ways], ways)
        if len(found.pieces) < len(smallest.pieces) and _bytes(found) <= room:
            return found
    return smallest


def _lean(layout: Layout, ways: Ways, room: int) -> tuple[Way, ...]:
    """Ways to do the ops of a layout: the first of which a slab needs no more scratch than `room`, or else the least."""
    chosen = list[Way]()
    for op in layout.ops:
        slabs = [a for a in layout.actions if isinstance(a, Slab) and a.op is op]
        tile = slab(op, slabs[len(slabs) // 2].rows, layout.axis)
        some = list(ways.first_of_each(tile, SCHEDULES))
        best = next((way for way in some if _scratch(way) <= room), min(some, key=_scratch))
        chosen.append(ways.named(op, best.names) or ways.frugal(op))
    return tuple(chosen)


def _scratch(way: Way) -> int:
    return sum(aligned(s.bytes) for s in way.scratch)


def _rest(graph: Graph, whole: Sequence[Way]) -> Graph:
    """What is behind a run, as a graph whose input is the run's result."""
    done = {way.op for way in whole}
    gone = {t for op in done for x in (*op.activations, *op.ys) for t in _alike(graph, x)} - _alike(
        graph, whole[-1].op.y
    )
    ops = tuple(op for op in graph.ops if op not in done and op.alias_of not in gone)
    return replace(graph, inputs=whole[-1].ys, ops=ops)


def _planned(graph: Graph, run: _Run, ways: Ways, planner: Planner, least: bool) -> Plan:
    """The plan of a run and of the rest, checked. Raises DoesNotFit."""
    rest = planner(_rest(graph, run.ways))
    if least:
        layout = run.layouts[0]
        run = replace(run, ways=_lean(layout, ways, rest.tensor_bytes - _line_bytes(layout)))
    bands = _in_bands(run, ways, rest.tensor_bytes)
    steps = named([bands, *rest.ways])
    names = {s: scratch_name(step.name, n) for step in steps[1:] for n, s in enumerate(step.scratch)}
    placements = [_later(graph, p, names) for p in rest.placements]
    placements += _beside(steps[0], placements, budgets(rest.board, rest.reserve))
    plan = replace(rest, graph=graph, steps=steps, placements=tuple(placements), bound=max(rest.bound, _bytes(bands)))
    if over := excess(plan):
        raise DoesNotFit(f"the plan does not fit {plan.board.name}: {over}")
    return check(plan)


def _bytes(bands: Bands) -> int:
    """What a run takes up at least while it is computed."""
    return sum(aligned(s.bytes) for s in bands.scratch) + sum(aligned(y.bytes) for y in bands.ys)


def _later(graph: Graph, placement: Placement, names: Mapping[Scratch, str]) -> Placement:
    """A placement of the rest, which begins a step later. Only states are there before. Scratch has `names`, after its step."""
    states = {t for state in graph.states for t in (state.read, state.write)}
    before = placement.first < 0 and not states.isdisjoint(placement.tensors)
    first = -1 if before else placement.first + (placement.first >= 0)
    name = placement.name if placement.scratch is None else names[placement.scratch]
    return replace(placement, name=name, first=first, last=placement.last + 1)


def _beside(step: Step, placements: Sequence[Placement], room: dict[str, int]) -> Iterator[Placement]:
    """Places for the scratch of the first step, large ones first, beside its result: as low as can be, in the memory of the result
    if that has room. Raises DoesNotFit."""
    there = [p for p in placements if p.first <= 0]
    home = next(p.memory for p in there if not {*step.ys}.isdisjoint(p.tensors))
    for number, scratch in sorted(enumerate(step.scratch), key=lambda s: -s[1].bytes):
        size, name = aligned(scratch.bytes), scratch_name(step.name, number)
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
