"""Values as ONNX sees them, over tensors as smelt stores them: axes are moved by renaming them, and by a step only where one must.

A `View` is its source with axes permuted (`order`) and regrouped (`shape`). Transposing and reshaping a value of ONNX changes
`order` and `shape` and moves nothing; an operator that wants its axes in a certain order asks for them with `arrangement`, which
says what has to be moved, if anything. That is how graphs of (batch, channels, rows, columns) run as (batch, rows, columns,
channels) without transpositions: decided by structure, never by comparing sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Quantization, Tensor

Shape = tuple[int, ...]
Order = tuple[int, ...]
Limits = tuple[float, float]
UNLIMITED: Limits = (-inf, inf)
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Reals that are a function of the stored integers of `tensor`: plain dequantisation, or `table[stored - least]`."""

    tensor: Tensor
    table: Floats | None = None

    @property
    def shape(self) -> Shape:
        return self.tensor.shape


@dataclass(frozen=True)
class Target:
    """What a quantiser wants: stored integers of `dtype` (uint8 of the file as int8, `unsigned`), none beyond `low` and `high`.
    `factors` are scales for each index of the stored last axis, where it has such; the one of `quantization` is 1 then."""

    dtype: str
    quantization: Quantization
    low: int
    high: int
    unsigned: bool = False
    factors: tuple[float, ...] = ()


Build = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Promise:
    """Reals that are computed when it is known in what form they are wanted: as float32 by `real`, or as integers by `quantised`.

    `limits` are those of activations behind the operator. `affine` gives the same value times numbers plus numbers, one for
    each index of the stored last axis; None where the operator cannot take (these) in. `scaled` gives integers of scale 1, and
    what each index of the stored last axis is times.
    """

    shape: Shape
    real: Callable[[Limits], Tensor]
    quantised: Callable[[Target, Limits], Tensor] | None = None
    limits: Limits = UNLIMITED
    types: tuple[str, ...] = ("int8",)  # that `quantised` can make
    affine: Callable[[Floats, Floats], Promise | None] | None = None
    by_channel: bool = False  # whether `quantised` takes targets with factors
    scaled: Callable[[], tuple[Tensor, Floats]] | None = None

    def limited(self, low: float, high: float) -> Promise:
        """With the limits of one more activation behind it."""
        least, most = np.clip(self.limits, low, high).tolist()
        return replace(self, limits=(least, most), affine=None, scaled=None)


@dataclass(frozen=True, eq=False)
class Stored:
    """Integers that are computed when it is known what they are limited to. `quantization` is that of the integers as stored."""

    shape: Shape
    target: Target
    make: Callable[[Target], Tensor]


Source = Tensor | Decoded | Promise | Stored


@dataclass(frozen=True, eq=False)
class View:
    """ONNX's value is `source`, axis i of it being axis `order[i]` of the source, reshaped to `shape`; `dtype` is ONNX's type."""

    source: Source
    order: Order
    shape: Shape
    dtype: str

    @property
    def stored(self) -> Shape:
        """The shape of the source."""
        return self.source.shape

    @property
    def elements(self) -> int:
        return prod(self.shape)

    def of(self, source: Source, dtype: str | None = None) -> View:
        """Another source of the same shape, seen in the same way."""
        return replace(self, source=source, dtype=dtype or self.dtype)


def plain(source: Source, dtype: str) -> View:
    """A source seen as it is stored."""
    return View(source, tuple(range(len(source.shape))), source.shape, dtype)


def stored_as(source: Source, order: Order, dtype: str) -> View:
    """The view of a source whose axis i is axis `order[i]` of the value."""
    back = tuple(order.index(axis) for axis in range(len(order)))
    return View(source, back, tuple(source.shape[axis] for axis in back), dtype)


def transposed_axes(view: View, permutation: Order) -> View:
    """A view that is not regrouped, with its axes in another order."""
    order = tuple(view.order[axis] for axis in permutation)
    return replace(view, order=order, shape=tuple(view.shape[axis] for axis in permutation))


def same_place(x: View, x2: View) -> bool:
    """Whether equal elements of both lie at equal places of their sources."""
    return (x.order, x.shape, x.stored) == (x2.order, x2.shape, x2.stored)


def places(view: View) -> NDArray[np.int64]:
    """Where in its source every element of a view lies, counted in the order of storage."""
    count = np.arange(prod(view.stored), dtype=np.int64).reshape(view.stored)
    return count.transpose(view.order).reshape(view.shape)


@dataclass(frozen=True)
class Arrangement:
    """How a source becomes what is wanted: regrouped to `split`, transposed by `permutation`, regrouped to `shape`."""

    split: Shape
    permutation: Order
    shape: Shape

    @property
    def moves(self) -> bool:
        """Whether bytes move."""
        return self.permutation != tuple(sorted(self.permutation))


def arrangement(view: View, order: Order) -> Arrangement | None:
    """How to store a view so that stored axis i is its axis `order[i]`. None where its reshape cuts across axes: then the reshape
    must be done for itself first."""
    found = _atoms(view)
    if found is None:
        return None
    sizes, by_axis, stored = found
    wanted = [atom for axis in order for atom in by_axis[axis]]
    runs = _runs(stored, wanted)
    split = tuple(prod(sizes[atom] for atom in run) for run in runs)
    heads = [run[0] for run in runs]
    permutation = tuple(heads.index(atom) for atom in wanted if atom in heads)
    return Arrangement(split, permutation, tuple(view.shape[axis] for axis in order))


def natural_order(view: View) -> Order:
    """The order in which a view is stored, or can be without moving a byte; its own where there is none."""
    own = tuple(range(len(view.shape)))
    tried = [own] if len(own) < 3 else [own, (0, *own[2:], 1)]
    found = _atoms(view)
    if found is not None:
        _, by_axis, stored = found
        ones = [axis for axis in own if not by_axis[axis]]
        others = sorted((axis for axis in own if by_axis[axis]), key=lambda axis: stored.index(by_axis[axis][0]))
        tried += [(*ones, *others)]
    return next((order for order in tried if is_free(view, order)), own)


def is_free(view: View, order: Order) -> bool:
    """Whether storing the view in that order moves nothing."""
    how = arrangement(view, order)
    return how is not None and not how.moves


def _atoms(view: View) -> tuple[list[int], list[list[int]], list[int]] | None:
    """The finest extents that both the axes of the source and those of the view are made of: their sizes in ONNX's order, the
    atoms of each axis of the view, and all atoms as they are stored."""
    permuted = [view.stored[axis] for axis in view.order]
    bounds = sorted({*_ends(permuted), *_ends(view.shape), 1})
    if any(big % small for small, big in pairwise(bounds)):
        return None
    sizes = [big // small for small, big in pairwise(bounds)]
    by_source = _grouped(permuted, bounds)
    stored = [atom for axis in range(len(permuted)) for atom in by_source[view.order.index(axis)]]
    return sizes, _grouped(view.shape, bounds), stored


def _ends(shape: list[int] | Shape) -> list[int]:
    return [prod(shape[: axis + 1]) for axis in range(len(shape))]


def _grouped(shape: list[int] | Shape, bounds: list[int]) -> list[list[int]]:
    """For every axis its atoms."""
    groups, before = [], 1
    for end in _ends(shape):
        groups.append([i for i in range(len(bounds) - 1) if before <= bounds[i] and bounds[i + 1] <= end])
        before = end
    return groups


def _runs(stored: list[int], wanted: list[int]) -> list[list[int]]:
    """The atoms in the order of storage, those together that stay together."""
    after = dict(pairwise(wanted))
    runs: list[list[int]] = []
    for atom in stored:
        if runs and after.get(runs[-1][-1]) == atom:
            runs[-1].append(atom)
        else:
            runs.append([atom])
    return runs


def permuted_constant(data: Array, order: Order) -> Array:
    """A constant stored in an order of its axes, which it may lack in front."""
    full = data.reshape((1,) * (len(order) - data.ndim) + data.shape)
    return np.ascontiguousarray(full.transpose(order))
