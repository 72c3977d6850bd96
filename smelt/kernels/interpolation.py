"""logistic and tanh of int16 numbers as expressions: positions in a table of 256 numbers, between which a line is drawn.

The same as `model/arithmetic16.py`, without a branch: where the table ends, positions stop, and what comes of the last one
is clamped.
"""

from __future__ import annotations

import numpy as np

from smelt.kernels.calls import CallBuilder
from smelt.loops.ir import AnyBuffer, Buffer, Expr, cast, maximum, minimum
from smelt.model.arithmetic16 import LOGISTIC_TABLE, TableInput

LAST = 255
LEAST, MOST = 1, 2**15 - 1
"""What a logistic becomes where the table ends, with 15 fraction bits."""


def logistic_table(k: CallBuilder) -> Buffer:
    """The table that both functions read."""
    return k.table("logistic_table", LOGISTIC_TABLE.astype(np.uint16))


def logistic16(k: CallBuilder, table: AnyBuffer, x: Expr, by: TableInput) -> Expr:
    """`arithmetic16.logistic16` of an int16 x."""
    sign, line = _line(k, table, x, by, 9)
    value = ((line ^ sign) - sign + 512 + (sign & ((1 << 25) - 1))) >> 10
    return minimum(maximum(value, LEAST), MOST)


def tanh16(k: CallBuilder, table: AnyBuffer, x: Expr, by: TableInput) -> Expr:
    """`arithmetic16.tanh16` of an int16 x."""
    sign, line = _line(k, table, x, by, 8)
    return (((line - (1 << 23)) ^ sign) + 128) >> 8


def _line(k: CallBuilder, table: AnyBuffer, x: Expr, by: TableInput, bits: int) -> tuple[Expr, Expr]:
    """The sign of x (0 or -1), and the table's value at its magnitude, times 2**bits."""
    position = k.let("position", _position(x, by, LAST << bits))
    sign = k.let("sign", position >> 31)
    magnitude = k.let("magnitude", minimum(maximum(maximum(position, 0 - position), 0), LAST << bits))
    index = k.let("index", minimum(magnitude >> bits, LAST - 1))
    low = k.let("low", table[index])
    rest = magnitude - (index << bits)
    return sign, k.let("line", (low << bits) + rest * (table[index + 1] - low))


def _position(x: Expr, by: TableInput, end: int) -> Expr:
    """Where in the table an int16 x lies; at most a little beyond `end` where it could be so far that its magnitude overflows."""
    half = (1 << by.shift) >> 1
    if (by.multiplier << 15) + half < 2**31:
        return (x * by.multiplier + half) >> by.shift
    product = cast("int32_t", cast("uint32_t", x) * by.multiplier)
    position = cast("int32_t", (cast("int64_t", product) + half) >> by.shift)
    return minimum(maximum(position, -2 * end), 2 * end)
