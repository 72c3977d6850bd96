"""Between int8 and uint8 whose zero points lie 128 apart: the top bit of every byte flips, four bytes at a time."""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.lookup import Unrolled, from_byte, to_byte, unrolled
from smelt.kernels.nests import blocks, merged
from smelt.model.ops import Lookup
from smelt.targets.types import Core

TOP_BITS = 0x80808080 - (1 << 32)  # as int32


def only_flips(op: Lookup, core: Core) -> bool:
    """y is x with the top bit flipped, as between int8 and uint8 of one scale and zero points 128 apart"""
    x = np.arange(op.x.element.low, op.x.element.high + 1).astype(op.x.dtype)
    return op.y.element.bits == 8 and bool(np.array_equal(x.view(np.uint8) ^ 0x80, op.table.constant.view(np.uint8)))


def build_flip(op: Lookup, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("flip", in_place=True)
    x, y = k.operand("x", op.x), k.result("y", op.y)
    words, rest = divmod(op.y.elements, 4)
    if words:
        for block in blocks(k, "i", merged((words,), (4,)), (0,), schedule.unroll):
            values = [k.let("value", x.load("int32_t", i) ^ TOP_BITS) for (i,) in block]
            for (i,), value in zip(block, values, strict=True):
                k.store(y, i, value, "int32_t")
    for last in range(op.y.elements - rest, op.y.elements):
        k.store(y, last, x[last] + (op.y.element.low - op.x.element.low))
    return k.finish_call()


FLIP = Implementation("flip", Lookup, unrolled, build_flip, (from_byte, to_byte, only_flips))
