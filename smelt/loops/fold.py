"""Operators on constants, as C computes them."""

from __future__ import annotations

from typing import Literal

Operator = Literal[
    "+", "-", "*", "/", "%", ">>", "&", "|", "^", "<", "<=", ">", ">=", "==", "!=", "&&", "||", "min", "max"
]


def fold(operator: Operator, a: int, b: int) -> int:
    """What C computes for two constants (without overflow)."""
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        case "%":
            return abs(a) % abs(b) * (-1 if a < 0 else 1)
        case ">>":
            return a >> b
        case "&":
            return a & b
        case "|":
            return a | b
        case "^":
            return a ^ b
        case "<":
            return int(a < b)
        case "<=":
            return int(a <= b)
        case ">":
            return int(a > b)
        case ">=":
            return int(a >= b)
        case "==":
            return int(a == b)
        case "!=":
            return int(a != b)
        case "&&":
            return int(bool(a) and bool(b))
        case "||":
            return int(bool(a) or bool(b))
        case "min":
            return min(a, b)
        case "max":
            return max(a, b)
