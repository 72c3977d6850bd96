"""Tiles: squares of neighbouring outputs, and what their kernels need to know of the image under them."""

from __future__ import annotations

from dataclasses import dataclass

from smelt.kernels.requantizer import Requantizer
from smelt.loops.ir import Buffer
from smelt.model.ops import Conv2D


@dataclass(frozen=True)
class Tiles:
    """Blocks of `rows` x `columns` tiles: the beginning of schedules."""

    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class Tiled:
    """What the parts of a kernel that works in tiles share."""

    op: Conv2D
    r: Requantizer
    x: Buffer
    weights: Buffer
    table: Buffer
    image: Buffer
    tiles: Buffer
    sums: Buffer
    y: Buffer

    @property
    def depth(self) -> int:
        return self.op.x.shape[3]

    @property
    def words(self) -> int:
        """Words of two input channels."""
        return self.depth // 2

    @property
    def row_length(self) -> int:
        """Elements of a row of `image`: the columns of y and one more on either side."""
        return (self.op.y.shape[2] + 2) * self.depth
