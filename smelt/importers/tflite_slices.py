"""What STRIDED_SLICE means: Python's slices plus masks for whole ranges, new, shrunk and skipped axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from smelt.importers.tflite_site import Site

Shape = tuple[int, ...]


@dataclass(frozen=True)
class SliceSpec:
    """`begin`, `stride` and `extent` for every axis of x; `shape` after axes have been added and taken away."""

    begin: Shape
    stride: Shape
    extent: Shape
    shape: Shape


@dataclass(frozen=True)
class _Axis:
    """One axis of x (or, with `new`, an axis of y that x does not have)."""

    begin: int = 0
    stride: int = 1
    extent: int = 1
    new: bool = False
    shrunk: bool = False


def strided_slice_spec(at: Site, shape: Shape) -> SliceSpec:
    """Read operands 1 to 3 (begin, end, strides) and the masks of the options. Raises ModelError where they misfit."""
    axes = tuple(_axes(at, shape))
    real = tuple(axis for axis in axes if not axis.new)
    return SliceSpec(
        begin=tuple(axis.begin for axis in real),
        stride=tuple(axis.stride for axis in real),
        extent=tuple(axis.extent for axis in real),
        shape=tuple(axis.extent for axis in axes if not axis.shrunk),
    )


def _axes(at: Site, shape: Shape) -> Iterator[_Axis]:
    begins, ends, strides = at.integers(1), at.integers(2), at.integers(3)
    if not len(begins) == len(ends) == len(strides):
        at.broken("begin, end and strides have different lengths")
    ellipsis, new = at.integer(2), at.integer(3)
    marked = range(len(begins))
    skipping = next((i for i in marked if ellipsis >> i & 1), None)
    consumed = sum(1 for i in marked if i != skipping and not new >> i & 1)
    if consumed > len(shape):
        at.broken(f"it slices {consumed} axes of an input of shape {list(shape)}")
    following = iter(shape)
    for i in marked:
        if i == skipping:
            yield from (_Axis(extent=next(following)) for _ in range(len(shape) - consumed))
        elif new >> i & 1:
            yield _Axis(new=True)
        else:
            yield _axis(at, i, next(following), begins[i], ends[i], strides[i])
    yield from (_Axis(extent=size) for size in following)


def _axis(at: Site, i: int, size: int, begin: int, end: int, stride: int) -> _Axis:
    if stride == 0:
        at.broken("a stride is 0")
    if at.integer(4) >> i & 1:
        masked = (at.integer(0) | at.integer(1)) >> i & 1
        # No converter writes these, and TFLM reads them in ways of its own
        at.demand(not masked, f"axis {i} is shrunk to one index, but has a begin or end mask as well")
        at.demand(stride == 1, f"axis {i} is shrunk to one index, but has stride {stride}")
        return _shrunk(at, size, begin)
    if at.flag(5):
        end += begin
    start = None if at.integer(0) >> i & 1 else begin
    stop = None if at.integer(1) >> i & 1 else end
    indices = range(*slice(start, stop, stride).indices(size))
    return _Axis(indices.start if indices else 0, stride, len(indices))


def _shrunk(at: Site, size: int, begin: int) -> _Axis:
    if not -size <= begin < size:
        at.broken(f"index {begin} lies outside an axis of size {size}")
    return _Axis(begin % size, shrunk=True)
