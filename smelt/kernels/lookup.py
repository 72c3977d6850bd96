"""Lookup: a table of 256 entries, element by element, or sixteen of them a turn on cores that handle the bytes of a word; and
the same with a table for each channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smelt.kernels.calls import CallBuilder
from smelt.kernels.implementation import Implementation, KernelCall, Plain, plain
from smelt.kernels.nests import blocks, merged
from smelt.kernels.routines import LOOKUP_WORDS as LOOKUP_ROUTINE
from smelt.kernels.words import ROUND, has_bytes
from smelt.loops.routine import At
from smelt.model.ops import Lookup
from smelt.model.ops_pointwise import ChannelLookup
from smelt.targets.types import Core


@dataclass(frozen=True)
class Unrolled:
    """`unroll` elements per round."""

    unroll: int

    def __str__(self) -> str:
        return f"unroll={self.unroll}"


def unrolled(op: object, core: Core) -> Iterable[Unrolled]:
    return (Unrolled(4), Unrolled(1))


def from_byte(op: Lookup, core: Core) -> bool:
    """x is int8 or uint8, y and the 256 entries are of one type"""
    return op.x.dtype in ("int8", "uint8") and op.y.dtype == op.table.dtype and op.table.elements == 256


def to_byte(op: Lookup, core: Core) -> bool:
    """y takes no more than x"""
    return op.y.element.bits == 8


def to_more(op: Lookup, core: Core) -> bool:
    """y takes more than x"""
    return op.y.element.bits > 8


def build_lookup(op: Lookup, schedule: Unrolled) -> KernelCall:
    k = CallBuilder("lookup", in_place=op.y.element.bits == 8)
    x, table, y = k.operand("x", op.x), k.operand("table", op.table), k.result("y", op.y)
    for block in blocks(k, "i", merged((op.y.elements,), (1,)), (0,), schedule.unroll):
        values = [k.let("value", table[x[i] - op.x.element.low]) for (i,) in block]
        for (i,), value in zip(block, values, strict=True):
            k.store(y, i, value)
    return k.finish_call()


def two_buses(op: Lookup, core: Core) -> bool:
    """a core that reads its constants beside its instructions"""
    return not core.style.one_code_bus


def enough_elements(op: Lookup, core: Core) -> bool:
    """at least sixteen elements"""
    return op.x.elements >= ROUND


def build_words(op: Lookup, schedule: Plain) -> KernelCall:
    k, low = CallBuilder("lookup_words", in_place=True), op.x.element.low
    x, table, y = k.operand("x", op.x), k.operand("table", op.table), k.result("y", op.y)
    rounds, signs = op.y.elements // ROUND, -0x7F7F7F80 if low else 0
    k.routine(LOOKUP_ROUTINE, (At(y), At(x), At(table), rounds, signs), (), 56 * rounds + 20)
    for i in range(ROUND * rounds, op.y.elements):
        k.store(y, i, table[x[i] - low])
    return k.finish_call()


LOOKUP_WORDS = Implementation(
    "lookup_words", Lookup, plain, build_words, (has_bytes, two_buses, from_byte, to_byte, enough_elements)
)
LOOKUP = Implementation("lookup", Lookup, unrolled, build_lookup, (from_byte, to_byte))
LOOKUP_FLOAT = Implementation("lookup_float", Lookup, unrolled, build_lookup, (from_byte, to_more))


def table_by_channel(op: ChannelLookup, core: Core) -> bool:
    """x is int8 or uint8, y and the 256 entries of each channel are of one type"""
    fits = op.table.elements == 256 * op.x.shape[-1]
    return op.x.dtype in ("int8", "uint8") and op.y.dtype == op.table.dtype and fits


def build_by_channel(op: ChannelLookup, schedule: Plain) -> KernelCall:
    k = CallBuilder("channel_lookup", in_place=op.y.element.bits == 8)
    x, table, y = k.operand("x", op.x), k.operand("table", op.table), k.result("y", op.y)
    channels = op.x.shape[-1]
    with k.loop("i", 0, op.y.elements // channels) as i:
        places = [i * channels + c for c in range(channels)]
        values = [k.let("value", table[x[at] + (256 * c - op.x.element.low)]) for c, at in enumerate(places)]
        for at, value in zip(places, values, strict=True):
            k.store(y, at, value)
    return k.finish_call()


CHANNEL_LOOKUP = Implementation("channel_lookup", ChannelLookup, plain, build_by_channel, (table_by_channel,))
