"""A tile of an op: some rows and some channels of its result, computed in a fast memory from what is moved there.

A tile of an op is an op (`model/slabs.py`), so it is computed by the same kernels. How large tiles are is chosen by enumeration: of
all that fit into the fast memory the ones with the fewest predicted cycles, where moves and kernels overlap as the program has
them (`timeline`). Levels are two memories and the DMA between them: a hierarchy is a chain of those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Op, Tensor
from smelt.model.ops import Conv2D, DepthwiseConv2D, Linear
from smelt.model.slabs import Rows, needed, row_bytes, slab
from smelt.planner.hierarchy import POLLING, PROGRAMMING
from smelt.planner.ways import Way
from smelt.targets.types import Dma, Reach

ROWS, COLUMNS = 1, 2
"""Axes of an image."""

GRAIN, BURST = 16, 128
"""Tables and scratch lie at multiples of the one, buffers of tiles at multiples of the other, so that moves have long bursts."""

CALL = 60
"""Cycles of a kernel call that do not depend on its size."""


def rounded(size: int, grain: int = GRAIN) -> int:
    """The next multiple of `grain`."""
    return -(-size // grain) * grain


@dataclass(frozen=True)
class Rectangle:
    """Rows of a tensor from byte `first` on, `count` of `size` bytes, `pitch` apart: what one move moves."""

    first: int
    size: int
    count: int
    pitch: int

    @property
    def bytes(self) -> int:
        return self.size * self.count

    @property
    def places(self) -> NDArray[np.int64]:
        """Where each byte is."""
        numbers = np.arange(self.bytes, dtype=np.int64)
        return self.first + numbers // self.size * self.pitch + numbers % self.size

    def cycles(self, dma: Dma, source: Reach, target: Reach) -> int:
        """Of its move."""
        grain = (self.first | (self.size | self.pitch if self.count > 1 else 0)) & 127 or 128
        return dma.cycles(source, target, self.size, self.count, grain & -grain)


@dataclass(frozen=True, eq=False)
class Tile:
    """`op` computes `rows`, `columns` and `channels` of a larger one, in whose operand and result its own lie at `x` and `y`."""

    op: Op
    rows: Rows
    columns: Rows
    channels: Rows
    x: Rectangle
    y: Rectangle


def can_tile(op: Op) -> bool:
    """Whether tiles of it are known: convolutions of all channels, and depthwise ones of a channel each."""
    if isinstance(op, Conv2D):
        return op.has_constants and op.weights.shape[-1] == op.x.shape[-1] and op.x.shape[0] == 1
    return isinstance(op, DepthwiseConv2D) and op.has_constants and op.multiplier == 1 and op.x.shape[0] == 1


def tile(op: Any, rows: Rows, channels: Rows, columns: Rows | None = None) -> Tile:
    """The tile of an op that `can_tile` knows; all columns where none are given. Of channels and columns one is whole."""
    columns = columns or Rows(0, op.y.shape[COLUMNS])
    place = tuple(r for axis in (ROWS, COLUMNS) for r in needed(op, (rows, columns)[axis - 1], axis).values())
    cut = op
    for axis, part in ((ROWS, rows), (COLUMNS, columns)):
        cut = slab(cut, part, axis) if part.count < op.y.shape[axis] else cut
    cut = cut if channels.count == op.y.shape[-1] else _of_channels(cut, channels)
    of_x = channels if isinstance(op, DepthwiseConv2D) else Rows(0, op.x.shape[-1])
    x, y = _rectangle(op.x, place[0], place[1], of_x), _rectangle(op.y, rows, columns, channels)
    return Tile(cut, rows, columns, channels, x, y)


def _rectangle(tensor: Tensor, rows: Rows, columns: Rows, channels: Rows) -> Rectangle:
    size, row, depth = tensor.element.bits // 8, row_bytes(tensor, ROWS), tensor.shape[-1]
    first = rows.first * row + (columns.first * depth + channels.first) * size
    if channels.count < depth:
        assert columns.count == tensor.shape[COLUMNS], "a move has no rows of rows"
        return Rectangle(first, channels.count * size, rows.count * columns.count, depth * size)
    if columns.count < tensor.shape[COLUMNS]:
        return Rectangle(first, columns.count * depth * size, rows.count, row)
    return Rectangle(first, rows.count * row, 1, rows.count * row)


def _of_channels(op: Any, channels: Rows) -> Op:
    """The op that computes some channels of y, from all channels of x or, depthwise, from the same ones."""
    names = [op.weights, *([op.bias] if op.bias is not None else ()), op.y]
    names += [op.x] if isinstance(op, DepthwiseConv2D) else []
    axes = {op.weights: op.channel_axis % len(op.weights.shape)}
    smaller = {t: _cut(t, channels, axes.get(t, len(t.shape) - 1)) for t in names}
    changed = op.substitute(smaller)
    assert isinstance(changed, Linear)
    return replace(changed, rescale=changed.rescale.of(np.arange(channels.first, channels.stop)))


def _cut(tensor: Tensor, channels: Rows, axis: int) -> Tensor:
    """Some channels of a tensor; its quantisation, which the rescaling has taken in, stays only where it is one for all."""
    shape = (*tensor.shape[:axis], channels.count, *tensor.shape[axis + 1 :])
    q = tensor.quantization if tensor.quantization and len(tensor.quantization.scales) == 1 else None
    which = range(channels.first, channels.stop)
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data.take(which, axis))
    return Tensor(f"{tensor.name}[c{channels.first}:{channels.stop}]", shape, tensor.dtype, q, data)


# --- how large they are -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """Rows and channels of a tile of y; those at the end may be smaller."""

    rows: int
    channels: int

    def tiles(self, op: Op) -> list[Tile]:
        """All of them, block of channels by block of channels."""
        height, depth = op.y.shape[ROWS], op.y.shape[-1]
        return [
            tile(op, Rows(first, min(first + self.rows, height)), Rows(channel, min(channel + self.channels, depth)))
            for channel in range(0, depth, self.channels)
            for first in range(0, height, self.rows)
        ]


@dataclass(frozen=True, eq=False)
class Tiled:
    """An op in tiles: each with its way. Tiles of y, of x and of the tables have two buffers each where there are several."""

    op: Op
    size: Size
    tiles: tuple[Tile, ...]
    ways: tuple[Way, ...]

    @cached_property
    def buffers(self) -> dict[str, tuple[int, int]]:
        """What it needs in the fast memory: how many buffers of how many bytes, by what they are for."""
        blocks = {t.channels for t in self.tiles}
        xs = {(t.x.first, t.x.bytes) for t in self.tiles}
        found = {
            "x": (min(len(xs), 2), max(t.x.bytes for t in self.tiles)),
            "y": (min(len(self.tiles), 2), max(t.y.bytes for t in self.tiles)),
            "tables": (min(len(blocks), 2), max(self.block_bytes(n) for n in range(len(self.tiles)))),
            "scratch": (1, max(sum(rounded(s.bytes) for s in w.scratch) for w in self.ways)),
        }
        return {name: (count, rounded(size, BURST)) for name, (count, size) in found.items() if size}

    @property
    def bytes(self) -> int:
        return sum(count * size for count, size in self.buffers.values())

    def block_bytes(self, number: int) -> int:
        """The tables of all tiles of the block of channels that a tile is of, equal ones once."""
        block = self.tiles[number].channels
        ways = {w.kernel: w for t, w in zip(self.tiles, self.ways, strict=True) if t.channels == block}
        found = {key: size for way in ways.values() for key, size in way.tables.items()}
        return sum(map(rounded, found.values()))


@dataclass(frozen=True)
class Costs:
    """What the steps of the program of a tiled op take: moves in and out, tables, kernels, in the order of the tiles."""

    x: tuple[int, ...]  # 0: it is there already
    tables: tuple[int, ...]
    kernel: tuple[int, ...]
    y: tuple[int, ...]


def timeline(costs: Costs) -> int:
    """Cycles of the program: while a tile is computed, the next one's operand and tables come and the one before's result goes.
    The DMA does one thing after another, in the order in which the program asks."""
    now = free = 0
    count = len(costs.kernel)
    arrived = [0] * count
    gone = [0] * count

    def ask(cycles: int) -> int:
        nonlocal now, free
        if cycles == 0:
            return now
        now += PROGRAMMING
        free = max(free, now) + cycles
        return free

    for n in range(count + 1):
        if n < count:
            arrived[n] = max(ask(costs.tables[n]), ask(costs.x[n]))
        if n == 0:
            continue
        done = n - 1
        now = max(now, arrived[done], gone[done - 2] if done > 1 else 0) + POLLING
        now += CALL + costs.kernel[done]
        gone[done] = ask(costs.y[done])
    return max(now, free) + POLLING


def sizes(op: Op, most: int, least_channels: int = 8) -> Iterator[Size]:
    """Of tiles that are worth a look: whole rows, blocks of channels of a multiple of `least_channels`, whose operand and result
    alone take no more than `most` bytes."""
    height, depth = op.y.shape[ROWS], op.y.shape[-1]
    blocks = sorted({min(depth, -(-depth // n // least_channels) * least_channels) for n in range(1, depth + 1)} - {0})
    heights = sorted({-(-height // n) for n in range(1, height + 1)})
    for channels in blocks:
        for rows in heights:
            first = tile(op, Rows(0, rows), Rows(0, channels))
            if first.x.bytes + first.y.bytes <= most:
                yield Size(rows, channels)
