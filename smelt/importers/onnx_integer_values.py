"""Values of integer networks: integers that are stored, and integers still to be made, as exact fractions.

A file of this kind computes with floats that hold whole numbers: sums are multiplied by one constant after the other, others are
added, then all is divided, rounded down and limited. None of that happens here until somebody reads the result: until then a
value is a `Pending`, (sum * factor + addend) / divisor with what is known of its rounding and its limits, and one op makes it.
So it does not matter in which order a file writes these nodes, nor what stands between them that changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smelt.importers.onnx_bench import Refusal
from smelt.importers.onnx_views import Decoded, Limits, Promise, Shape, Source, View
from smelt.model.graph import Op, Quantization, Tensor
from smelt.model.rescale import Rescale

Numbers = NDArray[np.int64]
Rounding = Literal["none", "down", "to_zero"]
Range = tuple[int, int]

UNSIGNED = Quantization((1.0,), (-128,))
"""Of bytes that stand for 0 to 255."""
PLAIN = Quantization((1.0,), (0,))
MOST = 2.0**53  # that numbers may come to before they are reduced

REQUANTISED = "Conv -> Mul (kappa) -> Add (lambda) -> Cast -> Mul (m) -> Div (2^d) -> Cast -> Clip"
SUMMED = "Mul, Mul -> Add -> Div -> Floor"
POOLED = "AveragePool -> Mul -> Mul -> Div -> Floor"


def missing(pattern: str, what: str) -> Refusal:
    """A refusal that says what an integer network would have had there."""
    return Refusal(f"missing for an integer network: {what}; the nearest pattern: {pattern}")


@dataclass(frozen=True, eq=False)
class Integers(Decoded):
    """Integers as they are stored, and between which numbers they lie."""

    low: int = 0
    high: int = 255


def stored_range(source: Decoded) -> Range:
    """Between which numbers the values of a source lie."""
    if isinstance(source, Integers):
        return source.low, source.high
    (low, high), zero = source.tensor.element.range, source.tensor.q.zero_point
    return low - zero, high - zero


def is_whole(source: Source) -> bool:
    """Whether a source holds whole numbers as they are, or will."""
    if isinstance(source, Decoded):
        return source.table is None and source.tensor.quantization in (UNSIGNED, PLAIN)
    return isinstance(source, Pending)


@dataclass(frozen=True, eq=False)
class Sums:
    """What multiplies and accumulates: `make` builds its op of y and a rescaling; `low` and `high` bound each channel's sums."""

    low: Numbers
    high: Numbers
    make: Callable[[Tensor, Rescale], Op]
    x_zero: int

    @property
    def channels(self) -> int:
        return len(self.low)


def _nobody(limits: Limits) -> Tensor:
    raise AssertionError("what is pending is settled before operators of reals see it")


@dataclass(frozen=True, eq=False)
class Pending(Promise):
    """(base * factors + addends) / divisor, rounded as said and limited to whole numbers.

    The base is the sums of an op, or one value or the sum of two that are stored alike, each times its factors. Factors and addends
    have one number for each channel, the stored last axis, or one for all. `where` is the operator that begins it.
    """

    base: Sums | tuple[View, ...] = ()
    factors: tuple[Numbers, ...] = ()
    addends: Numbers = field(default_factory=lambda: np.zeros(1, np.int64))
    divisor: int = 1
    rounding: Rounding = "none"
    where: str = ""
    wish: str = ""
    pattern: str = REQUANTISED

    @property
    def is_linear(self) -> bool:
        """Whether products and sums can still be taken in."""
        return self.rounding == "none" and self.limits == (-inf, inf)

    def named(self, wish: str) -> Pending:
        """Under the name that the value now has in the file."""
        return replace(self, wish=wish)

    def times(self, numbers: Numbers) -> Pending:
        """Multiplied by whole numbers. Raises Refusal where they become too large."""
        largest = max(float(np.abs(f).max(initial=0)) for f in (*self.factors, self.addends))
        if largest * float(np.abs(numbers).max(initial=0)) >= MOST:
            raise Refusal("its products do not fit 64 bits")
        factors = tuple(f * numbers for f in self.factors)
        return replace(self, factors=factors, addends=self.addends * numbers)

    def plus(self, numbers: Numbers) -> Pending:
        """With whole numbers added. Raises Refusal where they become too large."""
        if float(np.abs(numbers).max(initial=0)) * self.divisor >= MOST:
            raise Refusal("its sums do not fit 64 bits")
        return replace(self, addends=self.addends + numbers * self.divisor)

    def over(self, divisor: int, rounding: Rounding) -> Pending:
        """Divided by a number above 0."""
        return replace(self, divisor=self.divisor * divisor, rounding=rounding)

    def whole(self, rounding: Rounding) -> Pending:
        """Rounded so, unless that has happened already."""
        return replace(self, rounding=rounding) if self.rounding == "none" and self.divisor > 1 else self

    def between(self, low: float, high: float) -> Pending:
        """Limited to whole numbers, which may be infinite."""
        least, most = np.clip(self.limits, low, high).tolist()
        return replace(self, limits=(least, most))

    def reduced(self) -> Pending:
        """In lowest terms."""
        common = int(np.gcd.reduce(np.concatenate([[self.divisor], self.addends, *self.factors])))
        if common <= 1:
            return self
        factors = tuple(f // common for f in self.factors)
        return replace(self, factors=factors, addends=self.addends // common, divisor=self.divisor // common)


def of_sums(sums: Sums, shape: Shape, where: str, wish: str, pattern: str = REQUANTISED, divisor: int = 1) -> Pending:
    """The sums of an op, over a divisor."""
    one = np.ones(1, np.int64)
    return Pending(shape, _nobody, base=sums, factors=(one,), divisor=divisor, where=where, wish=wish, pattern=pattern)


def of_values(views: tuple[View, ...], where: str, wish: str, pattern: str) -> Pending:
    """One value as it is, or the sum of two that are stored alike."""
    one = np.ones(1, np.int64)
    return Pending(
        views[0].stored, _nobody, base=views, factors=(one,) * len(views), where=where, wish=wish, pattern=pattern
    )
