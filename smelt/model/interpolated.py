"""Functions of int16 by a table of 513 numbers, between which a line is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smelt.model.arithmetic import Integers
from smelt.model.graph import Quantization

Table16 = NDArray[np.int16]
_SINGLE = np.float32


def interpolated_table(real: Callable[[float], float], x: Quantization, y: Quantization) -> Table16:
    """The 513 results of a real function for x = -32768, -32640, ..., all in single precision; each is moved by half of what
    the line to the next one is off in its middle."""
    low, high = (_SINGLE(x.scale) * _SINGLE(end - x.zero_point) for end in (-32768, 32767))
    step = _SINGLE((high - low) / _SINGLE(512))
    half = _SINGLE(step / _SINGLE(2))
    steps = _SINGLE(
        _SINGLE(65536) / _SINGLE(_SINGLE(y.scale) * _SINGLE(65535))
    )  # as TFLite has it: 1 / y.scale, but for 2**-16

    def at(point: np.float32) -> np.float32:
        return _SINGLE(_SINGLE(real(float(point))) * steps)

    entries = np.empty(513, np.float32)
    for i in range(512):
        start = _SINGLE(low + _SINGLE(_SINGLE(i) * step))
        value = _rounded(at(start))
        next_value = at(_SINGLE(low + _SINGLE(_SINGLE(i + 1) * step)))
        middle = _rounded(at(_SINGLE(start + half)))
        off = _SINGLE(_rounded(_SINGLE(_SINGLE(next_value + value) / _SINGLE(2))) - middle)
        entries[i] = _SINGLE(value - _rounded(_SINGLE(off / _SINGLE(2))))
    entries[512] = _rounded(at(high))
    return np.clip(entries, -32768, 32767).astype(np.int16)


def _rounded(x: np.float32) -> np.float32:
    """Halves go away from zero."""
    wide = float(x)
    return _SINGLE(np.trunc(wide + np.copysign(0.5, wide)))


def look_up_interpolated(table: Table16, x: Integers) -> Integers:
    """The results for stored int16 numbers."""
    index, rest = 256 + (x >> 7), x & 127
    wide = table.astype(np.int64)
    return np.asarray(wide[index] + (((wide[index + 1] - wide[index]) * rest + 64) >> 7))
