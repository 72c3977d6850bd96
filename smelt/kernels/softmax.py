"""Softmax over the last axis: a table of exponentials, and one reciprocal per row in fixed point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.requantizer import SHIFT_LEFT
from smelt.kernels.rescale import INT32_MAX, wide_high_product
from smelt.kernels.routines import SOFTMAX_RESULTS, SOFTMAX_TOTAL
from smelt.kernels.words import EACH_BYTE, WORD, has_bytes
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Var, cast, expression, maximum, minimum
from smelt.loops.routine import At
from smelt.model.ops import Softmax
from smelt.model.parameters import SoftmaxParameters, softmax_parameters
from smelt.targets.intrinsics import MAX_BYTES, SMMLAR, SMMULR
from smelt.targets.types import Core

LONGEST = 4095  # elements of a row, so that the sum, of at most 2**19 each, stays below 2**31
# 48/17 and -32/17 with two integer bits: the straight line that Newton's iteration for 1/x starts from.
START, SLOPE = 1515870810, -1010580540
ONE = 1 << 29  # with two integer bits


def from_int8(op: Softmax, core: Core) -> bool:
    """x is int8, y is int8 or int16"""
    return op.x.dtype == "int8" and op.y.dtype in ("int8", "int16")


def short_rows(op: Softmax, core: Core) -> bool:
    """the last axis has at most 4095 elements"""
    return len(op.x.shape) > 0 and op.x.shape[-1] <= LONGEST


def build_softmax(op: Softmax, schedule: Plain) -> KernelCall:
    k = CallBuilder("softmax", in_place=op.y.dtype == "int8")
    x = k.operand("x", op.x)
    p = softmax_parameters(op)
    entries = _entries(op, p)
    table = k.table("exponentials", entries)
    results = _results(k, p, entries, table)
    y = k.result("y", op.y)
    columns = op.x.shape[-1]
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        largest = _largest(k, source, columns)

        def exponential(i: Expr, table: Buffer = table) -> Expr:
            return table[_difference(largest, source[i], entries.size)]

        total = k.var("total", 0)
        with k.loop("i", 0, columns) as i:
            k.assign(total, total + (((exponential(i) >> 11) + 1) >> 1))
        shift, scale = _reciprocal(k, total, columns, 41 - p.fraction_bits)
        with k.loop("i", 0, columns) as i:
            product = wide_high_product(scale, exponential(i, results))
            k.store(target, i, minimum((((product >> shift) + 1) >> 1) + p.y_zero, op.y.element.high))
    return k.finish_call()


def _results(k: CallBuilder, p: SoftmaxParameters, entries: NDArray[np.int32], table: Buffer) -> Buffer:
    """The table of what becomes results: that of exponentials, where they are the same."""
    if np.array_equal(p.results, p.exponentials):
        return table
    return k.table("results", np.where(entries != 0, p.results[: entries.size], 0).astype(np.int32))


def _entries(op: Softmax, p: SoftmaxParameters) -> NDArray[np.int32]:
    """The table; as long as that of any training where another may come."""
    return p.exponentials if op.exchanged else _trimmed(p.exponentials)


def _trimmed(exponentials: NDArray[np.int32]) -> NDArray[np.int32]:
    """Without the end, which has no effect, but for one zero that stands for it.

    What is below 2**11 adds nothing to the sum; and it gives the result 0, as results are e / 2**23 at most (int16 ones e / 2**15).
    """
    used = int(np.flatnonzero(exponentials >= 2**11)[-1]) + 1
    return np.append(exponentials[:used], np.zeros(int(used < len(exponentials)), np.int32))


def _difference(largest: Expr, value: Expr, entries: int) -> Expr:
    """``largest - value``, at most the last entry; the mask changes nothing, but shows that the index is a byte."""
    difference = (largest - value) & 255
    return difference if entries == 256 else minimum(difference, entries - 1)


def _largest(k: CallBuilder, x: AnyBuffer, columns: int) -> Expr:
    largest = k.var("largest", x[0])
    with k.loop("i", 1, columns) as i:
        k.assign(largest, maximum(largest, x[i]))
    return largest


def _reciprocal(k: CallBuilder, total: Var, columns: int, most: int) -> tuple[Expr, Expr]:
    """(shift, scale): an exponential e of this row becomes e * scale / 2**31, rounded, / 2**(shift + 1), rounded.

    The total, which is at least 2**19, is brought to 2**30 or more. Read with 30 fraction bits it is 1 + f then, and
    with 31 it is half of that, what Newton's iteration divides by; scale is 1 / (1 + f).
    """
    shift = k.var("shift", most)
    for bits in (8, 4, 2, 1):
        with k.when(total < (1 << (31 - bits))):
            k.assign(total, total * (1 << bits))
            k.assign(shift, shift - bits)
    if most > 31 and columns * 2**19 >= 2**29:
        k.assign(shift, minimum(shift, 31))  # all bits are gone by then
    return shift, newton_reciprocal(k, total)


def newton_reciprocal(k: CallBuilder, total: Expr) -> Expr:
    """1 / (1 + f) of a total of 2**30 * (1 + f), with 31 fraction bits."""
    guess = k.var("guess", wide_high_product(total, expression(SLOPE)) + START)
    with k.loop("step", 0, 3):
        error = k.let("error", ONE - wide_high_product(total, guess))
        k.assign(guess, guess + wide_high_product(guess, error) * 4)
    doubled = minimum(cast("int64_t", guess) * 2, Const(INT32_MAX, "int64_t"))
    return k.let("scale", cast("int32_t", doubled))


# A word at a time


def to_int8(op: Softmax, core: Core) -> bool:
    """x and y are int8, a row has at least eight elements, and y at most 256 steps, the first one -128"""
    p = softmax_parameters(op) if op.x.dtype == op.y.dtype == "int8" else None
    return p is not None and (p.fraction_bits, p.y_zero) == (8, -128) and _is_long(op)


def _is_long(op: Softmax) -> bool:
    return op.x.dtype == op.y.dtype == "int8" and len(op.x.shape) > 0 and op.x.shape[-1] >= 2 * WORD


def build_words(op: Softmax, schedule: Plain) -> KernelCall:
    """The same with the bytes of a word at once: their distances from the largest, limited to the table, in two instructions. What
    is added to a total is e / 2^12, and a result is the product with `factor`, both rounded by multiplications."""
    k = CallBuilder("softmax_words", in_place=True)
    x, p = k.operand("x", op.x), softmax_parameters(op)
    entries = _entries(op, p)
    table = k.table("exponentials", entries)
    results, sums, y = _results(k, p, entries, table), k.scratch("sums", "int32_t", 1), k.result("y", op.y)
    columns, left_out = op.x.shape[-1], (256 - entries.size) * EACH_BYTE
    rounds = columns // WORD
    rest = range(WORD * rounds, columns)
    with k.loop("row", 0, op.x.elements // columns) as row:
        source, target = k.window("from", x, row * columns), k.window("to", y, row * columns)
        largest = k.let("largest", _largest_of_words(k, source, columns))
        everywhere = k.let("everywhere", cast("int32_t", cast("uint32_t", largest & 255) * EACH_BYTE))
        numbers = (rounds, everywhere, _signed(left_out))
        work = (SMMLAR, WORD * rounds)
        k.routine(SOFTMAX_TOTAL, (At(sums), At(source), At(table), *numbers, entries.size), (work,), 20 * rounds + 30)
        total = k.var("total", sums[0])
        of_rest = [_difference(largest, source[i], entries.size) for i in rest]
        singles = [k.let("exponential", table[place]) for place in of_rest]
        for e in singles:
            k.assign(total, total + (((e >> 11) + 1) >> 1))
        shift, scale = _reciprocal(k, total, columns, 33)
        multiplier = k.let("multiplier", cast("int32_t", cast("uint32_t", scale) * 2))
        factor = k.let("factor", Call(SHIFT_LEFT, (Const(1), 31 - shift)))
        if results is not table:
            singles = [k.let("share", results[place]) for place in of_rest]
        places = (At(target), At(source), At(results))
        k.routine(
            SOFTMAX_RESULTS, (*places, *numbers, multiplier, factor, entries.size), (work, work), 22 * rounds + 30
        )
        for i, e in zip(rest, singles, strict=True):
            result = Call(SMMULR, (Call(SMMLAR, (e, multiplier, e)), factor))
            k.store(target, i, minimum(result - 128, 127))
    return k.finish_call()


def _largest_of_words(k: CallBuilder, x: AnyBuffer, columns: int) -> Expr:
    whole = columns - columns % WORD
    most = k.var("most", x.load("int32_t", 0))
    with k.loop("i", WORD, whole, WORD) as i:
        k.assign(most, Call(MAX_BYTES, (most, x.load("int32_t", i))))
    found = [cast("int32_t", cast("int8_t", most >> (8 * n))) for n in range(WORD)]
    largest = maximum(maximum(found[0], found[1]), maximum(found[2], found[3]))
    for place in range(whole, columns):
        largest = maximum(largest, cast("int32_t", x[place]))
    return largest


def _signed(word: int) -> int:
    """A word's value as int32."""
    return word - ((word & 0x80000000) << 1)


SOFTMAX_WORDS = Implementation("softmax_words", Softmax, plain, build_words, (has_bytes, to_int8, short_rows))
SOFTMAX = Implementation("softmax", Softmax, plain, build_softmax, (from_int8, short_rows))
