"""A layer as what tiles of it read, write and cost: numbers only, for whoever looks for the sizes of tiles.

`Axis` has the ways to divide one of its axes through all levels of a hierarchy, exactly: halos, borders and remainders are in the
sums. `Cut` is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

from smelt.model.ops import Conv2D, DepthwiseConv2D
from smelt.model.slabs import Rows, Window


@dataclass(frozen=True)
class Cut:
    """An axis through the levels, the slowest first: the size of a tile, how many there are in all, the elements of the operand
    that all of them read, halos included, the most that one reads, and whether it is divided there."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    sums: tuple[int, ...]
    reaches: tuple[int, ...]
    divided: tuple[bool, ...]


@dataclass(frozen=True)
class Axis:
    """`length` elements of the result along an axis, each read through `window` from `read` elements of the operand. Tiles are
    multiples of `grain`, but for the last one; without it the axis is never divided."""

    length: int
    read: int
    window: Window = field(default_factory=Window)
    grain: int | None = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of tiles that are worth a look, the largest first: all as large as can be for their number."""
        grain = self.grain
        if grain is None:
            return (self.length,)
        least = (ceil(self.length / n / grain) * grain for n in range(1, self.length + 1))
        return tuple(sorted({min(size, self.length) for size in least}, reverse=True))

    def cuts(self, levels: int) -> Iterator[Cut]:
        """Every way to divide it through so many levels."""
        yield from self._deeper((Rows(0, self.length),), (), levels)

    def _deeper(
        self, tiles: tuple[Rows, ...], before: tuple[tuple[int, int, int, int, bool], ...], levels: int
    ) -> Iterator[Cut]:
        if levels == 0:
            yield Cut(*zip(*before, strict=True))
            return
        largest = max(t.count for t in tiles)
        for size in (s for s in self.sizes if s <= largest):
            inner = tuple(Rows(a, min(a + size, t.stop)) for t in tiles for a in range(t.first, t.stop, size))
            reads = [self.window.reach(t).within(self.read).count for t in inner]
            one = size, len(inner), sum(reads), max(reads), len(inner) > len(tiles)
            yield from self._deeper(inner, (*before, one), levels - 1)


@dataclass(frozen=True)
class Layer:
    """`rows`, `columns` and `outputs` (channels) of a result, each of which is summed over `inputs` (channels); depthwise, output
    channels are those of the operand, and there is one input.

    `x`, `y`, `sum`: bytes of an element of the operand, of the result (0: it is not moved), of a partial sum. `weights`: bytes of
    the tables for a channel of the result and one of the operand; 0 where kernels read them where they are. Cycles: `work` of all
    of it, in the memory that kernels compute in, `call` of each kernel call; `scratch` are bytes that kernels need besides. Input
    channels are divided only where kernels take `partial_sums`: smelt's own end with the rescaling, and have no way to begin with
    sums.
    """

    rows: Axis
    columns: Axis
    outputs: Axis
    inputs: Axis
    depthwise: bool
    work: int
    call: int = 60
    x: int = 1
    y: int = 1
    sum: int = 4
    weights: int = 0
    scratch: int = 0
    partial_sums: bool = False

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Rows, columns, outputs, inputs."""
        inputs = self.inputs if self.partial_sums else Axis(self.inputs.length, self.inputs.read, grain=None)
        return self.rows, self.columns, self.outputs, inputs


def layer_of(op: Conv2D | DepthwiseConv2D, work: int, scratch: int = 0, weights: int = 0, grain: int = 8) -> Layer:
    """An op that `tiles.can_tile` knows, with all its cycles."""
    before, size = (op.pad.top, op.pad.left), op.weights.shape[1:3]
    rows, columns = (
        Axis(op.y.shape[1 + n], op.x.shape[1 + n], Window(size[n], op.stride[n], op.dilation[n], before[n]))
        for n in range(2)
    )
    depthwise = isinstance(op, DepthwiseConv2D)
    inputs = 1 if depthwise else op.x.shape[-1]
    x, y = op.x.element.bits // 8, op.y.element.bits // 8
    outputs = Axis(op.y.shape[-1], op.y.shape[-1], grain=grain)
    return Layer(
        rows,
        columns,
        outputs,
        Axis(inputs, inputs, grain=grain),
        depthwise,
        work,
        x=x,
        y=y,
        scratch=scratch,
        weights=weights,
    )
