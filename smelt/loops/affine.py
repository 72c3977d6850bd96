"""Indices as sums over loop counters: where an access goes when a counter goes one further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smelt.loops.ir import Binary, Cast, Const, Expr, Var


@dataclass(frozen=True)
class Affine:
    """`constant` plus each counter times its coefficient; what a division leaves over is ignored."""

    constant: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)

    def plus(self, other: Affine, times: float = 1.0) -> Affine:
        terms = dict(self.terms)
        for name, by in other.terms.items():
            terms[name] = terms.get(name, 0.0) + times * by
        return Affine(self.constant + times * other.constant, terms)

    def scaled(self, by: float) -> Affine:
        return Affine(self.constant * by, {name: by * c for name, c in self.terms.items()})


Known = Mapping[str, Affine | None]
"""What immutable variables are; counters stand for themselves, None for what depends on data."""


def affine(value: Expr, known: Known) -> Affine | None:
    """An expression as a sum over counters; None where data decides. Of a minimum or a maximum it is what the counters move."""
    match value:
        case Const(constant):
            return Affine(float(constant))
        case Var(name):
            return known.get(name)
        case Cast(_, inner):
            return affine(inner, known)
        case Binary(operator, left, right):
            a, b = affine(left, known), affine(right, known)
            return None if a is None or b is None else _joined(operator, a, b)
    return None


def _joined(operator: str, a: Affine, b: Affine) -> Affine | None:
    match operator:
        case "+" | "-":
            return a.plus(b, 1.0 if operator == "+" else -1.0)
        case "*" if not a.terms or not b.terms:
            return a.scaled(b.constant) if not b.terms else b.scaled(a.constant)
        case "min" | "max":
            return a if a.terms or not b.terms else b
        case "/" | ">>" if not b.terms and b.constant > 0:
            return a.scaled(1 / (b.constant if operator == "/" else 2**b.constant))
        case "%" | "&":
            return Affine(a.constant if not a.terms else 0.0)  # stays within a few elements
    return None
