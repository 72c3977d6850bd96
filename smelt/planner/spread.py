"""Blocks over memories of different prices: which one each lies in, so that steps wait least; then addresses, memory by memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smelt.planner import solver
from smelt.planner.blocks import Block, Place, height, lowest
from smelt.planner.effort import Effort

Waits = Sequence[Sequence[int]]
"""For each block the cycles that the steps wait for it in each memory."""

Packer = Callable[[Sequence[Block]], tuple[int, ...]]
"""Offsets of the least height in one memory."""

TRIES = 6
"""How often memories are chosen anew, with less room in one, because addresses left gaps in it."""


def by_price(
    blocks: Sequence[Block], budgets: Sequence[int], waits: Waits, packer: Packer, effort: Effort
) -> tuple[Place, ...] | None:
    """A memory and an offset for each block with the least waiting, and of equal ones in the fewest memories; None where no such
    places were found. Without the solver by first fit, what it pays most for first."""
    found = [places for places in (_greedy(blocks, budgets, waits),) if places is not None]
    room = list(budgets)
    for _ in range(TRIES if solver.takes(blocks) else 0):
        memories = solver.assigned(blocks, room, waits, effort.addresses)
        if memories is None:
            break
        places, over = _packed(blocks, budgets, memories, packer)
        if over is None:
            found.append(places)
            break
        memory, missing = over
        room[memory] = min(room[memory], budgets[memory]) - missing
    return min(found, key=lambda places: waiting(waits, places)) if found else None


def waiting(waits: Waits, places: Sequence[Place]) -> int:
    """The cycles of all blocks."""
    return sum(of[memory] for of, (memory, _) in zip(waits, places, strict=True))


def _packed(
    blocks: Sequence[Block], budgets: Sequence[int], memories: Sequence[int], packer: Packer
) -> tuple[tuple[Place, ...], tuple[int, int] | None]:
    """Offsets in the memories that were chosen, and the first one that is too small, with the bytes that it lacks."""
    offsets: dict[int, int] = {}
    for m, budget in enumerate(budgets):
        numbers = [i for i, memory in enumerate(memories) if memory == m]
        some = [blocks[i] for i in numbers]
        packed = packer(some) if some else ()
        if some and (needed := height(some, packed)) > budget:
            return (), (m, needed - budget)
        offsets.update(zip(numbers, packed, strict=True))
    return tuple((memory, offsets[i]) for i, memory in enumerate(memories)), None


def _greedy(blocks: Sequence[Block], budgets: Sequence[int], waits: Waits) -> tuple[Place, ...] | None:
    """First fit: the block that pays most for each byte and step first, in the cheapest memory with room."""
    gains = [(min(of) - max(of)) / block.area for of, block in zip(waits, blocks, strict=True)]
    order = sorted(range(len(blocks)), key=lambda i: (gains[i], -blocks[i].size, i))
    places: dict[int, Place] = {}
    placed: list[list[tuple[Block, int]]] = [[] for _ in budgets]
    for i in order:
        for m in sorted(range(len(budgets)), key=lambda m: (waits[i][m], m)):
            offset = lowest(blocks[i], placed[m])
            if offset + blocks[i].size <= budgets[m]:
                places[i] = m, offset
                placed[m].append((blocks[i], offset))
                break
        else:
            return None
    return tuple(places[i] for i in range(len(blocks)))
