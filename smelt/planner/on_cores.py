"""The way to compute an op on the cores of a cluster: rounds of shares, each computed by a core in the memory that all share.

A round is a part of the op whose operands, tables and result lie there at the same time; its shares are computed at once. Between
rounds the first core starts moves of a DMA and waits for them: with two buffers each, what the next round reads comes, and what the
last one has computed goes, while cores compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from smelt.loops.ir import Scratch
from smelt.model.graph import Array, Tensor
from smelt.model.slabs import Rows
from smelt.nouns import Noun
from smelt.planner.borders import Border, Fill
from smelt.planner.divided import Divided
from smelt.planner.flow import aligned
from smelt.planner.in_tiles import Event, Start, Transfer, Wait
from smelt.planner.shares import Share, View
from smelt.planner.tables import TableKey, table_key, tables_of
from smelt.planner.tiles import Rectangle, rounded
from smelt.planner.ways import Fetch, Part, Piece, Way

GRAIN = 16
"""Buffers in the cluster's memory begin at multiples of so many bytes."""

OPERANDS, TABLES, RESULTS = 0, 8, 10
"""Numbers of moves: for each operand, the tables and the result one for each of two buffers."""

NUMBERS = 12
"""How many there are."""

MOST_ROUNDS = 64
"""Of a step: each is a function and some moves in C."""


@dataclass(frozen=True, eq=False)
class Round(Noun):
    """Shares that are computed at the same time: `pieces`, each on the core of that number in `cores`, and what happens before."""

    events: tuple[Event | Fill, ...]
    pieces: tuple[Piece, ...]
    cores: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class OnCores(Divided):
    """The way to compute an op in `rounds`, seen as `view`; `after` is what happens behind the last. `whole` is how it is computed
    otherwise, of which shares take implementation and schedule. `cycles` are predicted, or were `measured` of the step that a log
    knows by that name; `size` is what logs say of its rounds."""

    view: View
    rounds: tuple[Round, ...]
    after: tuple[Event | Fill, ...]
    scratch: tuple[Scratch, ...]
    by: str
    cycles: int = 0
    size: str = ""
    measured: str = ""

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Its kernel calls, round by round."""
        return tuple(piece for r in self.rounds for piece in r.pieces)

    @property
    def resident(self) -> bool:
        """Its tables come to the cluster's memory by themselves."""
        return False

    @property
    def spends_flash(self) -> bool:
        """Whether it has tables that are much larger than the weights."""
        return any(piece.way.spends_flash for piece in self.pieces)

    @property
    def key(self) -> tuple[str, bool]:
        """What tells ways apart."""
        return " ".join(["cores", self.names[0], *dict.fromkeys(p.way.kernel for p in self.pieces)]), False

    @cached_property
    def tables(self) -> dict[TableKey, int]:
        """Its constants, with what each takes up in bytes."""
        return {key: size for piece in self.pieces for key, size in tables_of(piece.call).items()}

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that is started and waited for, in order."""
        return tuple(e for e in self._all if not isinstance(e, Fill))

    @property
    def fills(self) -> tuple[Fill, ...]:
        """What the first core writes between rounds."""
        return tuple(e for e in self._all if isinstance(e, Fill))

    @property
    def _all(self) -> tuple[Event | Fill, ...]:
        return (*(e for r in self.rounds for e in r.events), *self.after)

    @property
    def cores(self) -> int:
        """The most that compute at the same time."""
        return max(len(set(r.cores)) for r in self.rounds)

    @property
    def names(self) -> tuple[str, str]:
        """What it is, and implementation and schedule of the op."""
        rounds = f"{len(self.rounds)} rounds of " if len(self.rounds) > 1 else ""
        return f"{rounds}{self.by} on {self.cores} cores", self.whole.how

    @property
    def how(self) -> str:
        """The same, for people."""
        return ": ".join(self.names)

    def copied(self) -> OnCores:
        """Its tables come to fast memory as it is."""
        return self

    def in_full(self) -> str:
        return f"{self.op.in_full()} in {self.how}"


@dataclass(frozen=True, eq=False)
class Portion(Noun):
    """What is computed in a round: shares with their ways, each on a core; `reads` are the bytes of each operand that come for all
    of them."""

    shares: tuple[Share, ...]
    ways: tuple[Way, ...]
    reads: tuple[tuple[Rectangle, ...], ...]


def on_cores(
    whole: Way, view: View, parts: Sequence[Portion], by: str, twice: tuple[bool, bool] = (True, True)
) -> OnCores:
    """The op of a way in rounds, one for each of `parts`; `by` says for people what cores divide. Operands, and tables, come for
    the next round while cores compute where they have two buffers (`twice`)."""
    builder = (Builder if view.sums is None else SumsBuilder)(whole, view, parts, twice)
    rounds, after = builder.rounds()
    return OnCores(whole, view, rounds, after, builder.scratch, by)


class Builder:
    """Gives what rounds read and write their buffers in turn, and puts moves between rounds."""

    def __init__(self, whole: Way, view: View, parts: Sequence[Portion], twice: tuple[bool, bool]) -> None:
        self._whole, self._view, self._parts = whole, view, parts
        self._xs_twice, self._tables_twice = twice
        self._fetches = [_tables(p.ways) for p in parts]
        self._x_turns = [list(_turns([p.reads[k] for p in parts])) for k in range(len(whole.op.activations))]
        self._t_turns = list(_turns([tuple(map(table_key, some)) for some in self._fetches]))
        self._xs = [
            _buffers([sum(r.bytes for r in p.reads[k]) for p in parts], turns, 2 if twice[0] else 1)
            for k, turns in enumerate(self._x_turns)
        ]
        self._ts = _buffers([_bytes(some) for some in self._fetches], self._t_turns, 2 if twice[1] else 1)
        self._ys = _buffers([sum(rounded(s.y.bytes, 4) for s in p.shares) for p in parts], list(range(len(parts))))
        count = max(len(p.shares) for p in parts)
        sizes = [
            max((sum(aligned(s.bytes) for s in p.ways[n].scratch) for p in parts if n < len(p.ways)), default=0)
            for n in range(count)
        ]
        self._pools = [Scratch(rounded(size, GRAIN)) if size else None for size in sizes]

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        pools = (pool for pool in self._pools if pool is not None)
        return (*(b for some in self._xs for b in some), *self._ts, *self._ys, *pools)

    def rounds(self) -> tuple[tuple[Round, ...], tuple[Event | Fill, ...]]:
        """The rounds, and what happens behind the last one."""
        count, found = len(self._parts), list[Round]()
        going: dict[int, list[Transfer]] = {}
        coming: dict[int, list[Transfer | Fetch]] = {}
        for n in range(count):
            events: list[Event | Fill] = [*self._sent(going, n)]
            for new in range(n + 1 if n else 0, min(n + 2, count)):
                coming[new] = list(self._coming(new, True))
                events += [*map(Start, coming[new]), *self._fills(new, True)]
            late = list(self._coming(n, False))
            events += [*map(Start, late), *self._fills(n, False), *map(Wait, [*coming.pop(n), *late])]
            pieces = tuple(self._pieces(n))
            found.append(Round(tuple(events), pieces, tuple(range(len(pieces)))))
        after = [*self._sent(going, count), *(Wait(t) for t in going.get(count - 1, ()))]
        return tuple(found), tuple(after)

    def _sent(self, going: dict[int, list[Transfer]], n: int) -> Iterator[Event]:
        """Before round n the result of the round before goes, when the one before that has gone."""
        if n == 0:
            return
        yield from map(Wait, going.pop(n - 2, ()))
        going[n - 1] = list(self._going(n - 1))
        yield from map(Start, going[n - 1])

    def _coming(self, n: int, early: bool) -> Iterator[Transfer | Fetch]:
        """What has to come for a round, if it is not there: in the round before, where it has two buffers, or when that is over."""
        if self._xs_twice == early:
            yield from self._operands(n)
        if self._ts and self._tables_twice == early and not (n and self._t_turns[n] == self._t_turns[n - 1]):
            yield self._fetch(n)

    def _operands(self, n: int) -> Iterator[Transfer]:
        part = self._parts[n]
        for k, x in enumerate(self._whole.op.activations):
            turns = self._x_turns[k]
            if n and turns[n] == turns[n - 1]:
                continue
            offset, buffer, number = 0, self._x(k, n), OPERANDS + 2 * k + turns[n] % 2
            if self._view.border is not None:
                yield from _rows(self._view.border, part.reads[k][0], buffer, number)
                continue
            for r in part.reads[k]:
                yield Transfer(x, r, buffer, True, number, offset, offset > 0)
                offset += r.bytes

    def _fills(self, n: int, early: bool) -> Iterator[Fill]:
        """What lies around the image in the rows that come for a round, where it is not in their buffer yet."""
        border, turns = self._view.border, self._x_turns[0] if self._x_turns else []
        if border is None or self._xs_twice != early or (n and turns[n] == turns[n - 1]):
            return
        buffer, (r,) = self._x(0, n), self._parts[n].reads[0]
        filled = self._filled.setdefault(buffer, np.zeros(buffer.bytes, bool))
        rows = Rows(r.first // border.row, (r.first + r.bytes) // border.row)
        for outside in border.outside(rows):
            if not filled[outside.places].all():
                yield Fill(buffer, outside, border.value)
        filled[: r.bytes] = False
        for outside in border.outside(rows):
            filled[outside.places] = True

    @cached_property
    def _filled(self) -> dict[Scratch, Array]:
        """Which bytes of the buffers are as they are around the image."""
        return {}

    def _going(self, n: int) -> Iterator[Transfer]:
        offset = 0
        shares = self._parts[n].shares
        if _in_a_row([s.y for s in shares]):
            first, size = shares[0].y.first, sum(s.y.bytes for s in shares)
            yield Transfer(self._whole.op.ys[0], Rectangle(first, size, 1, size), self._y(n), False, RESULTS + n % 2)
            return
        for s in shares:
            yield Transfer(self._whole.op.ys[0], s.y, self._y(n), False, RESULTS + n % 2, offset, offset > 0)
            offset += rounded(s.y.bytes, 4)

    def _pieces(self, n: int) -> Iterator[Piece]:
        part = self._parts[n]
        packed = _in_a_row([s.y for s in part.shares])
        offset = 0
        for k, (s, way) in enumerate(zip(part.shares, part.ways, strict=True)):
            parts: dict[Tensor | Scratch, Part] = {}
            for number, x in enumerate(way.op.activations):
                parts[x] = self._operand(n, number, s.xs[number])
            parts[way.op.ys[0]] = self._result(n, s.y, offset)
            offset += s.y.bytes if packed else rounded(s.y.bytes, 4)
            at = 0
            for scratch in way.scratch:
                pool = self._pools[k]
                assert pool is not None
                parts[scratch] = Part(pool, at)
                at += aligned(scratch.bytes)
            yield Piece(way, parts, self._fetch(n) if self._ts else None)

    def _operand(self, n: int, number: int, r: Rectangle) -> Part:
        """Where a share of a round reads so much of an operand."""
        at = _offset(self._parts[n].reads[number], r)
        return Part(self._x(number, n), at, self._view.activations[number], r.first, r.size, r.pitch)

    def _result(self, n: int, r: Rectangle, offset: int) -> Part:
        """Where a share's result is, which begins so far from that of the round."""
        return Part(self._y(n), offset, self._whole.op.ys[0], r.first, r.size, r.pitch)

    def _fetch(self, n: int) -> Fetch:
        turn = self._t_turns[n]
        if turn not in self._known:
            self._known[turn] = Fetch(tuple(self._fetches[n]), self._ts[turn % len(self._ts)], TABLES + turn % 2)
        return self._known[turn]

    @cached_property
    def _known(self) -> dict[int, Fetch]:
        return {}

    def _x(self, k: int, n: int) -> Scratch:
        return self._xs[k][self._x_turns[k][n] % len(self._xs[k])]

    def _y(self, n: int) -> Scratch:
        return self._ys[n % len(self._ys)]


class SumsBuilder(Builder):
    """Of shares that are sums of parts of the inputs, which stay; the last round reads them all and makes the result."""

    def __init__(self, whole: Way, view: View, parts: Sequence[Portion], twice: tuple[bool, bool]) -> None:
        super().__init__(whole, view, parts, twice)
        assert view.sums is not None, "there are sums where inputs are divided"
        self._sums, self._tensor = Scratch(rounded(view.sums.bytes, GRAIN)), view.sums

    @property
    def scratch(self) -> tuple[Scratch, ...]:
        return (*super().scratch, self._sums)

    def _is_last(self, n: int) -> bool:
        return n == len(self._parts) - 1

    def _going(self, n: int) -> Iterator[Transfer]:
        return super()._going(n) if self._is_last(n) else iter(())

    def _operand(self, n: int, number: int, r: Rectangle) -> Part:
        return (
            Part(self._sums, 0, self._tensor, r.first, r.size, r.pitch)
            if self._is_last(n)
            else super()._operand(n, number, r)
        )

    def _result(self, n: int, r: Rectangle, offset: int) -> Part:
        if self._is_last(n):
            return super()._result(n, r, offset)
        return Part(self._sums, r.first, self._tensor, r.first, r.size, r.pitch)


def _rows(border: Border, r: Rectangle, buffer: Scratch, number: int) -> Iterator[Transfer]:
    """The rows of an image that lie in rows with their border come to their places among these."""
    rows = border.inside(Rows(r.first // border.row, (r.first + r.bytes) // border.row))
    if rows.count:
        mine = Rectangle(rows.first * border.inner, border.inner, rows.count, border.inner)
        offset = border.place(mine.first) - r.first
        yield Transfer(border.x, mine, buffer, True, number, offset, pitch=border.row)


def _tables(ways: Sequence[Way]) -> list[Array]:
    """The tables of some calls, equal ones once."""
    arrays = (a for way in ways for a in way.call.arguments if isinstance(a, np.ndarray))
    return list({table_key(a): a for a in arrays}.values())


def _bytes(tables: Sequence[Array]) -> int:
    return sum(rounded(t.nbytes, 8) for t in tables)


def _turns(things: Sequence[object]) -> Iterator[int]:
    """For each how many other things came before it, one behind another being the same thing where they are equal."""
    turn = 0
    for n, thing in enumerate(things):
        turn += n > 0 and thing != things[n - 1]
        yield turn


def _buffers(sizes: Sequence[int], turns: Sequence[int], count: int = 2) -> tuple[Scratch, ...]:
    most = max(sizes)
    return tuple(Scratch(rounded(most, GRAIN)) for _ in range(min(turns[-1] + 1, count))) if most else ()


def _in_a_row(rectangles: Sequence[Rectangle]) -> bool:
    """Whether pieces of a tensor follow one another."""
    if any(r.count > 1 for r in rectangles):
        return False
    return all(a.first + a.bytes == b.first for a, b in pairwise(rectangles))


def _offset(reads: Sequence[Rectangle], wanted: Rectangle) -> int:
    """Where bytes that a share reads are in a buffer of what has come for its round."""
    offset = 0
    for r in reads:
        if r.count == 1 and r.first <= wanted.first and wanted.first + wanted.bytes <= r.first + r.bytes:
            return offset + wanted.first - r.first
        if r == wanted:
            return offset
        offset += r.bytes
    raise ValueError("a share reads what does not come for its round")


def placed_in_order(scratch: Sequence[Scratch]) -> Iterator[tuple[Scratch, int]]:
    """Buffers one behind another, each with its offset."""
    offset = 0
    for s in scratch:
        yield s, offset
        offset += rounded(s.bytes, GRAIN)
