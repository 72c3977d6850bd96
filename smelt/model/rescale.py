"""How a sum becomes an output: `Rescale`, data of the ops that multiply and accumulate, filled in by importers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smelt.errors import ModelError
from smelt.model.arithmetic import Integers, quantize_multipliers, requantize
from smelt.model.arithmetic16 import requantize48
from smelt.model.graph import Tensor
from smelt.nouns import Noun

Int32s = NDArray[np.int32]
Clamp = tuple[Any, Any]
"""The least and the greatest stored value: integers, or reals where y is float32."""

Rounding = Literal["tflm", "tflm48", "ties_even", "floor", "real"]


@dataclass(frozen=True, eq=False)
class Rescale(Noun):
    """y = clamp(rounded(sum * multipliers[c] / 2**31 * 2**shifts[c]) + y_zero) for channel c, the last axis of y.

    The sum is that of (x - x_zero) * (weight - weights_zero), and the bias. `multipliers` have 31 fraction bits, `shifts` are
    positive to the left; both have one number for each channel. How it is rounded:

    - "tflm": as TensorFlow Lite Micro rounds 32-bit sums, twice (`arithmetic.requantize`); the sum wraps at 32 bits;
    - "tflm48": as it rounds 64-bit sums of int16 activations, once, halves up, with 15 bits of the multiplier
      (`arithmetic16.requantize48`);
    - "ties_even": once, exactly, halves to even (ONNX);
    - "floor": down, as a shift does;
    - "real": not at all, as the sum is one of reals: then there are no multipliers and shifts, and both zeros are 0.
    """

    multipliers: Int32s
    shifts: Int32s
    rounding: Rounding
    x_zero: int
    y_zero: int
    low: Any
    high: Any
    weights_zero: int = 0

    @property
    def clamp(self) -> Clamp:
        """The least and the greatest output."""
        return self.low, self.high

    @property
    def largest(self) -> float:
        """The largest real number that a sum is multiplied by."""
        return float(np.max(np.ldexp(self.multipliers.astype(np.float64), self.shifts - 31), initial=0.0))

    def clamped(self, clamp: Clamp) -> Rescale:
        """With other limits."""
        return replace(self, low=clamp[0], high=clamp[1])

    def of(self, channels: NDArray[np.intp]) -> Rescale:
        """Of some of the channels."""
        if self.rounding == "real":
            return self
        return replace(self, multipliers=self.multipliers[channels], shifts=self.shifts[channels])

    def apply(self, total: Integers) -> Integers:
        """The outputs for sums whose last axis is the channel."""
        return np.clip(self._rounded(total) + self.y_zero, self.low, self.high)

    def _rounded(self, total: Integers) -> Integers:
        match self.rounding:
            case "tflm":
                return requantize(total, self.multipliers, self.shifts)
            case "tflm48":
                return requantize48(total, self.multipliers, self.shifts)
            case "real":
                return total
        product, right = total * self.multipliers.astype(np.int64), 31 - self.shifts.astype(np.int64)
        down = np.asarray(product >> right)
        if self.rounding == "floor":
            return down
        rest, half = product - (down << right), np.int64(1) << (right - 1)
        up = (rest > half) | ((rest == half) & (down & 1 == 1))
        return np.asarray(down + up)


def linear_rescale(
    x: Tensor, weights: Tensor, y: Tensor, clamp: Clamp | None = None, rounding: Rounding = "tflm"
) -> Rescale:
    """Of an op that multiplies x by weights, from the scales and zero points of its tensors; by default y's whole range is left.
    Where y is float32, so are they all, and there is nothing but the limits.

    Raises ModelError where a tensor has none, or where the weights have scales for another number of channels than y has.
    """
    if y.element.is_float:
        nothing = np.zeros(0, np.int32)
        return Rescale(nothing, nothing, "real", 0, 0, *(clamp or (-inf, inf)))
    channels = y.shape[-1]
    reals = [x.q.scale * scale / y.q.scale for scale in weights.q.scales]
    if len(reals) not in (1, channels):
        raise ModelError(f"'{weights.name}' has {len(reals)} scales, but '{y.name}' {channels} channels")
    multipliers, shifts = quantize_multipliers(reals * channels if len(reals) == 1 else reals)
    low, high = clamp or y.element.range
    return Rescale(multipliers, shifts, rounding, x.q.zero_point, y.q.zero_point, low, high)
