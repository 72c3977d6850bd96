"""Every choice: implementation, schedule, order, address. `make_plan` makes them, `Plan.check()` checks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smelt.errors import DoesNotFit, Unsupported
from smelt.kernels import IMPLEMENTATIONS
from smelt.kernels.implementation import Implementation
from smelt.model.graph import Graph
from smelt.planner.addresses import place
from smelt.planner.choose import choose
from smelt.planner.flow import peak, steps_of
from smelt.planner.lean import leaner
from smelt.planner.limits import check_flash, does_not_fit
from smelt.planner.log import TuningLog
from smelt.planner.order import best_order
from smelt.planner.plan import STACK_RESERVE, Placement, Plan, Step, budgets, flow_of
from smelt.planner.tuned import fitting, tuned
from smelt.targets.types import Board

__all__ = ["STACK_RESERVE", "Placement", "Plan", "Step", "TuningLog", "make_plan"]


def make_plan(
    graph: Graph,
    board: Board,
    implementations: Sequence[Implementation] = IMPLEMENTATIONS,
    reserve: int = STACK_RESERVE,
    log: TuningLog = TuningLog.empty,
) -> Plan:
    """Plan a prepared graph for a board: implementations and schedules, order, addresses; checked.

    `implementations` come best first; `reserve` bytes of the first RAM are left alone. What `log` (of one toolchain) has as fastest
    on the board takes the place of the first guess. What does not fit gives way to ways with less scratch; the plan's notes say so.
    Raises Unsupported where an op has no implementation, DoesNotFit where RAM or flash is too small.
    """
    default = chosen(graph, board, implementations)
    options = tuned(default, board, implementations, log) if log.measurements else tuple((step,) for step in default)
    try:
        return fitting(options, lambda s: _planned(graph, board, s, reserve))
    except DoesNotFit:
        options = leaner(default, board, implementations)
        if all(len(choices) == 1 for choices in options):
            raise
        return fitting(options, lambda s: _planned(graph, board, s, reserve))


def _planned(graph: Graph, board: Board, steps: tuple[Step, ...], reserve: int) -> Plan:
    """Order and addresses for steps that are chosen. Raises DoesNotFit."""
    check_flash(board, [step.call for step in steps])
    flow = flow_of(graph, steps)
    order = best_order(flow)
    steps = _named([steps[i] for i in order.steps])
    room = budgets(board, reserve)
    flow = flow.reordered(order.steps)
    placements = place(flow, steps, room)
    if placements is None:
        raise does_not_fit(board, room, flow, [step.name for step in steps], peak(flow))
    return Plan(graph, board, steps, placements, reserve, order.bound).check()


def chosen(graph: Graph, board: Board, implementations: Sequence[Implementation] = IMPLEMENTATIONS) -> tuple[Step, ...]:
    """A step for each op of `graph`, in its order. Raises Unsupported with all reasons of all ops."""
    steps: list[Step] = []
    refused: list[str] = []
    for op in steps_of(graph):
        try:
            steps.append(Step(op, *choose(op, board.core, implementations), name=""))
        except Unsupported as error:
            refused.extend(f"{error.subject}: {reason}" for reason in error.reasons)
    if refused:
        raise Unsupported(f"'{graph.name}' on {board.name}", tuple(refused))
    return _named(steps)


def _named(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps, named after their operator and their position."""
    return tuple(replace(step, name=f"{type(step.op).__name__.lower()}_{i}") for i, step in enumerate(steps))
