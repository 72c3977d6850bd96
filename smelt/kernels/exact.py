"""Exact integer shortcuts, searched for and proved at build time.

A quantised function of a few small integers is often equal, for *every* input that can occur, to one weighted sum and
one shift. `find_affine` looks for such a form; what it returns holds for all points it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smelt.loops.ir import Expr, expression

Integers = NDArray[np.int64]

REACH = 6  # how far factors are varied around the nearest ones
TRIED = 4  # how many shifts are tried
LIMIT = 2**31


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
    low = _tightest(xs, floors, above, slack, 1)
    high = _tightest(xs, ceilings, below, slack, -1)
    for change in _changes(len(xs)):
        least = max((int((f - _weighted(change, p)).max()) for p, f in low), default=-(LIMIT // 2))
        most = min((int((c - _weighted(change, p)).min()) for p, c in high), default=LIMIT // 2)
        factors = tuple(b + c for b, c in zip(base, change, strict=True))
        if least <= most and _fits(xs, factors, (least + most) // 2):
            return Affine(factors, (least + most) // 2, shift)
    return None


def _weighted(factors: tuple[int, ...], xs: tuple[Integers, ...]) -> Integers:
    return np.asarray(sum(f * x for f, x in zip(factors, xs, strict=True)), np.int64)


def _tightest(
    xs: tuple[Integers, ...], bounds: Integers, active: NDArray[np.bool_], slack: int, sign: int
) -> list[tuple[tuple[Integers, ...], Integers]]:
    """The points whose bound may be the tightest one; none where no point is bound on this side."""
    if not active.any():
        return []
    chosen = active & (sign * bounds >= (sign * bounds[active]).max() - slack)
    return [(tuple(x[chosen] for x in xs), bounds[chosen])]


def _changes(count: int) -> Iterator[tuple[int, ...]]:
    """Small changes of the factors, smallest first."""
    changes = product(range(-REACH, REACH + 1), repeat=count)
    yield from sorted(changes, key=lambda change: sum(abs(c) for c in change))


def _fits(xs: tuple[Integers, ...], factors: tuple[int, ...], offset: int) -> bool:
    """Whether neither a product, nor a partial sum, nor the offset leaves int32."""
    low = high = 0
    for factor, x in zip(factors, xs, strict=True):
        ends = sorted((factor * int(x.min()), factor * int(x.max())))
        low, high = low + ends[0], high + ends[1]
        if low < -LIMIT or high >= LIMIT:
            return False
    return low + offset >= -LIMIT and high + offset < LIMIT and -LIMIT < offset < LIMIT
