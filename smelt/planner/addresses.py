"""Where everything lies: one memory if it fits there, else several."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.errors import OptionError
from smelt.planner import nearer, solver
from smelt.planner.blocks import Block, Blocks, Place, blocks_of, distance, first_fit, first_fit_in, height, load
from smelt.planner.effort import NORMAL, Effort
from smelt.planner.flow import Flow, aligned, lives
from smelt.planner.placement import Placement
from smelt.planner.step import Step
from smelt.targets.types import Board


def place(
    flow: Flow, steps: Sequence[Step], room: dict[str, int], effort: Effort = NORMAL
) -> tuple[Placement, ...] | None:
    """Placements of all storages and scratch buffers in the memories of `room` (name -> bytes, fastest first).

    None where they do not fit.
    """
    numbered = blocks_of(flow)
    places = arrange(numbered.blocks, tuple(room.values()), effort)
    return None if places is None else _placements(flow, steps, room, numbered, places)


def place_near(
    flow: Flow, steps: Sequence[Step], room: dict[str, int], board: Board, ram: int | None, effort: Effort
) -> tuple[Placement, ...] | None:
    """The same where the first RAM does not hold everything: there lies what would wait longest elsewhere, within `ram` bytes
    altogether. None where it does hold it, where nothing has to wait, or where the rest does not fit."""
    numbered, most = blocks_of(flow), tuple(room.values())
    if not nearer.matters(board) or load(numbered.blocks) <= most[0]:
        return None
    saved = nearer.worth(numbered, flow, steps, nearer.gains(board, steps))
    places = nearer.near(numbered.blocks, saved, most, ram, lambda blocks: pack(blocks, load(blocks), effort))
    return None if places is None else _placements(flow, steps, room, numbered, places)


def _placements(
    flow: Flow, steps: Sequence[Step], room: dict[str, int], numbered: Blocks, places: Sequence[Place]
) -> tuple[Placement, ...]:
    names, placements = tuple(room), list[Placement]()
    for s, (storage, life) in enumerate(zip(flow.storages, lives(flow), strict=True)):
        memory, start = places[numbered.of_storage[s]]
        offset, span = start + numbered.offsets[s], (life.first, life.last)
        placements.append(Placement(storage.name, names[memory], offset, flow.sizes[s], *span, storage.tensors))
    for i, step in enumerate(steps):
        for k, scratch in enumerate(step.scratch):
            memory, offset = places[numbered.of_scratch[i][k]]
            name = f"{step.name}.scratch{k or ''}"
            placements.append(Placement(name, names[memory], offset, aligned(scratch.bytes), i, i, scratch=scratch))
    return tuple(placements)


def arrange(blocks: Sequence[Block], budgets: Sequence[int], effort: Effort = NORMAL) -> tuple[Place, ...] | None:
    """A memory and an offset for each block: all in the first memory that holds them, packed as low as can be; where
    none holds them all, over several memories, hot ones early. None where they do not fit."""
    bound = load(blocks)
    if bound <= max(budgets):
        offsets = pack(blocks, bound, effort)
        needed = height(blocks, offsets)
        fitting = [m for m, budget in enumerate(budgets) if needed <= budget]
        if fitting:
            return tuple((fitting[0], offset) for offset in offsets)
    return _spread(blocks, budgets, effort) if bound <= sum(budgets) else None


def pack(blocks: Sequence[Block], bound: int, effort: Effort = NORMAL) -> tuple[int, ...]:
    """Offsets of the least height: first fit where it reaches the bound, else solved."""
    offsets = first_fit(blocks)
    if height(blocks, offsets) == bound or not solver.takes(blocks):
        return offsets
    return solver.least_height(blocks, bound, offsets, effort.addresses)


def _spread(blocks: Sequence[Block], budgets: Sequence[int], effort: Effort) -> tuple[Place, ...] | None:
    if max(block.size for block in blocks) > max(budgets):
        return None
    start = first_fit_in(blocks, budgets)
    if start is not None and (distance(blocks, start) == 0 or not solver.takes(blocks)):
        return start
    if not solver.installed():
        raise OptionError(
            "no single RAM holds all tensors: spreading them needs the solver (pip install 'smelt[plan]')"
        )
    return solver.spread(blocks, budgets, start, effort.addresses) if solver.takes(blocks) else None
