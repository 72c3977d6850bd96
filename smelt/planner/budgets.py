"""Choosing under budgets: the options of all steps as one problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar, get_args

from smelt.model.graph import Graph
from smelt.planner.alternatives import Option, Options, Singles
from smelt.planner.choice_solver import COVERED, Choice, Cost, Problem
from smelt.planner.code_size import FIXED_FLASH, FIXED_RAM, Code, code_of
from smelt.planner.flow import Flow, aligned, index_of, least_bytes, live_bytes
from smelt.planner.limits import Limits
from smelt.planner.order import best_order
from smelt.planner.placement import budgets
from smelt.planner.runs import Found
from smelt.planner.step import flow_of, use_of
from smelt.planner.tables import TableKey
from smelt.planner.ways import Way
from smelt.targets.types import Board, Core

Goal = Literal["balanced", "speed", "ram", "flash", "energy"]

GOALS: tuple[str, ...] = get_args(Goal)

LEAST_SAVED = 16
"""Bytes that a result must save that slides over something: for less no faster way is left out."""

Key = TypeVar("Key")
Thing = TypeVar("Thing")


@dataclass(frozen=True, eq=False)
class Situation:
    """What there is to choose from: the options of each step of a graph, and the problem that they make within the board's own
    memories (`reserve` bytes of the first RAM left alone), the steps in `order`. What the numbers of code in it stand for is
    `code`."""

    graph: Graph
    board: Board
    options: tuple[Options, ...]
    reserve: int
    problem: Problem
    code: tuple[Code, ...]
    order: tuple[int, ...]

    def within(self, limits: Limits) -> Problem:
        """The problem with budgets."""
        total, flash = sum(budgets(self.board, self.reserve).values()), self.board.chip.flash_bytes
        ram = total if limits.ram is None else min(total, limits.ram - FIXED_RAM)
        flash = flash if limits.flash is None else min(flash, limits.flash)
        code = tuple(map(limits.sizes.of, self.code))
        return replace(self.problem, code=code, ram=ram, flash=flash - FIXED_FLASH - limits.code)

    @property
    def as_copied(self) -> Situation:
        """The same where ways with their tables in flash cost what they do with copies of them in RAM."""
        return replace(
            self, problem=replace(self.problem, ways=tuple(map(_as_copied, self.options, self.problem.ways)))
        )

    def in_order_of_graph(self, choice: Choice) -> tuple[Option, ...]:
        """The options that are taken, runs where their last op is."""
        taken = [
            (n, some[i]) for n, (some, i) in enumerate(zip(self.options, choice.taken, strict=True)) if i != COVERED
        ]
        return tuple(o for _, o in sorted(taken, key=lambda at: self.order[at[0] + len(at[1][0].ops) - 1]))


def _as_copied(options: Options, costs: tuple[Cost, ...]) -> tuple[Cost, ...]:
    copies = {way.kernel: cycles.value for way, cycles in options if isinstance(way, Way) and way.resident}
    return tuple(
        replace(cost, cycles=copies.get(way.kernel, cost.cycles)) if isinstance(way, Way) else cost
        for (way, _), cost in zip(options, costs, strict=True)
    )


Finder = Callable[[Flow, Sequence[Singles], Sequence[Sequence[int]]], Iterable[Found]]
"""Steps in an order, the ways to do each, and the bytes alive with each of these -> runs of steps that may be done in bands."""


def situations(
    graph: Graph, board: Board, options: Sequence[Singles], reserve: int, finder: Finder = lambda *_: ()
) -> tuple[Situation, ...]:
    """The problem of a graph on a board in each order that may be the best: the one with the least tensors alive, and the one
    with the least tensors and scratch of the first options, where that is another one."""
    flow = flow_of(graph, [some[0][0] for some in options])
    bare = replace(flow, uses=tuple(replace(use, scratch=()) for use in flow.uses))
    orders = dict.fromkeys(best_order(some).steps for some in ((bare,) if bare == flow else (bare, flow)))
    return tuple(_situation(graph, board, options, reserve, bare.reordered(order), order, finder) for order in orders)


def _situation(
    graph: Graph,
    board: Board,
    given: Sequence[Singles],
    reserve: int,
    flow: Flow,
    order: Sequence[int],
    finder: Finder,
) -> Situation:
    singles = [given[i] for i in order]
    steps = [(some, _Alive(flow, n)) for n, some in enumerate(singles)]
    alive = [[there.bytes(way) for way, _ in some] for some, there in steps]
    still = [[there.bytes(way, still=True) for way, _ in some] for some, there in steps]
    options: list[list[Option]] = [list(some) for some in singles]
    for found in finder(flow, singles, alive):
        options[found.first].append(found.option)
        alive[found.first].append(found.alive)
        still[found.first].append(found.alive)
    code, tables = _Numbers[str, Code](), _Numbers[TableKey, int]()
    costs = tuple(
        tuple(_cost(bytes_, option, board.core, code, tables) for option, *bytes_ in zip(some, *there, strict=True))
        for some, *there in zip(options, alive, still, strict=True)
    )
    ends = live_bytes(flow)
    problem = Problem(costs, (), tuple(tables.things), max(ends[0], ends[-1]), 0, 0)
    return Situation(graph, board, tuple(map(tuple, options)), reserve, problem, tuple(code.things), tuple(order))


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

    def bytes(self, way: Way, still: bool = False) -> int:
        """Tensors and the scratch of a way to do it; its result slides over what dies as far as it can, or (`still`) begins there,
        if it may, or somewhere else."""
        over = use_of(way, self._flow.storages, self._index).over
        most = 0 if still else sum(y.bytes for y in way.ys) - LEAST_SAVED
        over = {s: by for s, by in over.items() if by <= max(most, 0)}
        key = frozenset(over.items())
        if key not in self._known:
            uses = list(self._flow.uses)
            uses[self._position] = replace(uses[self._position], over=over)
            self._known[key] = least_bytes(replace(self._flow, uses=tuple(uses)), self._position)
        return self._known[key] + sum(aligned(s.bytes) for s in way.scratch)


def _cost(
    alive: Sequence[int], option: Option, core: Core, code: _Numbers[str, Code], tables: _Numbers[TableKey, int]
) -> Cost:
    way, cycles = option
    called = {piece.call.kernel.name: piece.call.kernel for piece in way.pieces}
    used = tuple(tables.add(key, size) for key, size in way.tables.items())
    parts = dict.fromkeys(part for kernel in called.values() for part in code_of(kernel, core))
    numbers = tuple(code.add(part.name, part) for part in parts)
    return Cost(cycles.value, alive[0], numbers, used, way.resident, len(way.ops), alive[1])
