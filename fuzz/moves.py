"""Recipes of the operators that only move values, of any type."""

from __future__ import annotations

from math import prod

import numpy as np

from fuzz.growth import Continuation, Growth, Recipe, Shape, Value, fits, out_of
from smelt.model.dtypes import element_type


def moved(g: Growth, code: str, x: Value, shape: Shape, *operands: int | Value, **options) -> bool:
    g.op(code, [x, *operands], [g.same(x, shape)], **options)
    return True


def pad(g: Growth, x: Value) -> bool:
    amounts = [(g.integer(0, 2), g.integer(0, 2)) if a else (0, 0) for a in range(len(x.shape))]
    shape = tuple(b + n + a for (b, a), n in zip(amounts, x.shape, strict=True))
    return len(shape) <= 4 and fits(shape) and moved(g, "PAD", x, shape, g.integers(amounts))


def pad_v2(g: Growth, x: Value) -> bool:
    amounts = [(g.integer(0, 2), g.integer(0, 2)) if a else (0, 0) for a in range(len(x.shape))]
    shape = tuple(b + n + a for (b, a), n in zip(amounts, x.shape, strict=True))
    if len(shape) > 4 or not fits(shape):
        return False
    return moved(g, "PADV2", x, shape, g.integers(amounts), g.like(x, ()))


def reshape(g: Growth, x: Value) -> bool:
    elements = prod(x.shape)
    factor = g.pick([n for n in range(1, 17) if elements % n == 0])
    shapes = [(1, elements), (elements,), (factor, elements // factor)]
    shapes += [(1, 1, *x.shape)] if len(x.shape) == 2 else []
    shapes += [(1, factor, elements // factor, 1)]
    shape = g.pick(shapes)
    return moved(g, "RESHAPE", x, shape, g.integers(shape), NewShape=shape)


def squeeze(g: Growth, x: Value) -> bool:
    ones = [a for a, n in enumerate(x.shape) if n == 1]
    if not ones or len(x.shape) < 2:
        return False
    axis = g.pick(ones)
    return moved(g, "SQUEEZE", x, (*x.shape[:axis], *x.shape[axis + 1 :]), SqueezeDims=[axis])


def expand_dims(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape))
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return len(shape) <= 4 and moved(g, "EXPAND_DIMS", x, shape, g.integers(axis))


def concatenation(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape) - 1)
    xs = [x, *(g.pick(g.alike(x)) for _ in range(g.integer(0, 2)))]
    shape = tuple(n * (len(xs) if a == axis else 1) for a, n in enumerate(x.shape))
    if not fits(shape):
        return False
    g.op("CONCATENATION", xs, [g.same(x, shape)], Axis=axis - (len(shape) if g.chance(0.2) else 0))
    return True


def pack(g: Growth, x: Value) -> bool:
    if len(x.shape) > 3:
        return False
    xs, axis = [x] * g.integer(1, 3), g.integer(0, len(x.shape))
    shape = (*x.shape[:axis], len(xs), *x.shape[axis:])
    count = len(xs) + (g.chance(g.wild / 20))
    g.op("PACK", xs, [g.same(x, shape)], Axis=axis, ValuesCount=count)
    return True


def unpack(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape) - 1)
    if len(x.shape) < 2 or x.shape[axis] > 8:
        return False
    results = [g.same(x, (*x.shape[:axis], *x.shape[axis + 1 :])) for _ in range(x.shape[axis])]
    g.op("UNPACK", [x], results, Axis=axis, Num=len(results) + g.chance(g.wild / 20))
    return True


def split(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape) - 1)
    counts = [n for n in (1, 2, 3, 4) if x.shape[axis] % n == 0]
    count = g.pick(counts)
    shape = tuple(n // count if a == axis else n for a, n in enumerate(x.shape))
    results = [g.same(x, shape) for _ in range(count)]
    g.op("SPLIT", [g.integers(axis), x], results, NumSplits=count)
    return True


def split_v(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape) - 1)
    if x.shape[axis] < 2:
        return False
    first = g.integer(1, x.shape[axis] - 1)
    sizes = (first, x.shape[axis] - first)
    shapes = [tuple(size if a == axis else n for a, n in enumerate(x.shape)) for size in sizes]
    operands = [x, g.integers(sizes), g.integers(axis)]
    g.op("SPLIT_V", operands, [g.same(x, shape) for shape in shapes], NumSplits=2)
    return True


def slice_(g: Growth, x: Value) -> bool:
    begin = [g.integer(0, n - 1) for n in x.shape]
    size = [g.integer(1, n - b) for b, n in zip(begin, x.shape, strict=True)]
    return moved(g, "SLICE", x, tuple(size), g.integers(begin), g.integers(size))


def strided_slice(g: Growth, x: Value) -> bool:
    begin, end, stride, shape, masks = [], [], [], [], {"BeginMask": 0, "EndMask": 0, "ShrinkAxisMask": 0}
    for axis, size in enumerate(x.shape):
        step, first = g.pick((1, 1, 2, 3, -1, -2)), g.integer(0, size - 1)
        last = g.integer(first + 1, size) if step > 0 else g.integer(-1, first - 1)
        free_end = g.chance(0.3) or last < 0
        free_begin = g.chance(0.3)
        shrunk = g.chance(0.15)
        masks["BeginMask"] |= free_begin << axis
        masks["EndMask"] |= free_end << axis
        masks["ShrinkAxisMask"] |= shrunk << axis
        begin.append(first - (size if g.chance(0.3) else 0))
        end.append(last)
        stride.append(step)
        taken = range(size)[slice(None if free_begin else first, None if free_end else last, step)]
        if not shrunk:
            shape.append(len(taken))
    if not shape or 0 in shape or len(x.shape) > 4:
        return False
    return moved(g, "STRIDED_SLICE", x, tuple(shape), *(g.integers(v) for v in (begin, end, stride)), **masks)


def transpose(g: Growth, x: Value) -> bool:
    permutation = g.rng.permutation(len(x.shape)).tolist()
    shape = tuple(x.shape[a] for a in permutation)
    return len(shape) <= 4 and moved(g, "TRANSPOSE", x, shape, g.integers(permutation))


def gather(g: Growth, x: Value) -> bool:
    axis = g.integer(0, len(x.shape) - 1)
    batch = g.integer(0, axis) if g.chance(0.3) else 0
    chosen = (*x.shape[:batch], *(g.integer(1, 4) for _ in range(g.integer(0 if batch else 1, 2))))
    shape = (*x.shape[:axis], *chosen[batch:], *x.shape[axis + 1 :])
    if not 0 < len(shape) <= 4 or not fits(shape):
        return False
    places = g.rng.integers(0, x.shape[axis] + g.chance(g.wild / 10), chosen)
    return moved(g, "GATHER", x, shape, g.integers(places), Axis=axis, BatchDims=batch)


def gather_nd(g: Growth, x: Value) -> bool:
    depth, count = g.integer(1, len(x.shape)), g.integer(1, 5)
    places = np.stack([g.rng.integers(0, n, count) for n in x.shape[:depth]], -1)
    shape = (count, *x.shape[depth:])
    return fits(shape) and moved(g, "GATHER_ND", x, shape, g.integers(places))


def embedding_lookup(g: Growth, dtype: str) -> bool:
    """Rows of a table of that type; of int8, which float32 may be looked up in."""
    x = g.some("int8" if dtype == "float32" and g.chance(0.5) else dtype)
    rows = g.rng.integers(0, x.shape[0], g.integer(1, 4))
    shape = (len(rows), *x.shape[1:])
    if len(x.shape) < 2 or not fits(shape):
        return False
    y = g.same(x, shape) if x.dtype == dtype else g.result(shape, dtype)
    g.op("EMBEDDING_LOOKUP", [g.integers(rows), x], [y])
    return True


def broadcast_to(g: Growth, x: Value) -> bool:
    shape = tuple(g.integer(2, 3) if n == 1 else n for n in x.shape)
    return fits(shape) and moved(g, "BROADCAST_TO", x, shape, g.integers(shape))


def fill(g: Growth, x: Value) -> bool:
    """With the first element of x: of a constant it would be one."""
    ones = (1,) * len(x.shape)
    first, alone = g.tensor(ones, x.dtype, *x.numbers), g.tensor((), x.dtype, *x.numbers)
    shape = tuple(g.integer(1, 5) for _ in range(g.integer(1, 4)))
    g.op("SLICE", [x, g.integers([0] * len(ones)), g.integers(ones)], [first])
    g.op("RESHAPE", [first, g.w.constant(g.name(), np.zeros(0, np.int32))], [alone])
    g.op("FILL", [g.integers(shape), alone], [g.same(x, shape)])
    return True


def broadcast_args(g: Growth, dtype: str) -> bool:
    """Any numbers with ones, which go together as shapes do; the oracle keeps 32 bits of them."""
    size = g.integer(1, 6)
    ones = np.ones(g.integer(1, size))
    x = g.tensor((size,), dtype)
    most = g.w.constant(g.name(), np.array(2**31 - 1), dtype)
    g.op("MINIMUM", [g.input((size,), dtype), most], [x])
    g.op("MAXIMUM", [x, g.w.constant(g.name(), np.array(0), dtype)], [x := g.tensor((size,), dtype)])
    xs = [x, g.tensor(ones.shape, dtype, data=ones)]
    g.op("BROADCAST_ARGS", xs if g.chance(0.5) else xs[::-1], [g.result((size,), dtype)])
    return True


def decode(g: Growth, x: Value) -> bool:
    """x, and behind it a constant of its kind that is stored without its zeros."""
    shape = (2 * x.shape[0], *x.shape[1:])
    if not fits(shape):
        return False
    kept, stored = g.rng.random(prod(x.shape)) < g.rng.random(), element_type(x.dtype).pack(g.array(x.shape, x.dtype))
    how = bytes([2, 1, 0, 0, 1, *bytes(11)]) + stored  # pruned, version 1 of both
    code = (np.packbits(kept), np.frombuffer(how, np.uint8))
    z, y = g.tensor(x.shape, x.dtype, *x.numbers), g.same(x, shape)
    g.op("CUSTOM TFLM_DECODE", [g.w.constant(g.name(), data, "uint8") for data in code], [z])
    g.op("CONCATENATION", [x, z], [y], Axis=0)
    return True


def tile(g: Growth, x: Value) -> bool:
    times = [g.pick((1, 1, 2, 3)) for _ in x.shape]
    shape = tuple(n * t for n, t in zip(x.shape, times, strict=True))
    return fits(shape) and moved(g, "TILE", x, shape, g.integers(times))


def reverse_sequence(g: Growth, x: Value) -> bool:
    if len(x.shape) < 2:
        return False
    time, batch = g.rng.permutation(len(x.shape))[:2].tolist()
    lengths = g.rng.integers(0, x.shape[time] + 1, x.shape[batch])
    return len(lengths) <= 64 and moved(
        g, "REVERSE_SEQUENCE", x, x.shape, g.integers(lengths), SeqDim=time, BatchDim=batch
    )


def scatter_nd(g: Growth, x: Value) -> bool:
    rows = x.shape[0] + g.integer(0, 3)
    shape = (rows, *x.shape[1:])
    places = g.integers(g.rng.permutation(rows)[: x.shape[0], np.newaxis])
    if not fits(shape):
        return False
    g.op("SCATTER_ND", [places, x, g.integers(shape)], [g.same(x, shape)])
    return True


def one_hot(g: Growth, dtype: str) -> bool:
    """Of int32 that are mostly outside."""
    x, depth, axis = g.some("int32"), g.integer(1, 5), 0
    axis = g.integer(-1, len(x.shape))
    place = len(x.shape) if axis < 0 else axis
    shape = (*x.shape[:place], depth, *x.shape[place:])
    if len(shape) > 5 or not fits(shape):
        return False
    numbers = g.numbers(dtype)
    on, off = (g.constant((), dtype, *numbers) for _ in range(2))
    g.op("ONE_HOT", [x, g.integers(depth), on, off], [g.result(shape, dtype, *numbers)], Axis=axis)
    return True


def top_k(g: Growth, x: Value) -> bool:
    count = g.integer(1, min(x.shape[-1], 5))
    shape = (*x.shape[:-1], count)
    g.op("TOPK_V2", [x, g.integers(count)], [g.same(x, shape), g.result(shape, "int32")])
    return True


def mirror_pad(g: Growth, x: Value) -> bool:
    mode = g.integer(0, 1)
    amounts = [(g.integer(0, min(2, n - 1 + mode)), g.integer(0, min(2, n - 1 + mode))) for n in x.shape]
    shape = tuple(b + n + a for (b, a), n in zip(amounts, x.shape, strict=True))
    return fits(shape) and moved(g, "MIRROR_PAD", x, shape, g.integers(amounts), Mode=mode)


def reverse(g: Growth, x: Value) -> bool:
    first = g.integer(0, len(x.shape) - 1)
    return moved(g, "REVERSE_V2", x, x.shape, g.integers(range(first, g.integer(first + 1, len(x.shape)))))


def dynamic_update_slice(g: Growth, x: Value) -> bool:
    update = g.like(x, tuple(g.integer(1, n) for n in x.shape))
    start = g.integers([g.integer(-1, n) for n in x.shape])
    return moved(g, "DYNAMIC_UPDATE_SLICE", x, x.shape, update, start)


def depth_to_space(g: Growth, x: Value) -> bool:
    blocks = [b for b in (1, 2, 3) if len(x.shape) == 4 and x.shape[3] % b**2 == 0]
    if not blocks:
        return False
    b = g.pick(blocks)
    return moved(g, "DEPTH_TO_SPACE", x, (x.shape[0], x.shape[1] * b, x.shape[2] * b, x.shape[3] // b**2), BlockSize=b)


def space_to_depth(g: Growth, x: Value) -> bool:
    blocks = [b for b in (1, 2, 3) if len(x.shape) == 4 and x.shape[1] % b == x.shape[2] % b == 0]
    if not blocks:
        return False
    b = g.pick(blocks)
    return moved(g, "SPACE_TO_DEPTH", x, (x.shape[0], x.shape[1] // b, x.shape[2] // b, x.shape[3] * b**2), BlockSize=b)


def space_to_batch(g: Growth, x: Value) -> bool:
    """Without paddings, which the oracle does not write."""
    if len(x.shape) != 4:
        return False
    sizes = [g.pick([b for b in (1, 2, 3) if n % b == 0]) for n in x.shape[1:3]]
    shape = (x.shape[0] * prod(sizes), x.shape[1] // sizes[0], x.shape[2] // sizes[1], x.shape[3])
    return moved(g, "SPACE_TO_BATCH_ND", x, shape, g.integers(sizes), g.integers([[0, 0], [0, 0]]))


def batch_to_space(g: Growth, x: Value) -> bool:
    sizes = (
        [g.pick([b for b in (1, 2, 3) if len(x.shape) == 4 and x.shape[0] % b == 0]), 1] if len(x.shape) == 4 else []
    )
    if not sizes:
        return False
    cut = g.integer(0, x.shape[1] * sizes[0] - 1)
    shape = (x.shape[0] // sizes[0], x.shape[1] * sizes[0] - cut, x.shape[2], x.shape[3])
    return moved(g, "BATCH_TO_SPACE_ND", x, shape, g.integers(sizes), g.integers([[0, cut], [0, 0]]))


CONTINUATIONS: dict[str, Continuation] = {
    "PAD": pad,
    "PADV2": pad_v2,
    "RESHAPE": reshape,
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": expand_dims,
    "CONCATENATION": concatenation,
    "PACK": pack,
    "UNPACK": unpack,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "TRANSPOSE": transpose,
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "BROADCAST_TO": broadcast_to,
    "FILL": fill,
    "TILE": tile,
    "CUSTOM TFLM_DECODE": decode,
    "MIRROR_PAD": mirror_pad,
    "REVERSE_V2": reverse,
    "REVERSE_SEQUENCE": reverse_sequence,
    "SCATTER_ND": scatter_nd,
    "TOPK_V2": top_k,
    "DYNAMIC_UPDATE_SLICE": dynamic_update_slice,
    "DEPTH_TO_SPACE": depth_to_space,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
}

MOVES: dict[str, Recipe] = {
    "EMBEDDING_LOOKUP": embedding_lookup,
    "BROADCAST_ARGS": broadcast_args,
    "ONE_HOT": one_hot,
    **{code: out_of(grow) for code, grow in CONTINUATIONS.items()},
}
