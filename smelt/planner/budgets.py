"""Choosing under budgets: the options of all steps as one problem, solved for a goal, and a plan made of the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar, get_args

from smelt.errors import DoesNotFit, OptionError
from smelt.loops.kernel import Kernel
from smelt.model.graph import Graph
from smelt.planner.alternatives import Option, Options
from smelt.planner.choice_solver import Aim, Choice, Cost, Problem, solve
from smelt.planner.code_size import FIXED_FLASH, FIXED_RAM
from smelt.planner.flow import Flow, aligned, index_of, live_bytes
from smelt.planner.limits import Limits
from smelt.planner.order import best_order
from smelt.planner.placement import budgets
from smelt.planner.plan import Plan
from smelt.planner.refusals import over_both, over_flash, over_ram
from smelt.planner.step import flow_of, named, use_of
from smelt.planner.tables import TableKey
from smelt.planner.ways import Way
from smelt.targets.types import Board

Goal = Literal["balanced", "speed", "ram", "flash", "energy"]

GOALS: tuple[str, ...] = get_args(Goal)

Key = TypeVar("Key")
Thing = TypeVar("Thing")

TRIES = 8
"""How often a choice is made anew, with less, because it could not be given addresses."""

Planner = Callable[[tuple[Way, ...]], Plan]
"""Order and addresses for ways to do the steps. Raises DoesNotFit."""


def aims(goal: Goal) -> tuple[Aim, ...]:
    """What a goal asks for, in order. Energy is cycles times the board's constant, so that least cycles are least energy."""
    if goal not in GOALS:
        raise OptionError(f"'{goal}' is no goal: choose {', '.join(GOALS)}")
    return (goal, "cycles") if goal == "ram" or goal == "flash" else ("cycles",)


@dataclass(frozen=True, eq=False)
class Situation:
    """What there is to choose from: the options of each step of a graph, and the problem that they make within the board's own
    memories (`reserve` bytes of the first RAM left alone). What the numbers of its kernels stand for are `kernels`."""

    graph: Graph
    board: Board
    options: tuple[Options, ...]
    reserve: int
    problem: Problem
    kernels: tuple[Kernel, ...]

    def within(self, limits: Limits) -> Problem:
        """The problem with budgets."""
        total, flash = sum(budgets(self.board, self.reserve).values()), self.board.chip.flash_bytes
        ram = total if limits.ram is None else min(total, limits.ram - FIXED_RAM)
        flash = flash if limits.flash is None else min(flash, limits.flash)
        kernels = tuple(map(limits.sizes.of, self.kernels))
        return replace(self.problem, kernels=kernels, ram=ram, flash=flash - FIXED_FLASH - limits.code)

    def ways(self, choice: Choice) -> tuple[Way, ...]:
        return tuple(way for way, _ in self.taken(choice))

    def taken(self, choice: Choice) -> tuple[Option, ...]:
        return tuple(options[i] for options, i in zip(self.options, choice.taken, strict=True))


def situations(graph: Graph, board: Board, options: Sequence[Options], reserve: int) -> tuple[Situation, ...]:
    """The problem of a graph on a board in each order that may be the best: the one with the least tensors alive, and the one
    with the least tensors and scratch of the first options, where that is another one."""
    flow = flow_of(graph, [some[0][0] for some in options])
    bare = replace(flow, uses=tuple(replace(use, scratch=()) for use in flow.uses))
    orders = dict.fromkeys((best_order(bare).steps, best_order(flow).steps))
    return tuple(_situation(graph, board, options, reserve, bare, order) for order in orders)


def _situation(
    graph: Graph, board: Board, options: Sequence[Options], reserve: int, flow: Flow, order: Sequence[int]
) -> Situation:
    flow, options = flow.reordered(order), tuple(options[i] for i in order)
    kernels, tables = _Numbers[str, Kernel](), _Numbers[TableKey, int]()
    costs = tuple(
        tuple(_cost(alive, option, kernels, tables) for option in some)
        for alive, some in ((_Alive(flow, n), some) for n, some in enumerate(options))
    )
    ends = live_bytes(flow)
    problem = Problem(costs, (), tuple(tables.things), max(ends[0], ends[-1]), 0, 0)
    return Situation(graph, board, options, reserve, problem, tuple(kernels.things))


class _Numbers(Generic[Key, Thing]):
    """Numbers for things."""

    def __init__(self) -> None:
        self._known: dict[Key, int] = {}
        self.things: list[Thing] = []

    def add(self, key: Key, thing: Thing) -> int:
        if key not in self._known:
            self._known[key] = len(self.things)
            self.things.append(thing)
        return self._known[key]


class _Alive:
    """What is alive while the step at one position runs."""

    def __init__(self, flow: Flow, position: int) -> None:
        self._flow, self._position = flow, position
        self._index = index_of(flow.storages)
        self._known: dict[frozenset[tuple[int, int]], int] = {}

    def bytes(self, way: Way) -> int:
        """Tensors and the scratch of a way to do it."""
        over = use_of(way, self._flow.storages, self._index).over
        key = frozenset(over.items())
        if key not in self._known:
            uses = list(self._flow.uses)
            uses[self._position] = replace(uses[self._position], over=over)
            self._known[key] = live_bytes(replace(self._flow, uses=tuple(uses)))[self._position + 1]
        return self._known[key] + sum(aligned(s.bytes) for s in way.scratch)


def _cost(alive: _Alive, option: Option, kernels: _Numbers[str, Kernel], tables: _Numbers[TableKey, int]) -> Cost:
    way, cycles = option
    kernel = kernels.add(way.kernel, way.call.kernel)
    used = tuple(tables.add(key, size) for key, size in way.tables.items())
    return Cost(cycles.value, alive.bytes(way), kernel, used, way.resident)


@dataclass(frozen=True, eq=False)
class Answer:
    """A plan, the options that it is made of, and what they come to."""

    plan: Plan
    options: tuple[Option, ...]
    choice: Choice


def plan_within(situations: Sequence[Situation], goal: Goal, limits: Limits, planned: Planner) -> Answer:
    """The plan that is best for a goal within budgets, in the best of several orders. Raises DoesNotFit, which says what would
    help."""
    answers, refusals = list[Answer](), list[DoesNotFit]()
    for situation in situations:
        try:
            answer = _answer(situation, goal, limits, planned)
        except DoesNotFit as error:
            refusals.append(error)
            continue
        if aims(goal) == ("cycles",) and answer.choice.cycles == _least_cycles(situation):
            return answer
        answers.append(answer)
    if not answers:
        raise refusals[0]
    return min(answers, key=lambda a: tuple(_reached(a, aim) for aim in aims(goal)))


def _reached(answer: Answer, aim: Aim) -> int:
    values = {"cycles": answer.choice.cycles, "ram": answer.plan.ram_bytes, "flash": answer.plan.flash_bytes}
    return values[aim]


def _least_cycles(there: Situation) -> int:
    return sum(min(cost.cycles for cost in costs) for costs in there.problem.ways)


def _answer(there: Situation, goal: Goal, limits: Limits, planned: Planner) -> Answer:
    problem = there.within(limits)
    room = problem.ram
    refusal: DoesNotFit | None = None
    for _ in range(TRIES):
        choice = solve(replace(problem, ram=room), aims(goal))
        if choice is None:
            raise refusal or _refusal(there, limits, planned)
        try:
            return Answer(planned(there.ways(choice)), there.taken(choice), choice)
        except DoesNotFit as error:  # there are no addresses for it: ask for a little less
            refusal = error
            room = choice.ram - max(choice.ram // 64, 4)
    assert refusal is not None
    raise refusal


def _refusal(there: Situation, limits: Limits, planned: Planner) -> DoesNotFit:
    """Why nothing fits: the RAM, the flash, or both together."""
    problem, anything = there.within(limits), 1 << 40
    leanest = solve(replace(problem, ram=anything, flash=anything), ("ram",))
    smallest = solve(replace(problem, ram=anything, flash=anything), ("flash",))
    assert leanest is not None and smallest is not None, "without limits everything fits"
    if leanest.ram > problem.ram:
        ways = there.ways(leanest)
        if limits.ram is None:
            return _board_refusal(ways, planned)
        names = [step.name for step in named(ways)]
        return over_ram(there.board, limits.ram, flow_of(there.graph, ways), names, leanest.ram + FIXED_RAM)
    if smallest.flash > problem.flash:
        flash = limits.flash or there.board.chip.flash_bytes
        calls = [way.call for way in there.ways(smallest)]
        return over_flash(there.board, flash, calls, smallest.flash + FIXED_FLASH + limits.code)
    both = solve(replace(problem, ram=anything), ("ram",)) or leanest
    if both.ram <= problem.ram:
        return DoesNotFit(
            f"no plan within the budgets was found for {there.board.name}: a little more of either would help"
        )
    ram = limits.ram or sum(budgets(there.board, there.reserve).values())
    return over_both(there.board, ram, limits.flash or there.board.chip.flash_bytes, both.ram + FIXED_RAM)


def _board_refusal(ways: tuple[Way, ...], planned: Planner) -> DoesNotFit:
    """What the planning of the leanest steps has to say."""
    try:
        planned(ways)
    except DoesNotFit as error:
        return error
    return DoesNotFit("the model does not fit the RAM of the board")
