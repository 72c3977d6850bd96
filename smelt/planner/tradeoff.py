"""The trade-off curve: what RAM, flash and cycles can be had together, found by choosing under a sequence of budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from smelt.errors import DoesNotFit
from smelt.planner.budgets import Goal, Situation, plan_within
from smelt.planner.limits import Limits
from smelt.planner.plan import Plan
from smelt.planner.ways import Way

BUDGETS = 6
"""How many budgets are tried between the least and what the fastest plan takes, for RAM; half as many for flash."""

Planner = Callable[[tuple[Way, ...], Limits], Plan]


@dataclass(frozen=True)
class Point:
    """What one plan comes to, in bytes and cycles: stack and code are estimates (`Plan.ram_bytes`, `Plan.flash_bytes`), and so are
    the cycles of `estimated` of its `steps`. `resident_bytes` are tables in RAM."""

    ram_bytes: int
    flash_bytes: int
    cycles: int
    resident_bytes: int
    estimated: int
    steps: int

    @property
    def costs(self) -> tuple[int, int, int]:
        return self.ram_bytes, self.flash_bytes, self.cycles


def curve(situations: Sequence[Situation], limits: Limits, planner: Planner) -> tuple[Point, ...]:
    """Points of which none is better than another in everything, the least RAM first. Raises DoesNotFit where there is none."""
    fastest = _point(situations, "speed", limits, planner)
    found = [fastest, _point(situations, "ram", limits, planner), _point(situations, "flash", limits, planner)]
    least_ram, least_flash = min(p.ram_bytes for p in found), min(p.flash_bytes for p in found)
    tried = [Limits(ram, limits.flash) for ram in _between(least_ram, fastest.ram_bytes, BUDGETS)]
    tried += [Limits(limits.ram, flash) for flash in _between(least_flash, fastest.flash_bytes, BUDGETS // 2)]
    for budget in tried:
        try:
            found.append(_point(situations, "speed", budget, planner))
        except DoesNotFit:  # estimates of code round differently, addresses leave gaps
            continue
    return tuple(sorted(_best(found), key=lambda p: p.costs))


def _point(situations: Sequence[Situation], goal: Goal, limits: Limits, planner: Planner) -> Point:
    answer = plan_within(situations, goal, limits, lambda ways: planner(ways, limits))
    plan, cycles = answer.plan, answer.choice.cycles
    estimated = sum(cycles.is_estimate for _, cycles in answer.options)
    return Point(plan.ram_bytes, plan.flash_bytes, cycles, plan.resident_bytes, estimated, len(plan.steps))


def _between(least: int, most: int, count: int) -> Iterator[int]:
    """`count` budgets between two, each larger by the same factor."""
    for n in range(1, count + 1):
        yield round(least * (most / least) ** (n / (count + 1)))


def _best(points: Sequence[Point]) -> list[Point]:
    distinct = list({p.costs: p for p in points}.values())
    return [p for p in distinct if not any(_beats(other, p) for other in distinct if other is not p)]


def _beats(a: Point, b: Point) -> bool:
    return all(x <= y for x, y in zip(a.costs, b.costs, strict=True))
