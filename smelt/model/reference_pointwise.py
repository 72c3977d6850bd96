"""What the operators that are functions of one value compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops import Dequantize, Lookup, Quantize, Unary
from smelt.model.ops_pointwise import Cast, ChannelLookup
from smelt.model.tables import dequantized, quantized
from smelt.model.unary import unary_integers


def unary(op: Unary, x: Array) -> Array:
    return unary_integers(op, x.astype(np.int64)).astype(op.y.dtype)


def look_up(op: Lookup, x: Array, table: Array) -> Array:
    """``table[x - least x]``."""
    return np.asarray(table.reshape(-1)[x.astype(np.int64) - op.x.element.low])


def look_up_by_channel(op: ChannelLookup, x: Array, table: Array) -> Array:
    """``table[channel, x - least x]``."""
    return np.asarray(table[np.arange(x.shape[-1]), x.astype(np.int64) - op.x.element.low])


def quantize(op: Quantize, x: Array) -> Array:
    return quantized(op, x)


def dequantize(op: Dequantize, x: Array) -> Array:
    return dequantized(op, x.astype(np.int64))


def cast(op: Cast, x: Array) -> Array:
    """Floats towards zero, saturated, NaN to 0; integers wrap; bool from any number is whether it is not 0."""
    if op.y.dtype == "bool":
        return np.asarray(x != 0)
    if x.dtype.kind != "f" or op.y.dtype == "float32":
        return x.astype(op.y.dtype)
    low, high = op.y.element.range
    whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0)
    inside = (whole >= low) & (whole < high + 1.0)
    exact = np.where(inside, whole, 0).astype(np.int64)
    return np.where(inside, exact, np.where(whole < 0, low, high)).astype(op.y.dtype)


POINTWISE: dict[type[Op], Callable[..., Array]] = {
    Unary: unary,
    Lookup: look_up,
    ChannelLookup: look_up_by_channel,
    Quantize: quantize,
    Dequantize: dequantize,
    Cast: cast,
}
