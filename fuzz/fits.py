"""How much memory a random graph gets on a random board, and whether it is refused for a right reason."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fuzz.harness import Finding
from smelt.compile import compile
from smelt.errors import DoesNotFit
from smelt.planner import GOALS, Goal, Limits
from smelt.planner.placement import STACK_RESERVE, budgets
from smelt.planner.plan import Plan
from smelt.planner.step import flow_of
from smelt.targets.types import Board
from tests.brute_force import fits

MOST_STEPS, MOST_THINGS = 5, 7  # of a plan whose places are looked for by trying everything


@dataclass(frozen=True)
class Asked:
    """A goal, and how many bytes may be taken of which memories. `least`: the plan with the least RAM, where it is known."""

    goal: Goal = "balanced"
    regions: Mapping[str, int] = field(default_factory=dict)
    least: Plan | None = None

    def judge(self, refusal: DoesNotFit) -> None:
        """Raises Finding where the plan with the least RAM would do."""
        if self.least is None:
            return
        there = Limits(regions=tuple(self.regions.items())).within(self.least.board, STACK_RESERVE)
        room = tuple(budgets(there, STACK_RESERVE).values())
        flow = flow_of(self.least.graph, self.least.ways)
        things = len(flow.sizes) + sum(len(use.scratch) for use in flow.uses)
        if max(room) >= self.least.tensor_bytes:
            raise Finding(f"{self.least.tensor_bytes} bytes would do of {dict(self.regions)}: {refusal}")
        # `fits` takes operands over which results may lie exactly for such over which they may lie anywhere: those are left out
        strict = replace(flow, uses=tuple(replace(u, over={s: n for s, n in u.over.items() if n}) for u in flow.uses))
        if (
            len(flow.uses) <= MOST_STEPS
            and things <= MOST_THINGS
            and sum(room) >= self.least.bound
            and fits(strict, room)
        ):
            raise Finding(f"there is a plan for {dict(self.regions)}: {refusal}")


def asked_at_random(path: Path, board: Board, dice: random.Random) -> Asked:
    """A goal, and in most cases about as much memory as the model needs at least, in as many pieces as there are memories.

    Raises SmeltError where the model cannot be planned, but for want of memory."""
    goal = dice.choice(GOALS)
    if dice.random() < 0.3:
        return Asked(goal)
    try:
        least = compile(path, board, compiler="none", goal="ram").plan
    except DoesNotFit:
        return Asked(goal)
    left = round(least.tensor_bytes * dice.choice((0.7, 0.95, 1.0, 1.05, 1.2, 1.6)))
    regions: dict[str, int] = {}
    rams = board.chip.rams
    for memory in dice.sample(rams, len(rams)):
        share = left if len(regions) == len(rams) - 1 else round(left * dice.choice((0, 0.3, 0.5, 0.7, 1.0)))
        regions[memory.name] = min(share, memory.size)
        left -= regions[memory.name]
    return Asked(goal, regions, least)
