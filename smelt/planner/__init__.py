"""Every choice: implementation, schedule, order, address. `make_plan` makes them, `check` checks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from smelt.errors import DoesNotFit, OptionError, Unsupported
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import Implementation
from smelt.model.graph import Graph
from smelt.planner.addresses import place
from smelt.planner.budgets import GOALS, Goal
from smelt.planner.chains import chain_bound
from smelt.planner.check import check, excess
from smelt.planner.core_search import on_all_cores
from smelt.planner.decide import Answer, Decision, Menu
from smelt.planner.effort import USUAL, Planning
from smelt.planner.flow import peak as most_alive
from smelt.planner.flow import steps_of
from smelt.planner.guess import guessed
from smelt.planner.known import Known
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.log import TuningLog
from smelt.planner.offers import offers
from smelt.planner.offers import refusals as reasons_against
from smelt.planner.order import best_order
from smelt.planner.outside import streamed
from smelt.planner.placement import STACK_RESERVE, Placement, homes
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor
from smelt.planner.refusals import check_flash, does_not_fit
from smelt.planner.refused import refusal
from smelt.planner.settle import settled
from smelt.planner.solver import installed
from smelt.planner.staging import staged
from smelt.planner.step import AnyWay, Step, flow_of, named
from smelt.planner.tradeoff import Point, curve
from smelt.planner.waits import waits_of
from smelt.planner.ways import Way, Ways
from smelt.targets.border import undecided
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
    planning: Planning = USUAL,
) -> Plan:
    """Plan a prepared graph for a board: implementations and schedules, order, addresses; checked.

    `implementations` come best first; as `Ways`, what was found out for another plan of the same graph is not found out again.
    `reserve` bytes of the first RAM are left alone. `known` says what is fastest on the board; what it does not know is
    estimated. All goals choose among the same candidates: "speed" and "energy" take the fewest cycles, tables in RAM included,
    "ram" and "flash" the least bytes, each within `limits`. "balanced" keeps tables in flash and no larger than the weights, and
    takes the least RAM of what needs up to 1 % more than the fewest cycles; ways that nobody measured, besides the first guesses,
    only where nothing else fits, and the plan's notes say so. `planning` says how hard to try, and who hears of it.
    Raises Unsupported where an op has no implementation, DoesNotFit where RAM or flash is too small, OptionError for a goal
    that there is not.
    """
    if goal not in GOALS:
        raise OptionError(f"'{goal}' is no goal: choose {', '.join(GOALS)}")
    there = undecided(limits.within(board, reserve))
    menu = _menu(graph, there, implementations, reserve, known, limits, planning)
    decision = Decision(menu, limits, partial(_planned, menu))
    answer = decision.best(goal)
    if answer is None:
        raise refusal(decision)
    plan = answer.plan
    notes = _given_up(decision, answer) if goal == "balanced" else ()
    plan = replace(plan, cycles=answer.cycles, limits=limits, notes=(*plan.notes, *notes))
    moves = goal in ("speed", "energy") and not limits.weights
    plan = staged(plan, menu.predictor) if moves else plan
    return settled(streamed(on_all_cores(plan, menu.predictor, menu.ways), board), board)


def trade_offs(
    graph: Graph,
    board: Board,
    implementations: Sequence[Implementation] | Ways = IMPLEMENTATIONS,
    reserve: int = STACK_RESERVE,
    known: Known | None = None,
    limits: Limits = UNLIMITED,
    planning: Planning = USUAL,
) -> tuple[Point, ...]:
    """The trade-off curve of a prepared graph on a board, within `limits`. Raises Unsupported, DoesNotFit."""
    ways = ways_for(board.core, implementations)

    def decision(within: Limits) -> Decision:
        menu = _menu(graph, undecided(limits.within(board, reserve)), ways, reserve, known, within, planning)
        return Decision(menu, within, partial(_planned, menu))

    return curve(decision, limits)


def _menu(
    graph: Graph,
    board: Board,
    implementations: Sequence[Implementation] | Ways,
    reserve: int,
    known: Known | None,
    limits: Limits,
    planning: Planning,
) -> Menu:
    ways, flash = ways_for(board.core, implementations), replace(limits, ram=None)
    menus = ways.menus.setdefault((graph, board, reserve, known, planning), [])
    menu: Menu | None = next((menu for menu in menus if menu.flash == flash), None)
    if menu is None:
        menu = menus[-1].within(flash) if menus else _new_menu(graph, board, ways, reserve, known, flash, planning)
        menus.append(menu)
    return menu


def _new_menu(
    graph: Graph, board: Board, ways: Ways, reserve: int, known: Known | None, flash: Limits, planning: Planning
) -> Menu:
    predictor = Predictor(Known(board) if known is None else known)
    default = guessed(chosen(graph, ways), predictor, ways)
    return Menu(graph, board, default, predictor, ways, reserve, flash, planning)


def _given_up(decision: Decision, answer: Answer) -> Iterator[str]:
    """What a plan does without, where the first guesses do not fit."""
    if decision.first_guesses is not None:
        return
    wanted = {way.op: way for way in decision.menu.default}
    for new in answer.plan.steps:
        old = wanted[new.ops[-1]]
        if new.way.key != old.key and old.call.scratch_bytes > new.scratch_bytes:
            yield (
                f"{new.name} is not computed by the first choice {old.how} ({old.call.scratch_bytes:,} bytes of scratch), "
                f"because that does not fit, but by {new.way.how} ({new.scratch_bytes:,})"
            )


def _planned(menu: Menu, ways: Sequence[AnyWay], limits: Limits, by_price: bool) -> Plan:
    """Order and addresses for ways that are chosen, in as few bytes as can be or where steps wait least. Raises DoesNotFit."""
    graph, board, effort = menu.graph, menu.board, menu.planning.effort
    check_flash(board, [piece.call for way in ways for piece in way.pieces])
    flow = flow_of(graph, ways)
    if board.chip.cluster:  # cores read operands while others already write results
        flow = replace(flow, uses=tuple(replace(use, over={}) for use in flow.uses))
    order = best_order(flow, effort.moves)
    steps = named([ways[i] for i in order.steps])
    room = homes(board, menu.reserve)
    flow = flow.reordered(order.steps)
    waits = waits_of(menu.predictor, steps, tuple(room)) if by_price else None
    bound = chain_bound(flow, order.bound)
    placements = place(flow, steps, room, effort, waits, bound)
    if placements is None:
        raise does_not_fit(board, room, flow, [step.name for step in steps], most_alive(flow))
    plan = Plan(graph, board, steps, placements, menu.reserve, bound, limits=limits)
    if order.cut_short and plan.tensor_bytes > bound:
        plan = replace(plan, notes=(_cut_short(plan),))
    elif plan.tensor_bytes > bound and not installed():
        plan = replace(plan, notes=(_unsolved(plan),))
    if over := excess(plan):
        raise DoesNotFit(f"the plan does not fit {board.name}: {over}")
    return check(plan)


def _cut_short(plan: Plan) -> str:
    """What users are told where the search for the best order ended before it had a proof."""
    return f"the search for the best order was cut short: {_more_than_least(plan)}"


def _unsolved(plan: Plan) -> str:
    """What users are told where a solver might have packed tensors more tightly, and there is none."""
    return f"without the solver (pip install 'smelt[plan]') {_more_than_least(plan)}"


def _more_than_least(plan: Plan) -> str:
    gap = plan.tensor_bytes - plan.bound
    return f"{plan.tensor_bytes:,} bytes of tensors may be {gap:,} bytes ({gap / plan.bound:.1%}) more than the least"


def ways_for(core: Core, implementations: Sequence[Implementation] | Ways) -> Ways:
    """The ways that implementations offer on a core, unless they are that already."""
    return implementations if isinstance(implementations, Ways) else Ways(core, implementations)


def chosen(graph: Graph, ways: Ways) -> tuple[Way, ...]:
    """The best guess for each op of `graph`, in its order. Raises Unsupported with all reasons of all ops."""
    check_supported(graph, ways.core, ways.implementations)
    return tuple(ways.frugal(op) for op in steps_of(graph))


def check_supported(graph: Graph, core: Core, implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> None:
    """Raise Unsupported, with all reasons of all ops, where `core` has no implementation of some."""
    refused = [
        f"{op.origin or op}: {reason}"
        for op in steps_of(graph)
        if next(offers(op, core, implementations), None) is None
        for reason in reasons_against(op, core, implementations)
    ]
    if refused:
        raise Unsupported(f"'{graph.name}' on {core.name}", tuple(refused))
