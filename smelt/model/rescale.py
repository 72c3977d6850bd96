"""How a sum becomes an output: `Rescale`, data of the ops that multiply and accumulate, filled in by importers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smelt.errors import ModelError
from smelt.model.arithmetic import Integers, quantize_multipliers, requantize, wrap32
from smelt.model.arithmetic16 import requantize48
from smelt.model.graph import Tensor
from smelt.nouns import Noun

Int32s = NDArray[np.int32]
Floats = NDArray[np.float32]
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
    - "ties_even": as onnxruntime's fused operators round (x86, `QLinearConv`, `QGemm`): the sum, which wraps at 32 bits, and its
      product with the multiplier become float32, each rounded, and what results becomes the next integer, halves the even one.
      Multipliers have 24 significant bits. With `inside` that number is added, in float32, before the rounding (`QLinearMul`);
    - "floor": down, as a shift does, once `addends` are added to the product: integer networks. No product wraps;
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
    addends: Integers | None = None
    inside: int | None = None
    exchanged: bool = False
    """Whether another training may put its numbers in the place of these: then nothing is made of what channels only happen to
    have in common."""

    def common(self, shifts: Integers | Int32s) -> int | None:
        """What channels have in common in `shifts`, made of these; None where kernels look it up for each."""
        alike = bool(np.all(shifts == shifts[0]))
        if self.exchanged and not np.all(self.multipliers == self.multipliers[0]):
            return None
        return int(shifts[0]) if alike else None

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

    @property
    def left(self) -> Integers:
        """By how many bits sums are shifted to the left, which may lose their upper bits, before they are multiplied."""
        return np.maximum(self.shifts if self.rounding == "tflm" else np.zeros_like(self.shifts), 0).astype(np.int64)

    @property
    def factors(self) -> Floats:
        """The multipliers as float32, which "ties_even" has exactly."""
        return np.ldexp(self.multipliers.astype(np.float64), self.shifts - 31).astype(np.float32)

    def of(self, channels: NDArray[np.intp]) -> Rescale:
        """Of some of the channels."""
        if self.rounding == "real":
            return self
        addends = None if self.addends is None else self.addends[channels]
        return replace(self, multipliers=self.multipliers[channels], shifts=self.shifts[channels], addends=addends)

    def apply(self, total: Integers) -> Integers:
        """The outputs for sums whose last axis is the channel."""
        return np.asarray(np.clip(self._rounded(total) + self.y_zero, self.low, self.high))

    def _rounded(self, total: Integers) -> Integers:
        match self.rounding:
            case "tflm":
                return requantize(total, self.multipliers, self.shifts)
            case "tflm48":
                return requantize48(total, self.multipliers, self.shifts)
            case "ties_even":
                return self._ties_even(wrap32(total))
            case "floor":
                product = wrap32(total) * self.multipliers.astype(np.int64)
                return np.asarray((product + (0 if self.addends is None else self.addends)) >> (31 - self.shifts))
        return total

    def _ties_even(self, total: Integers) -> Integers:
        product = total.astype(np.float32) * self.factors
        if self.inside is None:
            return np.asarray(np.rint(product).astype(np.int64))
        return np.asarray(np.rint(product + np.float32(self.inside)).astype(np.int64) - self.inside)


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
    if rounding == "ties_even":
        reals = [ratio(x.q.scale, scale, y.q.scale) for scale in weights.q.scales]
    else:
        reals = [x.q.scale * scale / y.q.scale for scale in weights.q.scales]
    if len(reals) not in (1, channels):
        raise ModelError(f"'{weights.name}' has {len(reals)} scales, but '{y.name}' {channels} channels")
    multipliers, shifts = quantize_multipliers(reals * channels if len(reals) == 1 else reals)
    low, high = clamp or y.element.range
    return Rescale(multipliers, shifts, rounding, x.q.zero_point, y.q.zero_point, low, high)


def ratio(x: float, weights: float, y: float) -> float:
    """onnxruntime's multiplier of scales: a product and a quotient of float32."""
    return float(np.float32(x) * np.float32(weights) / np.float32(y))


def floor_rescale(
    multipliers: Sequence[int] | Integers, addends: Sequence[int] | Integers, shift: int, clamp: Clamp, x_zero: int = 0,
    y_zero: int = 0,
) -> Rescale:  # fmt: skip
    """Of an integer network: y = clamp(((sum * multipliers[c] + addends[c]) >> shift) + y_zero), down as the shift goes.

    Raises ModelError where multipliers leave int32, the shift is not 0 to 62, or what is added could make products leave 64 bits.
    """
    wide, added = np.asarray(multipliers, np.int64), np.asarray(addends, np.int64)
    if not 0 <= shift <= 62 or np.abs(wide).max(initial=0) >= 2**31 or np.abs(added).max(initial=0) >= 2**61:
        raise ModelError(
            f"a shift of {shift}, or multipliers or addends so large that 64 bits do not hold their results"
        )
    shifts = np.full(wide.shape, 31 - shift, np.int32)
    return Rescale(wide.astype(np.int32), shifts, "floor", x_zero, y_zero, *clamp, addends=added)


def raw_sums(x: Tensor, y: Tensor) -> Rescale:
    """Of an op whose y, int32, is the sum itself."""
    channels = y.shape[-1]
    return floor_rescale([1] * channels, [0] * channels, 0, y.element.range, x.q.zero_point)


def mean_rescale(x: Tensor, count: int, y: Tensor, clamp: Clamp | None = None) -> Rescale:
    """onnxruntime's `QLinearGlobalAveragePool`, of the sum of `count` elements without their zero point."""
    real = float(np.float32(x.q.scale) / np.float32(np.float32(y.q.scale) * np.float32(count)))
    return _of_one(real, x, y, clamp)


def matmul_rescale(x: Tensor, x2: Tensor, y: Tensor, clamp: Clamp | None = None) -> Rescale:
    """onnxruntime's `QLinearMatMul` of two values that are computed, each with one scale."""
    return _of_one(ratio(x.q.scale, x2.q.scale, y.q.scale), x, y, clamp)


def product_rescale(x: Tensor, x2: Tensor, y: Tensor, clamp: Clamp | None = None, unsigned: bool = False) -> Rescale:
    """onnxruntime's `QLinearMul`, of the product of both operands without their zero points. Where the file has them `unsigned`,
    its zero points are 128 larger than these, and one of them is added before rounding."""
    found = _of_one(ratio(x.q.scale, x2.q.scale, y.q.scale), x, y, clamp)
    return replace(found, inside=y.q.zero_point + (128 if unsigned else 0))


def _of_one(real: float, x: Tensor, y: Tensor, clamp: Clamp | None) -> Rescale:
    low, high = clamp or y.element.range
    return Rescale(*quantize_multipliers([real]), "ties_even", x.q.zero_point, y.q.zero_point, low, high)
