"""What lies in the memory beside the core, where it does not hold everything: what would wait longest elsewhere.

A memory behind a cache makes some buffers wait more than others: those that are read with strides, those that are read again after
the cache has lost them. How long each would wait is its price (`price.py`). First fit takes blocks in the order of what they save
for their bytes into the first memory, and what is left goes into one of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.planner.blocks import Block, Blocks, Place, first_fit, height, lowest
from smelt.planner.flow import Flow
from smelt.planner.step import Step
from smelt.planner.ways import Way
from smelt.targets.types import Board, Path

SHARES = 16
"""Shares of the first memory that are tried."""

Gains = Mapping[Tensor | Scratch, float]

Packer = Callable[[Sequence[Block]], tuple[int, ...]]
"""Offsets of little height."""


def matters(board: Board) -> bool:
    """Whether the first RAM is faster than another."""
    first, *others = (m.path for m in board.chip.rams)
    return not first.first and any(path.first for path in others)


def gains(board: Board, steps: Sequence[Step]) -> dict[Tensor | Scratch, float]:
    """Cycles that each tensor and scratch buffer saves in the first RAM, all others in the first that makes the core wait."""
    slow = next(m.path for m in board.chip.rams if m.path.first)
    found: dict[Tensor | Scratch, float] = {}
    known: dict[str, tuple[float, ...]] = {}
    for piece in (piece for step in steps for piece in step.pieces):
        if piece.way.kernel not in known:
            known[piece.way.kernel] = _saved(piece.way, board, slow)
        for argument, saved in zip(piece.call.arguments, known[piece.way.kernel], strict=True):
            if isinstance(argument, Tensor | Scratch):
                owner = piece.part(argument).owner
                found[owner] = found.get(owner, 0.0) + saved
    return found


def _saved(way: Way, board: Board, slow: Path) -> tuple[float, ...]:
    """For each buffer of a kernel what it saves in the first RAM."""
    constant = [buffer.role == "constant" for buffer in way.call.kernel.buffers]
    fast, usual = board.chip.rams[0].path, [board.chip.flash.path if c else slow for c in constant]

    def waits(paths: Sequence[Path]) -> float:
        return way.pricer.stalls(paths, board.core.cycles_per_instruction)

    moved = ([fast if i == n else path for i, path in enumerate(usual)] for n in range(len(usual)))
    return tuple(0.0 if c else waits(usual) - waits(paths) for c, paths in zip(constant, moved, strict=True))


def worth(numbered: Blocks, flow: Flow, steps: Sequence[Step], saved: Gains) -> tuple[float, ...]:
    """What each block saves."""
    found = [0.0] * len(numbered.blocks)
    for storage, block in zip(flow.storages, numbered.of_storage, strict=True):
        found[block] += sum(saved.get(t, 0.0) for t in storage.tensors)
    for step, blocks in zip(steps, numbered.of_scratch, strict=True):
        for scratch, block in zip(step.scratch, blocks, strict=True):
            found[block] += saved.get(scratch, 0.0)
    return tuple(found)


def near(
    blocks: Sequence[Block], saved: Sequence[float], budgets: Sequence[int], ram: int | None, pack: Packer
) -> tuple[Place, ...] | None:
    """A memory and an offset for each block: those that save most in the first memory, the others together in one of the others.

    None where none of the other memories holds what is left, or all takes more than `ram` bytes.
    """
    found = [_Shared(blocks, _chosen(blocks, saved, budgets[0] * n // SHARES)) for n in range(SHARES, 0, -1)]
    if ram is not None and found[0].bytes > ram:  # just as much as the limit leaves
        beside = max(ram - found[0].second, 0)
        found.append(_Shared(blocks, _chosen(blocks, saved, min(beside, budgets[0]))))
    fitting = [some for some in found if ram is None or some.bytes <= ram]
    if not fitting:
        return None
    taken = min(fitting, key=lambda some: (-some.saves(saved), some.bytes))
    offsets = pack(taken.left) if taken.left else ()
    needed = height(taken.left, offsets)
    memory = next((m for m, budget in enumerate(budgets) if m and needed <= budget), None)
    if memory is None:
        return None
    rest = iter(offsets)
    return tuple((0, taken.chosen[i]) if i in taken.chosen else (memory, next(rest)) for i in range(len(blocks)))


@dataclass(frozen=True, eq=False)
class _Shared:
    """Blocks of which some have offsets in the first memory."""

    blocks: Sequence[Block]
    chosen: Mapping[int, int]

    @cached_property
    def left(self) -> list[Block]:
        return [block for i, block in enumerate(self.blocks) if i not in self.chosen]

    @cached_property
    def second(self) -> int:
        """Bytes of the second memory, packed quickly."""
        return height(self.left, first_fit(self.left)) if self.left else 0

    @property
    def bytes(self) -> int:
        """Of both memories."""
        return height([self.blocks[i] for i in self.chosen], list(self.chosen.values())) + self.second

    def saves(self, saved: Sequence[float]) -> float:
        return sum(saved[i] for i in self.chosen)


def _chosen(blocks: Sequence[Block], saved: Sequence[float], budget: int) -> dict[int, int]:
    """Offsets of the blocks that save most within so many bytes: the best of first fit in several orders."""
    keys: tuple[Callable[[int], float], ...] = (
        lambda i: saved[i] / blocks[i].area,
        lambda i: saved[i] / blocks[i].size,
        lambda i: saved[i],
    )
    orders = [sorted(range(len(blocks)), key=lambda i: (-key(i), i)) for key in keys]
    return max((_first(blocks, order, budget) for order in orders), key=lambda some: sum(saved[i] for i in some))


def _first(blocks: Sequence[Block], order: Sequence[int], budget: int) -> dict[int, int]:
    """Offsets of the blocks that first fit takes into a memory."""
    taken: dict[int, int] = {}
    placed: list[tuple[Block, int]] = []
    for i in order:
        offset = lowest(blocks[i], placed)
        if offset + blocks[i].size <= budget:
            taken[i] = offset
            placed.append((blocks[i], offset))
    return taken
