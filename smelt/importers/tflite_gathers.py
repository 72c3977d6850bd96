"""The operators that move values to computed places, and blocks of images: most of them become reshapes, slices, transpositions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import numpy as np

from smelt.importers.tflite_moves import ANY, source, target
from smelt.importers.tflite_site import Arm, Site
from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops import Concat, Dequantize, Pad, Reshape, Slice, Transpose
from smelt.model.ops_moves import Broadcast, Gather, UpdateSlice

Shape = tuple[int, ...]
INDICES = ("int32", "int64")
REFLECT = 0  # the first of MIRROR_PAD's modes; the other repeats the edge


class Chain:
    """Ops that follow one another, from `x`; `end` lets the last one write the result."""

    def __init__(self, at: Site, x: Tensor) -> None:
        self.at, self.x, self.ops = at, x, list[Op]()

    def _made(self, op: Op) -> None:
        self.ops.append(op)
        self.x = op.y

    def _new(self, shape: Shape) -> Tensor:
        return self.at.like(self.x, shape, "part")

    def reshape(self, shape: Iterable[int]) -> None:
        shape = tuple(shape)
        if shape != self.x.shape:
            self._made(Reshape(y=self._new(shape), x=self.x))

    def transpose(self, *permutation: int) -> None:
        shape = tuple(self.x.shape[axis] for axis in permutation)
        self._made(Transpose(y=self._new(shape), x=self.x, permutation=permutation))

    def slice(self, begin: Shape, shape: Shape, stride: Shape | None = None) -> None:
        self._made(Slice(y=self._new(shape), x=self.x, begin=begin, stride=stride or (1,) * len(shape)))

    def pad(self, before: Shape, after: Shape, value: int) -> None:
        if any(before) or any(after):
            shape = tuple(b + n + a for b, n, a in zip(before, self.x.shape, after, strict=True))
            self._made(Pad(y=self._new(shape), x=self.x, before=before, after=after, value=value))

    def broadcast(self, shape: Shape) -> None:
        self._made(Broadcast(y=self._new(shape), x=self.x))

    def gather(self, indices: Tensor, shape: Shape, axis: int = 0, batch: int = 0, coordinates: int = 0) -> None:
        y = self._new(shape)
        self._made(Gather(y=y, x=self.x, indices=indices, axis=axis, batch=batch, coordinates=coordinates))

    def join(self, xs: tuple[Tensor, ...], axis: int) -> None:
        shape = tuple(sum(x.shape[a] for x in xs) if a == axis else n for a, n in enumerate(xs[0].shape))
        self._made(Concat(y=self._new(shape), xs=xs, axis=axis))

    def end(self, y: Tensor) -> tuple[Op, ...]:
        """All ops; the last one writes `y`, whose shape it must have."""
        y = self.at.agree(y, self.x.shape)
        if not self.ops:
            return (Reshape(y=y, x=self.x),)
        return (*self.ops[:-1], replace(self.ops[-1], y=y))


def indices_of(at: Site, position: int, sizes: Shape = ()) -> Tensor:
    """An operand of int32 or int64. Constants must lie inside `sizes`: one for each entry of the last axis, or one for all."""
    tensor = at.operand(position)
    if tensor.dtype not in INDICES:
        at.refuse(f"input {position} '{tensor.name}' is {tensor.dtype}; int32 and int64 are supported")
    if tensor.data is not None and sizes:
        limits = np.array(sizes)
        if np.any(tensor.data < 0) or np.any(tensor.data >= limits):
            at.broken(f"input {position} '{tensor.name}' has places outside {list(sizes)}")
    return tensor


def gather(at: Site) -> tuple[Op, ...]:
    x, y, indices = source(at), target(at), indices_of(at, 1)
    batch = at.integer(1)
    axis = at.axis(at.integer(0), len(x.shape))
    batch += len(indices.shape) if batch < 0 else 0
    if not 0 <= batch <= min(axis, len(indices.shape)) or x.shape[:batch] != indices.shape[:batch]:
        at.broken(
            f"indices of shape {list(indices.shape)} do not share {batch} axes with {list(x.shape)} before axis {axis}"
        )
    return _gathered(at, x, indices_of(at, 1, (x.shape[axis],)), axis, batch).end(y)


def _gathered(at: Site, x: Tensor, indices: Tensor, axis: int, batch: int = 0) -> Chain:
    """Along one axis; by a slice where the indices are constant and at equal distances."""
    chain = Chain(at, x)
    shape = (*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
    step = None if indices.data is None or batch else _step(indices.data.reshape(-1))
    if step is None or indices.data is None:
        chain.gather(indices, shape, axis, batch)
        return chain
    begin, stride = (
        tuple(v if a == axis else rest for a in range(len(x.shape))) for v, rest in ((_first(indices), 0), (step, 1))
    )
    chain.slice(begin, (*x.shape[:axis], indices.elements, *x.shape[axis + 1 :]), stride)
    chain.reshape(shape)
    return chain


def _first(indices: Tensor) -> int:
    return int(indices.constant.flat[0])


def _step(indices: Array) -> int | None:
    """The distance from each index to the next; None where they differ, or where one index repeats."""
    if indices.size == 1:
        return 1
    steps = np.unique(np.diff(indices))
    return int(steps[0]) if steps.size == 1 and steps[0] else None


def gather_nd(at: Site) -> tuple[Op, ...]:
    x, y, indices = source(at), target(at), indices_of(at, 1)
    if not indices.shape or not 0 < indices.shape[-1] <= len(x.shape):
        at.broken(f"indices of shape {list(indices.shape)} do not address an input of shape {list(x.shape)}")
    depth = indices.shape[-1]
    chain = Chain(at, x)
    shape = (*indices.shape[:-1], *x.shape[depth:])
    chain.gather(indices_of(at, 1, x.shape[:depth]), shape, coordinates=depth)
    return chain.end(y)


def embedding_lookup(at: Site) -> tuple[Op, ...]:
    table, y = at.operand(1), at.y(raw=True)
    if not table.shape or len(at.operand(0).shape) != 1:
        at.broken(
            f"indices of shape {list(at.operand(0).shape)} do not choose rows of a table of shape {list(table.shape)}"
        )
    chain = _gathered(at, table, indices_of(at, 0, table.shape[:1]), 0)
    if table.dtype == y.dtype:
        return chain.end(y)
    if (table.dtype, y.dtype) != ("int8", "float32") or len(table.q.scales) != 1:
        at.refuse(
            f"the table '{table.name}' is {table.dtype}, the output {y.dtype}; one type, or int8 to float32 is supported"
        )
    return (*chain.ops, Dequantize(y=at.agree(y, chain.x.shape), x=chain.x))


def broadcast_to(at: Site) -> tuple[Op, ...]:
    x, y, shape = source(at), target(at), at.integers(1)
    return _repeated(at, x, shape).end(y)


def fill(at: Site) -> tuple[Op, ...]:
    x, y = source(at, 1), target(at)
    if x.elements != 1:
        at.broken(f"its value has shape {list(x.shape)}, not one element")
    chain = Chain(at, x)
    chain.reshape(())
    chain.broadcast(at.integers(0))
    return chain.end(y)


def _repeated(at: Site, x: Tensor, shape: Shape) -> Chain:
    padded = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(padded) != len(shape) or any(n not in (1, whole) for n, whole in zip(padded, shape, strict=True)):
        at.broken(f"an input of shape {list(x.shape)} cannot be repeated to {list(shape)}")
    chain = Chain(at, x)
    chain.broadcast(shape)
    return chain


def tile(at: Site) -> tuple[Op, ...]:
    """Each axis that is repeated gets one of size 1 in front, along which it is."""
    x, y, times = source(at), target(at), at.integers(1)
    if len(times) != len(x.shape) or min(times, default=0) < 0:
        at.broken(f"the multiples {list(times)} do not fit an input of shape {list(x.shape)}")
    chain = Chain(at, x)
    pairs = tuple(zip(x.shape, times, strict=True))
    chain.reshape(m for n, t in pairs for m in ((n,) if t == 1 else (1, n)))
    chain.broadcast(tuple(m for n, t in pairs for m in ((n,) if t == 1 else (t, n))))
    chain.reshape(n * t for n, t in zip(x.shape, times, strict=True))
    return chain.end(y)


def mirror_pad(at: Site) -> tuple[Op, ...]:
    """Along one axis after the other: what lies at the ends, backwards, is joined to them."""
    x, y, amounts = source(at), target(at), at.integers(1)
    edge = 1 if at.code(0) == REFLECT else 0
    if at.operand(1).shape != (len(x.shape), 2):
        at.broken(f"paddings of shape {list(at.operand(1).shape)} do not fit an input of shape {list(x.shape)}")
    chain = Chain(at, x)
    for axis, (before, after) in enumerate(zip(amounts[0::2], amounts[1::2], strict=True)):
        size = x.shape[axis]
        if not 0 <= min(before, after) <= max(before, after) <= size - edge:
            at.broken(f"axis {axis} of size {size} cannot be mirrored by {before} and {after}")
        whole = chain.x
        parts = [part for part in (_mirrored(chain, whole, axis, before - 1 + edge, before), whole,
                                   _mirrored(chain, whole, axis, size - 1 - edge, after)) if part is not None]  # fmt: skip
        if len(parts) > 1:
            chain.join(tuple(parts), axis)
    return chain.end(y)


def _mirrored(chain: Chain, x: Tensor, axis: int, first: int, count: int) -> Tensor | None:
    """`count` layers of x from `first` backwards."""
    if not count:
        return None
    chain.x = x
    begin, stride = (tuple(v if a == axis else rest for a in range(len(x.shape))) for v, rest in ((first, 0), (-1, 1)))
    chain.slice(begin, tuple(count if a == axis else n for a, n in enumerate(x.shape)), stride)
    return chain.x


def reverse(at: Site) -> tuple[Op, ...]:
    x, y = source(at), target(at)
    axes = {at.axis(axis, len(x.shape)) for axis in at.integers(1)}
    chain = Chain(at, x)
    begin = tuple(n - 1 if a in axes else 0 for a, n in enumerate(x.shape))
    chain.slice(begin, x.shape, tuple(-1 if a in axes else 1 for a in range(len(x.shape))))
    return chain.end(y)


def reverse_sequence(at: Site) -> tuple[Op, ...]:
    """Of constant lengths: places along the axis of time, for each batch."""
    x, y, lengths = source(at), target(at), at.integers(1)
    time, batch = at.axis(at.integer(0), len(x.shape)), at.axis(at.integer(1), len(x.shape))
    if time == batch or len(lengths) != x.shape[batch] or any(not 0 <= n <= x.shape[time] for n in lengths):
        at.broken(f"lengths {list(lengths)} do not fit axes {batch} and {time} of an input of shape {list(x.shape)}")
    steps = np.arange(x.shape[time], dtype=np.int32)
    places = np.array([np.where(steps < n, n - 1 - steps, steps) for n in lengths], np.int32)
    order = (batch, time, *(a for a in range(len(x.shape)) if a not in (batch, time)))
    chain = Chain(at, x)
    chain.transpose(*order)
    chain.gather(_constant(at, "places", places), chain.x.shape, 1, 1)
    chain.transpose(*(order.index(a) for a in range(len(x.shape))))
    return chain.end(y)


def _constant(at: Site, name: str, data: Array) -> Tensor:
    result = at.result()
    return Tensor(at.fresh(f"{result.name}_{name}"), data.shape, "int32", data=data)


def scatter_nd(at: Site) -> tuple[Op, ...]:
    """Of constant indices, all different: every place of the result is one of the updates, or a row of zeros behind them."""
    x, y, shape = source(at, 1), target(at), at.integers(2)
    depth = at.operand(0).shape[-1] if at.operand(0).shape else 0
    if not 0 < depth <= len(shape):
        at.broken(f"indices of shape {list(at.operand(0).shape)} do not address a result of shape {list(shape)}")
    indices = indices_of(at, 0, shape[:depth])
    if indices.data is None:
        at.refuse(f"its indices '{indices.name}' are computed while the model runs; constants are supported")
    places = np.ravel_multi_index(tuple(np.moveaxis(indices.data, -1, 0)), shape[:depth]).reshape(-1)
    run = prod(shape[depth:])
    if x.elements != places.size * run:
        at.broken(f"updates of shape {list(x.shape)} do not fit indices of shape {list(indices.shape)}")
    if np.unique(places).size != places.size:
        at.refuse("an index repeats, whose updates would be added; write each place once")
    wanted = np.full(prod(shape[:depth]), places.size, np.int32)
    wanted[places] = np.arange(places.size)
    chain = Chain(at, x)
    chain.reshape((places.size, run))
    zeros = replace(at.like(x, (1, run), "zeros"), data=np.zeros((1, run), x.element.numpy))
    chain.join((chain.x, zeros), 0)
    chain.gather(_constant(at, "places", wanted), (wanted.size, run))
    chain.reshape(shape)
    return chain.end(y)


def dynamic_update_slice(at: Site) -> tuple[Op, ...]:
    x, update, y, start = source(at), source(at, 1), target(at), indices_of(at, 2)
    if start.shape != (len(x.shape),):
        at.broken(f"a start of shape {list(start.shape)} does not fit an input of shape {list(x.shape)}")
    if len(update.shape) != len(x.shape) or any(n > whole for n, whole in zip(update.shape, x.shape, strict=True)):
        at.broken(f"an update of shape {list(update.shape)} does not fit in {list(x.shape)}")
    return (UpdateSlice(y=at.agree(y, x.shape), x=x, update=update, start=start),)


# Blocks of images


def depth_to_space(at: Site) -> tuple[Op, ...]:
    x, y, block = at.four_axes(source(at)), at.four_axes(target(at)), at.positive(0, "block")
    batch, rows, columns, channels = x.shape
    if channels % block**2:
        at.broken(f"{channels} channels are no blocks of {block}x{block}")
    chain = Chain(at, x)
    chain.reshape((batch, rows, columns, block, block, channels // block**2))
    chain.transpose(0, 1, 3, 2, 4, 5)
    chain.reshape((batch, rows * block, columns * block, channels // block**2))
    return chain.end(y)


def space_to_depth(at: Site) -> tuple[Op, ...]:
    x, y, block = at.four_axes(source(at)), at.four_axes(target(at)), at.positive(0, "block")
    batch, rows, columns, channels = x.shape
    if rows % block or columns % block:
        at.broken(f"an image of {rows}x{columns} has no whole blocks of {block}x{block}")
    chain = Chain(at, x)
    chain.reshape((batch, rows // block, block, columns // block, block, channels))
    chain.transpose(0, 1, 3, 2, 4, 5)
    chain.reshape((batch, rows // block, columns // block, channels * block**2))
    return chain.end(y)


def _blocks(at: Site, x: Tensor) -> tuple[Shape, Shape, Shape]:
    """Block sizes of the axes behind the batch, and what is added or cut off before and behind them."""
    sizes, amounts = at.integers(1), at.integers(2)
    fits = 0 < len(sizes) < len(x.shape) and at.operand(2).shape == (len(sizes), 2)
    if not fits or min(sizes) < 1 or min(amounts) < 0:
        at.broken(f"blocks {list(sizes)} with {list(amounts)} do not fit an input of shape {list(x.shape)}")
    return sizes, amounts[0::2], amounts[1::2]


def space_to_batch(at: Site) -> tuple[Op, ...]:
    """Paddings have the value that stands for 0; TensorFlow Lite Micro leaves them as they are in memory for int8."""
    x, y = source(at), target(at)
    sizes, before, after = _blocks(at, x)
    rest = (0,) * (len(x.shape) - len(sizes) - 1)
    chain = Chain(at, x)
    chain.pad((0, *before, *rest), (0, *after, *rest), x.q.zero_point if x.dtype in ("int8", "uint8") else 0)
    spatial = chain.x.shape[1 : len(sizes) + 1]
    if any(n % size for n, size in zip(spatial, sizes, strict=True)):
        at.broken(f"{list(spatial)} with paddings is no multiple of the blocks {list(sizes)}")
    batch, tail, m = x.shape[0], x.shape[len(sizes) + 1 :], len(sizes)
    chain.reshape((batch, *(v for n, size in zip(spatial, sizes, strict=True) for v in (n // size, size)), *tail))
    chain.transpose(*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m, 2), *range(2 * m + 1, len(chain.x.shape)))
    chain.reshape((batch * prod(sizes), *(n // size for n, size in zip(spatial, sizes, strict=True)), *tail))
    return chain.end(y)


def batch_to_space(at: Site) -> tuple[Op, ...]:
    x, y = source(at), target(at)
    sizes, before, after = _blocks(at, x)
    batch, m, tail = x.shape[0] // prod(sizes), len(sizes), x.shape[len(sizes) + 1 :]
    spatial = tuple(n * size for n, size in zip(x.shape[1 : m + 1], sizes, strict=True))
    cut = tuple(n - b - a for n, b, a in zip(spatial, before, after, strict=True))
    if x.shape[0] % prod(sizes) or min(cut) < 1:
        at.broken(f"blocks {list(sizes)} and crops {[*before, *after]} do not fit an input of shape {list(x.shape)}")
    chain = Chain(at, x)
    chain.reshape((*sizes, batch, *x.shape[1:]))
    chain.transpose(m, *(axis for i in range(m) for axis in (m + 1 + i, i)), *range(2 * m + 1, len(chain.x.shape)))
    chain.reshape((batch, *spatial, *tail))
    if cut != spatial:
        chain.slice((0, *before, *(0 for _ in tail)), (batch, *cut, *tail))
    return chain.end(y)


GATHERING: tuple[Arm, ...] = (
    Arm(
        "GATHER",
        "any axis, batch_dims; a running index outside is taken to be the nearest inside",
        (2, 2),
        gather,
        23,
        types=ANY,
    ),
    Arm("GATHER_ND", "a running index outside is taken to be the nearest inside", (2, 2), gather_nd, 83, types=ANY),
    Arm("EMBEDDING_LOOKUP", "also of an int8 table to float32", (2, 2), embedding_lookup, types=ANY),
    Arm("BROADCAST_TO", "constant shape", (2, 2), broadcast_to, 104, types=ANY),
    Arm("FILL", "constant shape", (2, 2), fill, 68, types=ANY),
    Arm("TILE", "constant multiples", (2, 2), tile, 51, types=ANY, oracle="LiteRT"),
    Arm("MIRROR_PAD", "constant paddings", (2, 2), mirror_pad, 77, types=ANY),
    Arm("REVERSE_V2", "constant axes", (2, 2), reverse, 81, types=ANY),
    Arm("REVERSE_SEQUENCE", "constant lengths", (2, 2), reverse_sequence, 87, types=ANY, oracle="LiteRT"),
    Arm("SCATTER_ND", "constant indices that do not repeat", (3, 3), scatter_nd, 97, types=ANY, oracle="LiteRT"),
    Arm(
        "DYNAMIC_UPDATE_SLICE",
        "the start is moved so that the update fits",
        (3, 3),
        dynamic_update_slice,
        117,
        types=ANY,
    ),
    Arm("DEPTH_TO_SPACE", "", (1, 1), depth_to_space, 94, types=ANY),
    Arm("SPACE_TO_DEPTH", "", (1, 1), space_to_depth, 19, types=ANY),
    Arm(
        "SPACE_TO_BATCH_ND", "constant blocks; int8 paddings have the zero point", (3, 3), space_to_batch, 25, types=ANY
    ),
    Arm("BATCH_TO_SPACE_ND", "constant blocks and crops", (3, 3), batch_to_space, 24, types=ANY),
)
