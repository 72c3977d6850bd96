"""What tiles of a layer take up and cost, through any number of levels: said once, for whoever computes with numbers and for a
constraint solver (`Arithmetic`), so that both mean the same.

At each level the tile of the level before is divided. Either all channels of the result are computed of one part of the image
before the next part is looked at, so that the operand stays and weights come again (`by_place`), or all parts of the image with
one block of channels. Input channels are the innermost loop: their sums stay where they are until a tile of the result is done;
where they were divided at an earlier level, sums go there and come back. With two buffers for everything, moves and kernels go on
at the same time, and the longer of the two counts, besides the first move and the last. Where the tiles of a level are divided
into different numbers, some not at all, all of them count as divided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from smelt.planner.hierarchy import KILO, Hierarchy, Link
from smelt.planner.layer import Cut, Layer

SCALE = KILO
"""Costs are counted in thousand-and-twenty-fourths of a cycle."""


class Arithmetic(Protocol):
    """Numbers, or what a solver has in their place; sums and multiples by constants are written with + and *."""

    def product(self, *factors: Any) -> Any: ...

    def larger(self, a: Any, b: Any) -> Any: ...

    def either(self, *conditions: Any) -> Any: ...

    def choose(self, condition: Any, yes: Any, no: Any) -> Any: ...


class Numbers:
    """Of Python."""

    def product(self, *factors: int) -> int:
        found = 1
        for factor in factors:
            found *= factor
        return found

    def larger(self, a: int, b: int) -> int:
        return max(a, b)

    def either(self, *conditions: bool) -> bool:
        return any(conditions)

    def choose(self, condition: bool, yes: int, no: int) -> int:
        return yes if condition else no


@dataclass(frozen=True)
class Tiling:
    """A choice: how rows, columns, outputs and inputs are divided; at each level what stays, and whether there are two buffers."""

    cuts: tuple[Cut, ...]
    by_place: tuple[Any, ...]
    double: tuple[Any, ...]

    @property
    def rows(self) -> Cut:
        return self.cuts[0]

    @property
    def columns(self) -> Cut:
        return self.cuts[1]

    @property
    def outputs(self) -> Cut:
        return self.cuts[2]

    @property
    def inputs(self) -> Cut:
        return self.cuts[3]


@dataclass(frozen=True)
class Price:
    """Cycles times `SCALE`, the bytes at each level, and what would need moves of rows of rows: no link has those."""

    cycles: Any
    bytes: tuple[Any, ...]
    impossible: Any


def price(layer: Layer, hierarchy: Hierarchy, tiling: Tiling, numbers: Arithmetic | None = None) -> Price:
    """What a tiling costs; its fields may be a solver's variables."""
    return _Pricing(layer, hierarchy, tiling, numbers or Numbers()).price()


class _Pricing:
    def __init__(self, layer: Layer, hierarchy: Hierarchy, tiling: Tiling, numbers: Arithmetic) -> None:
        self._layer, self._levels, self._t, self._n = layer, hierarchy.levels, tiling, numbers

    def price(self) -> Price:
        last = len(self._levels) - 1
        time = self._layer.work * SCALE + self._tiles(last) * (self._layer.call * SCALE)
        for n in reversed(range(last + 1)):
            moves, core, ends = self._moves(n)
            both = time + moves
            if self._levels[n].inward.beside:
                both = self._n.choose(self._t.double[n], self._n.larger(time + self._times(ends, n), moves), both)
            time = both + core
        impossible = sum(self._is_deep(n) for n in range(last + 1))
        return Price(time, tuple(self._bytes(n) for n in range(last + 1)), impossible)

    def _is_deep(self, n: int) -> Any:
        """Whether both columns and channels are divided."""
        t = self._t
        channels = self._n.either(t.outputs.divided[n], t.inputs.divided[n])
        return self._n.choose(t.columns.divided[n], self._n.choose(channels, 1, 0), 0)

    # --- how often -----------------------------------------------------------------------------------------------------

    def _count(self, cut: Cut, n: int) -> Any:
        return cut.counts[n] if n >= 0 else 1

    def _places(self, n: int) -> Any:
        return self._n.product(self._count(self._t.rows, n), self._count(self._t.columns, n))

    def _tiles(self, n: int) -> Any:
        channels = self._n.product(self._count(self._t.outputs, n), self._count(self._t.inputs, n))
        return self._n.product(self._places(n), channels)

    def _times(self, value: Any, n: int) -> Any:
        """Once for each tile of the level before, where moves begin anew."""
        return value if n == 0 else self._n.product(value, self._tiles(n - 1))

    def _x_again(self, n: int) -> Any:
        """How often all of the operand comes to a level."""
        if self._layer.depthwise:
            return 1
        t, some = self._t, self._n.choose
        inputs, places = t.inputs.divided[n], self._n.either(t.rows.divided[n], t.columns.divided[n])
        moved = some(t.by_place[n], inputs, self._n.either(places, inputs))
        return some(moved, self._count(t.outputs, n), self._count(t.outputs, n - 1))

    def _weights_again(self, n: int) -> Any:
        t, some = self._t, self._n.choose
        inputs, outputs = t.inputs.divided[n], t.outputs.divided[n]
        moved = some(t.by_place[n], self._n.either(inputs, outputs), inputs)
        return some(moved, self._places(n), self._places(n - 1))

    # --- what is moved --------------------------------------------------------------------------------------------------

    def _moves(self, n: int) -> tuple[Any, Any, Any]:
        """Cycles of all moves of a level, of what the core does for them, and of the first and last moves of a tile."""
        into, out = self._levels[n].inward, self._levels[n].outward
        parts = [self._x(into, n)] if self._layer.x else []
        parts += [self._y(out, n)] if self._layer.y else []
        parts += [self._weights(into, n)] if self._layer.weights else []
        parts += [self._sums(into, n)] if n > 0 and self._layer.partial_sums else []
        ends = self._end(into, self._x_bytes(n) + self._weights_bytes(n)) if self._layer.x or self._layer.weights else 0
        ends = ends + self._end(out, self._y_bytes(n)) if self._layer.y else ends
        return sum(p[0] for p in parts), sum(p[1] for p in parts), ends

    def _x(self, link: Link, n: int) -> tuple[Any, Any]:
        t, layer, times = self._t, self._layer, self._x_again(n)
        deep = t.outputs if layer.depthwise else t.inputs
        image = self._n.product(t.rows.sums[n], t.columns.sums[n], times)
        pixels = self._n.product(image, deep.counts[n])
        lines = self._n.product(t.rows.sums[n], t.columns.counts[n], times, deep.counts[n])
        moves = self._n.product(self._places(n), times, deep.counts[n])
        depth = layer.outputs.length if layer.depthwise else layer.inputs.length
        rows = self._rows(n, deep, pixels, lines, moves)
        return self._cost(link, moves, rows, image * (depth * layer.x)), moves * ((link.start + link.wait) * SCALE)

    def _y(self, link: Link, n: int) -> tuple[Any, Any]:
        """Results, or sums where the inputs were divided before."""
        t, layer = self._t, self._layer
        passes = self._count(t.inputs, n - 1)
        image, moves = self._results(n), self._n.product(self._places(n), t.outputs.counts[n], passes)
        pixels = self._n.product(layer.rows.length * layer.columns.length * t.outputs.counts[n], passes)
        lines = self._n.product(layer.rows.length * t.columns.counts[n], t.outputs.counts[n], passes)
        size = self._n.product(image * self._width(n - 1), passes)
        return self._cost(link, moves, self._rows(n, t.outputs, pixels, lines, moves), size), moves * (
            (link.start + link.wait) * SCALE
        )

    def _sums(self, link: Link, n: int) -> tuple[Any, Any]:
        """Those that come back, each time but the first."""
        t, again = self._t, self._count(self._t.inputs, n - 1) + -1
        moves = self._n.product(self._places(n), t.outputs.counts[n], again)
        size = self._n.product(self._results(n) * self._layer.sum, again)
        return self._cost(link, moves, moves, size), moves * ((link.start + link.wait) * SCALE)

    def _weights(self, link: Link, n: int) -> tuple[Any, Any]:
        t, layer, times = self._t, self._layer, self._weights_again(n)
        moves = self._n.product(t.outputs.counts[n], t.inputs.counts[n], times)
        size = times * (layer.outputs.length * layer.inputs.length * layer.weights)
        return self._cost(link, moves, moves, size), moves * ((link.start + link.wait) * SCALE)

    def _results(self, n: int) -> Any:
        return self._layer.rows.length * self._layer.columns.length * self._layer.outputs.length

    def _rows(self, n: int, deep: Cut, pixels: Any, lines: Any, moves: Any) -> Any:
        """Rows of all moves: pixels where channels are divided, lines of the image where columns are, else moves are one piece."""
        return self._n.choose(deep.divided[n], pixels, self._n.choose(self._t.columns.divided[n], lines, moves))

    def _cost(self, link: Link, moves: Any, rows: Any, size: Any) -> Any:
        return moves * (link.begin * SCALE) + rows * (link.row * SCALE) + size * link.kilobyte

    def _end(self, link: Link, size: Any) -> Any:
        return size * link.kilobyte + link.begin * SCALE

    # --- what lies there ------------------------------------------------------------------------------------------------

    def _bytes(self, n: int) -> Any:
        size = self._x_bytes(n) + self._y_bytes(n) + self._weights_bytes(n)
        scratch = self._layer.scratch if n == len(self._levels) - 1 else 0
        return self._n.choose(self._t.double[n], size * 2 + scratch, size + scratch)

    def _x_bytes(self, n: int) -> Any:
        t, layer = self._t, self._layer
        deep = t.outputs if layer.depthwise else t.inputs
        return self._n.product(t.rows.reaches[n], t.columns.reaches[n], deep.sizes[n]) * layer.x

    def _y_bytes(self, n: int) -> Any:
        t = self._t
        return self._n.product(t.rows.sizes[n], t.columns.sizes[n], t.outputs.sizes[n], self._width(n))

    def _width(self, n: int) -> Any:
        """Bytes of an element of the result at a level: those of a sum where the inputs are divided there or before."""
        if n < 0 or not self._layer.partial_sums:
            return self._layer.y
        divided = self._n.either(*self._t.inputs.divided[: n + 1])
        return self._n.choose(divided, self._layer.sum, self._layer.y)

    def _weights_bytes(self, n: int) -> Any:
        if not self._layer.weights:
            return 0
        return self._n.product(self._t.outputs.sizes[n], self._t.inputs.sizes[n]) * self._layer.weights
