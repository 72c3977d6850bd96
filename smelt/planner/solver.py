"""Addresses by constraint programming (CP-SAT). Blocks go in, numbers come out; no solver object leaves this file.

Deterministic: one worker, a fixed seed, and a limit in the solver's own deterministic time. The solver is imported
where it is used, because it takes a second to load and most models do without; it is an extra (`smelt[plan]`) for the
same reason. Without it first fit must do, and the plan says how far it may be from the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from smelt.planner.blocks import Block, Place
from smelt.planner.effort import NORMAL
from smelt.planner.flow import ALIGN

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

PACKAGES = ("ortools", "pandas")
"""The solver, and what it imports, large, of no use here and therefore removed by some."""

MOST_BLOCKS = 200
"""Beyond so many blocks the solver is not asked: only to prepare such problems, which no limit ends, takes it minutes."""


def takes(blocks: Sequence[Block]) -> bool:
    """Whether the solver is there, and these blocks are few enough for it."""
    return len(blocks) <= MOST_BLOCKS and installed()


def installed() -> bool:
    """Whether the solver can be imported."""
    return all(find_spec(name) is not None for name in PACKAGES)


def least_height(
    blocks: Sequence[Block], bound: int, start: Sequence[int], limit: float = NORMAL.addresses
) -> tuple[int, ...]:
    """Offsets with the least height, or the best found within `limit`, in deterministic seconds; `bound` is a lower bound of it.

    `start` are offsets to begin with: the result is at least as good.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    most = max(offset + block.size for block, offset in zip(blocks, start, strict=True)) // ALIGN
    height = model.new_int_var(bound // ALIGN, most, "height")
    offsets = [model.new_int_var(0, most - block.size // ALIGN, "") for block in blocks]
    rectangles = [r for block, offset in zip(blocks, offsets, strict=True) for r in _rectangles(model, block, offset)]
    model.add_no_overlap_2d([time for time, _, _ in rectangles], [place for _, place, _ in rectangles])
    model.add_cumulative([time for time, _, _ in rectangles], [size for _, _, size in rectangles], height)
    for block, offset, hint in zip(blocks, offsets, start, strict=True):
        model.add(offset + block.size // ALIGN <= height)
        model.add_hint(offset, hint // ALIGN)
    model.minimize(height)
    solver = _solved(model, limit)
    return tuple(start) if solver is None else tuple(solver.value(offset) * ALIGN for offset in offsets)


def spread(
    blocks: Sequence[Block], budgets: Sequence[int], start: Sequence[Place] | None, limit: float = NORMAL.addresses
) -> tuple[Place, ...] | None:
    """A memory and an offset for each block, hot blocks in early memories where that is possible.

    `start` are places to begin with, if any are known: the result is at least as good. None where there is no start and
    no solution, or none found within `limit`, in deterministic seconds.
    """
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    chosen = [[model.new_bool_var("") for _ in budgets] for _ in blocks]
    offsets = [model.new_int_var(0, max(budgets) // ALIGN, "") for _ in blocks]
    for options in chosen:
        model.add_exactly_one(options)
    for m, budget in enumerate(budgets):
        rectangles: list[tuple[Any, Any, int]] = []
        for block, options, offset in zip(blocks, chosen, offsets, strict=True):
            model.add(offset + block.size // ALIGN <= budget // ALIGN).only_enforce_if(options[m])
            rectangles += _rectangles(model, block, offset, options[m])
        model.add_no_overlap_2d([time for time, _, _ in rectangles], [place for _, place, _ in rectangles])
    for options, offset, hint in zip(chosen, offsets, start or (), strict=False):
        model.add_hint(offset, hint[1] // ALIGN)
        for m, option in enumerate(options):
            model.add_hint(option, m == hint[0])
    model.minimize(sum(b.heat * m * o[m] for b, o in zip(blocks, chosen, strict=True) for m in range(len(budgets))))
    solver = _solved(model, limit)
    if solver is None:
        return None if start is None else tuple(start)
    memories = [next(m for m, option in enumerate(options) if solver.value(option)) for options in chosen]
    return tuple((m, solver.value(offset) * ALIGN) for m, offset in zip(memories, offsets, strict=True))


def assigned(
    blocks: Sequence[Block], budgets: Sequence[int], waits: Sequence[Sequence[int]], limit: float
) -> tuple[int, ...] | None:
    """A memory for each block with the least sum of `waits` (of each block in each memory), and of equal ones in the fewest and
    earliest memories, such that no memory ever holds more than its budget; addresses may need more. None where none was found
    within `limit`, in deterministic seconds."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    chosen = [[model.new_bool_var("") for _ in budgets] for _ in blocks]
    used = [model.new_bool_var("") for _ in budgets]
    times = sorted({span.first for block in blocks for span in block.spans})
    for block, options in zip(blocks, chosen, strict=True):
        model.add_exactly_one(options)
        for m, budget in enumerate(budgets):
            model.add_implication(options[m], used[m])
            if block.size > budget:
                model.add(options[m] == 0)
    for time in times:
        there = [(s.size // ALIGN, i) for i, b in enumerate(blocks) for s in b.spans if s.first <= time <= s.last]
        for m, budget in enumerate(budgets):
            model.add(sum(size * chosen[i][m] for size, i in there) <= budget // ALIGN)
    cost = sum(of[m] * option[m] for of, option in zip(waits, chosen, strict=True) for m in range(len(budgets)))
    model.minimize(cost + sum((1 + m) * used[m] for m in range(len(budgets))))
    solver = _solved(model, limit)
    if solver is None:
        return None
    return tuple(next(m for m, option in enumerate(options) if solver.value(option)) for options in chosen)


def _rectangles(
    model: cp_model.CpModel, block: Block, offset: cp_model.IntVar, present: cp_model.IntVar | None = None
) -> list[tuple[Any, Any, int]]:
    """For each span of a block: its interval of time, its interval of addresses (if `present`), its size in units."""
    rectangles = []
    for span in block.spans:
        size, steps = span.size // ALIGN, span.last - span.first + 1
        time = model.new_fixed_size_interval_var(span.first + 1, steps, "")
        start = offset + span.offset // ALIGN
        if present is None:
            place = model.new_fixed_size_interval_var(start, size, "")
        else:
            place = model.new_optional_fixed_size_interval_var(start, size, present, "")
        rectangles.append((time, place, size))
    return rectangles


def _solved(model: cp_model.CpModel, limit: float) -> cp_model.CpSolver | None:
    """A solver holding the best solution found, or None."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = limit
    solver.parameters.catch_sigint_signal = False  # Ctrl-C is for whoever asked
    status = solver.solve(model)
    return solver if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else None
