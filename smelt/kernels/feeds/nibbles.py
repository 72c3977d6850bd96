"""Weights of int4: eight to a word in flash, unpacked into RAM where kernels want them.

What a kernel reads are bytes, four weights to a word, or halfwords of a pair of weights (see `inner.pairs`). Two such words are one
in flash: the first has the low nibbles of its bytes, the second the high ones. Nibbles are weights plus 8, which is taken off all
parts of a word at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from smelt.kernels.calls import CallBuilder
from smelt.kernels.feeds.blocks import in_blocks
from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import SIZES, AnyBuffer, Buffer, Call, Const, Expr, Table, Type, Value, cast
from smelt.model.graph import Tensor
from smelt.targets.intrinsics import SSUB16

BIAS = 8  # nibbles are weights plus this
LOW_NIBBLES = 0x0F0F0F0F
EIGHTS = 0x08080808
LIFT, SIGNS = 0x78787878, 0x80808080  # 0x80 - 8 in each byte, and 0x80
UNROLL = 4  # words of flash for each round of the loop


Lanes = Literal["bytes", "halves"]
"""What a word is: four weights, or two halfwords, each 256 * (weight of one channel) + (weight of the other)."""


def packed(table: Table, lanes: Lanes) -> Table:
    """`table`, whose words are such `lanes`, as uint32 of half the size: a last word alone is zeros beside itself."""
    flat = table.reshape(-1)
    parts = flat.view(np.int8).astype(np.int16)
    if lanes == "halves":
        halves = flat.view("<i2").astype(np.int32)
        low = ((halves + BIAS) & 15) - BIAS
        parts = np.stack((low, (halves - low) >> 8), axis=-1).reshape(-1)
    padded = np.zeros(-(-parts.size // 8) * 8, np.int16)
    padded[: parts.size] = parts
    nibbles = (padded + BIAS).astype(np.uint8).reshape(-1, 2, 4)
    return (nibbles[:, 0] | nibbles[:, 1] << 4).reshape(-1).view("<u4").astype(np.uint32)


def even(words: int) -> int:
    """Words of RAM that are needed for so many."""
    return words + words % 2


def in_words(table: Table) -> int:
    """Whole words that a table takes."""
    return -(-table.nbytes // 4)


def bind_weights(k: CallBuilder, weights: Tensor, table: Table, lanes: Lanes = "bytes") -> Buffer:
    """The buffer that has `table`, which is made of `weights`: flash, or for weights of int4 RAM into which all are unpacked."""
    if not weights.element.is_packed:
        return k.table("weights", table)
    words = even(in_words(table))
    source = k.table("packed", packed(table, lanes))
    whole = k.scratch("weights", _type(table), words * 4 // table.itemsize)
    unpack(k, whole, source, 0, words, lanes)
    return whole


def _type(table: Table) -> Type:
    return typed(Type, f"{table.dtype.name}_t")


def unpack(k: KernelBuilder, target: AnyBuffer, source: AnyBuffer, first: Value, words: int, lanes: Lanes) -> None:
    """`words` words (an even number) at the beginning of `target`, from word `first` of the packed table on."""
    nibbles, element = k.window("nibbles", source, first), 4 // SIZES[target.type]
    for start, size in in_blocks(k, "eight", words // 2, UNROLL):
        for number in range(size):
            place = start + number
            word = k.let("word", nibbles[place])
            for half, part in enumerate((word, word >> 4)):
                value = k.let("lanes", _signed(part & Const(LOW_NIBBLES, "uint32_t"), lanes))
                k.store(target, (place * 2 + half) * element, value, "int32_t")


def _signed(nibbles: Expr, lanes: Lanes) -> Expr:
    """Halfwords by the instruction for them; bytes by a sum without carries, and their signs turned."""
    if lanes == "halves":
        return Call(SSUB16, (cast("int32_t", nibbles), Const(EIGHTS)))
    return (nibbles + Const(LIFT, "uint32_t")) ^ Const(SIGNS, "uint32_t")


@dataclass(frozen=True, eq=False)
class Slices:
    """A table whose slices of `words` words come into RAM one by one: copied, or unpacked where it is of int4."""

    table: Buffer
    words: int
    lanes: Lanes | None

    def fetch(self, k: KernelBuilder, target: Buffer, number: Expr, more: int = 0) -> None:
        """Slice `number`, and for routines that read them `more` words behind it."""
        if self.lanes is None:
            k.copy(target, 0, self.table, number * self.words, self.words + more)
            return
        unpack(k, target, self.table, number * (even(self.words) // 2), even(self.words), self.lanes)


def bind_slices(k: CallBuilder, weights: Tensor, table: NDArray[np.int32], words: int, lanes: Lanes) -> Slices:
    """`table` in slices of `words` words; what is behind the last is not among them."""
    if not weights.element.is_packed:
        return Slices(k.table("weights", table), words, None)
    rows = table[: table.size // words * words].reshape(-1, words)
    whole = np.pad(rows, ((0, 0), (0, words % 2)))
    return Slices(k.table("packed", packed(np.ascontiguousarray(whole), lanes)), words, lanes)
