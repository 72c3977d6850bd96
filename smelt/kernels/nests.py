"""Loop nests over strided data: adjacent axes merged at build time, runs of contiguous elements moved as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import copysign, prod

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import SIZES, AnyBuffer, Expr, Value, expression, real

Strides = tuple[int, ...]

AT_ONCE = 4  # words that are in registers
SHORTEST_COPY = 4  # elements; below, single loads and stores are as good as a memcpy


def row_major(shape: tuple[int, ...]) -> Strides:
    """The strides, in elements, of a dense array."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def broadcast(shape: tuple[int, ...], target: tuple[int, ...]) -> Strides:
    """The strides with which a dense array of `shape` is read as one of shape `target`: 0 where it repeats."""
    padded = (1,) * (len(target) - len(shape)) + shape
    return tuple(0 if n == 1 else s for n, s in zip(padded, row_major(padded), strict=True))


@dataclass(frozen=True)
class Nest:
    """Loops of these extents; `strides` holds, per operand, how far its index moves along each."""

    extents: tuple[int, ...]
    strides: tuple[Strides, ...]

    @property
    def outer(self) -> Nest:
        return Nest(self.extents[:-1], tuple(s[:-1] for s in self.strides))

    @property
    def innermost(self) -> tuple[int, ...]:
        """The operands' strides along the last axis."""
        return tuple(s[-1] for s in self.strides)


def merged(extents: tuple[int, ...], *strides: Strides) -> Nest:
    """The nest with the fewest axes (at least one) that visits the same indices in the same order."""
    axes: list[list[int]] = []  # each: extent, then the operands' strides
    for axis in zip(extents, *strides, strict=True):
        n, *steps = axis
        if n == 1:
            continue
        if axes and all(before == n * step for before, step in zip(axes[-1][1:], steps, strict=True)):
            axes[-1] = [axes[-1][0] * n, *steps]
        else:
            axes.append([n, *steps])
    columns = list(zip(*(axes or [[1] + [0] * len(strides)]), strict=True))
    return Nest(columns[0], tuple(columns[1:]))


@contextmanager
def loops(k: KernelBuilder, name: str, nest: Nest, starts: tuple[Value, ...]) -> Iterator[tuple[Expr, ...]]:
    """C loops over the whole nest; yields the operands' indices, which begin at `starts`."""
    indices = tuple(expression(start) for start in starts)
    with ExitStack() as stack:
        for axis, extent in enumerate(nest.extents):
            i = stack.enter_context(k.loop(name, 0, extent))
            indices = tuple(index + i * s[axis] for index, s in zip(indices, nest.strides, strict=True))
        yield indices


def blocks(
    k: KernelBuilder, name: str, nest: Nest, starts: tuple[Value, ...], unroll: int
) -> Iterator[tuple[tuple[Expr, ...], ...]]:
    """C loops whose innermost body handles `unroll` elements (a last one the rest): ``for block in blocks(...)``.

    Each block is a tuple of elements, each element a tuple of the operands' indices. The Python loop runs its body
    once for every body that the C has.
    """
    extent, steps = nest.extents[-1], nest.innermost
    with loops(k, name, nest.outer, starts) as indices:
        for start, stop, step in _parts(extent, unroll):
            with k.loop(name, start, stop, step) as i:
                yield tuple(
                    tuple(index + (i + j) * s for index, s in zip(indices, steps, strict=True)) for j in range(step)
                )


def _parts(extent: int, unroll: int) -> Iterator[tuple[int, int, int]]:
    whole = extent - extent % unroll
    if whole:
        yield 0, whole, unroll
    if extent > whole:
        yield whole, extent, extent - whole


def move(
    k: KernelBuilder, y: AnyBuffer, x: AnyBuffer, nest: Nest, starts: tuple[Value, Value], by_words: int = 0
) -> None:
    """y[...] = x[...] over a nest of the operands (y, x); runs of at most `by_words` bytes word by word, at any address."""
    if set(nest.innermost) == {1} and SHORTEST_COPY <= nest.extents[-1] <= by_words:
        with loops(k, "i", nest.outer, starts) as (to, source):
            _move_words(k, y, x, (to, source), nest.extents[-1])
        return
    if nest.innermost == (1, 1) and nest.extents[-1] >= SHORTEST_COPY:
        with loops(k, "i", nest.outer, starts) as (to, source):
            k.copy(y, to, x, source, nest.extents[-1])
        return
    for block in blocks(k, "i", nest, starts, 4):
        for to, source in block:
            k.store(y, to, x[source])


def _move_words(k: KernelBuilder, y: AnyBuffer, x: AnyBuffer, starts: tuple[Expr, Expr], count: int) -> None:
    """A few bytes, some words before any is written."""
    (to, source), whole = starts, count - count % 4
    for first in range(0, whole, 4 * AT_ONCE):
        places = range(first, min(first + 4 * AT_ONCE, whole), 4)
        loaded = [k.let("word", x.load("int32_t", source + n)) for n in places]
        for n, word in zip(places, loaded, strict=True):
            k.store(y, to + n, word, "int32_t")
    for n in range(whole, count):
        k.store(y, to + n, x[source + n])


def fill(k: KernelBuilder, y: AnyBuffer, start: Value, value: int | float, count: int) -> None:
    """`count` elements of y set to `value`."""
    number = real(value) if y.type == "float" else expression(int(value))
    by_bytes = SIZES[y.type] == 1 or (value == 0 and copysign(1, value) > 0)
    if count >= SHORTEST_COPY and by_bytes:
        k.fill(y, start, int(value), count)
    elif count >= SHORTEST_COPY:
        with k.loop("i", 0, count) as i:
            k.store(y, expression(start) + i, number)
    else:
        for n in range(count):
            k.store(y, expression(start) + n, number)
