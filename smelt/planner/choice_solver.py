"""The choice of all steps together as one constraint problem (CP-SAT). Dataclasses go in, a dataclass comes out; no solver
object leaves this file.

Deterministic: one worker, a fixed seed, a limit in the solver's own time. Where the fastest choice of every step fits there is
nothing to solve, and the solver is not even imported; it is an extra (`smelt[plan]`), without which only steps that give way
one by one are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from smelt.planner.effort import NORMAL
from smelt.planner.solver import installed

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

Aim = Literal["cycles", "ram", "flash"]

LATER = 4
"""How much less a later aim is worth: its limit is the first one's divided by this."""

COVERED = -1
"""What is taken at a step that is done with an earlier one."""


@dataclass(frozen=True)
class Cost:
    """What one way to do a step, or `covers` steps from there on, costs. `alive` are the bytes of tensors and scratch while it
    runs; `code` and `tables` are positions in the problem's sizes; `resident`: its tables are in RAM as well. `still`: what is
    alive if its result does not begin before what it is written over; 0 where nobody asked."""

    cycles: int
    alive: int
    code: tuple[int, ...]
    tables: tuple[int, ...] = ()
    resident: bool = False
    covers: int = 1
    still: int = 0


@dataclass(frozen=True)
class Problem:
    """Ways to do each step, or what begins there; the bytes of pieces of code and of tables, each of which takes up room once
    however many use it; `floor`, the bytes alive before and after all steps; and the limits of RAM and flash, fixed costs taken
    off."""

    ways: tuple[tuple[Cost, ...], ...]
    code: tuple[int, ...]
    tables: tuple[int, ...]
    floor: int
    ram: int
    flash: int


@dataclass(frozen=True)
class Choice:
    """The way taken at each step, `COVERED` where there is none, and what that comes to. `proved`: there is none better."""

    taken: tuple[int, ...]
    cycles: int
    ram: int
    flash: int
    proved: bool = True


def evaluate(problem: Problem, taken: Sequence[int], proved: bool = True) -> Choice:
    """What a choice comes to."""
    ways = [options[i] for options, i in zip(problem.ways, taken, strict=True) if i != COVERED]
    resident = {t for w in ways if w.resident for t in w.tables}
    ram = max([problem.floor, *(w.alive for w in ways)]) + sum(problem.tables[t] for t in resident)
    flash = sum(problem.code[k] for k in {k for w in ways for k in w.code})
    flash += sum(problem.tables[t] for t in {t for w in ways for t in w.tables})
    return Choice(tuple(taken), sum(w.cycles for w in ways), ram, flash, proved)


def fits(problem: Problem, choice: Choice) -> bool:
    return choice.ram <= problem.ram and choice.flash <= problem.flash


def solve(problem: Problem, aims: Sequence[Aim] = ("cycles",), limit: float = NORMAL.choice) -> Choice | None:
    """The choice within the limits that is best by the first aim, among those by the second, and so on.

    None where there is none, or none was found within `limit`, in deterministic seconds. Of equal ones that with the least alive
    wins, then the earlier one.
    """
    fastest = _least(problem, lambda way: (way.cycles, way.alive))
    if fastest is None:
        return None
    if aims[0] == "cycles" and fits(problem, evaluate(problem, fastest)):
        return evaluate(problem, fastest)
    if not installed():
        return _given_way(problem, aims)
    return solved_among(problem, _undominated(problem), lambda some: _solved(some, aims, limit))


def leanest(problem: Problem) -> Choice | None:
    """The ways with the least alive at every step, whatever the limits; None where there are none."""
    taken = _least(problem, lambda way: (way.alive, way.cycles))
    return None if taken is None else evaluate(problem, taken)


def solved_among(
    problem: Problem, left: Sequence[Sequence[int]], solver: Callable[[Problem], Choice | None]
) -> Choice | None:
    """What a solver chooses where only some of the ways, by number, are left of each step."""
    found = solver(_only(problem, left))
    if found is None:
        return None
    taken = (i if i == COVERED else some[i] for some, i in zip(left, found.taken, strict=True))
    return replace(found, taken=tuple(taken))


def _least(problem: Problem, cost: Callable[[Cost], tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """The ways of the least sum of costs, the first numbers first; one that costs None is not taken. None where there are none."""
    best: list[tuple[tuple[int, ...], int] | None] = [((), COVERED)]
    for step in reversed(range(len(problem.ways))):
        found = []
        for i, way in enumerate(problem.ways[step]):
            rest, mine = best[way.covers - 1] if way.covers <= len(best) else None, cost(way)
            if rest is not None and mine is not None:
                found.append((tuple(map(sum, zip(mine, rest[0] or (0,) * len(mine), strict=True))), i))
        best.insert(0, min(found, default=None))
    taken, step = list[int](), 0
    while step < len(problem.ways):
        there = best[step]
        if there is None:
            return None
        covers = problem.ways[step][there[1]].covers
        taken += [there[1], *(COVERED,) * (covers - 1)]
        step += covers
    return tuple(taken)


def _given_way(problem: Problem, aims: Sequence[Aim]) -> Choice | None:
    """Without the solver: each step by itself, with the cycles that the RAM allows or with the least of what is asked for."""

    def cost(way: Cost) -> tuple[int, ...] | None:
        flash = sum(problem.code[k] for k in way.code) + sum(problem.tables[t] for t in way.tables)
        values = {"cycles": way.cycles, "ram": way.alive, "flash": flash}
        return None if way.alive > problem.ram or way.resident else tuple(values[aim] for aim in aims)

    taken = _least(problem, cost)
    choice = None if taken is None else evaluate(problem, taken, proved=False)
    return choice if choice and fits(problem, choice) else None


# --- fewer ways -------------------------------------------------------------------------------------------------------


def _only(problem: Problem, left: Sequence[Sequence[int]]) -> Problem:
    """The problem with only some of the ways."""
    ways = tuple(tuple(some[i] for i in keep) for some, keep in zip(problem.ways, left, strict=True))
    return replace(problem, ways=ways)


def _undominated(problem: Problem) -> tuple[tuple[int, ...], ...]:
    """The ways of each step, by number, that are better than each of the others in something."""
    users: dict[tuple[str, int], set[int]] = {}
    for step, ways in enumerate(problem.ways):
        for thing in (thing for way in ways for thing in _things(way)):
            users.setdefault(thing, set()).add(step)
    shared = {thing for thing, steps in users.items() if len(steps) > 1}
    return tuple(_best_of(problem, ways, shared) for ways in problem.ways)


def _best_of(problem: Problem, ways: Sequence[Cost], shared: Collection[tuple[str, int]]) -> tuple[int, ...]:
    most = [_costs(problem, way, ()) for way in ways]
    least = [_costs(problem, way, shared) for way in ways]

    def beaten(j: int) -> bool:
        """Even if the other shares nothing, and this way all it can. The earlier one of two equals stays."""
        return any(
            i != j
            and ways[i].covers == ways[j].covers
            and _no_more(most[i], least[j])
            and (i < j or not _no_more(most[j], least[i]))
            for i in range(len(ways))
        )

    return tuple(j for j in range(len(ways)) if not beaten(j))


def _costs(problem: Problem, way: Cost, free: Collection[tuple[str, int]]) -> tuple[int, int, int, int]:
    """Cycles, bytes alive, flash and copies of a way, without what is `free`."""
    flash = copies = 0
    for kind, n in set(_things(way)) - set(free):
        size = problem.code[n] if kind == "code" else problem.tables[n]
        if kind == "copy":
            copies += size
        else:
            flash += size
    return way.cycles, way.alive, flash, copies


def _no_more(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))


# --- the model --------------------------------------------------------------------------------------------------------


def _solved(problem: Problem, aims: Sequence[Aim], limit: float) -> Choice | None:
    """The least flash comes first where another aim does: it is soon found, a start, and says where nothing fits."""
    found: Choice | None = None
    proved = True
    reached: list[tuple[Aim, int]] = []
    if aims[0] != "flash":
        taken, best = _best(problem, "flash", limit, reached, None)
        if taken is None and best:
            return None
        found = None if taken is None else evaluate(problem, taken, proved=False)
    for n, aim in enumerate(aims):
        taken, best = _best(problem, aim, limit if n == 0 else limit / LATER, reached, found)
        if taken is None:
            return found if found is None else replace(found, proved=False)
        proved = proved and best
        found = evaluate(problem, taken, proved)
        reached.append((aim, getattr(found, aim)))
    return found


def _best(
    problem: Problem, aim: Aim, limit: float, reached: Sequence[tuple[Aim, int]], hint: Choice | None
) -> tuple[tuple[int, ...] | None, bool]:
    """The best choice by one aim that is no worse by those of `reached` (None: none was found), and whether that is proved."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    picks = [[model.new_bool_var("") for _ in ways] for ways in problem.ways]
    for doing in _doing(problem, picks):
        model.add_exactly_one(doing)
    values = _values(model, problem, picks)
    model.add(values["ram"] <= problem.ram)
    model.add(values["flash"] <= problem.flash)
    for name, most in reached:
        model.add(values[name] <= most)
    for options, chosen in zip(picks, hint.taken if hint else (), strict=False):
        for i, option in enumerate(options):
            model.add_hint(option, i == chosen)
    model.minimize(values[aim])
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = limit
    solver.parameters.catch_sigint_signal = False  # Ctrl-C is for whoever asked
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, status == cp_model.INFEASIBLE
    taken = tuple(next((i for i, o in enumerate(options) if solver.value(o)), COVERED) for options in picks)
    return taken, status == cp_model.OPTIMAL


def _doing(problem: Problem, picks: Sequence[Sequence[cp_model.IntVar]]) -> list[list[cp_model.IntVar]]:
    """For each step the options that do it."""
    doing: list[list[cp_model.IntVar]] = [[] for _ in picks]
    for step, (ways, options) in enumerate(zip(problem.ways, picks, strict=True)):
        for way, option in zip(ways, options, strict=True):
            for covered in doing[step : step + way.covers]:
                covered.append(option)
    return doing


def _values(
    model: cp_model.CpModel, problem: Problem, picks: Sequence[Sequence[cp_model.IntVar]]
) -> dict[Aim, cp_model.LinearExprT]:
    """Cycles, RAM and flash of a choice as expressions of the model."""
    users: dict[tuple[str, int], list[cp_model.IntVar]] = {}
    cycles = []
    peak = model.new_int_var(problem.floor, max([problem.floor, *(w.alive for ws in problem.ways for w in ws)]), "")
    for ways, options in zip(problem.ways, picks, strict=True):
        model.add(peak >= sum(w.alive * o for w, o in zip(ways, options, strict=True)))
        cycles += [w.cycles * o for w, o in zip(ways, options, strict=True)]
        for way, option in zip(ways, options, strict=True):
            for thing in _things(way):
                users.setdefault(thing, []).append(option)
    used = {thing: _used(model, options) for thing, options in users.items()}
    return {
        "cycles": sum(cycles),
        "ram": peak + sum(problem.tables[n] * v for (kind, n), v in used.items() if kind == "copy"),
        "flash": sum(problem.code[n] * v for (kind, n), v in used.items() if kind == "code")
        + sum(problem.tables[n] * v for (kind, n), v in used.items() if kind == "table"),
    }


def _things(way: Cost) -> Iterator[tuple[str, int]]:
    """What a way needs that others may need as well: its code, its tables, their copies in RAM."""
    yield from (("code", k) for k in way.code)
    yield from (("table", t) for t in way.tables)
    yield from (("copy", t) for t in way.tables if way.resident)


def _used(model: cp_model.CpModel, options: Sequence[cp_model.IntVar]) -> cp_model.IntVar:
    """Whether one of the options is taken."""
    if len(options) == 1:
        return options[0]
    used = model.new_bool_var("")
    for option in options:
        model.add_implication(option, used)
    return used
