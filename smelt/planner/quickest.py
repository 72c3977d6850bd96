"""Each op as it was measured to be fastest, tables in flash: what "balanced" plans try first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.model.graph import Op
from smelt.planner.log import TuningLog
from smelt.planner.measurement import IN_FLASH, Place
from smelt.planner.predict import NOISE, Predictor
from smelt.planner.ways import Way, Ways, op_key


def quickest(default: Sequence[Way], predictor: Predictor, ways: Ways) -> tuple[Way, ...]:
    """Each way as it is, or the one that was measured to be faster: in firmware, else in ratio to it."""
    if not predictor.known:
        return tuple(default)
    return tuple(_quickest(way, predictor, ways) for way in default)


def _quickest(default: Way, predictor: Predictor, ways: Ways) -> Way:
    log, board = predictor.known.believed, predictor.board.name
    best = next(ranked(log, default.op, board, ways), None)
    if best is None:
        return _quickest_in_ratio(default, predictor, ways)
    known, cycles = log.cycles(default.kernel, board), log.cycles(best.kernel, board)
    if not _was_compared(default, predictor):
        return default
    return default if known is not None and cycles is not None and cycles >= (1 - NOISE) * known else best


def _was_compared(default: Way, predictor: Predictor) -> bool:
    """Whether the first guess was measured, be it for an op with other constants, or failed. What was measured without it (the best
    kernels of an older smelt are no kernels any more) says nothing against it."""
    names = {row[:2] for row in predictor.known.believed.ranked(op_key(default.op), predictor.board.name, IN_FLASH)}
    return default.names in names or predictor.known.figure(default.kernel) is not None


def _quickest_in_ratio(default: Way, predictor: Predictor, ways: Ways) -> Way:
    """The same where there are only figures to be compared with each other, those of the way as it is among them."""
    board, known = predictor.board.name, predictor.relative(default)
    if known is None:
        return default
    key = op_key(default.op)
    log, place = next(there for there in predictor.known.ratios(key) if there[0].ranked(key, board, there[1]))
    best = next(ranked(log, default.op, board, ways, place), None)
    cycles = None if best is None else predictor.relative(best)
    return default if best is None or cycles is None or cycles >= (1 - NOISE) * known else best


def ranked(log: TuningLog, op: Op, board: str, ways: Ways, place: Place = IN_FLASH) -> Iterator[Way]:
    """The ways to compute `op` on a board that were measured with tables and code in `place`, best first.

    Only those whose kernel is, to the letter, one that was measured; where there is none, `hinted` ones. Few are built:
    where ops of the same key have different kernels, a way is put off until no other can be better.
    """
    waiting: list[tuple[int, Way]] = []
    found = False
    for *names, least in log.ranked(op_key(op), board, place):
        way = ways.named(op, (names[0], names[1]))
        if way is None:
            continue
        yield from _up_to(waiting, least)
        cycles = log.cycles(way.kernel, board, place)
        if cycles is not None:
            found = True
            waiting.append((cycles, way))
    yield from _up_to(waiting, None) if found else hinted(log, op, board, ways, place)


def hinted(log: TuningLog, op: Op, board: str, ways: Ways, place: Place) -> Iterator[Way]:
    """The ways to compute `op` that were measured for another op of the same shapes and attributes, best first.

    Such kernels differ in constants only (multipliers, zero points): what was best for one is a good guess for the other.
    """
    for name, schedule, _ in log.ranked(op_key(op), board, place):
        if (way := ways.named(op, (name, schedule))) is not None:
            yield way


def _up_to(waiting: list[tuple[int, Way]], least: int | None) -> Iterator[Way]:
    """Take out, best first, what is at least as good as `least`; None takes all."""
    waiting.sort(key=lambda item: item[0])
    while waiting and (least is None or waiting[0][0] <= least):
        yield waiting.pop(0)[1]
