"""Operands of bytes that lie side by side, so that kernels may go through them word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.elementwise import nest_of
from smelt.kernels.implementation import KernelCall
from smelt.kernels.nests import loops
from smelt.loops.ir import Expr, cast
from smelt.model.graph import Op
from smelt.targets.types import Core

WORD = 4
ROUND = 4 * WORD  # elements of a turn of the routines in `thumb.words`
UP = 256  # by which they multiply bytes
EACH_BYTE = 0x01010101
SIGN = 128  # what is added to int8 to make it uint8


@dataclass(frozen=True)
class Words:
    """`words` of four bytes per round."""

    words: int

    def __str__(self) -> str:
        return f"words={self.words}"


def words(op: Op, core: Core) -> Iterable[Words]:
    return (Words(2), Words(1))


def has_bytes(op: Op, core: Core) -> bool:
    """a core that handles the bytes of a word at once"""
    return core.has("max_bytes")


def int8_tensors(op: Op, core: Core) -> bool:
    """all tensors are int8"""
    return all(t.dtype == "int8" for t in (*op.inputs, op.y))


def rows_of_words(op: Op, core: Core) -> bool:
    """operands that lie side by side for at least sixteen elements, and begin at words where words elsewhere are slow"""
    nest = nest_of(op)
    steps = [step for strides in nest.strides for step in strides[:-1]]
    side_by_side = nest.extents[-1] >= ROUND and set(nest.innermost) == {1}
    return side_by_side and (core.style.cheap_unaligned or all(step % WORD == 0 for step in steps))


def wordwise(k: CallBuilder, op: Op, schedule: Words, compute: Callable[[Expr, Expr], Expr]) -> KernelCall:
    """`elementwise` for two operands, where `compute` makes words of words. Each is read before it is written, so that an operand
    of y's size may be y."""
    x, x2 = (k.operand(name, tensor) for name, tensor in zip(("x", "x2"), op.inputs, strict=True))
    y, nest = k.result("y", op.y), nest_of(op)
    count, step = nest.extents[-1], WORD * schedule.words
    with loops(k, "i", nest.outer, (0, 0, 0)) as (to, a, b):
        whole = count - count % step
        with k.loop("i", 0, whole, step) as i:
            places = [i + n for n in range(0, step, WORD)]
            loaded = [(x.load("int32_t", a + n), x2.load("int32_t", b + n)) for n in places]
            loads = [(k.let("a", first), k.let("b", second)) for first, second in loaded]
            values = [k.let("value", compute(*pair)) for pair in loads]
            for n, value in zip(places, values, strict=True):
                k.store(y, to + n, value, "int32_t")
        for place in range(whole, count):
            single = compute(cast("int32_t", x[a + place]), cast("int32_t", x2[b + place]))
            k.store(y, to + place, cast("int8_t", single))
    return k.finish_call()
