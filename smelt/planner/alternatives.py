"""Every way to do each step that the choice under budgets looks at, with its cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.planner.measurement import IN_FLASH
from smelt.planner.predict import IN_COPIES, NOISE, Cycles, Predictor
from smelt.planner.step import AnyWay
from smelt.planner.ways import Way, Ways, op_key

MOST_SCHEDULES = 3
"""Of an implementation that are built: building takes milliseconds each, and the later guesses are seldom the better ones."""

MOST_MEASURED = 4
"""Of the measured ways to do a step that are built besides."""

ALIKE, MOST_ALIKE = 0.01, 3
"""Of the cycles of the first guess: what else was measured as fast as that is built as well, so many at most."""

LEAST_RESIDENT = 256
"""Bytes of tables below which a copy in RAM is not worth a choice."""

Single = tuple[Way, Cycles]
Singles = tuple[Single, ...]
"""Ways to do one op, and what they take."""

Option = tuple[AnyWay, Cycles]
Options = tuple[Option, ...]
"""Ways to do one step and what they take: the first guess first, unless another one was measured to be faster."""


def alternatives(
    default: Sequence[Way], predictor: Predictor, ways: Ways, resident: bool, only_known: bool = False
) -> tuple[Singles, ...]:
    """The ways to do each step; with `resident` those with tables in RAM as well; `only_known` the first guesses and what was
    measured. What is said of a way is the same each time."""
    return tuple(_alternatives(way, predictor, ways, resident, only_known) for way in default)


def _alternatives(default: Way, predictor: Predictor, ways: Ways, resident: bool, only_known: bool) -> Singles:
    found: dict[str, Single] = {}
    copies: list[Single] = []
    for way in _considered(default, predictor, ways, only_known):
        if way.kernel in found:
            continue
        flash = _ranked(predictor, way, predictor.cycles(way), [*found.values()])
        flash = _believed(flash, [*found.values()], len(found)) if found else _first(way, flash, predictor)
        if resident and way.table_bytes >= LEAST_RESIDENT:
            copy = _believed(predictor.copied(way, flash), copies or [*found.values()], len(found))
            copies.append((way.copied(), copy))
        found[way.kernel] = way, flash
    faster = ((way, cycles) for way, cycles in copies if cycles.value < found[way.kernel][1].value)
    return (*found.values(), *faster)


def _considered(default: Way, predictor: Predictor, ways: Ways, only_known: bool) -> Iterator[Way]:
    """The first guess, the best of what was measured, and the first schedules of each implementation."""
    yield default
    known, key = predictor.known, op_key(default.op)
    firmware = ((log, place) for log in (known.believed, known.doubted) for place in (IN_FLASH, IN_COPIES))
    for log, place in (*firmware, *known.ratios(key)):
        for names in _of_interest(log.ranked(key, known.board.name, place), default):
            if (way := ways.named(default.op, names)) is not None:
                yield way
    if not only_known:
        yield from ways.first_of_each(default.op, MOST_SCHEDULES)


def _of_interest(ranked: Sequence[tuple[str, str, int]], default: Way) -> Iterator[tuple[str, str]]:
    """The fastest of what was measured, and what takes as long as the first guess, perhaps with less scratch."""
    first = next((cycles for *names, cycles in ranked if tuple(names) == default.names), 0)
    alike = [entry for entry in ranked[MOST_MEASURED:] if abs(entry[2] - first) <= ALIKE * first]
    for name, schedule, _ in (*ranked[:MOST_MEASURED], *alike[:MOST_ALIKE]):
        yield name, schedule


def _ranked(predictor: Predictor, way: Way, cycles: Cycles, before: Sequence[Single]) -> Cycles:
    """An estimate in the ratio to the first guess that was measured where figures are no figures for firmware; without one,
    as it is."""
    if not before or cycles.source != "estimated":
        return cycles
    first, there = before[0]
    mine, other = predictor.relative(way), predictor.relative(first)
    return Cycles(round(there.value * mine / other), "ranked") if mine and other else cycles


def _first(way: Way, cycles: Cycles, predictor: Predictor) -> Cycles:
    """What is believed of the first guess. Where others were measured and it was not (the best kernels of an older smelt are no
    kernels any more), that says nothing against it: it is as good as the best of them."""
    least = predictor.known.least(op_key(way.op))
    return Cycles(min(cycles.value, least), cycles.source) if cycles.source == "estimated" and least else cycles


def _believed(cycles: Cycles, before: Sequence[Single], rank: int) -> Cycles:
    """Neither an estimate nor a gain within the noise is believed where it says that a later guess is faster than the first."""
    if not before:
        return cycles
    first = before[0][1].value
    if cycles.source != "estimated" and cycles.value < (1 - NOISE) * first:
        return cycles
    return Cycles(max(cycles.value, first + rank), cycles.source)
