"""Why no candidate fits: the RAM, the flash, or both together."""

from __future__ import annotations

from dataclasses import replace

from smelt.errors import DoesNotFit
from smelt.planner.budgets import Situation
from smelt.planner.candidates import ANYTHING, in_flash
from smelt.planner.choice_solver import Choice, leanest, solve, solved_among
from smelt.planner.code_size import FIXED_FLASH, FIXED_RAM
from smelt.planner.decide import Decision
from smelt.planner.refusals import over_both, over_flash, over_ram
from smelt.planner.step import AnyWay, flow_of


def refusal(decision: Decision) -> DoesNotFit:
    """What is said where a decision finds nothing."""
    menu, limits, there = decision.menu, decision.limits, decision.menu.situations[0]
    problem = replace(there.within(limits), ram=ANYTHING)
    free = replace(problem, flash=ANYTHING)
    smallest = solve(free, ("flash",), menu.planning.effort.choice)
    lean = solved_among(free, in_flash(there), leanest)
    assert smallest is not None and lean is not None, "without limits everything fits"
    if smallest.flash > problem.flash:
        flash = limits.flash or there.board.chip.flash_bytes
        calls = [piece.call for way in _ways(there, smallest) for piece in way.pieces]
        return over_flash(there.board, flash, calls, smallest.flash + FIXED_FLASH + limits.code)
    least = Decision(menu, replace(limits, ram=None), decision.planner).best("ram")
    if least is None:
        return _board_refusal(decision, _ways(there, lean))
    if limits.ram is None or least.plan.ram_bytes <= limits.ram:
        return DoesNotFit(
            f"no plan within the budgets was found for {there.board.name}: a little more of either would help"
        )
    if lean.ram + FIXED_RAM > limits.ram or limits.flash is None:
        steps = least.plan.steps
        flow = flow_of(there.graph, [step.way for step in steps])
        return over_ram(there.board, limits.ram, flow, [step.name for step in steps], least.plan.ram_bytes)
    return over_both(there.board, limits.ram, limits.flash, least.plan.ram_bytes)


def _ways(there: Situation, choice: Choice) -> tuple[AnyWay, ...]:
    return tuple(way for way, _ in there.in_order_of_graph(choice))


def _board_refusal(decision: Decision, ways: tuple[AnyWay, ...]) -> DoesNotFit:
    """What the planning of the leanest steps has to say."""
    try:
        decision.planner(ways, replace(decision.limits, ram=None, flash=None), False)
    except DoesNotFit as error:
        return error
    return DoesNotFit("the model does not fit the RAM of the board")
