"""Which reals a value takes: histograms that grow with what they are shown, and the ranges that calibration makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from smelt.errors import OptionError
from smelt.model.graph import Array, Quantization, Tensor
from smelt.quantization.products import Floats

Method = Literal["minmax", "percentile", "mse", "entropy"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse", "entropy")
BINS = 4096
LEVELS = 255
PERCENTILE = 99.99
SHARES = np.linspace(0.0, 1.0, 65) ** 2
"""Of the way from what all but the last one of 1000 values are within to the whole range: what `mse` and `entropy` choose from."""

LEAST_PERCENTILE = 99.9

Range = tuple[float, float]


class Histogram:
    """How often values lie in each of `BINS` bins around zero. Whatever it is shown, it stays as large as it is: where values leave
    it, the bins get twice as wide until they do not."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.most = 0.0
        self.low, self.high = 0.0, 0.0

    def add(self, values: Array, name: str) -> None:
        """Count values. Raises OptionError where one is no finite number."""
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if not np.isfinite(low) or not np.isfinite(high) or np.isnan(values).any():
            raise OptionError(
                f"'{name}' is not finite for the data that was given: is it prepared as the model wants it?"
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(-low, high))
        if self.most:
            self.counts += np.histogram(values, BINS, (-self.most, self.most))[0]

    def _widen(self, most: float) -> None:
        self.most = self.most or most
        while self.most < most:
            inner = self.counts.reshape(-1, 2).sum(1)
            self.counts[:] = 0
            self.counts[BINS // 4 : BINS // 4 + BINS // 2] = inner
            self.most *= 2

    @property
    def centres(self) -> Floats:
        """The middle of every bin."""
        return (np.arange(BINS) + 0.5) * (2 * self.most / BINS) - self.most

    def range(self, method: Method, percentile: float = PERCENTILE) -> Range:
        """The least and the greatest real that integers should stand for; 0 is always between them."""
        match method:
            case "minmax":
                return self.low, self.high
            case "percentile":
                return self._within(percentile)
            case "mse":
                return self._best(self._squared_error)
            case "entropy":
                return self._best(self._divergence)

    def _within(self, percentile: float) -> Range:
        """What at most (100 - percentile) % of all values are below, and above."""
        total, tail = self.counts.cumsum(), (100 - percentile) / 100 * self.counts.sum()
        width = 2 * self.most / BINS
        low = int(np.searchsorted(total, tail, "right")) * width - self.most
        high = (int(np.searchsorted(total, total[-1] - tail)) + 1) * width - self.most
        return min(max(low, self.low), 0.0), max(min(high, self.high), 0.0)

    def _best(self, loss: Callable[[float, float], float]) -> Range:
        if self.low == self.high:
            return self.low, self.high
        inner, outer = np.array(self._within(LEAST_PERCENTILE)), np.array((self.low, self.high))
        ends = [inner + share * (outer - inner) for share in SHARES]
        losses = [loss(*one) for one in ends]
        low, high = ends[int(np.argmin(losses))].tolist()
        return low, high

    def _squared_error(self, low: float, high: float) -> float:
        step = (high - low) / LEVELS
        x = self.centres
        kept = np.clip(np.rint((x - low) / step), 0, LEVELS) * step + low
        inside = (x >= low) & (x <= high)
        errors = np.where(inside, step * step / 12, np.square(x - kept))
        return float(errors @ self.counts)

    def _divergence(self, low: float, high: float) -> float:
        """Of Kullback and Leibler, between what was seen, cut off at the ends, and what is left of it in as many bins as there are
        integers."""
        x, seen = self.centres, self.counts.astype(np.float64)
        inside = np.flatnonzero((x >= low) & (x <= high))
        if inside.size == 0:
            return np.inf
        p = seen[inside]
        p[0] += seen[: inside[0]].sum()
        p[-1] += seen[inside[-1] + 1 :].sum()
        group = np.minimum(((x[inside] - low) / (high - low) * (LEVELS + 1)).astype(np.int64), LEVELS)
        within = seen[inside]
        filled = np.bincount(group, within > 0, LEVELS + 1)
        spread = np.bincount(group, within, LEVELS + 1) / np.maximum(filled, 1)
        q = np.where(within > 0, spread[group], 0)
        if not q.sum():
            return np.inf
        p, q = p / p.sum(), np.maximum(q / q.sum(), 1e-9)
        used = p > 0
        return float(np.sum(p[used] * np.log(p[used] / q[used])))


def int8_of(ends: Range) -> Quantization:
    """Scale and zero point of int8 for a range, whose 0 is an integer."""
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    if high == low:
        return Quantization((1.0,), (0,))
    scale = np.float32((high - low) / LEVELS)
    return Quantization((float(scale),), (int(np.clip(np.rint(-128 - low / scale), -128, 127)),))


def int16_of(ends: Range) -> Quantization:
    """Scale of int16 for a range; the zero point is 0."""
    most = max(-ends[0], ends[1])
    return Quantization((float(np.float32(most / 32767)) if most else 1.0,), (0,))


def faked(values: Floats, q: Quantization, wide: bool = False) -> Floats:
    """What is left of reals that become integers and reals again, as onnxruntime rounds them."""
    scale, zero = np.float32(q.scale), q.zero_point
    low, high = (-32768, 32767) if wide else (-128, 127)
    return (np.clip(np.rint(values / scale), low - zero, high - zero) * scale).astype(np.float32, copy=False)


def decibels(signal: float, noise: float) -> float:
    """The ratio of two powers; infinite where there is no noise."""
    return float("inf") if noise <= 0 else 10 * float(np.log10(max(signal, 1e-30) / noise))


def sqnr(wanted: Floats, found: Floats) -> float:
    """How far above the difference a signal is, in dB."""
    exact = wanted.astype(np.float64)
    return decibels(float(np.square(exact).sum()), float(np.square(found.astype(np.float64) - exact).sum()))


Ranges = dict[Tensor, Histogram]
