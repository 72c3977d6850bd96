"""Features of sounds, in float32: every sum and product is rounded by itself, as kernels round them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smelt.model.graph import Array, Op, Tensor
from smelt.model.ops_features import FULL_SCALE, LogMel, OrderedSums, PeakGain
from smelt.model.ops_fft import RealFft
from smelt.model.reference_fft import real_fft

Floats = NDArray[np.float32]

LOG_TERMS = (
    0.0697161183, -0.114797339, 0.116854198, -0.124256872, 0.142490581, -0.166678026, 0.200007156, -0.24999997, 0.333333313,
)  # fmt: skip
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(0.000212194442)
ROOT_HALF = 0x3F3504F3  # its bits


def natural_logarithm(x: Floats) -> Floats:
    """Of positive, finite numbers that are not denormal: the bits of `smelt_log` (smelt_math.h)."""
    bits = x.astype(np.float32).view(np.int32)
    place = (bits - ROOT_HALF) >> 23
    f = (bits - place * (1 << 23)).astype(np.int32).view(np.float32) - np.float32(1)
    n = place.astype(np.float32)
    q = np.full_like(f, LOG_TERMS[0])
    for term in LOG_TERMS[1:]:
        q = q * f + np.float32(term)
    q = q * f * (f * f)
    q = q - n * LN2_LOW
    q = q - np.float32(0.5) * (f * f)
    return np.asarray(f + q + n * LN2_HIGH, np.float32)


def log_mel(op: LogMel, x: Array, *constants: Array) -> Array:
    """Frame by frame, here all at once."""
    window, weights, starts, weight_starts, widths = constants[:5]
    frames, size = op.frames, op.window.elements
    places = op.step * np.arange(frames)[:, None] + np.arange(size)
    values = _bins(op, x.reshape(-1)[places].astype(np.float32) * window)
    bands = np.zeros((frames, len(widths)), np.float32)
    for band, (first, weight, width) in enumerate(zip(starts, weight_starts, widths, strict=True)):
        for i in range(int(width)):
            bands[:, band] += weights[int(weight) + i] * values[:, int(first) + i]
    for gain in constants[5:]:
        bands *= gain.reshape(-1) if op.power == 1 else gain.reshape(-1) * gain.reshape(-1)
    scaled = natural_logarithm(bands + np.float32(op.floor)) * np.float32(op.factor)
    return scaled + np.float32(op.offset) if op.offset else scaled  # what is added to -0 makes 0 of it


def _bins(op: LogMel, frames: Floats) -> Floats:
    """What each bin of the spectra counts."""
    x, y = (Tensor(name, (len(frames), n), "float32") for name, n in (("x", frames.shape[1]), ("y", op.length + 2)))
    spectra = real_fft(RealFft(x=x, y=y, length=op.length), frames)
    energies = spectra[..., 0] * spectra[..., 0] + spectra[..., 1] * spectra[..., 1]
    return np.asarray(np.sqrt(energies) if op.power == 1 else energies, np.float32)


def ordered_sums(op: OrderedSums, x: Array, weights: Array) -> Array:
    rows = x.reshape(-1, weights.shape[1])
    total = np.zeros((len(rows), len(weights)), np.float32)
    for column in range(weights.shape[1]):
        total += rows[:, column, None] * weights[:, column]
    return total + np.float32(op.offset)


def peak_gain(op: PeakGain, x: Array) -> Array:
    most = int(x.max())
    return np.array(np.float32(FULL_SCALE) / np.float32(most) if most > 0 else 1, np.float32)


FEATURES: dict[type[Op], Callable[..., Array]] = {LogMel: log_mel, OrderedSums: ordered_sums, PeakGain: peak_gain}
