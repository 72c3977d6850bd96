"""Which rows of which tensor lie where and when, where a run of layers is computed in bands of rows: no kernels yet.

Every tensor between the layers, of which nobody else needs anything, exists only as a *line buffer*: the rows that are needed at
one time. Before a band adds its rows to it, rows that are still needed move to its beginning. Each band computes `rows` rows of
the last result, and of all tensors before it what these rows need and no band before has computed: nothing is computed twice.

Since rows of the result appear while rows of x die, the result may be written over x at some distance, which follows from this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.ir import Scratch
from smelt.model.graph import Op, Tensor
from smelt.model.slabs import Rows, band_axis, needed, row_bytes
from smelt.planner.flow import aligned
from smelt.planner.ways import Part


@dataclass(frozen=True, eq=False)
class Slab:
    """Rows of the result of `op` that are computed, and where they and the rows of operands that they need lie."""

    op: Op
    rows: Rows
    y: Part
    xs: Mapping[Tensor, Part]


@dataclass(frozen=True, eq=False)
class Shift:
    """Rows that move to another place of their line buffer."""

    tensor: Tensor
    rows: Rows
    source: Part
    target: Part


@dataclass(frozen=True, eq=False)
class Arrival:
    """Rows of an input that come in, and where they go."""

    tensor: Tensor
    rows: Rows
    part: Part


def can_run(ops: Sequence[Op]) -> bool:
    """Whether ops can be computed in bands, as far as they and their axes go."""
    axes = {band_axis(op) for op in ops}
    return len(axes) == 1 and None not in axes


@dataclass(frozen=True, eq=False)
class Layout:
    """`ops`, which can be run, and only the last one's result of which others need, in bands of `rows` rows of that result. What is
    `fed` is an input that nobody else needs either, and of which only the rows are there that are needed at one time."""

    ops: tuple[Op, ...]
    rows: int
    fed: Tensor | None = None

    @cached_property
    def axis(self) -> int:
        axis = band_axis(self.ops[0])
        assert axis is not None, "ops that cannot be cut have no layout"
        return axis

    @cached_property
    def reads(self) -> tuple[Tensor, ...]:
        """The activations that come from elsewhere."""
        inside = {self.fed, *(op.y for op in self.ops)}
        return tuple(dict.fromkeys(x for op in self.ops for x in op.activations if x not in inside))

    @property
    def y(self) -> Tensor:
        return self.ops[-1].y

    @cached_property
    def inner(self) -> tuple[Tensor, ...]:
        """What only some rows of are there."""
        return (*([] if self.fed is None else [self.fed]), *(op.y for op in self.ops[:-1]))

    @cached_property
    def lines(self) -> Mapping[Tensor, Scratch]:
        """The line buffers."""
        return {t: Scratch(aligned(self._most(t) * row_bytes(t, self.axis))) for t in self.inner}

    @cached_property
    def bands(self) -> tuple[Mapping[Tensor, Rows], ...]:
        """For each band the rows of every tensor inside that are read, and those of the result that are written."""
        return tuple(self._wanted(first) for first in range(0, self.y.shape[self.axis], self.rows))

    def _wanted(self, first: int) -> Mapping[Tensor, Rows]:
        inside = {*self.inner}
        wanted = {self.y: Rows(first, min(first + self.rows, self.y.shape[self.axis]))}
        for op in reversed(self.ops):
            for x, rows in needed(op, wanted[op.y], self.axis).items():
                if x in inside:
                    old = wanted.get(x, rows)
                    wanted[x] = Rows(min(old.first, rows.first), max(old.stop, rows.stop))
        return wanted

    def _most(self, t: Tensor) -> int:
        """The rows of a tensor that are there at one time at most."""
        made = most = 0
        for n, wanted in enumerate(self.bands):
            kept, made = min(made, self.first[t][n]), max(made, wanted[t].stop)
            most = max(most, made - kept)
        return most

    @cached_property
    def first(self) -> Mapping[Tensor, Sequence[int]]:
        """Of every tensor the first row that each band or a later one needs."""
        found = {t: [wanted[t].first for wanted in self.bands] for t in self.bands[0]}
        for rows in found.values():
            for n in reversed(range(len(rows) - 1)):
                rows[n] = min(rows[n], rows[n + 1])
        return found

    @cached_property
    def actions(self) -> tuple[Slab | Shift | Arrival, ...]:
        """What is done, in order."""
        made, kept = (dict.fromkeys((*self.inner, self.y), 0) for _ in range(2))
        return tuple(action for n in range(len(self.bands)) for action in self._band(n, made, kept))

    def _band(self, number: int, made: dict[Tensor, int], kept: dict[Tensor, int]) -> Iterator[Slab | Shift | Arrival]:
        if (x := self.fed) is not None:
            first, rows = min(made[x], self.first[x][number]), Rows(made[x], max(self.bands[number][x].stop, made[x]))
            yield from self._shifts(x, kept[x], first, made[x])
            kept[x], made[x] = first, rows.stop
            if rows.count:
                yield Arrival(x, rows, self._part(x, rows, kept))
        for op in self.ops:
            y, first = op.y, min(made[op.y], self.first[op.y][number])
            if y in self.lines:
                yield from self._shifts(y, kept[y], first, made[y])
                kept[y] = first
            rows = Rows(made[y], max(self.bands[number][y].stop, made[y]))
            if rows.count:
                xs = {x: self._part(x, r, kept) for x, r in needed(op, rows, self.axis).items()}
                yield Slab(op, rows, self._part(y, rows, kept), xs)
                made[y] = rows.stop

    def _shifts(self, t: Tensor, start: int, first: int, stop: int) -> Iterator[Shift]:
        """Rows from `first` on move to the beginning, so many at a time that none is written over another."""
        by, size = first - start, row_bytes(t, self.axis)
        for row in range(first, stop, by) if by else ():
            rows = Rows(row, min(row + by, stop))
            source, target = (Part(self.lines[t], (row - begin) * size, t, row * size) for begin in (start, first))
            yield Shift(t, rows, source, target)

    def _part(self, t: Tensor, rows: Rows, kept: Mapping[Tensor, int]) -> Part:
        size = row_bytes(t, self.axis)
        if t in self.lines:
            return Part(self.lines[t], (rows.first - kept[t]) * size, t, rows.first * size)
        return Part(t, rows.first * size, t, rows.first * size)

    @cached_property
    def slides(self) -> Mapping[Tensor, int]:
        """Of each operand, by how many bytes y must at least begin before it to be written over it."""
        slabs = [action for action in self.actions if isinstance(action, Slab)]
        size = row_bytes(self.y, self.axis)
        found: dict[Tensor, int] = {}
        for x in self.reads:
            written = by = 0
            for done in slabs:
                written = max(written, done.rows.stop * size) if done.op is self.ops[-1] else written
                by = max(by, written - done.xs[x].first) if x in done.xs else by
            found[x] = by
        return found

    @cached_property
    def slabs(self) -> Mapping[Op, int]:
        """Of each op, how many slabs of it are computed."""
        return Counter(action.op for action in self.actions if isinstance(action, Slab))

    @cached_property
    def heights(self) -> Mapping[Op, int]:
        """Of each op, the most rows of a slab."""
        return {op: max(a.rows.count for a in self.actions if isinstance(a, Slab) and a.op is op) for op in self.ops}

    @cached_property
    def shifts(self) -> int:
        """How often rows move."""
        return sum(isinstance(action, Shift) for action in self.actions)

    @cached_property
    def shifted_bytes(self) -> int:
        """What shifts move in all."""
        return sum(a.rows.count * row_bytes(a.tensor, self.axis) for a in self.actions if isinstance(a, Shift))
