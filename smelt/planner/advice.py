"""What would make a model fit: a goal, a budget, a memory, a board. Nothing is said that was not planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from smelt.errors import DoesNotFit, Unsupported
from smelt.planner.budgets import Goal
from smelt.planner.code_size import FIXED_RAM
from smelt.planner.flow import aligned
from smelt.planner.limits import UNLIMITED, Limits
from smelt.planner.plan import Plan
from smelt.targets.boards import BOARDS
from smelt.targets.types import Board, Memory

Ask = Callable[[Goal, Board, Limits], Plan]
"""Plans for a goal on a board within budgets. Raises Unsupported, DoesNotFit."""

BOARDS_TRIED = 3
"""How many boards that may be large enough are planned for, before none is named."""

ROOMY = 1 << 28
"""Bytes of a memory that holds whatever there is."""


def plan_or_advice(ask: Ask, goal: Goal, board: Board, limits: Limits) -> Plan:
    """The plan for a goal on a board within budgets. Raises Unsupported, and DoesNotFit, which says what would make it fit."""
    try:
        return ask(goal, board, limits)
    except DoesNotFit as error:
        refusal = str(error)
    found = list(_remedies(ask, goal, board, limits))
    heading = (
        "It would fit:"
        if found
        else "Nothing was found that would make it fit: no goal, no budget, no board that smelt knows."
    )
    raise DoesNotFit("\n".join([refusal, heading, *(f"  - {remedy}" for remedy in found)]))


def _remedies(ask: Ask, goal: Goal, board: Board, limits: Limits) -> Iterator[str]:
    """What the command line offers; where that is of no help, larger memories."""
    offered = [*_other_goals(ask, goal, board, limits), *_other_budgets(ask, board, limits)]
    yield from offered
    if not offered or _planned(ask, "ram", board, UNLIMITED) is None:
        yield from _larger_memories(ask, board)
        yield from _other_boards(ask, goal, board)


def _planned(ask: Ask, goal: Goal, board: Board, limits: Limits) -> Plan | None:
    try:
        return ask(goal, board, limits)
    except (DoesNotFit, Unsupported):
        return None


def _other_goals(ask: Ask, goal: Goal, board: Board, limits: Limits) -> Iterator[str]:
    others: tuple[Goal, ...] = ("ram", "flash")
    for other in others:
        plan = _planned(ask, other, board, limits) if other != goal else None
        if plan is not None:
            yield f"with --for {other}: {plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash are needed"
            return


def _other_budgets(ask: Ask, board: Board, limits: Limits) -> Iterator[str]:
    """The least that a budget must be, the other one kept; where that does not help, of both."""
    if limits.ram is not None and (plan := _planned(ask, "ram", board, replace(limits, ram=None))):
        yield f"with --max-ram {plan.ram_bytes}: {plan.ram_bytes - limits.ram:,} bytes more"
        return
    if limits.flash is not None and (plan := _planned(ask, "flash", board, replace(limits, flash=None))):
        yield f"with --max-flash {plan.flash_bytes}: {plan.flash_bytes - limits.flash:,} bytes more, code estimated"
        return
    if limits.any and (plan := _planned(ask, "ram", board, UNLIMITED)):
        yield f"without budgets: {plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash are needed"


# --- larger memories ------------------------------------------------------------------------------------------------------


def _larger_memories(ask: Ask, board: Board) -> Iterator[str]:
    """By how much the largest RAM, the flash, or both would have to be larger."""
    ram, flash, room = max(board.chip.rams, key=lambda m: m.size), board.chip.flash, board.chip.flash_bytes
    plan = _planned(ask, "ram", _with(board, ram), UNLIMITED)
    if plan is not None:
        more = _least_more(ask, board, ram, plan)
        yield f"with {more:,} bytes more in {ram.name} ({ram.size + more:,} in place of {ram.size:,})"
        return
    plan = _planned(ask, "flash", _with(board, flash), UNLIMITED)
    if plan is not None:
        yield f"with {plan.flash_bytes - room:,} bytes more in {flash.name}, code estimated"
        return
    plan = _planned(ask, "ram", _with(board, ram, flash), UNLIMITED)
    if plan is not None:
        yield (
            f"with {_taken(plan, ram) - ram.size:,} bytes more in {ram.name} and {plan.flash_bytes - room:,} more in "
            f"{flash.name}, code estimated"
        )


def _least_more(ask: Ask, board: Board, ram: Memory, plan: Plan) -> int:
    """What a RAM lacks: as little as it is with everything spread over all RAMs, else what the one alone would have to hold."""
    alone = _taken(plan, ram) - ram.size
    room = sum(plan.budget(m) for m in board.chip.rams)
    spread = aligned(plan.tensor_bytes - room)
    if 0 < spread < alone and _planned(ask, "ram", _with(board, replace(ram, size=ram.size + spread)), UNLIMITED):
        return spread
    return alone


def _taken(plan: Plan, ram: Memory) -> int:
    """What a plan takes up of a RAM, with what it leaves to the stack."""
    first = plan.board.chip.rams[0].name == ram.name
    return plan.used(ram.name) + plan.resident_uses.get(ram.name, 0) + (plan.reserve if first else 0)


def _with(board: Board, *memories: Memory) -> Board:
    """The board with other sizes of memories: those given, or room for everything where one is that of the board."""
    sizes = {m.name: ROOMY if m in board.chip.memories else m.size for m in memories}
    changed = tuple(replace(m, size=sizes.get(m.name, m.size)) for m in board.chip.memories)
    return replace(board, chip=replace(board.chip, memories=changed))


def _other_boards(ask: Ask, goal: Goal, board: Board) -> Iterator[str]:
    """The smallest board that smelt knows on which it fits."""
    ram, flash = max(board.chip.rams, key=lambda m: m.size), board.chip.flash
    roomy = _planned(ask, "ram", _with(board, ram, flash), UNLIMITED)
    least = 0 if roomy is None else roomy.tensor_bytes + FIXED_RAM
    larger = sorted((b for b in BOARDS if _ram(b) >= least), key=lambda b: (_ram(b), b.chip.flash_bytes))
    for other in [b for b in larger if b.name != board.name][:BOARDS_TRIED]:
        plan = _planned(ask, goal, other, UNLIMITED)
        if plan is not None:
            needs = f"{plan.ram_bytes:,} bytes of RAM and {plan.flash_bytes:,} of flash are needed"
            yield f"on {other.name}, the smallest board that holds it: {needs}"
            return


def _ram(board: Board) -> int:
    return sum(m.size for m in board.chip.rams)
