"""The trade-off curve: what RAM, flash and cycles can be had together, found by choosing under a sequence of budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from smelt.planner.budgets import Goal
from smelt.planner.decide import Decision
from smelt.planner.limits import Limits
from smelt.planner.refused import refusal

BUDGETS = 6
"""How many budgets are tried between the least and what the fastest plan takes, for RAM; half as many for flash."""


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


def curve(decision: Callable[[Limits], Decision], limits: Limits) -> tuple[Point, ...]:
    """Points of which none is better than another in everything, the least RAM first. Raises DoesNotFit where there is none."""
    unlimited = decision(limits)
    goals: tuple[Goal, ...] = ("speed", "ram", "flash")
    found = [point for goal in goals if (point := _point(unlimited, goal))]
    if not found:
        raise refusal(unlimited)
    fastest, least_ram, least_flash = found[0], min(p.ram_bytes for p in found), min(p.flash_bytes for p in found)
    tried = [replace(limits, ram=ram) for ram in _between(least_ram, fastest.ram_bytes, BUDGETS)]
    tried += [replace(limits, flash=flash) for flash in _between(least_flash, fastest.flash_bytes, BUDGETS // 2)]
    found += [point for budget in tried if (point := _point(decision(budget), "speed"))]
    return tuple(sorted(_best(found), key=lambda p: p.costs))


def _point(decision: Decision, goal: Goal) -> Point | None:
    answer = decision.best(goal)
    if answer is None:
        return None
    plan, estimated = answer.plan, sum(cycles.is_estimate for _, cycles in answer.options)
    return Point(plan.ram_bytes, plan.flash_bytes, answer.cycles, plan.resident_bytes, estimated, len(plan.steps))


def _between(least: int, most: int, count: int) -> Iterator[int]:
    """`count` budgets between two, each larger by the same factor."""
    for n in range(1, count + 1):
        yield round(least * (most / least) ** (n / (count + 1)))


def _best(points: Sequence[Point]) -> list[Point]:
    distinct = list({p.costs: p for p in points}.values())
    return [p for p in distinct if not any(_beats(other, p) for other in distinct if other is not p)]


def _beats(a: Point, b: Point) -> bool:
    return all(x <= y for x, y in zip(a.costs, b.costs, strict=True))
