"""What a plan may be made of: for each step of a graph a way, tables in flash, such that no other choice is better in everything.

The candidates depend on the model, the board and the budget of flash; never on the goal, nor on the budget of RAM. Every goal
within every budget takes the best of the same ones that fits (`decide.py`), so that no goal finds what another one misses, and
what fits a budget fits every larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from smelt.model.graph import Graph
from smelt.planner.alternatives import Option
from smelt.planner.budgets import Situation
from smelt.planner.chains import chain_bound
from smelt.planner.choice_solver import Aim, Choice, Problem, leanest, solve, solved_among
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.effort import Effort
from smelt.planner.flow import Flow
from smelt.planner.limits import Limits
from smelt.planner.order import best_order, lower_bound
from smelt.planner.step import AnyWay, flow_of

ANYTHING = 1 << 40
"""A budget that everything keeps."""

FEW_MOVES = 20_000
"""How many moves an order is looked for that only bounds what a candidate needs."""

LEAN_PARTS = (0.5, 0.75, 0.9, 0.95, 1.0)
"""Of the most bytes alive with the leanest ways, beyond which these are kept."""

Keep = Callable[[int, Option], bool]
"""Whether an option, the one of that number for its step, may be taken."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """Options in the order of the graph, their cycles, and the bytes of their kernels and tables."""

    graph: Graph
    options: tuple[Option, ...]
    cycles: int
    flash: int

    @property
    def ways(self) -> tuple[AnyWay, ...]:
        return tuple(way for way, _ in self.options)

    @property
    def key(self) -> tuple[tuple[str, bool], ...]:
        """What tells candidates apart."""
        return tuple(way.key for way in self.ways)

    @cached_property
    def _flow(self) -> Flow:
        return flow_of(self.graph, self.ways)

    @cached_property
    def quick_bound(self) -> int:
        """Bytes of RAM below which no plan of it gets, found in no time."""
        return lower_bound(self._flow) + FIXED_RAM

    @cached_property
    def bound(self) -> int:
        """The same by a search for an order."""
        return chain_bound(self._flow, best_order(self._flow, FEW_MOVES).bound) + FIXED_RAM


def candidates(situations: Iterable[Situation], limits: Limits, keep: Keep, effort: Effort) -> Iterator[Candidate]:
    """The fastest ways within a most of bytes alive, for every most that makes a difference; and the leanest."""
    for there in situations:
        yield from _named(there, _ladder(there.within(limits), in_flash(there, keep), effort))


def smallest(
    situations: Iterable[Situation], limits: Limits, keep: Keep, effort: Effort, most: int
) -> Iterator[Candidate]:
    """The ways with the least flash within several mosts of bytes alive, none above `most`; the largest first."""
    for there in situations:
        yield from _named(there, _smallest(there.within(limits), in_flash(there, keep), effort, most))


Left = Sequence[Sequence[int]]
"""The options of each step that are left, by number."""


def in_flash(there: Situation, keep: Keep = lambda _, __: True) -> Left:
    """The options with their tables in flash, of those that are kept."""
    return [
        [i for i, option in enumerate(some) if not option[0].resident and keep(i, option)] for some in there.options
    ]


def _named(there: Situation, choices: Iterable[Choice]) -> Iterator[Candidate]:
    for choice in choices:
        options = there.in_order_of_graph(choice)
        yield Candidate(there.graph, options, sum(cycles.value for _, cycles in options), choice.flash)


def _ladder(problem: Problem, left: Left, effort: Effort) -> Iterator[Choice]:
    problem = replace(problem, ram=ANYTHING)
    fastest = _solved(replace(problem, flash=ANYTHING), left, ("cycles",), effort)
    if fastest is None:
        return
    lean = solved_among(problem, left, leanest)
    assert lean is not None
    flash_binds = fastest.flash > problem.flash
    few = max((fastest.ram - lean.ram) // effort.rungs, 1) if flash_binds else 1
    rung = _solved(problem, left, ("cycles",), effort)
    while rung is not None:
        yield rung
        if rung.ram <= problem.floor:
            break
        left_now = _within(problem, left, rung.ram - few)
        rung = _solved(problem, left_now, ("cycles",), effort)
    if flash_binds:
        least = _solved(problem, left, ("ram", "cycles"), effort)
        yield from () if least is None else (least,)
    elif lean.flash <= problem.flash:
        yield lean
        yield from _almost_lean(problem, left, lean, effort)


def _almost_lean(problem: Problem, left: Left, lean: Choice, effort: Effort) -> Iterator[Choice]:
    """The leanest ways where more than a part of the most bytes is alive, the fastest elsewhere; once with results that slide, once
    with those that lie still: of a chain of tensors that slide over one another each begins before the last, and needs room there,
    which bytes alive do not tell."""
    for part, still in product(LEAN_PARTS, (False, True)):
        most, there = int(lean.ram * part), zip(problem.ways, left, lean.taken, strict=True)
        few = [
            [i for i in some if (ways[i].still if still else ways[i].alive) <= most or i == taken]
            for ways, some, taken in there
        ]
        if (found := _solved(problem, few, ("cycles",), effort)) is not None:
            yield found


def _smallest(problem: Problem, left: Left, effort: Effort, most: int) -> Iterator[Choice]:
    problem = replace(problem, ram=ANYTHING)
    lean = solved_among(problem, left, leanest)
    largest = max((problem.ways[step][i].alive for step, some in enumerate(left) for i in some), default=0)
    if lean is None or not largest:
        return
    rungs = (round(largest * (lean.ram / largest) ** (n / (effort.rungs - 1))) for n in range(effort.rungs))
    for alive in dict.fromkeys(rung for rung in rungs if rung <= most):
        left_now = _within(problem, left, alive)
        found = _solved(problem, left_now, ("flash", "cycles"), effort)
        if found is None:
            return
        yield found


def _solved(problem: Problem, left: Left, aims: Sequence[Aim], effort: Effort) -> Choice | None:
    return solved_among(problem, left, lambda some: solve(some, aims, effort.choice))


def _within(problem: Problem, left: Left, most: int) -> Left:
    return [[i for i in some if ways[i].alive <= most] for ways, some in zip(problem.ways, left, strict=True)]
