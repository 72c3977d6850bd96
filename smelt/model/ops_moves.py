"""More operators that only move elements, of any type. What can be said with reshapes, slices, transpositions, paddings and
concatenations has no class: importers say it with those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smelt.model.graph import Op, Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Broadcast(Op):
    """x, repeated along axes of size 1 (and new ones in front) until it has y's shape."""

    x: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Gather(Op):
    """y[batch, before, i, behind] = x[batch, before, indices[batch, i], behind].

    `indices` (int32 or int64) begin with the `batch` axes that x begins with; the `before` axes lie between those and the ones that
    are indexed: one axis, or `coordinates` of them, of which the last axis of indices then holds one place each. An index outside
    its axis means the nearest inside: TensorFlow Lite Micro reports an error there when it runs.
    """

    x: Tensor
    indices: Tensor
    axis: int = 0
    batch: int = 0
    coordinates: int = 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The extents of the indexed axes."""
        return self.x.shape[self.axis : self.axis + max(self.coordinates, 1)]

    @property
    def behind(self) -> tuple[int, ...]:
        """The axes that follow on the indexed ones."""
        return self.x.shape[self.axis + max(self.coordinates, 1) :]


@dataclass(frozen=True, eq=False, kw_only=True)
class UpdateSlice(Op):
    """x, but `update` from place `start` on (int32 or int64, one for each axis), which is moved so that the update fits."""

    x: Tensor
    update: Tensor
    start: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class TopK(Op):
    """The greatest values along the last axis, as many as y has there, in falling order; `indices` (int32) say where they are.

    Of equal values the first comes first.
    """

    results: ClassVar[tuple[str, ...]] = ("y", "indices")

    x: Tensor
    indices: Tensor
