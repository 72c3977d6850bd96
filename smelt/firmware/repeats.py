"""Kernel calls that come again and again: bands of a run differ in addresses that grow by the same from band to band, so that C
says them once, in a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smelt.firmware.invocations import Constant, Invocation

LONGEST = 48
"""Calls that a loop may have at most."""


@dataclass(frozen=True, eq=False)
class Repeat:
    """`invocations`, `count` times; from time to time the places of their arguments move by `steps` bytes."""

    count: int
    invocations: tuple[Invocation, ...]
    steps: tuple[tuple[int, ...], ...]


def repeats(invocations: Sequence[Invocation]) -> Iterator[Repeat]:
    """The same calls in the same order, those that repeat themselves together, so that the fewest are written."""
    end = len(invocations)
    written, best = [0] * (end + 1), [(1, 1)] * end
    for at in reversed(range(end)):
        periods = range(1, min(LONGEST, (end - at) // 2) + 1)
        options = [(1, 1), *((count, period) for period in periods if (count := _count(invocations, at, period)) > 1)]
        best[at] = min(options, key=lambda option: (option[1] + written[at + option[0] * option[1]], option))
        written[at] = best[at][1] + written[at + best[at][0] * best[at][1]]
    at = 0
    while at < end:
        count, period = best[at]
        body = tuple(invocations[at : at + period])
        again = invocations[at + period : at + 2 * period] if count > 1 else body
        yield Repeat(count, body, tuple(_steps(x, y) or () for x, y in zip(body, again, strict=True)))
        at += count * period


def again(groups: Sequence[Sequence[Invocation]]) -> Iterator[Repeat]:
    """Groups of calls in their order, those that come again and again together."""
    at = 0
    while at < len(groups):
        steps = _moved(groups[at], groups[at + 1]) if at + 1 < len(groups) else None
        count = 1
        while (
            steps is not None and at + count < len(groups) and _moved(*groups[at + count - 1 : at + count + 1]) == steps
        ):
            count += 1
        yield Repeat(count, tuple(groups[at]), steps or tuple((0,) * len(i.arguments) for i in groups[at]))
        at += count


def _moved(a: Sequence[Invocation], b: Sequence[Invocation]) -> tuple[tuple[int, ...], ...] | None:
    """By how many bytes the places of arguments move from one group of calls to another; None where these differ otherwise."""
    if len(a) != len(b):
        return None
    found = [steps for x, y in zip(a, b, strict=True) if (steps := _steps(x, y)) is not None]
    return tuple(found) if len(found) == len(a) else None


def _count(invocations: Sequence[Invocation], at: int, period: int) -> int:
    """How often the calls from `at` on come again after `period` calls, moved by the same each time."""
    if at + 2 * period > len(invocations):
        return 1
    first = [_steps(invocations[at + k], invocations[at + period + k]) for k in range(period)]
    if None in first:
        return 1
    count = 2
    while at + (count + 1) * period <= len(invocations) and all(
        _steps(invocations[at + (count - 1) * period + k], invocations[at + count * period + k]) == first[k]
        for k in range(period)
    ):
        count += 1
    return count


def _steps(a: Invocation, b: Invocation) -> tuple[int, ...] | None:
    """By how many bytes the places of arguments move from one call to another; None where they differ in something else."""
    if a.kernel.name != b.kernel.name:
        return None
    found = []
    for x, y in zip(a.arguments, b.arguments, strict=True):
        if isinstance(x, Constant) or isinstance(y, Constant):
            if x is not y:
                return None
            found.append(0)
        elif x.memory != y.memory:
            return None
        else:
            found.append(y.offset - x.offset)
    return tuple(found)


@dataclass(frozen=True)
class Item:
    """Something that happens: what it is, but for places, which may move on when it comes again."""

    what: object
    places: tuple[int, ...]


@dataclass(frozen=True)
class Again:
    """Items from `first` on, `period` of them, `count` times."""

    first: int
    period: int
    count: int


def loops(items: Sequence[Item]) -> Iterator[Again]:
    """The same items in the same order, those that repeat themselves together, as `repeats` does with calls."""
    end = len(items)
    numbers = dict[object, int]()
    kinds = [numbers.setdefault(item.what, len(numbers)) for item in items]
    last = [_last_of(kinds, period) for period in range(LONGEST + 1)]
    written, best = [0] * (end + 1), [(1, 1)] * end
    for at in reversed(range(end)):
        options = [(1, 1)]
        for period in range(1, min(LONGEST, (end - at) // 2) + 1):
            if (
                last[period][at] >= period
                and (count := _come_again(items, at, period, last[period][at] // period + 1)) > 1
            ):
                options.append((count, period))
        best[at] = min(options, key=lambda option: (option[1] + written[at + option[0] * option[1]], option))
        written[at] = best[at][1] + written[at + best[at][0] * best[at][1]]
    at = 0
    while at < end:
        count, period = best[at]
        yield Again(at, period, count)
        at += count * period


def _last_of(kinds: Sequence[int], period: int) -> list[int]:
    """For each place how many kinds from there on are those that come `period` later."""
    found = [0] * (len(kinds) + 1)
    for at in reversed(range(len(kinds) - period)):
        found[at] = found[at + 1] + 1 if kinds[at] == kinds[at + period] else 0
    return found


def _come_again(items: Sequence[Item], at: int, period: int, most: int) -> int:
    """How often the items from `at` on come again after `period` items, moved by the same each time: `most` but for that."""
    moves = [_moved_by(items, at + k, period) for k in range(period)]
    for count in range(2, most):
        then = at + (count - 1) * period
        if any(_moved_by(items, then + k, period) != moves[k] for k in range(period)):
            return count
    return most


def _moved_by(items: Sequence[Item], at: int, period: int) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(items[at].places, items[at + period].places, strict=True))
