"""Which candidate a goal takes within budgets: best first, by bounds that get sharper as more is found out (cycles alone, then an
order of steps, then addresses). The one found is the best of all candidates, though few of them were given addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush
from itertools import islice
from math import inf

from smelt.errors import DoesNotFit
from smelt.model.graph import Graph
from smelt.planner.alternatives import Option, Singles, alternatives
from smelt.planner.bands import Bands
from smelt.planner.budgets import Goal, Situation, situations
from smelt.planner.candidates import ANYTHING, Candidate, candidates, in_flash, smallest
from smelt.planner.check import check, excess
from smelt.planner.code_size import FIXED_FLASH, FIXED_RAM
from smelt.planner.copies import Copies, copies
from smelt.planner.effort import Planning
from smelt.planner.flow import Flow, peak
from smelt.planner.in_tiles import InTiles
from smelt.planner.limits import Limits
from smelt.planner.measurement import FLASH, Places
from smelt.planner.placement import Placement, budgets
from smelt.planner.plan import Plan
from smelt.planner.predict import Predictor, memories
from smelt.planner.runs import Found, Runs
from smelt.planner.step import AnyWay, Step, flow_of, resident_tables
from smelt.planner.tables import distributed
from smelt.planner.tile_search import TileSearch
from smelt.planner.waits import priced, waiting
from smelt.planner.ways import Way, Ways
from smelt.targets.types import Board

SLACK = 0.01
"""Of the fewest cycles that "balanced" gives for less RAM."""

SLACK_OF_BANDS = 0.004
"""The same where ops are computed in bands, which is always an estimate: what moves with the code around kernels anyway."""

WORTH = 0.02
"""Of the RAM that must be saved at least for that."""

Key = tuple[int, int]
Planner = Callable[[tuple[AnyWay, ...], Limits, bool], Plan]
"""Order and addresses for ways, in the order of the graph, to do the steps: in as few bytes as can be or (True) where they wait
least for memory. Raises DoesNotFit."""


@dataclass(frozen=True, eq=False)
class Menu:
    """What there is to choose from for a graph on a board, whatever the goal and the budget of RAM. `flash` are limits without one.
    Options and candidates are found when they are first asked for: some goals do without most of them."""

    graph: Graph
    board: Board
    default: tuple[Way, ...]
    predictor: Predictor
    ways: Ways
    reserve: int
    flash: Limits
    planning: Planning

    def within(self, flash: Limits) -> Menu:
        """The same within other limits; what does not depend on these is not found out again."""
        menu = replace(self, flash=flash)
        kept = ("options", "situations", "priced", "_trusted", "_runs", "_aways")
        menu.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return menu

    @cached_property
    def _trusted(self) -> tuple[Situation, ...]:
        known = alternatives(self.default, self.predictor, self.ways, False, only_known=True)
        return self._situations(known, 2 * SLACK_OF_BANDS)

    @cached_property
    def options(self) -> tuple[Singles, ...]:
        """All ways to do each step, tables in flash and in RAM."""
        return alternatives(self.default, self.predictor, self.ways, True)

    @cached_property
    def situations(self) -> tuple[Situation, ...]:
        """The problem of all options in the orders that may be the best."""
        return self._situations(self.options, inf)

    def _situations(self, options: Sequence[Singles], slack: float) -> tuple[Situation, ...]:
        def finder(flow: Flow, some: Sequence[Singles], alive: Sequence[Sequence[int]]) -> tuple[Found, ...]:
            if self.board.chip.cluster:  # rows that are computed one after the other keep one core busy
                return ()
            return self._runs.find(flow, some, alive, slack)

        return situations(self.graph, self.board, options, self.reserve, finder)

    @cached_property
    def _runs(self) -> Runs:
        return Runs(self.predictor, self.ways, self.planning.effort.runs)

    @cached_property
    def trusted(self) -> tuple[Candidate, ...]:
        """The first guesses and what was measured, as far as it does not spend flash."""
        return self._distinct(candidates(self._trusted, self.flash, _trusted, self.planning.effort))

    @cached_property
    def frugal(self) -> tuple[Candidate, ...]:
        """Everything that does not spend flash."""
        return self._distinct(candidates(self.situations, self.flash, _frugal, self.planning.effort))

    @cached_property
    def everything(self) -> tuple[Candidate, ...]:
        """What any goal may take, but for the least flash."""
        spending = [there for there in self.situations if in_flash(there) != in_flash(there, _frugal)]
        of_all = candidates(spending, self.flash, _any, self.planning.effort)
        to_copy = candidates([there.as_copied for there in self.situations], self.flash, _any, self.planning.effort)
        return self._distinct((*self.trusted, *self.frugal, *of_all, *to_copy))

    def smallest(self, most: int) -> Iterator[Candidate]:
        """Those of the least flash that have at most so many bytes alive, the least flash first."""
        yield from smallest(self.situations, self.flash, _any, self.planning.effort, most)

    @cached_property
    def tiles(self) -> TileSearch:
        """Finds tiles for steps whose operands lie in slow memories."""
        return TileSearch(self.predictor, self.ways, self.planning.effort.choice)

    @cached_property
    def priced(self) -> bool:
        """Whether it matters in which RAM something lies."""
        return priced(self.board)

    def at_best(self, candidate: Candidate) -> int:
        """Cycles of a candidate with everything in the fastest RAM: estimates are of where things will probably lie."""
        if not self.priced:
            return candidate.cycles
        estimated = (way for way, cycles in candidate.options if cycles.is_estimate)
        return candidate.cycles - sum(self._away(piece.way) for way in estimated for piece in way.pieces)

    def _away(self, way: Way) -> int:
        """The cycles that an estimate has for memories that are not the fastest."""
        if way.kernel not in self._aways:
            fast = memories(way.call.kernel, Places(FLASH, FLASH, *(self.board.chip.rams[0].name,) * 3))
            home = self.predictor.home(way)
            waits = self.predictor.stalls(way, home) - self.predictor.stalls(way, fast) if home != fast else 0.0
            self._aways[way.kernel] = max(round(self.predictor.less_by_tiles(way, waits)), 0)
        return self._aways[way.kernel]

    @cached_property
    def _aways(self) -> dict[str, int]:
        return {}

    def _distinct(self, some: Iterable[Candidate]) -> tuple[Candidate, ...]:
        found: dict[object, Candidate] = {}
        for candidate in some:
            found.setdefault(candidate.key, candidate)
        return tuple(found.values())


def _any(number: int, option: Option) -> bool:
    return True


def _frugal(number: int, option: Option) -> bool:
    return not option[0].spends_flash


def _trusted(number: int, option: Option) -> bool:
    known = number == 0 or option[1].source != "estimated" or isinstance(option[0], Bands)
    return _frugal(number, option) and known


@dataclass(frozen=True, eq=False)
class Answer:
    """A plan and the options that it is made of, in the order of the graph. `interrupted`: the search was, and this is the best
    that was known."""

    plan: Plan
    options: tuple[Option, ...]
    cycles: int
    interrupted: bool = False

    def key(self, goal: Goal) -> Key:
        """What a goal compares."""
        first = {"ram": self.plan.ram_bytes, "flash": self.plan.flash_bytes}.get(goal)
        return (self.cycles, self.plan.ram_bytes) if first is None else (first, self.cycles)


class Decision:
    """The choice from a menu within limits. Each candidate is planned once, whatever is asked."""

    def __init__(self, menu: Menu, limits: Limits, planner: Planner) -> None:
        self.menu, self.limits, self.planner = menu, limits, planner
        self._planned: dict[tuple[Candidate, bool], Answer | None] = {}
        self._copies: dict[Candidate, tuple[Copies, ...]] = {}

    def best(self, goal: Goal) -> Answer | None:
        """The best answer for a goal; None where none fits."""
        if goal == "balanced":
            usual = self._as_first_guesses() or self._balanced(self.menu.trusted) or self._balanced(self.menu.frugal)
            return usual or self._balanced(self.menu.everything)
        some = self.menu.everything
        if goal == "flash":
            return self._search((*some, *self._smallest_that_fits()), goal)[0]
        found, sure = self._search(some, goal)
        if sure or (goal == "ram" and found is not None):  # the leanest ways are among them
            return found
        return self._search((*some, *self.menu.smallest(self._room - FIXED_RAM)), goal)[0]

    def _smallest_that_fits(self) -> Iterator[Candidate]:
        """The least flash: what has more bytes alive is the smaller one."""
        some = self.menu.smallest(self._room - FIXED_RAM)
        yield from islice((c for c in some if self._answer(c, "ram", ANYTHING) is not None), 1)

    def _as_first_guesses(self) -> Answer | None:
        """What "balanced" means where no budget of RAM is given: no more of it than the first guesses need, or would if results
        were never written next to what they are computed from. What that saves may be spent on cycles."""
        if self.limits.ram is not None:
            return None
        plain = self.first_guesses
        if plain is None:
            return None
        most = max(plain.ram_bytes + plain.idle_bytes, apart(plain))
        return Decision(self.menu, replace(self.limits, ram=most), self.planner)._balanced(self.menu.trusted)

    @cached_property
    def first_guesses(self) -> Plan | None:
        """The plan of the first guesses, where it fits."""
        try:
            return self.planner(self.menu.default, self.limits, self.menu.priced)
        except DoesNotFit:
            return None

    def _balanced(self, some: Sequence[Candidate]) -> Answer | None:
        """Of what takes up to `SLACK` more than the fewest cycles, or `SLACK_OF_BANDS`, the one with the least RAM."""
        fastest, _ = self._search(some, "balanced")
        if fastest is None or fastest.interrupted:
            return fastest
        most = round(fastest.cycles * (1 + SLACK))
        some = [c for c in some if self.menu.at_best(c) <= fastest.cycles * (1 + _slack(c))]
        leanest, _ = self._search(some, "ram", copied=False, most=most)
        worth = leanest is not None and leanest.plan.ram_bytes < (1 - WORTH) * fastest.plan.ram_bytes
        return leanest if worth else fastest

    def _search(
        self, some: Sequence[Candidate], goal: Goal, copied: bool = True, most: int = ANYTHING
    ) -> tuple[Answer | None, bool]:
        """The best answer of at most so many cycles, and whether none could be better: no candidate before it failed for want of
        addresses."""
        copied = (
            copied and goal not in ("balanced", "ram") and not self.limits.weights
        )  # "flash": copies of the very ways only
        heap: list[_Entry] = []
        for n, candidate in enumerate(some):
            heappush(heap, _Entry(self._first_bound(candidate, goal, copied), n, candidate))
        known: Answer | None = None
        least: Key | None = None
        try:
            while heap:
                entry = heappop(heap)
                if entry.answer is not None:
                    return entry.answer, least is None or entry.key[0] <= least[0]
                if entry.bounded:
                    least = min(least or entry.key, entry.key)
                    answer = self._answer(entry.candidate, goal, most)
                    if answer is not None:
                        known = answer if known is None else min(known, answer, key=lambda a: a.key(goal))
                        self._tell(known, goal)
                        heappush(heap, replace(entry, key=answer.key(goal), answer=answer))
                elif (key := self._second_bound(entry.candidate, goal, copied)) is not None:
                    heappush(heap, replace(entry, key=max(key, entry.key), bounded=True))
        except KeyboardInterrupt:
            if known is None or not self.menu.planning.keep_best:
                raise
            return _cut_short(known, goal, min([known.key(goal), *(e.key for e in heap)])), True
        return None, True

    def _first_bound(self, candidate: Candidate, goal: Goal, copied: bool) -> Key:
        cycles = self.menu.at_best(candidate) - (self._saved(candidate, ANYTHING, goal) if copied else 0)
        if goal == "ram":
            return candidate.quick_bound, cycles
        return (self._flash(candidate), cycles) if goal == "flash" else (cycles, 0)

    def _second_bound(self, candidate: Candidate, goal: Goal, copied: bool) -> Key | None:
        """A sharper one; None for what cannot fit."""
        ram = self._room - candidate.bound
        if ram < 0:
            return None
        cycles = self.menu.at_best(candidate) - (self._saved(candidate, ram, goal) if copied else 0)
        if goal == "ram":
            return candidate.bound, cycles
        return (self._flash(candidate), cycles) if goal == "flash" else (cycles, candidate.bound)

    def _flash(self, candidate: Candidate) -> int:
        """A bound of what `Plan.flash_bytes` will be."""
        return FIXED_FLASH + candidate.flash + self.limits.code

    @cached_property
    def _room(self) -> int:
        """The RAM that a plan may take up, stack included."""
        return ANYTHING if self.limits.ram is None else self.limits.ram

    def _saved(self, candidate: Candidate, room: int, goal: Goal) -> int:
        return self._copies_of(candidate, goal)[0].saved(min(room, self._most_room))

    @cached_property
    def _most_room(self) -> int:
        return sum(budgets(self.menu.board, self.menu.reserve).values())

    def _copies_of(self, candidate: Candidate, goal: Goal) -> tuple[Copies, ...]:
        """Copies of any ways that lie alike, and of the very ways, which take no more flash: all that "flash" looks at."""
        if candidate not in self._copies:
            offered = self.menu.options
            self._copies[candidate] = tuple(copies(candidate.options, offered, same) for same in (False, True))
        return self._copies[candidate][goal == "flash" :]

    def _answer(self, candidate: Candidate, goal: Goal, most: int) -> Answer | None:
        """The best plan of a candidate within the limits and `most` cycles: where it waits least, or in as few bytes as can be."""
        variants = (True, False) if self.menu.priced else (False,)
        answers = [self._planned_answer(candidate, by_price) for by_price in variants]
        found = [answer for answer in answers if answer is not None and answer.cycles <= most]
        if goal not in ("balanced", "ram") and not self.limits.weights:
            found = [self._with_copies(answer, candidate, goal) for answer in found]
        return min(found, key=lambda answer: answer.key(goal), default=None)

    def _planned_answer(self, candidate: Candidate, by_price: bool) -> Answer | None:
        key = candidate, by_price
        if key not in self._planned:
            try:
                plan = self.planner(candidate.ways, self.limits, by_price)
                waits = waiting(self.menu.predictor, plan) if self.menu.priced else 0
                least = self.menu.at_best(candidate)
                plan, saved = self.menu.tiles.tiled(plan, by_price) if self.menu.priced else (plan, 0)
                answer = Answer(plan, candidate.options, max(least + waits - saved, least))
                self._planned[key] = self._all_copied(answer) if self.limits.in_ram else answer
            except DoesNotFit:
                self._planned[key] = None
        return self._planned[key]

    def _all_copied(self, answer: Answer) -> Answer | None:
        """The answer with all its tables in RAM, where they find room."""
        options = tuple(
            (way.copied(), self.menu.predictor.copied(way, cycles)) if isinstance(way, Way) else (way, cycles)
            for way, cycles in answer.options
        )
        plan = _copied(answer.plan, tuple(way for way, _ in options))
        saved = sum(a.value - b.value for (_, a), (_, b) in zip(answer.options, options, strict=True))
        return None if plan is None else replace(answer, plan=plan, options=options, cycles=answer.cycles - saved)

    def _with_copies(self, answer: Answer, candidate: Candidate, goal: Goal) -> Answer:
        """The answer with the tables in RAM that save most and find room."""
        room = min(self._room - answer.plan.ram_bytes, self._most_room - answer.plan.tensor_bytes)
        found = [answer]
        for some in self._copies_of(candidate, goal):
            for options in some.best_first(room):
                plan = _copied(answer.plan, tuple(way for way, _ in options))
                if plan is not None:
                    saved = candidate.cycles - sum(cycles.value for _, cycles in options)
                    found.append(Answer(plan, options, answer.cycles - saved))
                    break
        return min(found, key=lambda a: (a.cycles, a.plan.ram_bytes))

    def _tell(self, known: Answer, goal: Goal) -> None:
        self.menu.planning.report(f"{known.cycles:,} cycles in {known.plan.ram_bytes:,} bytes of RAM so far")


@dataclass(frozen=True, order=True)
class _Entry:
    """What is known of a candidate: a bound of its key, a sharper one (`bounded`), at last the answer."""

    key: Key
    number: int
    candidate: Candidate = field(compare=False)
    bounded: bool = field(default=False, compare=False)
    answer: Answer | None = field(default=None, compare=False)


def _copied(plan: Plan, ways: Sequence[AnyWay]) -> Plan | None:
    """The plan with other ways that lie alike; None where their tables find no room or take too much flash."""
    new = {way.ops: way for way in ways}
    steps = tuple(Step(_as_planned(step.way, new[step.ops]), step.name) for step in plan.steps)
    left = {m: size - plan.used(m) for m, size in budgets(plan.board, plan.reserve).items()}
    if distributed(resident_tables(steps), left) is None:
        return None
    changed = replace(plan, steps=steps, placements=_moved(plan, steps))
    return None if excess(changed) else check(changed)


def _as_planned(old: AnyWay, new: AnyWay) -> AnyWay:
    """The new way; what is computed in tiles stays so."""
    if not isinstance(old, InTiles):
        return new
    return old.copied() if new.resident else old


def _slack(candidate: Candidate) -> float:
    """What "balanced" gives for the RAM of a candidate."""
    return SLACK_OF_BANDS if any(isinstance(way, Bands) for way in candidate.ways) else SLACK


def apart(plan: Plan) -> int:
    """The RAM that the ways of a plan need at least where results lie in place of operands or apart from them."""
    flow = flow_of(plan.graph, [step.way for step in plan.steps])
    uses = (replace(use, over={s: by for s, by in use.over.items() if by == 0}) for use in flow.uses)
    return peak(replace(flow, uses=tuple(uses))) + FIXED_RAM


def _moved(plan: Plan, steps: Sequence[Step]) -> tuple[Placement, ...]:
    """The placements of a plan where its scratch is that of other steps, of the same sizes."""
    new = {
        mine: theirs
        for a, b in zip(plan.steps, steps, strict=True)
        for mine, theirs in zip(a.scratch, b.scratch, strict=True)
    }
    return tuple(p if p.scratch is None else replace(p, scratch=new[p.scratch]) for p in plan.placements)


def _cut_short(known: Answer, goal: Goal, bound: Key) -> Answer:
    """The best answer so far, with a note that says what it may be from the best."""
    mine, what = known.key(goal)[0], {"ram": "bytes of RAM", "flash": "bytes of flash"}.get(goal, "cycles")
    note = f"planning was interrupted: {mine:,} {what} may be {max(mine / max(bound[0], 1) - 1, 0):.1%} more than the least"
    return replace(known, plan=replace(known.plan, notes=(*known.plan.notes, note)), interrupted=True)
