"""Exact integer shortcuts, searched for and proved at build time.

A quantised function of a few small integers is often equal, for *every* input that can occur, to one weighted sum and
one shift. `find_affine` looks for such a form; what it returns holds for all points it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smelt.loops.builder import KernelBuilder
from smelt.loops.ir import Expr, binary, expression

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

REACH = 6  # how far factors are varied around the nearest ones
TRIED = 4  # how many shifts are tried
LIMIT = 2**31
MOST_OTHERS = 4  # points beside a form
AT_ONCE = 100_000  # how many points, times changes of the factors, are looked at together


@dataclass(frozen=True)
class Affine:
    """``(sum of factors[i] * x[i] + offset) >> shift``; no partial sum leaves int32."""

    factors: tuple[int, ...]
    offset: int
    shift: int

    def of(self, *xs: Expr) -> Expr:
        """The form in C."""
        total = expression(0)
        for factor, x in zip(self.factors, xs, strict=True):
            total = total + x * factor
        return (total + self.offset) >> self.shift


def find_affine(
    xs: tuple[Integers, ...],
    wanted: Integers,
    clamp: tuple[int, int],
    ratios: tuple[float, ...],
    shifts: range | None = None,
) -> Affine | None:
    """A form that, clamped, gives `wanted[p]` for every point p, with operands ``xs[i][p]``; None if none is found.

    `ratios` are the real numbers that the factors stand for: wanted is about sum(ratios[i] * xs[i]) + something. The
    `shifts` are tried in their order; unless given, the few that leave the most precision.
    """
    largest = sum(abs(r) * max(int(np.abs(x).max()), 1) for r, x in zip(ratios, xs, strict=True))
    if not np.isfinite(largest) or largest == 0:
        return None
    top = min(int(np.floor(np.log2(LIMIT / largest))), 30)
    for shift in shifts or range(top, max(top - TRIED, -1), -1):
        form = _at_shift(xs, wanted, clamp, ratios, shift)
        if form is not None:
            return form
    return None


def _at_shift(
    xs: tuple[Integers, ...], wanted: Integers, clamp: tuple[int, int], ratios: tuple[float, ...], shift: int
) -> Affine | None:
    base = tuple(round(r * 2**shift) for r in ratios)
    total = _weighted(base, xs)
    above, below = wanted > clamp[0], wanted < clamp[1]  # saturated results bind on one side only
    floors, ceilings = (wanted << shift) - total, ((wanted + 1) << shift) - 1 - total
    # Varying the factors moves every point by at most `slack`: only points this near the tightest can come to matter.
    slack = 2 * REACH * sum(int(np.abs(x).max()) for x in xs)
    low, high = _tightest(xs, floors, above, slack, 1), _tightest(xs, ceilings, below, slack, -1)
    changes = _changes(len(xs))
    batch = max(AT_ONCE // max(len(low[1]), len(high[1])), 1)
    for some in (changes[i : i + batch] for i in range(0, len(changes), batch)):
        least, most = (low[1] - some @ low[0]).max(axis=1), (high[1] - some @ high[0]).min(axis=1)
        for i in np.flatnonzero(least <= most):
            factors = tuple(b + int(c) for b, c in zip(base, some[i], strict=True))
            offset = (int(least[i]) + int(most[i])) // 2
            if _fits(xs, factors, offset):
                return Affine(factors, offset, shift)
    return None


def _weighted(factors: tuple[int, ...], xs: tuple[Integers, ...]) -> Integers:
    return np.asarray(sum(f * x for f, x in zip(factors, xs, strict=True)), np.int64)


def _tightest(
    xs: tuple[Integers, ...], bounds: Integers, active: NDArray[np.bool_], slack: int, sign: int
) -> tuple[Reals, Reals]:
    """The points whose bound may be the tightest one, a column for each, and their bounds; where no point is bound on this side,
    one that leaves everything open. Numbers far below 2^53 are as exact as integers, and multiplied faster."""
    if not active.any():
        return np.zeros((len(xs), 1)), np.array([-sign * LIMIT / 2])
    chosen = active & (sign * bounds >= (sign * bounds[active]).max() - slack)
    return np.stack([x[chosen] for x in xs]).astype(np.float64), bounds[chosen].astype(np.float64)


def _changes(count: int, reach: int = REACH) -> Reals:
    """Small changes of the factors, smallest first: a row for each."""
    changes = np.array(list(product(range(-reach, reach + 1), repeat=count)), np.float64)
    return changes[np.argsort(np.abs(changes).sum(axis=1), kind="stable")]


def _fits(xs: tuple[Integers, ...], factors: tuple[int, ...], offset: int) -> bool:
    """Whether neither a product, nor a partial sum, nor the offset leaves int32."""
    low = high = 0
    for factor, x in zip(factors, xs, strict=True):
        ends = sorted((factor * int(x.min()), factor * int(x.max())))
        low, high = low + ends[0], high + ends[1]
        if low < -LIMIT or high >= LIMIT:
            return False
    return low + offset >= -LIMIT and high + offset < LIMIT and -LIMIT < offset < LIMIT


@dataclass(frozen=True)
class Even:
    """A weighted sum and a shift, one less where the sum is just at a result that is odd: halves become even. To results for the
    points of `others` a number is added: (operands, number)."""

    sum: Affine
    others: tuple[tuple[tuple[int, ...], int], ...] = ()

    def of(self, k: KernelBuilder, *xs: Expr) -> Expr:
        """The form in C."""
        total = k.let("total", Affine(self.sum.factors, self.sum.offset, 0).of(*xs))
        halves_up = k.let("halves_up", total >> self.sum.shift)
        tie = binary("==", total & ((1 << self.sum.shift) - 1), 0)
        result: Expr = halves_up - k.let("odd", halves_up & 1) * tie
        for operands, added in self.others:
            there = reduce(Expr.both, (binary("==", x, value) for x, value in zip(xs, operands, strict=True)))
            result = k.let("result", result + there * added)
        return result


def find_even(
    xs: tuple[Integers, ...], wanted: Integers, clamp: tuple[int, int], ratios: tuple[float, ...], added: float
) -> Even | None:
    """Of sum(ratios[i] * xs[i]) + added, whose halves become even; None where that does not give `wanted` of every point."""
    largest = sum(abs(r) * max(int(np.abs(x).max()), 1) for r, x in zip(ratios, xs, strict=True))
    if not np.isfinite(largest) or largest == 0:
        return None
    top = min(int(np.floor(np.log2(LIMIT / (largest + abs(added) + 1)))), 30)
    for shift in range(top, max(top - 3 * TRIED, 0), -1):
        factors = tuple(round(r * 2**shift) for r in ratios)
        offset = round((added + 0.5) * 2**shift)
        total = _weighted(factors, xs) + offset
        result = total >> shift
        result = result - ((result & 1) & ((total & ((1 << shift) - 1)) == 0))
        off = np.flatnonzero(np.clip(result, *clamp) != wanted)
        if off.size <= MOST_OTHERS and _fits(xs, factors, offset):
            others = [(tuple(int(x[n]) for x in xs), int(wanted[n] - result[n])) for n in off]
            return Even(Affine(factors, offset, shift), tuple(others))
    return None


@dataclass(frozen=True)
class Halves:
    """The upper half of ``sum of (factors[i] * x[i] >> 16) + offset``: what SMLAWB and SMLAWT compute."""

    factors: tuple[int, ...]
    offset: int


FAR = 12  # how many steps factors are varied by
SAMPLE = 256  # points at which all are tried before
STEP = 7  # of a factor: what matters is which products are cut off where
TILTS = (0, *(sign * 2.0**-bits for bits in (18, 17, 16, 15, 14, 13) for sign in (1, -1)))
"""By how much all factors are longer: where many sums lie just between two results, halves away from zero, it keeps them apart."""


def find_halves(
    xs: tuple[Integers, ...], wanted: Integers, clamp: tuple[int, int], ratios: tuple[float, ...]
) -> Halves | None:
    """A form that, clamped, gives `wanted[p]` for every point p, with operands ``xs[i][p]``; None if none is found. See
    `find_affine` for `ratios`. No whole sum leaves int32, but it may on the way."""
    if not np.all(np.isfinite(ratios)) or max(map(abs, ratios)) * 2.0**32 >= LIMIT * (1 - 2**-10):
        return None
    stacked = np.stack(xs)
    for tilt in TILTS:
        form = _near(stacked, wanted, clamp, [r * (1 + tilt) for r in ratios])
        if form is not None:
            return form
    return None


def _near(xs: Integers, wanted: Integers, clamp: tuple[int, int], ratios: list[float]) -> Halves | None:
    """A form with factors near these ones. A row of xs is an operand."""
    base = np.array([round(r * 2.0**32) for r in ratios], np.int64)
    total = _cut_off(base[None], xs)[0]
    above, below = wanted > clamp[0], wanted < clamp[1]
    floors, ceilings = (wanted << 16) - total, ((wanted + 1) << 16) - 1 - total
    slack = 2 * (FAR * STEP * int(np.abs(xs).max(axis=1).sum()) // 2**16 + len(xs))
    if np.where(above, floors, -LIMIT).max() > np.where(below, ceilings, LIMIT).min() + slack:
        return None
    low, high = _nearest(floors, above, slack, 1), _nearest(ceilings, below, slack, -1)
    changes = _changes(len(xs), FAR).astype(np.int64) * STEP + base
    few = (points[:: max(points.size // SAMPLE, 1)] for points in (low, high))
    least, most = _ends(changes, xs, wanted, *few)
    changes = changes[least <= most]  # most of them fail at a few points
    batch = max(AT_ONCE // max(low.size, high.size, 1), 1)
    for some in (changes[i : i + batch] for i in range(0, len(changes), batch)):
        least, most = _ends(some, xs, wanted, low, high)
        for i in np.flatnonzero(least <= most):
            offset = (int(least[i]) + int(most[i])) // 2
            sums = _cut_off(some[i : i + 1], xs)[0] + offset
            if sums.min() >= -LIMIT and sums.max() < LIMIT and abs(offset) < LIMIT:
                return Halves(tuple(int(f) for f in some[i]), offset)
    return None


def _ends(
    factors: Integers, xs: Integers, wanted: Integers, low: Integers, high: Integers
) -> tuple[Integers, Integers]:
    """For each row of factors the least and the greatest offset with which these points get what they want."""
    least = (np.append(wanted[low] << 16, -LIMIT) - _cut_off(factors, xs[:, low], 1)).max(axis=1)
    most = (np.append(((wanted[high] + 1) << 16) - 1, LIMIT) - _cut_off(factors, xs[:, high], 1)).min(axis=1)
    return least, most


def _cut_off(factors: Integers, xs: Integers, more: int = 0) -> Integers:
    """The sums of each row of factors for the columns of xs, each product without its lowest 16 bits; then `more` zeros."""
    sums = np.right_shift(factors[:, :, None] * xs[None], 16).sum(axis=1)
    return np.pad(sums, ((0, 0), (0, more)))


def _nearest(bounds: Integers, active: NDArray[np.bool_], slack: int, sign: int) -> Integers:
    """The points whose bound may be the tightest one."""
    if not active.any():
        return np.zeros(0, np.int64)
    return np.flatnonzero(active & (sign * bounds >= (sign * bounds[active]).max() - slack))
