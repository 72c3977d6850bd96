"""What expressions come to for many rounds of loops at once: the least and the greatest value, as NumPy arrays.

A counter is an array along an axis of its own, so that values of nested loops broadcast. Where a value is known exactly both ends
are the same object; data that only a run would know are between the ends of their type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from smelt.loops.bounds import RANGES
from smelt.loops.ir import COMPARISONS, Binary, Cast, Const, Expr, Type, Var

Numbers = Any
"""An int, or an array of int64."""
FAR = 1 << 31  # products of two of them stay inside int64


class Extent(NamedTuple):
    """From `low` to `high`, both included."""

    low: Numbers
    high: Numbers

    @property
    def is_exact(self) -> bool:
        return self.low is self.high


def exactly(value: Numbers) -> Extent:
    return Extent(value, value)


def any_of(type: Type) -> Extent:
    """Whatever a variable of a type may hold."""
    return Extent(*RANGES.get(type, (-FAR, FAR)))


class Values:
    """What is known of variables at a place. Those that were declared are computed when they are asked for."""

    def __init__(self, known: Mapping[str, Extent | Expr] | None = None) -> None:
        self._known = dict(known or {})

    def inner(self) -> Values:
        return Values(self._known)

    def put(self, var: Var, value: Extent | Expr) -> None:
        self._known[var.name] = value

    def of(self, value: Expr) -> Extent:
        """The extent of an expression."""
        match value:
            case Const(int(constant)):
                return exactly(constant)
            case Var(name):
                return self._variable(name, value.type)
            case Binary(operator, left, right):
                return _combined(operator, self.of(left), self.of(right))
            case Cast(type, inner):
                return _converted(type, self.of(inner))
        return any_of(value.type)

    def _variable(self, name: str, type: Type) -> Extent:
        known = self._known.get(name)
        if isinstance(known, Expr):
            known = self._known[name] = _converted(type, self.of(known))
        return any_of(type) if known is None else known


def _converted(type: Type, value: Extent) -> Extent:
    if type == "float":
        return any_of(type)
    low, high = RANGES.get(type, (-FAR, FAR))
    fits = type not in RANGES or (np.min(value.low) >= low and np.max(value.high) <= high)
    return value if fits else Extent(low, high)


def _combined(operator: str, a: Extent, b: Extent) -> Extent:
    if a.is_exact and b.is_exact:
        return exactly(_computed(operator, a.low, b.low))
    if operator in COMPARISONS:
        return Extent(0, 1)
    if operator in ("+", "min", "max"):
        ends = (_computed(operator, a.low, b.low), _computed(operator, a.high, b.high))
    elif operator == "-":
        ends = (a.low - b.high, a.high - b.low)
    elif operator == "*" or (operator in ("/", ">>") and b.is_exact and np.ndim(b.low) == 0 and b.low > 0):
        ends = _outermost(operator, a, b)
    elif operator == "&" and b.is_exact and np.min(b.low) >= 0:
        ends = (0, b.high)
    elif operator == "%" and b.is_exact and np.min(b.low) > 0:
        ends = (1 - b.low, b.low - 1)
    else:
        ends = (-FAR, FAR)
    return Extent(np.clip(ends[0], -FAR, FAR), np.clip(ends[1], -FAR, FAR))


def _outermost(operator: str, a: Extent, b: Extent) -> tuple[Numbers, Numbers]:
    ends = [_computed(operator, x, y) for x in a for y in (b if not b.is_exact else b[:1])]
    low, high = ends[0], ends[0]
    for end in ends[1:]:
        low, high = np.minimum(low, end), np.maximum(high, end)
    return low, high


def _computed(operator: str, a: Numbers, b: Numbers) -> Numbers:
    """What C computes, of ints or arrays."""
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "min":
            return min(a, b) if isinstance(a, int) and isinstance(b, int) else np.minimum(a, b)
        case "max":
            return max(a, b) if isinstance(a, int) and isinstance(b, int) else np.maximum(a, b)
        case "/":
            return np.abs(a) // np.abs(b) * (np.sign(a) * np.sign(b))
        case "%":
            return np.abs(a) % np.abs(b) * np.sign(a)
        case ">>":
            return a >> b
        case "&":
            return a & b
        case "|":
            return a | b
        case "^":
            return a ^ b
    truth = _compared(operator, a, b)
    return int(truth) if isinstance(truth, bool) else truth.astype(np.int64)


def _compared(operator: str, a: Numbers, b: Numbers) -> Any:
    match operator:
        case "<":
            return a < b
        case "<=":
            return a <= b
        case ">":
            return a > b
        case ">=":
            return a >= b
        case "==":
            return a == b
        case "!=":
            return a != b
        case "&&":
            return np.logical_and(a, b)
    assert operator == "||", operator
    return np.logical_or(a, b)
