"""Depth first: a run of ops, each of which reads what the one before it writes, computed in bands of rows.

`line_buffers.py` says which rows lie where; here the kernel calls are made. They are those of slabs, and a slab of an op is an op:
ways to compute it are asked for as for any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.ir import Scratch
from smelt.model.graph import Op, Tensor
from smelt.model.ops import Slice
from smelt.model.slabs import part, slab
from smelt.nouns import Noun
from smelt.planner.flow import aligned
from smelt.planner.line_buffers import Arrival, Layout, Shift, Slab
from smelt.planner.tables import TableKey, tables_of
from smelt.planner.ways import Part, Piece, Way, Ways


@dataclass(frozen=True, eq=False)
class Bands(Noun):
    """The way to compute ops in bands of rows. `scratch` are the line buffers, and one buffer for the scratch of kernels. `ways`
    are those of whole ops, of which slabs take implementation and schedule."""

    layout: Layout
    pieces: tuple[Piece, ...]
    scratch: tuple[Scratch, ...]
    ways: tuple[Way, ...]
    resident: bool = False

    @property
    def ops(self) -> tuple[Op, ...]:
        """What it computes."""
        return self.layout.ops

    @property
    def rows(self) -> int:
        """Rows of the result in a band."""
        return self.layout.rows

    @property
    def fed(self) -> Tensor | None:
        """The input of which only some rows are there at one time."""
        return self.layout.fed

    @cached_property
    def arrivals(self) -> tuple[tuple[int, Arrival], ...]:
        """Which rows of what is fed come in when: before the piece of that number."""
        found, pieces = list[tuple[int, Arrival]](), 0
        for action in self.layout.actions:
            if isinstance(action, Arrival):
                found.append((pieces, action))
            else:
                pieces += 1
        return tuple(found)

    @property
    def spends_flash(self) -> bool:
        """Whether it has tables that are much larger than the weights."""
        return any(piece.way.spends_flash for piece in self.pieces)

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """The activations that it needs."""
        return self.layout.reads

    @property
    def ys(self) -> tuple[Tensor, ...]:
        """Its result."""
        return self.ops[-1].ys

    @property
    def key(self) -> tuple[str, bool]:
        """What tells ways apart."""
        return " ".join(["bands", str(self.rows), *dict.fromkeys(p.way.kernel for p in self.pieces)]), self.resident

    @cached_property
    def tables(self) -> dict[TableKey, int]:
        """Its constants, with what each takes up in bytes."""
        return {key: size for piece in self.pieces for key, size in tables_of(piece.call).items()}

    def slide(self, x: Tensor) -> int | None:
        """By how many bytes y must at least begin before `x`, where nobody needs that any more, to be written over it."""
        return self.layout.slides[x]

    @property
    def names(self) -> tuple[str, str]:
        """What it is, and the implementations and schedules of the ops."""
        return f"bands of {self.rows} rows" if self.rows > 1 else "bands of a row", ", ".join(w.how for w in self.ways)

    @property
    def how(self) -> str:
        """The same, for people."""
        return ": ".join(self.names)

    def in_full(self) -> str:
        return f"{', '.join(op.in_full() for op in self.ops)} in {self.how}"


def in_bands(layout: Layout, whole: Sequence[Sequence[Way]], ways: Ways) -> Bands:
    """The run of the ops of `layout`. `whole` are ways to do each of them, best first: slabs are done by the first implementation
    and schedule of these that they have, else by the first guess.

    Raises Unsupported where a slab has no implementation.
    """
    builder = _Builder(layout, whole, ways)
    pieces = [builder.piece(action) for action in layout.actions if not isinstance(action, Arrival)]
    scratch = tuple(layout.lines.values())
    if pool := max((sum(aligned(s.bytes) for s in p.way.scratch) for p in pieces), default=0):
        shared = Scratch(pool)
        pieces, scratch = [_pooled(p, shared) for p in pieces], (*scratch, shared)
    return Bands(layout, tuple(pieces), scratch, tuple(some[0] for some in whole))


class _Builder:
    """Makes the kernel calls of a run; those of slabs of the same shape are built once."""

    def __init__(self, layout: Layout, whole: Sequence[Sequence[Way]], ways: Ways) -> None:
        self._axis, self._ways = layout.axis, ways
        self._names = {op: tuple(way.names for way in some) for op, some in zip(layout.ops, whole, strict=True)}

    def piece(self, action: Slab | Shift) -> Piece:
        if isinstance(action, Shift):
            old, new = (part(action.tensor, action.rows, self._axis) for _ in range(2))
            zero = (0,) * len(old.shape)
            way = self._built(Slice(x=old, begin=zero, stride=(1,) * len(zero), y=new))
            return Piece(way, {old: action.source, new: action.target})
        tile = slab(action.op, action.rows, self._axis)
        parts: dict[Tensor | Scratch, Part] = {tile.y: action.y}
        operands = zip(action.op.inputs, tile.inputs, strict=True)
        parts |= {new: action.xs[old] for old, new in operands if old in action.xs}
        return Piece(self._built(tile, action.op), parts)

    def _built(self, op: Op, whole: Op | None = None) -> Way:
        """A way to do an op, which is a slab of `whole` where that is given: by the first of its names that there is."""
        names = () if whole is None else self._names[whole]
        shapes = tuple((t.shape, t.dtype) for t in (*op.activations, *op.ys))
        key = whole, shapes, getattr(op, "pad", None), getattr(op, "before", None), names
        if key not in self._ways.slabs:
            known = (way for name in names if (way := self._ways.named(op, name)) is not None)
            self._ways.slabs[key] = next(known, None) or self._ways.first(op)
        return self._ways.slabs[key].of(op)


def _pooled(piece: Piece, pool: Scratch) -> Piece:
    """The piece with its scratch in a buffer that all share."""
    parts, offset = dict(piece.parts), 0
    for scratch in piece.way.scratch:
        parts[scratch] = Part(pool, offset)
        offset += aligned(scratch.bytes)
    return Piece(piece.way, parts)
