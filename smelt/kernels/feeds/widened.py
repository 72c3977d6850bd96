"""int8 elements of x as int16, so that one instruction multiplies two of them; in one of two orders:

* `mixed`, where every run of x is a multiple of four: SXTB16 gives elements (0, 2) and (1, 3), and so it does for the
weights;
* `natural` otherwise: pairs (0, 1) and (2, 3), for which the bytes of the weights change places instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smelt.kernels.feeds.blocks import in_blocks
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Call, Const, Expr, Value
from smelt.targets.intrinsics import PKHBT, PKHTB, SXTB16, SXTB16_ROR8


@dataclass(frozen=True)
class Order:
    """How int16 elements lie in a buffer. Mixed ones are kept as words, so that compilers know them to be aligned."""

    mixed: bool

    def length(self, elements: int) -> int:
        """Buffer elements that `elements` (even, in mixed order) take."""
        return elements // 2 if self.mixed else elements

    def scratch(self, k: KernelBuilder, elements: int) -> Buffer:
        return k.scratch("wide", "int32_t" if self.mixed else "int16_t", self.length(elements))

    def pair(self, buffer: AnyBuffer, position: Value, number: Value) -> Expr:
        """Two elements: pair `number` after a position of the buffer."""
        if self.mixed:
            return buffer[position + number]
        return buffer.load("int32_t", position + number * 2)

    def zeros(self, value: int) -> int:
        """What a buffer element is filled with to stand for `value`."""
        return int(np.array([value, value], np.int16).view("<i4")[0]) if self.mixed else value


def widen(k: KernelBuilder, order: Order, target: AnyBuffer, at: Expr, x: AnyBuffer, first: Expr, count: int) -> None:
    """`count` elements of x from `first` on, as int16 from position `at` of `target` on. Those that are int16 already are copied,
    in natural order."""
    if x.type == "int16_t":
        k.copy(target, at, x, first, count)
        return
    xs, wide = k.window("from", x, first), k.window("to", target, at)
    for start, size in in_blocks(k, "quad", count // 4, 4):
        for quad in range(size):
            number = start + quad
            word = k.let("word", xs.load("int32_t", number * 4))
            even, odd = k.let("even", Call(SXTB16, (word,))), k.let("odd", Call(SXTB16_ROR8, (word,)))
            if order.mixed:
                k.store(wide, number * 2, even)
                k.store(wide, number * 2 + 1, odd)
            else:
                k.store(wide, number * 4, Call(PKHBT, (even, odd)), "int32_t")
                k.store(wide, number * 4 + 2, Call(PKHTB, (even, odd)), "int32_t")
    for rest in range(count // 4 * 4, count):
        k.store(wide, rest, xs[rest])


def fill(k: KernelBuilder, target: AnyBuffer, at: Expr, value: int, count: int) -> None:
    """`count` elements of `target` set to a value."""
    if count:
        wide = k.window("to", target, at)
        with k.loop("i", 0, count) as i:
            k.store(wide, i, value)


def last_elements(k: KernelBuilder, xs: AnyBuffer, depth: int) -> tuple[Expr, Expr]:
    """The elements after the last full word, as SXTB16 would give them, zeros behind the end."""
    elements: list[Expr] = [xs[i] if i < depth else Const(0) for i in range(depth // 4 * 4, depth // 4 * 4 + 4)]
    return (
        k.let("even", Call(PKHBT, (elements[0], elements[2]))),
        k.let("odd", Call(PKHBT, (elements[1], elements[3]))),
    )
