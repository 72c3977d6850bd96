"""How two operands become their sum, in other arithmetic than TensorFlow Lite Micro's: data of `Add`, filled in by importers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smelt.model.arithmetic import Integers
from smelt.model.graph import Tensor
from smelt.nouns import Noun

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FusedTerms(Noun):
    """onnxruntime's `QLinearAdd` (x86): y = nearest integer to fma(x, factor, fma(x2, factor2, constant)), halves to the even one.

    All is float32; a fused product is not rounded. `more` is what the file's integers have more than the stored ones: 128 where
    they are unsigned.
    """

    factor: float
    factor2: float
    constant: float
    more: int = 0

    @property
    def ratios(self) -> tuple[float, float]:
        """What operands are multiplied by."""
        return self.factor, self.factor2

    def apply(self, x: Integers, x2: Integers) -> Integers:
        """The sums of stored integers, not limited yet."""
        inner = fused(x2 + self.more, self.factor2, np.float32(self.constant))
        return np.rint(fused(x + self.more, self.factor, inner)).astype(np.int64) - self.more


@dataclass(frozen=True)
class FloorTerms(Noun):
    """Of an integer network: y = ((x * multiplier + x2 * multiplier2 + addend) >> shift) + y_zero, of operands without their zero
    points, whose share is in `addend`."""

    multiplier: int
    multiplier2: int
    addend: int
    shift: int
    y_zero: int = 0

    @property
    def ratios(self) -> tuple[float, float]:
        """What operands are multiplied by."""
        return self.multiplier / 2**self.shift, self.multiplier2 / 2**self.shift

    def apply(self, x: Integers, x2: Integers) -> Integers:
        """The sums of stored integers, not limited yet."""
        return ((x * self.multiplier + x2 * self.multiplier2 + self.addend) >> self.shift) + self.y_zero


Terms = FusedTerms | FloorTerms


def fused_terms(x: Tensor, x2: Tensor, y: Tensor, unsigned: bool = False, subtract: bool = False) -> FusedTerms:
    """Of tensors whose integers the file has `unsigned`, 128 more than they are here, or not; the difference where `subtract`.

    The share of the zero points is y_zero - fma(zero, factor, factor2 * zero2): what onnxruntime's compiler made of its sum.
    """
    more = 128 if unsigned else 0
    zero, zero2, y_zero = (np.float32(t.q.zero_point + more) for t in (x, x2, y))
    scale = np.float32(y.q.scale)
    factor, factor2 = np.float32(x.q.scale) / scale, np.float32(x2.q.scale) / scale
    if subtract:
        factor2 = -factor2
    constant = y_zero - fused(np.array(int(zero)), float(factor), factor2 * zero2)
    return FusedTerms(float(factor), float(factor2), float(constant), more)


def floor_terms(
    x: Tensor, x2: Tensor, y: Tensor, multiplier: int, multiplier2: int, addend: int = 0, shift: int = 0
) -> FloorTerms:
    """Of operands with zero points, which are taken off before they are multiplied."""
    added = addend - multiplier * x.q.zero_point - multiplier2 * x2.q.zero_point
    return FloorTerms(multiplier, multiplier2, added, shift, y.q.zero_point)


def fused(x: Integers, factor: float, added: np.float32 | NDArray[np.float32]) -> NDArray[np.float32]:
    """x * factor + added, rounded once, to float32; x * factor must fit 53 bits."""
    product, other = x.astype(np.float64) * factor, np.asarray(added, np.float64)
    total = product + other
    back = total - product
    rest = (product - (total - back)) + (other - back)
    # What the sum lost decides where it lies in the middle between two numbers of 24 bits: let its last bit tell.
    even = (total.view(np.int64) & 1) == 0
    told = np.nextafter(total, np.where(rest > 0, np.inf, -np.inf))
    return np.where((rest != 0) & even, told, total).astype(np.float32)
