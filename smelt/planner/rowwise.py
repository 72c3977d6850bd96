"""Runs of layers in which rows are computed as late as can be: the least line buffers, for more kernel calls.

In a band of `Layout` each op computes all that the band needs, before the next one begins. Here every op computes `chunk` rows when
the one behind it wants them, and not before, so that a line buffer has little more rows than the window that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.ir import Scratch
from smelt.model.graph import Op, Tensor
from smelt.model.slabs import Rows, needed, row_bytes
from smelt.planner.flow import aligned
from smelt.planner.line_buffers import Arrival, Layout, Shift, Slab


@dataclass(frozen=True, eq=False)
class Rowwise(Layout):
    """A run of which the ops before the last one compute `chunk` rows at a time. What is fed comes in as it is wanted."""

    chunk: int = 1

    @cached_property
    def readers(self) -> Mapping[Tensor, tuple[Op, ...]]:
        """The ops that read what only some rows of are there."""
        return {t: tuple(op for op in self.ops if t in op.activations) for t in self.inner}

    @cached_property
    def lines(self) -> Mapping[Tensor, Scratch]:
        """The line buffers: as many rows as there ever are between the first that is needed and the last that was made."""
        most = dict.fromkeys(self.inner, 0)
        now = _Now(self)
        for t, rows in now.made_in_order():
            if t in most:
                most[t] = max(most[t], rows.stop - now.first(t))
        return {t: Scratch(aligned(rows * row_bytes(t, self.axis))) for t, rows in most.items()}

    @cached_property
    def actions(self) -> tuple[Slab | Shift | Arrival, ...]:
        """What is done, in order."""
        now, found = _Now(self), list[Slab | Shift | Arrival]()
        kept = dict.fromkeys(self.inner, 0)
        makers = {op.y: op for op in self.ops}
        for t, rows in now.made_in_order():
            if t in kept and rows.stop - kept[t] > self.lines[t].bytes // row_bytes(t, self.axis):
                found += self._shifts(t, kept[t], now.first(t), rows.first)
                kept[t] = now.first(t)
            if t in makers:
                xs = {x: self._part(x, r, kept) for x, r in needed(makers[t], rows, self.axis).items()}
                found.append(Slab(makers[t], rows, self._part(t, rows, kept), xs))
            else:
                found.append(Arrival(t, rows, self._part(t, rows, kept)))
        return tuple(found)


class _Now:
    """How many rows of every tensor were made."""

    def __init__(self, layout: Rowwise) -> None:
        self._layout = layout
        self._makers = {op.y: op for op in layout.ops}
        self.made = dict.fromkeys((*layout.inner, layout.y), 0)

    def made_in_order(self) -> Iterator[tuple[Tensor, Rows]]:
        """The rows that are made, one after the other; they are in `made` as soon as one goes on."""
        y, layout = self._layout.y, self._layout
        for first in range(0, y.shape[layout.axis], layout.rows):
            yield from self._made(y, min(first + layout.rows, y.shape[layout.axis]), layout.rows)

    def _made(self, t: Tensor, stop: int, most: int) -> Iterator[tuple[Tensor, Rows]]:
        """Rows of a tensor up to `stop`, `most` at a time, and before them what they need."""
        while self.made[t] < stop:
            rows = Rows(self.made[t], min(self.made[t] + most, stop) if t in self._makers else stop)
            if t in self._makers:
                for x, there in needed(self._makers[t], rows, self._layout.axis).items():
                    if x in self.made:
                        yield from self._made(x, there.stop, self._layout.chunk)
            yield t, rows
            self.made[t] = rows.stop

    def first(self, t: Tensor) -> int:
        """The first row of a tensor that somebody still needs."""
        return min([self._length(t), *(self._next(t, op) for op in self._layout.readers[t])])

    def _next(self, t: Tensor, op: Op) -> int:
        """The first row of a tensor that the next row of a result needs."""
        made = self.made[op.y]
        if made == self._length(op.y):
            return self._length(t)
        return needed(op, Rows(made, made + 1), self._layout.axis)[t].first

    def _length(self, t: Tensor) -> int:
        return t.shape[self._layout.axis]
