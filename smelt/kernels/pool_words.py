"""Average and maximum pooling and means of int8, four channels at a time, on cores that handle the bytes of a word.

Sums of up to 256 bytes fit halves of words: SXTAB16 adds two bytes to two halves. Where a factor and an offset, tried for all
sums that there are, give the average (`exact.find_halves`), two of them are limited at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.exact import Halves, find_halves
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.mean import finished_total, initial_total, nests, sum_fits
from smelt.kernels.nests import Nest, blocks, loops, merged
from smelt.kernels.pool import span, window
from smelt.kernels.words import EACH_BYTE, SIGN, WORD, Words, has_bytes, int8_tensors, words
from smelt.loops.ir import AnyBuffer, Call, Const, Expr, Var, cast, expression
from smelt.model.ops import AveragePool2D, Clamp, MaxPool2D, Mean, Pool
from smelt.targets.intrinsics import (
    MAX_BYTES,
    MIN_BYTES,
    PKHTB,
    SIGNED_BYTES,
    SMLAWB,
    SMLAWT,
    SXTAB16,
    SXTAB16_ROR8,
    USAT16,
)
from smelt.targets.types import Core

MOST = 256  # bytes whose sum fits a half
FEWEST = 8  # that are worth a sum of their own

Sums = tuple[Var, ...]
Start = Callable[[CallBuilder], Sums]
Combine = Callable[[CallBuilder, Sums, Expr], None]
Finish = Callable[[CallBuilder, Sums], Expr]


def words_of_channels(op: Pool, core: Core) -> bool:
    """images of four axes whose channels are a multiple of four"""
    return len(op.x.shape) == len(op.y.shape) == WORD and op.x.shape[3] % WORD == 0


def _pooled(k: CallBuilder, op: Pool, schedule: Words, start: Start, combine: Combine, finish: Finish) -> KernelCall:
    """`pool.pooled` for words of channels."""
    x, y = k.operand("x", op.x), k.result("y", op.y)
    batch, rows, columns, channels = op.y.shape
    with k.loop("image", 0, batch) as n, k.loop("y_row", 0, rows) as r, k.loop("y_column", 0, columns) as c:
        row_span, column_span = span(k, op, 0, r), span(k, op, 1, c)
        target = ((n * rows + r) * columns + c) * channels
        for block in blocks(k, "channel", merged((channels // WORD,), (WORD,)), (0,), schedule.words):
            sums = [start(k) for _ in block]
            with window(k, op, row_span, column_span, n * op.x.shape[1]) as pixel:
                loaded = [k.let("word", x.load("int32_t", pixel + channel)) for (channel,) in block]
                for some, word in zip(sums, loaded, strict=True):
                    combine(k, some, word)
            for some, (channel,) in zip(sums, block, strict=True):
                k.store(y, target + channel, finish(k, some), "int32_t")
    return k.finish_call()


# Maximum


def build_max(op: MaxPool2D, schedule: Words) -> KernelCall:
    def start(k: CallBuilder) -> Sums:
        return (k.var("most", _repeated(op.clamp[0])),)

    def combine(k: CallBuilder, most: Sums, word: Expr) -> None:
        k.assign(most[0], Call(MAX_BYTES, (most[0], word)))

    def finish(k: CallBuilder, most: Sums) -> Expr:
        return limited(most[0], (-SIGN, op.clamp[1]))

    return _pooled(CallBuilder("max_pool_words"), op, schedule, start, combine, finish)


def limited(word: Expr, clamp: Clamp) -> Expr:
    """Four bytes within `clamp`."""
    if clamp[0] > -SIGN:
        word = Call(MAX_BYTES, (word, _repeated(clamp[0])))
    return Call(MIN_BYTES, (word, _repeated(clamp[1]))) if clamp[1] < SIGN - 1 else word


def _repeated(value: int) -> Const:
    """A word of four equal bytes."""
    word = (value & 0xFF) * EACH_BYTE
    return Const(word - ((word & 0x80000000) << 1))


# Average


def _average(op: AveragePool2D) -> Halves | None:
    """The average of every sum that a window can have."""
    count = prod(op.size)
    totals = np.arange(-SIGN * count, (SIGN - 1) * count + 1, dtype=np.int64)
    if op.rescale is None:
        made, ratio = np.sign(totals) * ((np.abs(totals) + count // 2) // count), 1 / count
    else:
        made, ratio = op.rescale.apply(totals - count * op.rescale.x_zero), op.rescale.largest
    wanted = np.clip(made, *op.clamp) + SIGN
    clamp = op.clamp[0] + SIGN, op.clamp[1] + SIGN
    return find_halves((totals,), wanted, clamp, (ratio,))


def whole_windows(op: AveragePool2D, core: Core) -> bool:
    """windows of 3 to 256 elements, all of them inside the image, whose average a factor gives"""
    inside = [
        before == 0 and (outputs - 1) * stride + size <= inputs
        for before, outputs, stride, size, inputs in zip(
            (op.pad.top, op.pad.left), op.y.shape[1:3], op.stride, op.size, op.x.shape[1:3], strict=True
        )
    ]
    return all(inside) and 2 < prod(op.size) <= MOST and _average(op) is not None


def build_average(op: AveragePool2D, schedule: Words) -> KernelCall:
    form = _average(op)
    assert form is not None

    def finish(k: CallBuilder, sums: Sums) -> Expr:
        even, odd = (_limited_pair(k, form, both) for both in sums)
        return limited(Call(SIGNED_BYTES, (even, odd)), op.clamp)

    return _pooled(CallBuilder("average_pool_words"), op, schedule, _no_sums, _add, finish)


def _no_sums(k: CallBuilder) -> Sums:
    """Of bytes 0 and 2, and of the odd ones."""
    return k.var("even", 0), k.var("odd", 0)


def _add(k: CallBuilder, sums: Sums, word: Expr) -> None:
    for both, add in zip(sums, (SXTAB16, SXTAB16_ROR8), strict=True):
        k.assign(both, Call(add, (both, word)))


def _limited_pair(k: CallBuilder, form: Halves, both: Expr) -> Expr:
    """Two results as uint8, in the halves of a word."""
    low, high = (Call(m, (Const(form.factors[0]), both, Const(form.offset))) for m in (SMLAWB, SMLAWT))
    return k.let("pair", Call(USAT16, (Call(PKHTB, (low, high)),)))


AVERAGE_POOL_WORDS = Implementation(
    "average_pool_words",
    AveragePool2D,
    words,
    build_average,
    (has_bytes, int8_tensors, words_of_channels, whole_windows),
)
MAX_POOL_WORDS = Implementation(
    "max_pool_words", MaxPool2D, words, build_max, (has_bytes, int8_tensors, words_of_channels)
)


# Mean


def in_halves(op: Mean, core: Core) -> bool:
    """words that lie side by side, of channels that stay or of elements that are added, in runs of 8 to 256"""
    kept, reduced = nests(op)
    whole = reduced if _along(reduced) else kept
    return _words_of(whole) is not None and _parted(_words_of(reduced) or reduced) is not None


def _along(reduced: Nest) -> bool:
    """Whether neighbours are added."""
    return reduced.innermost == (1,)


def _words_of(nest: Nest) -> Nest | None:
    """The nest word by word, where neighbours lie side by side and words are whole."""
    if set(nest.innermost) != {1} or nest.extents[-1] % WORD:
        return None
    strides = tuple((*(s for s in steps[:-1]), WORD) for steps in nest.strides)
    return Nest((*nest.extents[:-1], nest.extents[-1] // WORD), strides)


def _parted(nest: Nest) -> tuple[Nest, Nest] | None:
    """An outer and an inner nest, the inner one as long as sums fit halves; None where that is too short."""
    extents, strides = list(nest.extents), [list(s) for s in nest.strides]
    if extents[-1] > MOST:
        last = max(d for d in range(1, MOST + 1) if extents[-1] % d == 0)
        extents[-1:] = [extents[-1] // last, last]
        for steps in strides:
            steps[-1:] = [steps[-1] * last, steps[-1]]
    cut = len(extents) - 1
    while cut > 0 and prod(extents[cut - 1 :]) <= MOST:
        cut -= 1
    if prod(extents[cut:]) < FEWEST:
        return None
    parts = [Nest(tuple(extents[a]), tuple(tuple(s[a]) for s in strides)) for a in (slice(cut), slice(cut, None))]
    return parts[0], parts[1]


def build_mean(op: Mean, schedule: Words) -> KernelCall:
    k = CallBuilder("mean_words")
    x, y = k.operand("x", op.x), k.result("y", op.y)
    kept, reduced = nests(op)
    if _along(reduced):
        with loops(k, "i", kept, (0, 0)) as (target, start):
            (sums,) = _totals(k, op, x, [start], _words_of(reduced) or reduced)
            k.store(y, target, finished_total(k, op, k.var("total", sum(sums, start=expression(initial_total(op))))))
        return k.finish_call()
    for block in blocks(k, "i", _words_of(kept) or kept, (0, 0), schedule.words):
        every = _totals(k, op, x, [start for _, start in block], reduced)
        for totals, (target, _) in zip(every, block, strict=True):
            for n, total in enumerate(totals):
                k.store(y, target + n, finished_total(k, op, total))
    return k.finish_call()


def _totals(k: CallBuilder, op: Mean, x: AnyBuffer, starts: list[Expr], nest: Nest) -> list[Sums]:
    """The sums of each byte of the words from `starts` on, over a nest of words."""
    parts = _parted(nest)
    assert parts is not None
    outer, inner = parts
    initial = 0 if _along(nests(op)[1]) else initial_total(op)
    totals = [tuple(k.var("total", initial) for _ in range(WORD)) for _ in starts]
    with loops(k, "j", outer, (0,)) as (far,):
        sums = [_no_sums(k) for _ in starts]
        with loops(k, "j", inner, (far,)) as (offset,):
            loaded = [k.let("word", x.load("int32_t", start + offset)) for start in starts]
            for some, word in zip(sums, loaded, strict=True):
                _add(k, some, word)
        for some, four in zip(sums, totals, strict=True):
            for n, total in enumerate(four):
                half = some[n % 2]
                k.assign(total, total + (cast("int32_t", cast("int16_t", half)) if n < 2 else half >> 16))
    return totals


MEAN_WORDS = Implementation("mean_words", Mean, words, build_mean, (has_bytes, int8_tensors, sum_fits, in_halves))
