"""Which results are better not written over an operand: what lies over what can only be moved together, and a long chain of them
may reach farther than two that lie apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from smelt.planner.blocks import Blocks, blocks_of, first_fit, height
from smelt.planner.flow import Flow, lives

MOST_BLOCKS = 2000
"""How many blocks are placed to see which results are better apart; large graphs are left as they are."""


def loosened(flow: Flow, bound: int) -> Flow:
    """The same flow with some results apart from all operands, such that first fit needs less, as long as it needs more than
    `bound` bytes; the very flow where none is better apart."""
    blocks = blocks_of(flow)
    offsets = first_fit(blocks.blocks)
    least, left = height(blocks.blocks, offsets), MOST_BLOCKS // max(len(blocks.blocks), 1)
    while least > bound and left > 0:
        others = [*islice(_one_apart(flow, blocks, offsets), left)]
        left -= len(others)
        tried = [(_first_fit_height(other), n, other) for n, other in enumerate(others)]
        if not tried or min(tried)[0] >= least:
            break
        least, _, flow = min(tried)
        blocks = blocks_of(flow)
        offsets = first_fit(blocks.blocks)
    return flow


def _one_apart(flow: Flow, blocks: Blocks, offsets: tuple[int, ...]) -> Iterator[Flow]:
    """The flow with one more result apart: each of those in a block that reaches the top."""
    top = height(blocks.blocks, offsets)
    for s, life in enumerate(lives(flow)):
        block = blocks.of_storage[s]
        if life.over is not None and offsets[block] + blocks.blocks[block].size == top:
            uses = list(flow.uses)
            uses[life.first] = replace(uses[life.first], over={})
            yield replace(flow, uses=tuple(uses))


def _first_fit_height(flow: Flow) -> int:
    blocks = blocks_of(flow).blocks
    return height(blocks, first_fit(blocks))
