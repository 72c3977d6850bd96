"""What is tried where nobody measured such ops: the ways whose estimates promise more than estimates err.

The order in which implementations and schedules are offered is right for most shapes, and wrong for some: where the operands do not
fit the memory beside the core, where tiles must be small. Estimates know of that. They rest on what was measured of the same
implementations with other ops; without that nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from smelt.planner.predict import Predictor
from smelt.planner.ways import Way, Ways, op_key

MARGIN = 0.08
"""Of the cycles of the first guess: what an estimate must promise to save. Estimates of two ways to do an op, divided by each
other, are that far off (median of the ways of the MLPerf Tiny models, ratios taken from the other three)."""

LEAST_SHARE = 0.005
"""Of the cycles of all steps that one must take for its ways to be looked at: building them takes time."""

SCHEDULES = 2
"""Of each implementation that are looked at; those of its own first guess more."""

OWN_SCHEDULES = 6


def is_guessed(default: Way, predictor: Predictor) -> bool:
    """Whether estimates may say how an op is done: nobody measured such ops, and the first guess can be estimated."""
    return not predictor.known.covers(op_key(default.op)) and predictor.trusts(default)


def guessed(default: Sequence[Way], predictor: Predictor, ways: Ways) -> tuple[Way, ...]:
    """Each first guess, or the way that promises to be faster by more than `MARGIN`."""
    cycles = [predictor.cycles(way).value for way in default]
    least = LEAST_SHARE * sum(cycles)
    known: dict[str, tuple[str, str]] = {}
    return tuple(
        _guessed(way, predictor, ways, known) if n >= least and is_guessed(way, predictor) else way
        for way, n in zip(default, cycles, strict=True)
    )


def _guessed(default: Way, predictor: Predictor, ways: Ways, known: dict[str, tuple[str, str]]) -> Way:
    """The same for one op; ops of the same text are done alike."""
    key = op_key(default.op)
    if key not in known:
        known[key] = _best(default, predictor, ways).names
    return ways.named(default.op, known[key]) or default


def _best(default: Way, predictor: Predictor, ways: Ways) -> Way:
    """Of the ways that are estimated to be about as fast as the fastest the one with the least scratch; the first guess where it is
    one of them. More scratch than that has must promise twice as much."""
    found = [default, *(way for way in candidates(default, ways) if predictor.trusts(way))]
    values = [predictor.cycles(way).value for way in found]
    good = [way for way, value in zip(found, values, strict=True) if (1 - MARGIN) * value <= min(values)]
    if default in good:
        return default
    best = min(good, key=lambda way: way.call.scratch_bytes)
    asked = 2 * MARGIN if best.call.scratch_bytes > default.call.scratch_bytes else MARGIN
    return best if values[found.index(best)] < (1 - asked) * values[0] else default


def candidates(default: Way, ways: Ways) -> tuple[Way, ...]:
    """The first schedules of each implementation that spends no flash, and some more of the first guess's own."""
    found = {way.kernel: way for way in ways.first_of_each(default.op, SCHEDULES)}
    own = (offer for offer in ways.offers(default.op) if offer[0].name == default.implementation.name)
    for offer in islice(own, OWN_SCHEDULES):
        way = ways.built(default.op, offer)
        found.setdefault(way.kernel, way)
    return tuple(way for way in found.values() if not way.implementation.spends_flash)
