"""The proof of what moves while a plan runs: ranges of bytes with their marks, transfers in flight, tiles that are what they say.

As all of `check`, it trusts nothing that made the plan: which part of the op a tile computes follows from where its result goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from smelt.model.graph import Array, Tensor
from smelt.model.ops import Windowed
from smelt.model.slabs import Rows, row_bytes
from smelt.planner.borders import Border
from smelt.planner.in_tiles import InTiles, Transfer
from smelt.planner.plan import Plan
from smelt.planner.step import Step
from smelt.planner.tiles import COLUMNS, ROWS, Rectangle, Tile, can_tile, tile
from smelt.planner.ways import Bring, Fetch, Part, Piece

NOTHING = -1
"""The mark of a byte that is of no value."""

VALUE = 40
"""Bits of a mark that say which byte it is; those above say of which value."""


@dataclass(frozen=True)
class Range:
    """Bytes of a memory that are touched: rows of `row` bytes, `apart` from each other; 0: in one piece. `mark` is that of the
    first of them, NOTHING for scratch; of the value they are rows of `of` bytes, one for `every` bytes of it. Where they are of an
    image with its `border`, the mark is that of its first byte, and they are the bytes from `begin` on of the two together."""

    name: str
    memory: str
    start: int
    bytes: int
    mark: int = NOTHING
    row: int = 0
    apart: int = 0
    of: int = 0
    every: int = 0
    border: Border | None = None
    begin: int = 0

    @property
    def end(self) -> int:
        rows = self.bytes // self.row if self.row else 0
        return self.start + ((rows - 1) * self.apart + self.row if rows else self.bytes)

    @property
    def where(self) -> slice | Array:
        """Where the bytes are in their memory."""
        return self.places if self.row else slice(self.start, self.end)

    @cached_property
    def places(self) -> Array:
        """The same, byte by byte."""
        return self.start + _rows(self.bytes, self.row, self.apart)

    @property
    def marks(self) -> Array:
        """The mark of each byte."""
        if self.mark == NOTHING:
            return np.full(self.bytes, NOTHING, np.int64)
        if self.border is not None:
            return _surrounded(self.border, self.begin, self.bytes, self.mark)
        return self.mark + _rows(self.bytes, self.of, self.every)

    def meets(self, other: Range) -> bool:
        """Whether the two have bytes in common."""
        if self.memory != other.memory or self.start >= other.end or other.start >= self.end:
            return False
        return not (self.row or other.row) or bool(np.isin(self.places, other.places).any())


def _rows(count: int, size: int, pitch: int) -> Array:
    """Distances of bytes from the first, in rows of a size and a pitch."""
    numbers = np.arange(count, dtype=np.int64)
    return numbers // size * pitch + numbers % size if size else numbers


def _surrounded(border: Border, begin: int, count: int, mark: int) -> Array:
    """The marks of bytes of an image with its border: what lies around it is known by its value only."""
    rows, at = np.divmod(begin + np.arange(count, dtype=np.int64), border.row)
    rows, at = rows - border.top, at - border.left
    inside = (rows >= 0) & (rows < border.x.shape[ROWS]) & (at >= 0) & (at < border.inner)
    return np.where(inside, mark + rows * border.inner + at, mark_of(border.value))


def mark_of(value: int) -> int:
    """The mark of a byte that is nothing but so much."""
    return NOTHING - 1 - value


class Transfers:
    """Those in flight, with what each reads and writes."""

    def __init__(self) -> None:
        self._flying: dict[Transfer | Fetch | Bring, tuple[Range, Range]] = {}

    def start(self, step: str, transfer: Transfer | Fetch | Bring, source: Range, target: Range) -> Iterator[str]:
        last = next(reversed(self._flying), None)
        joins = isinstance(transfer, Transfer) and transfer.joins
        if joins:
            if last is None or last.channel != transfer.channel:
                yield f"{step} has a move that joins another one, which did not begin just before"
        elif any(other.channel == transfer.channel for other in self._flying):
            yield f"{step} starts a move on a channel that still moves something"
        self._flying[transfer] = source, target

    def wait(self, step: str, transfer: Transfer | Fetch | Bring) -> Iterator[str]:
        if self._flying.pop(transfer, None) is None:
            yield f"{step} waits for a move that has not begun"

    def left(self, step: str) -> Iterator[str]:
        """Moves that a step does not wait for."""
        yield from (f"{step} does not wait until '{t.name}' has been moved" for t in self._flying)
        self._flying.clear()

    def touched(self, step: str, reads: Sequence[Range], writes: Sequence[Range]) -> Iterator[str]:
        """Nothing that a move writes is touched before it is over, nothing that it reads written."""
        for source, target in self._flying.values():
            if any(r.meets(target) for r in (*reads, *writes)):
                yield f"{step} touches '{target.name}' at {target.memory}+{target.start} while it is being moved there"
            if any(w.meets(source) for w in writes):
                yield f"{step} writes over '{source.name}' at {source.memory}+{source.start} while it is being moved from there"


# --- tiles --------------------------------------------------------------------------------------------------------------


def tile_problems(name: str, way: InTiles) -> Iterator[str]:
    """Each call computes a part of the op from the part of the operand that this needs, by the op's own numbers; all is computed,
    and goes where it belongs: once."""
    op = way.op
    if not can_tile(op):
        yield f"{name} computes {op} in tiles, which nobody knows"
        return
    left = np.ones(op.y.bytes, bool)
    for piece in way.pieces:
        (x,), (y,) = piece.way.op.activations, piece.way.op.ys
        part = _part_of(op.y, piece.part(y), y)
        wanted = None if part is None else tile(op, part[0], part[2], part[1])
        if wanted is None or _rectangle(piece.part(y), op.y, y) != wanted.y:
            yield f"{name} computes what is no tile of its op"
        elif _rectangle(piece.part(x), op.activations[0], x) != wanted.x or not _alike(piece, wanted):
            yield f"{name} computes a tile from what it should not"
        elif piece.part(y).owner is op.y:
            left[wanted.y.first + _rows(wanted.y.bytes, wanted.y.size, wanted.y.pitch)] = False
    for transfer in way.transfers:
        r = transfer.rectangle
        if transfer.tensor is not (op.activations[0] if transfer.inward else op.y) or r.first < 0:
            yield f"{name} moves what is not its own"
        elif r.first + (r.count - 1) * r.pitch + r.size > transfer.tensor.bytes:
            yield f"{name} moves more than there is of '{transfer.tensor.name}'"
        elif not transfer.inward:
            left[r.first + _rows(r.bytes, r.size, r.pitch)] = False
    if left.any():
        yield f"{name} does not compute all of its result"


def transfer_problems(plan: Plan, step: Step, way: InTiles) -> Iterator[str]:
    """Buffers hold what is moved there; a DMA is there, reaches both ends, moves so much, and sees the same bytes as the core."""
    memories = {m.name: m for m in plan.board.chip.rams}
    dma = next((d for d in plan.board.chip.dma if d.name == way.dma), None)
    if way.dma and dma is None:
        yield f"{step.name} moves tiles by {way.dma}, which is not there"
        return
    for t in way.transfers:
        near, far, r = plan.places.get(t.buffer), plan.places.get(t.tensor), t.rectangle
        if near is None or far is None or t.buffer not in step.scratch or r.bytes > min(t.buffer.bytes, near.size):
            yield f"{step.name} has no room for what it moves"
        elif dma is not None:
            if memories[near.memory].path.data is not None:
                yield f"{step.name} has tiles in {near.memory}, of which a cache may have older bytes than {dma.name} has moved"
            if not dma.reach(near.memory) or not dma.reach(far.memory) or r.count > dma.rows or r.size > dma.row_bytes:
                yield f"{step.name}: {dma.name} does not move such tiles between {far.memory} and {near.memory}"


def _rectangle(part: Part, tensor: Tensor, tile: Tensor) -> Rectangle | None:
    """Which bytes of a tensor a part is that holds a tile of it; None where it is none of these."""
    if part.tensor is not tensor or not part.row or tile.bytes % part.row:
        return None
    return Rectangle(part.first, part.row, tile.bytes // part.row, part.pitch)


def _part_of(y: Tensor, part: Part, tile_y: Tensor) -> tuple[Rows, Rows, Rows] | None:
    """Rows, columns and channels of a result, from where the part begins and the shape of the tile; None where it reaches out."""
    if part.tensor is not y:
        return None
    size = y.element.bits // 8
    row, rest = divmod(part.first, row_bytes(y, ROWS))
    column, rest = divmod(rest, y.shape[-1] * size)
    starts, (_, *counts) = (row, column, rest // size), tile_y.shape
    found = tuple(Rows(start, start + count) for start, count in zip(starts, counts, strict=True))
    inside = all(r.stop <= length for r, length in zip(found, y.shape[ROWS:], strict=True))
    deep = found[2].count < y.shape[-1] and found[1].count < y.shape[COLUMNS]
    return None if not inside or deep else (found[0], found[1], found[2])


def _alike(piece: Piece, wanted: Tile) -> bool:
    """Whether a piece computes an op with the shapes, the constants and the numbers of a tile."""
    mine, other = piece.way.op, wanted.op
    if not isinstance(mine, Windowed) or not isinstance(other, Windowed) or type(mine) is not type(other):
        return False
    pairs = list(zip((*mine.inputs, *mine.ys), (*other.inputs, *other.ys), strict=True))
    same = all(a.shape == b.shape and a.dtype == b.dtype and _equal(a.data, b.data) for a, b in pairs)
    numbers = all(
        np.array_equal(getattr(mine.rescale, f.name), getattr(other.rescale, f.name)) for f in fields(mine.rescale)
    )
    return same and numbers and (mine.pad, mine.stride, mine.dilation) == (other.pad, other.stride, other.dilation)


def _equal(a: Array | None, b: Array | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))
