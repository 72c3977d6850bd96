"""Sizes of tiles by constraint programming (CP-SAT), as the other choices: a layer and a hierarchy go in, a `Tiled` comes out.

Deterministic: one worker, a fixed seed, a limit in the solver's own time. Without the solver level after level is chosen by
enumeration, the slowest first; `proved` says which it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from typing import TYPE_CHECKING, Any

from smelt.planner.effort import NORMAL
from smelt.planner.hierarchy import Hierarchy
from smelt.planner.layer import Axis, Cut, Layer
from smelt.planner.solver import installed
from smelt.planner.tile_costs import SCALE, Tiling, price

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

MOST_TILES = 1024
"""Tiles of a layer at most, if nobody says otherwise: a kernel call each."""


@dataclass(frozen=True)
class Chosen:
    """A tiling, its cycles, the bytes at each level, and whether there is none better."""

    tiling: Tiling
    cycles: int
    bytes: tuple[int, ...]
    proved: bool

    @property
    def tiles(self) -> int:
        """Kernel calls."""
        return _tiles(self.tiling)


def best_tiles(
    layer: Layer, hierarchy: Hierarchy, limit: float = NORMAL.choice, most: int = MOST_TILES, solver: bool = True
) -> Chosen | None:
    """The tiles with the fewest cycles, `most` of them, whose buffers fit every level; None where none do, or none were found
    within `limit`, in deterministic seconds."""
    if solver and installed():
        return _solved(layer, hierarchy, limit, most)
    found = _level_by_level(layer, hierarchy, most)
    return found and replace(found, proved=found.proved and len(hierarchy.levels) == 1)


def every_tiling(layer: Layer, hierarchy: Hierarchy) -> Iterator[Tiling]:
    """All there are, whatever they take up."""
    levels = len(hierarchy.levels)
    beside = [(False, True) if level.inward.beside else (False,) for level in hierarchy.levels]
    for cuts in product(*(list(axis.cuts(levels)) for axis in layer.axes)):
        for by_place in product((False, True), repeat=levels):
            for double in product(*beside):
                yield Tiling(cuts, by_place, double)


def enumerated(layer: Layer, hierarchy: Hierarchy, most: int = MOST_TILES) -> Chosen | None:
    """The best of all, one by one; of equal ones the first."""
    best: Chosen | None = None
    for tiling in every_tiling(layer, hierarchy):
        best = _better(best, layer, hierarchy, tiling, most)
    return best


def _better(best: Chosen | None, layer: Layer, hierarchy: Hierarchy, tiling: Tiling, most: int) -> Chosen | None:
    """The better one of what is known and a tiling, if that can be."""
    if _tiles(tiling) > most:
        return best
    found = price(layer, hierarchy, tiling)
    fits = all(size <= level.bytes for size, level in zip(found.bytes, hierarchy.levels, strict=True))
    if not fits or found.impossible:
        return best
    one = Chosen(tiling, ceil(found.cycles / SCALE), found.bytes, True)
    return one if best is None or one.cycles < best.cycles else best


def _tiles(tiling: Tiling) -> int:
    found = 1
    for cut in tiling.cuts:
        found *= cut.counts[-1]
    return found


def _level_by_level(layer: Layer, hierarchy: Hierarchy, most: int) -> Chosen | None:
    """The best of the first level alone, then of the second within it, and so on."""
    taken: Chosen | None = None
    axes = layer.axes
    for n in range(1, len(hierarchy.levels) + 1):
        there = Hierarchy(hierarchy.home, hierarchy.levels[:n])
        known, taken = taken, None
        kept = [_kept(axis, n, known.tiling.cuts[a].sizes if known else None) for a, axis in enumerate(axes)]
        sides = [known.tiling.by_place if known else (), known.tiling.double if known else ()]
        mine = (False, True) if there.levels[-1].inward.beside else (False,)
        for cuts in product(*kept):
            for by_place, double in product((False, True), mine):
                tiling = Tiling(cuts, (*sides[0], by_place), (*sides[1], double))
                taken = _better(taken, layer, there, tiling, most)
        if taken is None:
            return None
    return taken


def _kept(axis: Axis, levels: int, sizes: tuple[int, ...] | None) -> list[Cut]:
    return [cut for cut in axis.cuts(levels) if not sizes or cut.sizes[: len(sizes)] == sizes]


# --- the solver ---------------------------------------------------------------------------------------------------------


def _solved(layer: Layer, hierarchy: Hierarchy, limit: float, most: int) -> Chosen | None:
    from ortools.sat.python import cp_model

    levels = len(hierarchy.levels)
    numbers = _Variables(cp_model.CpModel())
    model = numbers.model
    options = [list(axis.cuts(levels)) for axis in layer.axes]
    picks = [model.new_int_var(0, len(some) - 1, "") for some in options]
    cuts = tuple(numbers.cut(pick, some) for pick, some in zip(picks, options, strict=True))
    by_place = tuple(numbers.boolean() for _ in range(levels))
    double = tuple(numbers.boolean() if level.inward.beside else numbers.constant(0) for level in hierarchy.levels)
    found = price(layer, hierarchy, Tiling(cuts, by_place, double), numbers)
    for size, level in zip(found.bytes, hierarchy.levels, strict=True):
        model.add(_expression(size) <= level.bytes)
    model.add(_expression(found.impossible) == 0)
    model.add(numbers.product(*(cut.counts[-1] for cut in cuts)).expression <= most)
    model.minimize(_expression(found.cycles))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = limit
    solver.parameters.catch_sigint_signal = False
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    taken = tuple(some[solver.value(pick)] for pick, some in zip(picks, options, strict=True))
    tiling = Tiling(taken, *(tuple(bool(solver.value(_expression(v))) for v in some) for some in (by_place, double)))
    cost = price(layer, hierarchy, tiling)
    return Chosen(tiling, ceil(cost.cycles / SCALE), cost.bytes, status == cp_model.OPTIMAL)


@dataclass(frozen=True)
class _Value:
    """What the solver has in place of a number from `low` to `high`."""

    expression: Any
    low: int
    high: int

    def __add__(self, other: Any) -> _Value:
        if isinstance(other, _Value):
            return _Value(self.expression + other.expression, self.low + other.low, self.high + other.high)
        return _Value(self.expression + other, self.low + other, self.high + other)

    __radd__ = __add__

    def __mul__(self, factor: int) -> _Value:
        return _Value(self.expression * factor, self.low * factor, self.high * factor)

    __rmul__ = __mul__


def _expression(value: Any) -> Any:
    return value.expression if isinstance(value, _Value) else value


class _Variables:
    """`Arithmetic` with the solver's variables."""

    def __init__(self, model: cp_model.CpModel) -> None:
        self.model = model

    def constant(self, value: int) -> _Value:
        return _Value(self.model.new_constant(value), value, value)

    def boolean(self) -> _Value:
        return _Value(self.model.new_bool_var(""), 0, 1)

    def cut(self, pick: Any, options: Sequence[Cut]) -> Cut:
        """A cut whose numbers are those of the option that is picked."""
        names = ("sizes", "counts", "sums", "reaches", "divided")
        levels = range(len(options[0].sizes))
        columns = [[int(getattr(option, name)[n]) for option in options] for name in names for n in levels]
        values = [_Value(self.model.new_int_var(min(c), max(c), ""), min(c), max(c)) for c in columns]
        rows = [(number, *row) for number, row in enumerate(zip(*columns, strict=True))]
        self.model.add_allowed_assignments([pick, *(v.expression for v in values)], rows)
        count = len(levels)
        return Cut(*(tuple(values[i * count : (i + 1) * count]) for i in range(len(names))))  # type: ignore[arg-type]

    def product(self, *factors: Any) -> Any:
        found: Any = 1
        for factor in factors:
            if not isinstance(found, _Value) or not isinstance(factor, _Value):
                found = found * factor
                continue
            low, high = found.low * factor.low, found.high * factor.high
            target = self.model.new_int_var(low, high, "")
            self.model.add_multiplication_equality(target, [found.expression, factor.expression])
            found = _Value(target, low, high)
        return found

    def larger(self, a: Any, b: Any) -> Any:
        pair = [v if isinstance(v, _Value) else self.constant(v) for v in (a, b)]
        low, high = max(v.low for v in pair), max(v.high for v in pair)
        target = self.model.new_int_var(low, high, "")
        self.model.add_max_equality(target, [v.expression for v in pair])
        return _Value(target, low, high)

    def either(self, *conditions: Any) -> Any:
        target = self.model.new_bool_var("")
        self.model.add_max_equality(target, [_expression(c) for c in conditions])
        return _Value(target, 0, 1)

    def choose(self, condition: Any, yes: Any, no: Any) -> Any:
        values = [v if isinstance(v, _Value) else self.constant(v) for v in (yes, no)]
        low, high = min(v.low for v in values), max(v.high for v in values)
        flag = self.model.new_bool_var("")
        self.model.add(flag == _expression(condition))
        target = self.model.new_int_var(low, high, "")
        self.model.add(target == values[0].expression).only_enforce_if(flag)
        self.model.add(target == values[1].expression).only_enforce_if(flag.negated())
        return _Value(target, low, high)
