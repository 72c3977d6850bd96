"""Where results differ from an oracle's: in any bit, or, where a network computes in floating point, by more than roundings
explain.

Two kernels that add the same n products in another order, or without rounding each product, differ by at most (n + 2) * 2^-24
times the sum of the products' magnitudes. A network's allowance is what that comes to over the sums that lie one behind the other,
as if every magnitude were that of the largest value of a result; what a classifier says, the place of its largest value, must be
the same.
"""

from __future__ import annotations

import numpy as np

from smelt.model.dtypes import bits_of
from smelt.model.graph import Array, Graph, Op, Tensor
from smelt.model.reference import computes_reals, is_real

UNIT = 2.0**-24  # half a unit in the last place of 1


def allowance(graph: Graph) -> float:
    """By which share of the largest value of a result its values may differ; 0 where nothing is computed in floating point."""
    if not computes_reals(graph):
        return 0.0
    most: dict[Tensor, int] = {}
    for op in graph.ops:
        before = max((most.get(t, 0) for t in op.inputs), default=0)
        most.update(dict.fromkeys(op.ys, before + (_terms(op) + 2 if is_real(op) else 0)))
    return UNIT * max(most.values(), default=0)


def _terms(op: Op) -> int:
    """What one value of y is a sum of."""
    if op.macs:
        return -(-op.macs // max(op.y.elements, 1))
    return max(-(-t.elements // max(op.y.elements, 1)) for t in op.inputs)


def wrong(mine: Array, theirs: Array, allowed: float, winners: bool = True) -> Array:
    """The places (one row each) where `mine` is not what `theirs` says; with `winners` the largest of a row must be the same."""
    if mine.dtype.kind != "f" or not allowed:
        return np.argwhere(bits_of(mine) != bits_of(theirs))
    largest = np.max(np.abs(theirs), where=np.isfinite(theirs), initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(mine.astype(np.float64) - theirs) <= allowed * largest
    off = ~(near | (mine == theirs) | (np.isnan(mine) & np.isnan(theirs)))
    return np.argwhere(off | _other_winners(mine, theirs) if winners else off)


def _other_winners(mine: Array, theirs: Array) -> Array:
    """Where the last axis has its largest value in `mine` and a smaller one in `theirs`."""
    places = np.zeros(mine.shape, bool)
    if mine.ndim and mine.shape[-1] > 1:
        winners = mine.argmax(axis=-1)[..., np.newaxis]
        smaller = np.take_along_axis(theirs, winners, -1) < theirs.max(axis=-1, keepdims=True)
        np.put_along_axis(places, winners, smaller, -1)
    return places


def largest_difference(mine: Array, theirs: Array) -> float:
    """Of two arrays of finite reals; 0 for others."""
    if mine.dtype.kind != "f" or not mine.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = np.abs(mine.astype(np.float64) - theirs)
    return float(np.max(difference, where=np.isfinite(difference), initial=0.0))
