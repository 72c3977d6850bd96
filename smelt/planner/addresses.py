"""Where everything lies: one memory if it fits there, else several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from smelt.errors import OptionError
from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.planner import solver
from smelt.planner.blocks import Block, Blocks, Place, blocks_of, distance, first_fit, first_fit_in, height, load
from smelt.planner.effort import NORMAL, Effort
from smelt.planner.flow import Flow, aligned, lives
from smelt.planner.loosen import loosened
from smelt.planner.placement import Placement, scratch_name
from smelt.planner.spread import TRIES, Waits, by_price, waiting
from smelt.planner.step import Step


def place(
    flow: Flow,
    steps: Sequence[Step],
    room: dict[str, int],
    effort: Effort = NORMAL,
    waits: Mapping[Tensor | Scratch, Sequence[int]] | None = None,
    bound: int = 0,
) -> tuple[Placement, ...] | None:
    """Placements of all storages and scratch buffers in the memories of `room` (name -> bytes, fastest first): in as few bytes as
    can be, or, with the cycles that steps wait for each of them in each memory, so that they wait least. At `bound` bytes nothing
    better is looked for.

    None where they do not fit.
    """
    loose = loosened(flow, bound)
    flows = (flow,) if loose is flow else tuple(sorted((flow, loose), key=lambda some: _least_height(some, effort)))
    found = (_placed(some, steps, room, effort, waits) for some in flows)
    return next((placements for placements in found if placements is not None), None)


def _least_height(flow: Flow, effort: Effort) -> int:
    blocks = blocks_of(flow).blocks
    return height(blocks, pack(blocks, load(blocks), effort))


def _placed(
    flow: Flow,
    steps: Sequence[Step],
    room: dict[str, int],
    effort: Effort,
    waits: Mapping[Tensor | Scratch, Sequence[int]] | None,
) -> tuple[Placement, ...] | None:
    """Placements where results lie over operands as `flow` has them."""
    numbered = blocks_of(flow)
    of_blocks = None if waits is None else _waits(numbered, flow, steps, waits, len(room))
    places = arrange(numbered.blocks, tuple(room.values()), effort, of_blocks)
    if places is None:
        return None
    names, placements = tuple(room), list[Placement]()
    for s, (storage, life) in enumerate(zip(flow.storages, lives(flow), strict=True)):
        memory, start = places[numbered.of_storage[s]]
        offset, span = start + numbered.offsets[s], (life.first, life.last)
        placements.append(Placement(storage.name, names[memory], offset, flow.sizes[s], *span, storage.tensors))
    for i, step in enumerate(steps):
        for k, scratch in enumerate(step.scratch):
            memory, offset = places[numbered.of_scratch[i][k]]
            name = scratch_name(step.name, k)
            placements.append(Placement(name, names[memory], offset, aligned(scratch.bytes), i, i, scratch=scratch))
    return tuple(placements)


def arrange(
    blocks: Sequence[Block], budgets: Sequence[int], effort: Effort = NORMAL, waits: Waits | None = None
) -> tuple[Place, ...] | None:
    """A memory and an offset for each block: all in the first memory that holds them, packed as low as can be; where
    none holds them all, over several memories, hot ones early. With `waits` where they are least. None where they do not fit."""
    bound = load(blocks)
    if bound <= max(budgets):
        offsets = pack(blocks, bound, effort)
        needed = height(blocks, offsets)
        fitting = [m for m, budget in enumerate(budgets) if needed <= budget]
        if fitting and waits is not None and fitting[0] > 0 and any(map(any, waits)):
            alone = tuple((fitting[0], offset) for offset in offsets)
            return _by_price(blocks, budgets, effort, waits, alone)
        if fitting:
            return tuple((fitting[0], offset) for offset in offsets)
    if bound > sum(budgets):
        return None
    return (_by_price(blocks, budgets, effort, waits) if waits else None) or _spread(blocks, budgets, effort)


def _by_price(
    blocks: Sequence[Block],
    budgets: Sequence[int],
    effort: Effort,
    waits: Waits,
    alone: tuple[Place, ...] | None = None,
) -> tuple[Place, ...] | None:
    """Where the steps wait least; `alone` are places in one memory. Several choices of memories may be packed, each with less
    effort than one that is the only one."""
    less = replace(effort, addresses=effort.addresses / TRIES)
    found = by_price(blocks, budgets, waits, lambda some: pack(some, load(some), less), effort)
    known = [places for places in (alone, found) if places is not None]
    return min(known, key=lambda places: waiting(waits, places), default=None)


def _waits(
    numbered: Blocks, flow: Flow, steps: Sequence[Step], waits: Mapping[Tensor | Scratch, Sequence[int]], memories: int
) -> list[list[int]]:
    """The cycles of each block in each memory."""
    found = [[0] * memories for _ in numbered.blocks]
    owners: list[tuple[int, Tensor | Scratch]]
    owners = [(numbered.of_storage[s], t) for s, storage in enumerate(flow.storages) for t in storage.tensors]
    for i, step in enumerate(steps):
        owners += zip(numbered.of_scratch[i], step.scratch, strict=True)
    for block, owner in owners:
        found[block] = [a + b for a, b in zip(found[block], waits.get(owner, (0,) * memories), strict=True)]
    return found


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
