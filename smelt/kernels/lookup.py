"""Lookup: a table of 256 entries, int8 or float32."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall
from smelt.kernels.nests import blocks, merged
from smelt.model.ops import Lookup
from smelt.targets.types import Core


@dataclass(frozen=True)
class Unrolled:
    """`unroll` elements per round."""

    unroll: int

    def __str__(self) -> str:
        return f"unroll={self.unroll}"


def unrolled(op: object, core: Core) -> Iterable[Unrolled]:
    return (Unrolled(4), Unrolled(1))


def int8_to_int8(op: Lookup, core: Core) -> bool:
    """x, y and the 256 entries are int8"""
    return op.x.dtype == op.y.dtype == op.table.dtype == "int8" and op.table.elements == 256


def int8_to_float(op: Lookup, core: Core) -> bool:
    """x is int8, y and the 256 entries are float32"""
    return op.x.dtype == "int8" and op.y.dtype == op.table.dtype == "float32" and op.table.elements == 256


def build_lookup(op: Lookup, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("lookup", in_place=op.y.dtype == "int8")
    x, table, y = k.operand("x", op.x), k.operand("table", op.table), k.result("y", op.y)
    for block in blocks(k, "i", merged((op.y.elements,), (1,)), (0,), schedule.unroll):
        values = [k.let("value", table[x[i] + 128]) for (i,) in block]
        for (i,), value in zip(block, values, strict=True):
            k.store(y, i, value)
    return k.finish_call()


LOOKUP = Implementation("lookup", Lookup, unrolled, build_lookup, (int8_to_int8,), ("x",))
LOOKUP_FLOAT = Implementation("lookup_float", Lookup, unrolled, build_lookup, (int8_to_float,))
