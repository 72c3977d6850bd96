"""Add (and subtract), Mul, Minimum, Maximum of int8, four elements at a time, on cores that handle the bytes of a word.

A sum is one of both operands with factors, products without their lowest bits, whose upper half is the result: that this equals the
definition is proved by trying every pair of operands (`exact.find_halves`). A product is rescaled as the definition says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from smelt.kernels.binary import add_compute, add_problem, mul_compute, sum_form
from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import broadcastable, nest_of, possible_values
from smelt.kernels.exact import Halves, find_halves
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.nests import loops
from smelt.kernels.routines import PRODUCT_WORDS, SUM_WORDS
from smelt.kernels.words import ROUND, SIGN, UP, WORD, Words, has_bytes, int8_tensors, rows_of_words, words, wordwise
from smelt.loops.ir import Call, Expr, Intrinsic
from smelt.loops.routine import At, Routine
from smelt.model.ops import FULL, Add, Binary, Maximum, Minimum, Mul
from smelt.model.parameters import mul_parameters
from smelt.targets.intrinsics import MAX_BYTES, MIN_BYTES, SSAT8
from smelt.targets.types import Core

ACCEPTS = (has_bytes, int8_tensors, broadcastable, rows_of_words)
MUL_SHIFTS = range(-15, -2)  # products, which are below 2^16 when they are shifted, stay below 2^31 by `scale`
SUM_WORK, PRODUCT_WORK = 22, 28  # instructions for a word
KEPT = 64  # forms that are remembered


def all_of_int8(op: Add | Mul, core: Core) -> bool:
    """results that use all of int8"""
    return op.clamp == FULL


def _by_routine(
    k: CallBuilder, op: Binary, routine: Routine, numbers: tuple[int, ...], work: int, rest: Any
) -> KernelCall:
    """`routine` for rounds of sixteen elements, `rest` for those that are left of a row."""
    x, x2 = (k.operand(name, tensor) for name, tensor in zip(("x", "x2"), op.inputs, strict=True))
    y, nest = k.result("y", op.y), nest_of(op)
    rounds, left = divmod(nest.extents[-1], ROUND)
    with loops(k, "row", nest.outer, (0, 0, 0)) as (to, a, b):
        others = ROUND // WORD * rounds * work + 30
        k.routine(routine, (At(y, to), At(x, a), At(x2, b), rounds, *numbers), ((SSAT8, ROUND * rounds),), others)
        for n in range(ROUND * rounds, ROUND * rounds + left):
            k.store(y, to + n, rest(x[a + n], x2[b + n]))
    return k.finish_call()


# Add and subtract


@dataclass(frozen=True)
class _Asked:
    """A sum for which a form is looked for; two are the same where all of their numbers are."""

    numbers: tuple[Any, ...]
    op: Add = field(compare=False, repr=False)

    @staticmethod
    def of(op: Add) -> _Asked:
        tensors = (*op.inputs, op.y)
        values = (possible_values(t).tobytes() for t in op.inputs if t.data is not None)
        scales = ((t.dtype, t.quantization) for t in tensors)
        return _Asked((op.subtract, op.clamp, op.terms, *scales, *values), op)


def _sum(op: Add) -> Halves | None:
    return _found(_Asked.of(op))


@lru_cache(KEPT)
def _found(asked: _Asked) -> Halves | None:
    """Looking for a form in vain may take seconds, and several ask for it."""
    op = asked.op
    problem = add_problem(op)
    # Where ties become even there is none, which is seen sooner in whole products.
    if problem is None or (op.terms is not None and sum_form(op) is None):
        return None
    xs, wanted, ratios = problem
    return find_halves((xs[0] * UP, xs[1] * UP), wanted + SIGN, (0, 255), (ratios[0] / UP, ratios[1] / UP))


def one_sum(op: Add, core: Core) -> bool:
    """scales for which one sum of 32 bits gives every result"""
    return _sum(op) is not None


def build_add(op: Add, schedule: Plain) -> KernelCall:
    form = _sum(op)
    assert form is not None
    k = CallBuilder("subtract_words" if op.subtract else "add_words", in_place=True)
    numbers = (*form.factors, form.offset)
    return _by_routine(k, op, SUM_WORDS, numbers, SUM_WORK, add_compute(k, op, affine=True))


ADD_WORDS = Implementation("add_words", Add, plain, build_add, (*ACCEPTS, all_of_int8, one_sum))


# Mul


def shifts_right(op: Mul, core: Core) -> bool:
    """a product that is scaled down, by 2^3 to 2^15"""
    return op.rescale is None and mul_parameters(op).output.shift in MUL_SHIFTS


def build_mul(op: Mul, schedule: Plain) -> KernelCall:
    k, p = CallBuilder("mul_words", in_place=True), mul_parameters(op)
    offset = (1 << 15) + ((p.y_zero + SIGN) << 16)
    numbers = (2 * p.output.multiplier - 2**32, 1 << (16 + p.output.shift), offset)
    zeros = (_in_halves(-p.x_zero), _in_halves(-p.x2_zero))
    return _by_routine(k, op, PRODUCT_WORDS, (*numbers, *zeros), PRODUCT_WORK, mul_compute(k, op, affine=False))


def _in_halves(value: int) -> int:
    """An int16 in both halves of a word."""
    return (value << 16) + (value & 0xFFFF)


MUL_WORDS = Implementation("mul_words", Mul, plain, build_mul, (*ACCEPTS, all_of_int8, shifts_right))


# Minimum and maximum


def _order(name: str, kind: type[Any], choose: Intrinsic) -> Implementation:
    def compute(a: Expr, b: Expr) -> Expr:
        return Call(choose, (a, b))

    def build(op: Minimum | Maximum, schedule: Words) -> KernelCall:
        return wordwise(CallBuilder(name, in_place=True), op, schedule, compute)

    return Implementation(name, kind, words, build, ACCEPTS)


MINIMUM_WORDS = _order("minimum_words", Minimum, MIN_BYTES)
MAXIMUM_WORDS = _order("maximum_words", Maximum, MAX_BYTES)
