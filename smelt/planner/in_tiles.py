"""The way to compute an op in tiles: slabs of its operand come to a fast memory, are computed there, and their results go back.

A `Transfer` is started and waited for, between kernel calls. With two buffers for operand and result each the next slab comes, and
the one before goes, while a kernel computes; with one, all happens one after the other, as where the core copies by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from smelt.loops.ir import Scratch
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.planner.divided import Divided
from smelt.planner.flow import aligned
from smelt.planner.tables import TableKey, tables_of
from smelt.planner.tiles import BURST, Rectangle, Tile, rounded
from smelt.planner.ways import Bring, Fetch, Part, Piece, Way

X_CHANNELS, Y_CHANNELS = (6, 7), (14, 15)
"""Of a DMA, for the buffers of the operand and of the result; tables that are staged for steps have others (`staging.py`)."""


@dataclass(frozen=True, eq=False)
class Transfer(Noun):
    """`rectangle` of a tensor, which comes to the beginning of `buffer`, row behind row, or goes from there (not `inward`).
    `channel` is that of a DMA. In the buffer it begins at `offset`, and rows lie `pitch` bytes apart; 0: one behind another. One
    that `joins` the transfer started before it shares its channel: the two are waited for together."""

    tensor: Tensor
    rectangle: Rectangle
    buffer: Scratch
    inward: bool
    channel: int
    offset: int = 0
    joins: bool = False
    pitch: int = 0

    @property
    def end(self) -> int:
        """Where it ends in the buffer."""
        r = self.rectangle
        return self.offset + (r.count - 1) * (self.pitch or r.size) + r.size

    @property
    def name(self) -> str:
        """Of what is moved."""
        return self.tensor.name

    def in_full(self) -> str:
        r, way = self.rectangle, "comes" if self.inward else "goes"
        return f"{r.count} rows of {r.size} bytes of '{self.tensor.name}' from {r.first} on, {r.pitch} apart, {way}"


@dataclass(frozen=True)
class Start:
    """A transfer begins: from now on nobody writes what it reads, nor touches what it writes."""

    transfer: Transfer | Fetch | Bring


@dataclass(frozen=True)
class Wait:
    """A transfer is over."""

    transfer: Transfer | Fetch | Bring


Event = Start | Wait


@dataclass(frozen=True, eq=False)
class InTiles(Divided):
    """The way to compute an op in `tiles`. `whole` is how it is computed otherwise, of which tiles take implementation and
    schedule; `events` happen before the piece of that number. `dma` moves the slabs; None: the core copies them. `cycles` are
    predicted where the slabs come from and go to."""

    tiles: tuple[Tile, ...]
    pieces: tuple[Piece, ...]
    events: tuple[tuple[int, Event], ...]
    scratch: tuple[Scratch, ...]
    dma: str | None = None
    cycles: int = 0

    @property
    def resident(self) -> bool:
        """Whether its tables are copied to RAM at start-up."""
        return self.whole.resident

    @property
    def spends_flash(self) -> bool:
        """Whether it has tables that are much larger than the weights."""
        return any(piece.way.spends_flash for piece in self.pieces)

    @property
    def key(self) -> tuple[str, bool]:
        """What tells ways apart."""
        return " ".join(["tiles", self.size, *dict.fromkeys(p.way.kernel for p in self.pieces)]), self.resident

    @cached_property
    def tables(self) -> dict[TableKey, int]:
        """Its constants, with what each takes up in bytes."""
        return {key: size for piece in self.pieces for key, size in tables_of(piece.call).items()}

    @property
    def size(self) -> str:
        """Rows, columns and channels of the largest tile."""
        parts = zip(*((t.rows.count, t.columns.count, t.channels.count) for t in self.tiles), strict=True)
        return " x ".join(str(max(counts)) for counts in parts)

    @property
    def double(self) -> bool:
        """Whether moves go on while kernels compute."""
        return any(
            isinstance(event, Start) and n == 0 and event.transfer is not self.transfers[0] for n, event in self.events
        )

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        """In the order in which they begin."""
        begun = (event.transfer for _, event in self.events if isinstance(event, Start))
        return tuple(t for t in begun if isinstance(t, Transfer))

    @property
    def names(self) -> tuple[str, str]:
        """What it is, and implementation and schedule of the op."""
        return f"{len(self.tiles)} tiles of {self.size} by {self.dma or 'copies'}", self.whole.how

    @property
    def how(self) -> str:
        """The same, for people."""
        return ": ".join(self.names)

    def copied(self) -> InTiles:
        """The same with its tables in RAM."""
        pieces = tuple(Piece(piece.way.copied(), piece.parts) for piece in self.pieces)
        return replace(self, whole=self.whole.copied(), pieces=pieces)

    def in_full(self) -> str:
        return f"{self.op.in_full()} in {self.how}"


def in_tiles(
    whole: Way,
    tiles: Sequence[Tile],
    ways: Sequence[Way],
    double: bool,
    dma: str | None,
    moved: tuple[bool, bool] = (True, True),
) -> InTiles:
    """The op of a way in tiles, each with its way, in this order. Whether slabs of the operand and of the result are `moved`; those
    that are not are in one piece, and used where they lie."""
    builder = _Builder(whole, tiles, ways, double, moved)
    return InTiles(whole, tuple(tiles), tuple(builder.pieces()), tuple(builder.events()), builder.scratch, dma)


class _Builder:
    """Gives slabs their buffers in turn, and puts transfers between kernel calls."""

    def __init__(
        self, whole: Way, tiles: Sequence[Tile], ways: Sequence[Way], double: bool, moved: tuple[bool, bool]
    ) -> None:
        self._op, self._tiles, self._ways = whole.op, tiles, ways
        self._turn_of_x = list(_turns(tiles))
        self._ahead = int(double)
        slots = 2 if double else 1
        turns = self._turn_of_x[-1] + 1
        self._xs = _buffers([t.x.bytes for t in tiles], min(turns, slots)) if moved[0] else ()
        self._ys = _buffers([t.y.bytes for t in tiles], min(len(tiles), slots)) if moved[1] else ()
        pool = max((sum(aligned(s.bytes) for s in way.scratch) for way in ways), default=0)
        self._pool = Scratch(pool) if pool else None

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        return (*self._xs, *self._ys, *((self._pool,) if self._pool else ()))

    def pieces(self) -> Iterator[Piece]:
        for n, (tile, way) in enumerate(zip(self._tiles, self._ways, strict=True)):
            (x,), (y,) = way.op.activations, way.op.ys
            parts: dict[Tensor | Scratch, Part] = {
                x: _part(self._x(n) if self._xs else None, self._op.activations[0], tile.x),
                y: _part(self._y(n) if self._ys else None, self._op.y, tile.y),
            }
            offset = 0
            for scratch in way.scratch:
                assert self._pool is not None
                parts[scratch] = Part(self._pool, offset)
                offset += aligned(scratch.bytes)
            yield Piece(way, parts)

    def events(self) -> Iterator[tuple[int, Event]]:
        """Slabs come as early as they may: those of tile n before tile n is computed, or before the one in front of it."""
        count = len(self._tiles)
        going: dict[Scratch, Transfer] = {}
        coming: dict[int, Transfer] = {}
        for n in range(count):
            for new in range(n + self._ahead if n else 0, min(n + self._ahead + 1, count)):
                if self._xs and (new == 0 or self._turn_of_x[new] != self._turn_of_x[new - 1]):
                    coming[new] = self._coming(new)
                    yield n, Start(coming[new])
            if n in coming:
                yield n, Wait(coming.pop(n))
            if not self._ys:
                continue
            if (before := going.pop(self._y(n), None)) is not None:
                yield n, Wait(before)
            going[self._y(n)] = self._going(n)
            yield n + 1, Start(going[self._y(n)])
        for transfer in going.values():
            yield count, Wait(transfer)

    def _x(self, n: int) -> Scratch:
        return self._xs[self._turn_of_x[n] % len(self._xs)]

    def _y(self, n: int) -> Scratch:
        return self._ys[n % len(self._ys)]

    def _coming(self, n: int) -> Transfer:
        channel = X_CHANNELS[self._turn_of_x[n] % len(self._xs)]
        return Transfer(self._op.activations[0], self._tiles[n].x, self._x(n), True, channel)

    def _going(self, n: int) -> Transfer:
        return Transfer(self._op.y, self._tiles[n].y, self._y(n), False, Y_CHANNELS[n % len(self._ys)])


def _turns(tiles: Sequence[Tile]) -> Iterator[int]:
    """For each tile how many other slabs of the operand came before its own, which stays from tile to tile where it is the same."""
    turn = 0
    for n, tile in enumerate(tiles):
        turn += n > 0 and tile.x != tiles[n - 1].x
        yield turn


def _buffers(sizes: Sequence[int], count: int) -> tuple[Scratch, ...]:
    return tuple(Scratch(rounded(max(sizes), BURST)) for _ in range(count))


def _part(buffer: Scratch | None, tensor: Tensor, r: Rectangle) -> Part:
    """Where a slab lies: in a buffer, else where the tensor does."""
    if buffer is not None:
        return Part(buffer, 0, tensor, r.first, r.size, r.pitch)
    assert r.count == 1, "a slab that is not moved is in one piece"
    return Part(tensor, r.first, tensor, r.first, r.size, r.pitch)
