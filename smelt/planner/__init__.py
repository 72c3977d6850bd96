"""Every choice: implementation, schedule, order, address. `make_plan` makes them, `check` checks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from smelt.errors import DoesNotFit, Unsupported
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import Implementation
from smelt.model.graph import Graph
from smelt.planner.addresses import place
from smelt.planner.alternatives import alternatives
from smelt.planner.budgets import GOALS, Goal, plan_within, situations
from smelt.planner.check import check, excess
from smelt.planner.flow import peak, steps_of
from smelt.planner.guess import guessed
from smelt.planner.known import Known
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.log import TuningLog
from smelt.planner.offers import offers, refusals
from smelt.planner.order import best_order
from smelt.planner.placement import STACK_RESERVE, Placement, budgets
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.quickest import quickest
from smelt.planner.refusals import check_flash, does_not_fit
from smelt.planner.step import AnyWay, Step, flow_of, named
from smelt.planner.tradeoff import Point, curve
from smelt.planner.ways import Way, Ways
from smelt.targets.types import Board, Core

__all__ = [
    "GOALS",
    "STACK_RESERVE",
    "Goal",
    "Limits",
    "Placement",
    "Plan",
    "Step",
    "TuningLog",
    "check",
    "check_supported",
    "make_plan",
    "trade_offs",
]


def make_plan(
    graph: Graph,
    board: Board,
    implementations: Sequence[Implementation] | Ways = IMPLEMENTATIONS,
    reserve: int = STACK_RESERVE,
    known: Known | None = None,
    goal: Goal = "balanced",
    limits: Limits = UNLIMITED,
) -> Plan:
    """Plan a prepared graph for a board: implementations and schedules, order, addresses; checked.

    `implementations` come best first; as `Ways`, what was built for another plan of the same graph is not built again.
    `reserve` bytes of the first RAM are left alone. `known` says what is fastest on the board; what it does not know is
    estimated. "balanced" takes the first guesses, and what was measured to be faster as far as it needs no more RAM than they
    do (or `limits` allow), all tables in flash; other ways only where nothing else fits, and the plan's notes say so. The
    other goals choose among all ways, tables in RAM included, within `limits`. Raises Unsupported where an op has no
    implementation, DoesNotFit where RAM or flash is too small.
    """
    ways, predictor = ways_for(board.core, implementations), Predictor(known or Known(board))
    default = guessed(chosen(graph, ways), predictor, ways)

    def planned(some: tuple[Way, ...], within: Limits = limits) -> Plan:
        return _planned(graph, board, some, reserve, within)

    def best(within: Limits) -> Plan:
        options = alternatives(default, predictor, ways, goal not in ("balanced", "ram"))
        if goal == "balanced" and all(len(some) == 1 for some in options):
            raise refusal
        found = situations(graph, board, options, reserve)
        return plan_within(found, goal, within, lambda some: planned(some, within)).plan

    refusal = DoesNotFit(f"no plan within the budgets was found for {board.name}")
    if goal != "balanced":
        return best(limits)
    try:
        plain = planned(default)
    except DoesNotFit as error:
        refusal = error
        plan = best(limits)
        return replace(plan, notes=(*plan.notes, *_given_up(default, plan.steps)))
    first = quickest(default, predictor, ways)
    within = limits if limits.ram is not None else replace(limits, ram=plain.ram_bytes)
    return replace(_improved(plain, first, lambda some: planned(some, within), lambda: best(within)), limits=limits)


def _improved(
    plain: Plan, first: tuple[Way, ...], planned: Callable[[tuple[Way, ...]], Plan], best: Callable[[], Plan]
) -> Plan:
    """The plan of the fastest ways, the best one where those take too much, or the plain one."""
    if {way.key for way in first} == {way.key for way in plain.ways}:
        return plain
    with suppress(DoesNotFit):
        return planned(first)
    with suppress(DoesNotFit):
        return best()
    return plain


def trade_offs(
    graph: Graph,
    board: Board,
    implementations: Sequence[Implementation] = IMPLEMENTATIONS,
    reserve: int = STACK_RESERVE,
    known: Known | None = None,
    limits: Limits = UNLIMITED,
) -> tuple[Point, ...]:
    """The trade-off curve of a prepared graph on a board, within `limits`. Raises Unsupported, DoesNotFit."""
    ways, predictor = ways_for(board.core, implementations), Predictor(known or Known(board))
    options = alternatives(guessed(chosen(graph, ways), predictor, ways), predictor, ways, True)
    found = situations(graph, board, options, reserve)
    return curve(found, limits, lambda some, within: _planned(graph, board, some, reserve, within))


def _given_up(first: Sequence[Way], taken: Sequence[Step]) -> Iterator[str]:
    """What a plan does without."""
    wanted = {way.op: way for way in first}
    for new in taken:
        old = wanted[new.ops[-1]]
        if new.way.key != old.key:
            yield (
                f"{new.name} is not computed by the first choice {old.how} ({old.call.scratch_bytes:,} bytes of scratch), "
                f"because that does not fit, but by {new.way.how} ({new.scratch_bytes:,})"
            )


def _planned(graph: Graph, board: Board, ways: Sequence[AnyWay], reserve: int, limits: Limits) -> Plan:
    """Order and addresses for ways that are chosen. Raises DoesNotFit."""
    check_flash(board, [piece.call for way in ways for piece in way.pieces])
    flow = flow_of(graph, ways)
    order = best_order(flow)
    steps = named([ways[i] for i in order.steps])
    room = budgets(board, reserve)
    flow = flow.reordered(order.steps)
    placements = place(flow, steps, room)
    if placements is None:
        raise does_not_fit(board, room, flow, [step.name for step in steps], peak(flow))
    plan = Plan(graph, board, steps, placements, reserve, order.bound, limits=limits)
    if order.peak > order.bound:
        plan = replace(plan, notes=(_cut_short(plan),))
    if over := excess(plan):
        raise DoesNotFit(f"the plan does not fit {board.name}: {over}")
    return check(plan)


def _cut_short(plan: Plan) -> str:
    """What users are told where the search for the best order ended before it had a proof."""
    gap = plan.tensor_bytes - plan.bound
    return (
        f"the search for the best order was cut short: {plan.tensor_bytes:,} bytes of tensors may be {gap:,} bytes "
        f"({gap / plan.bound:.1%}) more than the least"
    )


def ways_for(core: Core, implementations: Sequence[Implementation] | Ways) -> Ways:
    """The ways that implementations offer on a core, unless they are that already."""
    return implementations if isinstance(implementations, Ways) else Ways(core, implementations)


def chosen(graph: Graph, ways: Ways) -> tuple[Way, ...]:
    """The best guess for each op of `graph`, in its order. Raises Unsupported with all reasons of all ops."""
    check_supported(graph, ways.core, ways.implementations)
    return tuple(ways.first(op) for op in steps_of(graph))


def check_supported(graph: Graph, core: Core, implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> None:
    """Raise Unsupported, with all reasons of all ops, where `core` has no implementation of some."""
    refused = [
        f"{op.origin or op}: {reason}"
        for op in steps_of(graph)
        if next(offers(op, core, implementations), None) is None
        for reason in refusals(op, core, implementations)
    ]
    if refused:
        raise Unsupported(f"'{graph.name}' on {core.name}", tuple(refused))
