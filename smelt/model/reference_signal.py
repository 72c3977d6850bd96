"""What the operators of audio front ends compute."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np

from smelt.model.graph import Array, Op
from smelt.model.ops_signal import (
    LOG_SEGMENTS,
    AutoScale,
    Energy,
    FilterBank,
    FilterBankLog,
    FilterBankRoot,
    Integers,
    Pcan,
    SpectralSubtraction,
    Window,
    log_corrections,
)

LN2 = 45426  # with 16 fraction bits
UINT32 = 2**32 - 1


def window(op: Window, x: Array, weights: Array) -> Array:
    """Rounded down."""
    return np.asarray(np.clip((x.astype(np.int64) * weights) >> op.shift, -(2**15), 2**15 - 1), np.int16)


def auto_scale(op: AutoScale, x: Array) -> tuple[Array, Array]:
    """Magnitudes are kept in int16, where 32768 is negative: whatever comes after it is greater, negative or not."""
    greatest = 0
    for value in x.reshape(-1).tolist():
        magnitude = value if value > greatest else -value
        if magnitude > greatest:
            greatest = magnitude if magnitude < 2**15 else -(2**15)
    bits = 15 - greatest.bit_length() if greatest > 0 else 0
    return (x.astype(np.int64) << bits).astype(np.int16), np.array(bits, np.int32).reshape(op.bits.shape)


def energy(op: Energy, x: Array) -> Array:
    """Real parts and imaginary parts squared."""
    squares = (x.astype(np.int64) ** 2).reshape(*op.y.shape, 2).sum(axis=-1)
    squares[..., : op.start] = 0
    squares[..., op.end :] = 0
    return np.asarray(squares, np.uint32)


def filter_bank(
    op: FilterBank, x: Array, weights: Array, unweights: Array, starts: Array, weight_starts: Array, widths: Array
) -> Array:
    """Sums wrap at 64 bits."""
    values, channels = x.astype(object), []
    carried = 0
    for start, weight, width in zip(starts.tolist(), weight_starts.tolist(), widths.tolist(), strict=True):
        seen = values[start : start + width]
        own = int(np.dot(seen, weights[weight : weight + width].astype(object))) if width else 0
        channels.append((carried + own) % 2**64)
        carried = int(np.dot(seen, unweights[weight : weight + width].astype(object))) if width else 0
    return np.array(channels[1:], np.uint64)


def filter_bank_root(op: FilterBankRoot, x: Array, bits: Array) -> Array:
    """Roots to the nearest, which no more than saturate 16 bits for numbers of 32, and 32 for longer ones."""
    return np.array([_root(int(v)) >> int(bits) for v in x.flat], np.uint32).reshape(x.shape)


def _root(value: int) -> int:
    root = isqrt(value)
    root += value - root * root > root
    return min(root, 2**16 - 1 if value < 2**32 else UINT32)


def spectral_subtraction(op: SpectralSubtraction, x: Array, noise: Array) -> tuple[Array, Array]:
    """y and the noise from now on."""
    n, values = op.numbers, x.astype(np.uint64).reshape(-1)
    odd = np.arange(values.size) % 2
    smoothing, rest = (np.array(pair, np.uint64)[odd] for pair in (n.smoothing, n.one_minus_smoothing))
    raised = (values << np.uint64(n.smoothing_bits)) & np.uint64(UINT32)
    following = ((raised * smoothing + noise.astype(np.uint64).reshape(-1) * rest) >> np.uint64(n.bits)) & np.uint64(
        UINT32
    )
    estimate = np.minimum(following, raised)
    least = ((values * np.uint64(n.least_remaining)) >> np.uint64(n.bits)) & np.uint64(UINT32)
    y = np.maximum((raised - estimate) >> np.uint64(n.smoothing_bits), least)
    kept = estimate if n.clamping else following
    return y.astype(np.uint32).reshape(x.shape), kept.astype(np.uint32).reshape(noise.shape)


def pcan(op: Pcan, x: Array, noise: Array, gains: Array) -> Array:
    """Signal-to-noise ratios are squared while they are small, and grow linearly then. Gains count as unsigned (32 bits)."""
    gain = np.array([_gain(v, gains) & UINT32 for v in noise.reshape(-1).tolist()], np.uint64)
    ratio = ((x.reshape(-1).astype(np.uint64) * gain) >> np.uint64(op.shift)).astype(np.uint32).astype(np.int64)
    y = np.where(ratio < 8192, (ratio * ratio) >> 20, (ratio >> 6) - 64)
    return np.asarray(y.astype(np.uint32).reshape(x.shape))


def _gain(noise: int, gains: Array) -> int:
    """A parabola for each power of two."""
    if noise <= 2:
        return int(gains[noise])
    bits = noise.bit_length()
    a, b, c = (int(g) for g in gains[4 * bits - 6 : 4 * bits - 3])
    fraction = ((noise << 11 >> bits) if bits < 11 else noise >> (bits - 11)) & 1023
    return int(np.int64((((((c * fraction) >> 5) + (b << 5)) * fraction + (1 << 14)) >> 15) + a).astype(np.int16))


def filter_bank_log(op: FilterBankLog, x: Array) -> Array:
    """Natural logarithms by straight lines between 128 points of a power of two."""
    table = log_corrections()
    return np.array([_log(op, int(v), table) for v in x.flat], np.int16).reshape(x.shape)


def _log(op: FilterBankLog, x: int, table: Integers) -> int:
    value = (x << op.correction) & UINT32
    if value <= 1:
        return 0
    whole = value.bit_length() - 1
    fraction = (value - (1 << whole)) << 16 >> whole
    segment = fraction // (65536 // LOG_SEGMENTS)
    low, high = int(table[segment]), int(table[segment + 1])
    log = (whole << 16) + fraction + low + (((high - low) * (fraction - 512 * segment)) >> 16)
    natural = (LN2 * log + (1 << 15)) >> 16
    return min(((op.scale * natural + (1 << 15)) & UINT32) >> 16, 2**15 - 1)


SIGNAL: dict[type[Op], Callable[..., Any]] = {
    Window: window,
    AutoScale: auto_scale,
    Energy: energy,
    FilterBank: filter_bank,
    FilterBankRoot: filter_bank_root,
    SpectralSubtraction: spectral_subtraction,
    Pcan: pcan,
    FilterBankLog: filter_bank_log,
}
