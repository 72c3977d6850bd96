"""Mel filter banks, windows and cosine transforms, as constants of float32 computed in float64."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
MelScale = Literal["htk", "slaney"]

LINEAR_HERTZ, FIRST_LOG_MEL = (
    1000.0,
    15.0,
)  # of Slaney's scale, whose steps are 200 / 3 Hz up to there, and then a 27th of ln 6.4
LOG_STEP = log(6.4) / 27


@dataclass(frozen=True, eq=False)
class Bank:
    """The weights of each band that are not 0, one band behind the other: `widths[m]` of them, for the bins from `starts[m]` on."""

    weights: NDArray[np.float32]
    starts: NDArray[np.int16]
    weight_starts: NDArray[np.int32]
    widths: NDArray[np.int16]


def filter_bank(bands: int, length: int, rate: int, low: float, high: float, scale: MelScale) -> Bank:
    """Triangles over the bins of spectra of `length` samples, from `low` to `high` Hz.

    "htk" are those of `tf.signal.linear_to_mel_weight_matrix`: the scale 1127 ln(1 + f / 700), sides that are straight over that
    scale, nothing of bin 0. "slaney" are those of `librosa.filters.mel` by default: straight over Hz, each of the same area.
    """
    return _sparse(
        (_of_tensorflow if scale == "htk" else _of_librosa)(bands, length, rate, low, high).astype(np.float32)
    )


def hann(size: int) -> Reals:
    """The periodic window of Hann, as `tf.signal.hann_window` has it."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * pi * np.arange(size) / size))


def cosines(count: int, bands: int) -> Reals:
    """`tf.signal.mfccs_from_log_mel_spectrograms` as a matrix, (count, bands): DCT-II over the root of twice the bands."""
    k, n = np.arange(count)[:, None], np.arange(bands)
    return np.asarray(2 / np.sqrt(2 * bands) * np.cos(pi / bands * (n + 0.5) * k))


def _of_tensorflow(bands: int, length: int, rate: int, low: float, high: float) -> Reals:
    def mel(hertz: Any) -> Reals:
        return np.asarray(1127 * np.log1p(np.asarray(hertz, np.float64) / 700))

    bins = mel(np.arange(length // 2 + 1) * rate / length)
    weights = _triangles(bins, np.linspace(mel(low), mel(high), bands + 2))
    weights[:, 0] = 0
    return weights


def _of_librosa(bands: int, length: int, rate: int, low: float, high: float) -> Reals:
    def mel(hertz: float) -> float:
        if hertz < LINEAR_HERTZ:
            return hertz * 3 / 200
        return FIRST_LOG_MEL + log(hertz / LINEAR_HERTZ) / LOG_STEP

    mels = np.linspace(mel(low), mel(high), bands + 2)
    edges = np.where(mels < FIRST_LOG_MEL, mels * 200 / 3, LINEAR_HERTZ * np.exp(LOG_STEP * (mels - FIRST_LOG_MEL)))
    triangles = _triangles(np.arange(length // 2 + 1) * rate / length, edges)
    return np.asarray(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])


def _triangles(bins: Reals, edges: Reals) -> Reals:
    """One for each three edges: 0 at the first and the last one, 1 at the middle one."""
    left, middle, right = (edges[i : len(edges) - 2 + i, None] for i in range(3))
    return np.maximum(0, np.minimum((bins - left) / (middle - left), (right - bins) / (right - middle)))


def _sparse(weights: NDArray[np.float32]) -> Bank:
    spans = [np.flatnonzero(row) for row in weights]
    starts = [int(span[0]) if span.size else 0 for span in spans]
    widths = [int(span[-1]) + 1 - start if span.size else 0 for span, start in zip(spans, starts, strict=True)]
    parts = [row[start : start + width] for row, start, width in zip(weights, starts, widths, strict=True)]
    before = np.cumsum([0, *widths[:-1]])
    places = np.array(starts, np.int16), np.asarray(before, np.int32), np.array(widths, np.int16)
    return Bank(np.concatenate(parts), *places)
