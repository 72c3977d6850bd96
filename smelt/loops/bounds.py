"""The bounds proof: every access of a kernel stays inside its buffer.

An index is a sum of symbols times coefficients. To find its maximum, symbols are eliminated from the innermost outwards: a
loop counter is at most `stop - 1`, a variable at most its value (and whatever an enclosing `If` says of it); a `min` or `max`
that comes in that way splits the question in two. What is no such sum (a division, a table look-up) becomes a symbol with
an interval of its own. Everything is exact integer arithmetic; what cannot be shown is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from smelt.loops.ir import (
    SIZES,
    AnyBuffer,
    Assign,
    Binary,
    Buffer,
    Call,
    Cast,
    Const,
    Copy,
    Declare,
    DeclareWindow,
    Expr,
    If,
    Load,
    Loop,
    Stmt,
    Store,
    Type,
    Var,
    Window,
    binary,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine, Span

INFINITE = 1 << 80


class OutOfBounds(Exception):
    """An access could not be shown to stay inside its buffer: a defect of the kernel's builder."""


@dataclass(frozen=True)
class Affine:
    """``constant + sum(coefficient * symbol)``; symbols are expressions, and no coefficient is 0."""

    constant: int
    terms: Mapping[Expr, int] = field(default_factory=dict)

    def plus(self, other: Affine, factor: int = 1) -> Affine:
        terms = dict(self.terms)
        for symbol, coefficient in other.terms.items():
            _add(terms, symbol, factor * coefficient)
        return Affine(self.constant + factor * other.constant, terms)


def affine(value: Expr) -> Affine:
    """`value` as a sum over symbols; whatever is not linear is a symbol itself."""
    terms: dict[Expr, int] = {}
    return Affine(_gathered(value, 1, terms), terms)


def _gathered(value: Expr, factor: int, terms: dict[Expr, int]) -> int:
    """The constant of `factor` times `value`, whose symbols are added to `terms`."""
    match value:
        case Const(constant) if value.type != "float":
            return factor * int(constant)
        case Binary("+", left, right):
            return _gathered(left, factor, terms) + _gathered(right, factor, terms)
        case Binary("-", left, right):
            return _gathered(left, factor, terms) + _gathered(right, -factor, terms)
        case Binary("*", left, right):
            a, b = affine(left), affine(right)
            if not a.terms or not b.terms:
                sum_, times = (a, b.constant) if not b.terms else (b, a.constant)
                for symbol, coefficient in sum_.terms.items():
                    _add(terms, symbol, factor * times * coefficient)
                return factor * times * sum_.constant
        case Cast("int32_t", inner) if inner.type in ("int8_t", "uint8_t", "int16_t", "uint16_t"):
            return _gathered(inner, factor, terms)
    _add(terms, value, factor)
    return 0


def _add(terms: dict[Expr, int], symbol: Expr, coefficient: int) -> None:
    total = terms.get(symbol, 0) + coefficient
    if total:
        terms[symbol] = total
    else:
        terms.pop(symbol, None)


@dataclass(frozen=True)
class Limits:
    """What is known of a variable: it is at least each of `low` and at most each of `high`. `rank` grows inwards."""

    rank: int
    low: tuple[Expr, ...]
    high: tuple[Expr, ...]


RANGES: dict[Type, tuple[int, int]] = {
    "int8_t": (-128, 127),
    "uint8_t": (0, 255),
    "int16_t": (-32768, 32767),
    "uint16_t": (0, 65535),
}


class Scope:
    """The variables that are visible at a place, with their limits. What was found of sums of them is kept as long as their limits
    stand: the accesses of a loop's body differ in constants mostly."""

    def __init__(self) -> None:
        self.limits: dict[str, Limits] = {}
        self._most: dict[frozenset[tuple[Expr, int]], int] = {}

    def inner(self) -> Scope:
        scope = Scope()
        scope.limits, scope._most = self.limits.copy(), self._most.copy()
        return scope

    def add(self, var: Var, low: tuple[Expr, ...], high: tuple[Expr, ...]) -> None:
        self._set(var.name, Limits(len(self.limits), low, high))

    def _set(self, name: str, limits: Limits) -> None:
        if name in self.limits:  # of a new one nothing is known that could change
            self._most.clear()
        self.limits[name] = limits

    def assume(self, condition: Expr) -> None:
        """Take a condition for granted: comparisons of a variable with something, and conjunctions of these."""
        match condition:
            case Binary("&&", left, right):
                self.assume(left)
                self.assume(right)
            case Binary(("<" | "<=" | ">" | ">=" | "==") as operator, left, right):
                self._assume(operator, left, right)
                flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}[operator]
                self._assume(flipped, right, left)

    def _assume(self, operator: str, subject: Expr, other: Expr) -> None:
        if not isinstance(subject, Var) or subject.name not in self.limits:
            return
        old = self.limits[subject.name]
        low, high = old.low, old.high
        if operator in ("<", "<=", "=="):
            high += (other - 1 if operator == "<" else other,)
        if operator in (">", ">=", "=="):
            low += (other + 1 if operator == ">" else other,)
        # A bound may mention variables declared later than the subject; then it must be eliminated before them.
        rank = max([old.rank, *(self._rank(s) for s in affine(other).terms)])
        self._set(subject.name, Limits(rank, low, high))

    def _rank(self, symbol: Expr) -> int:
        """How far inside a symbol is; anything that is not a plain variable goes first."""
        if isinstance(symbol, Var):
            return self.limits[symbol.name].rank if symbol.name in self.limits else -1
        return len(self.limits) + 1

    def maximum(self, value: Affine) -> int:
        """An upper bound of `value`."""
        if not value.terms:
            return value.constant
        terms = frozenset(value.terms.items())
        if terms not in self._most:
            self._most[terms] = self._eliminated(value.terms)
        most = self._most[terms]
        return most if most >= INFINITE else most + value.constant

    def _eliminated(self, terms: Mapping[Expr, int]) -> int:
        """An upper bound of a sum of symbols, the innermost eliminated first."""
        symbol = max(terms, key=self._rank)
        coefficient = terms[symbol]
        rest = Affine(0, {s: c for s, c in terms.items() if s is not symbol})
        if isinstance(symbol, Var) and symbol.name in self.limits:
            limits = self.limits[symbol.name]
            options = limits.high if coefficient > 0 else limits.low
            return min((self._with(rest, option, coefficient) for option in options), default=INFINITE)
        return self._with(rest, symbol, coefficient)

    def _with(self, rest: Affine, option: Expr, coefficient: int) -> int:
        """Upper bound of ``rest + coefficient * option``; `min` and `max` inside the option are split."""
        match self._split(option):
            case None:
                pass
            case (operator, left, right):
                bounds = (self._with(rest, left, coefficient), self._with(rest, right, coefficient))
                return min(bounds) if (operator == "min") == (coefficient > 0) else max(bounds)
        expanded = affine(option)
        if option in expanded.terms and not (isinstance(option, Var) and option.name in self.limits):
            bound = self._interval(option)[1 if coefficient > 0 else 0]
            if abs(bound) >= INFINITE:
                return INFINITE
            return self.maximum(Affine(rest.constant + coefficient * bound, rest.terms))
        return self.maximum(rest.plus(expanded, coefficient))

    @staticmethod
    def _split(option: Expr) -> tuple[str, Expr, Expr] | None:
        """``min(a, b)`` and ``min(a, b) + c`` as (operator, a + c, b + c)."""
        match option:
            case Binary(("min" | "max") as operator, left, right):
                return operator, left, right
            case Binary(("+" | "-") as outer, Binary(("min" | "max") as operator, left, right), Const() as constant):
                return operator, binary(outer, left, constant), binary(outer, right, constant)
        return None

    def interval(self, value: Expr) -> tuple[int, int]:
        """Lower and upper bound of `value`."""
        form = affine(value)
        return -self.maximum(Affine(0).plus(form, -1)), self.maximum(form)

    def _interval(self, symbol: Expr) -> tuple[int, int]:
        """Bounds of something that is no sum."""
        match symbol:
            case Binary("/", left, Const(d)) if d > 0:
                low, high = self.interval(left)
                return _quotient(low, d), _quotient(high, d)
            case Binary("%", left, Const(d)) if d > 0:
                low, high = self.interval(left)
                return (0 if low >= 0 else 1 - d), (0 if high <= 0 else min(d - 1, max(high, 0)))
            case Binary(">>", left, Const(n)):
                low, high = self.interval(left)
                return (low >> n if low > -INFINITE else low), (high >> n if high < INFINITE else high)
            case Binary("&", left, Const(mask)) if mask >= 0:
                low, high = self.interval(left)
                return 0, min(mask, high) if low >= 0 else mask
            case Binary(("min" | "max") as operator, left, right):
                (a, b), (c, d) = self.interval(left), self.interval(right)
                return (min(a, c), min(b, d)) if operator == "min" else (max(a, c), max(b, d))
            case Binary(operator) if operator in ("<", "<=", ">", ">=", "==", "!=", "&&", "||"):
                return 0, 1
            case Load(_, _, type) if type in RANGES:
                return RANGES[type]
            case Cast(type, inner):
                low, high = self.interval(inner)
                limits = RANGES.get(type, (-(2**31), 2**31 - 1))
                return (low, high) if limits[0] <= low and high <= limits[1] else limits
        return -INFINITE, INFINITE


def _quotient(value: int, divisor: int) -> int:
    """C's division, for a bound that may be infinite."""
    if abs(value) >= INFINITE:
        return value
    return abs(value) // divisor * (1 if value >= 0 else -1)


def check_bounds(kernel: Kernel) -> None:
    """Raise OutOfBounds at the first access that is not shown to be inside its buffer."""
    _check(kernel.body, Scope(), kernel.name)


def _check(body: tuple[Stmt, ...], scope: Scope, kernel: str) -> None:
    for statement in body:
        for value in _values(statement):
            _check_loads(value, scope, kernel)
        match statement:
            case Declare(var, value):
                if not var.mutable:
                    scope.add(var, (value,), (value,))
            case Store(buffer, index, _, type):
                _check_access(buffer, index, SIZES[type], scope, kernel)
            case Loop(var, start, stop, step, inner):
                nested = scope.inner()
                nested.add(var, (start,), (_last(start, stop, step),))
                _check(inner, nested, kernel)
            case If(condition, then, otherwise):
                nested = scope.inner()
                nested.assume(condition)
                _check(then, nested, kernel)
                _check(otherwise, scope.inner(), kernel)
            case Copy(target, target_index, source, source_index, count):
                _check_range(target, target_index, count, scope, kernel)
                if not isinstance(source, Const | Load):
                    _check_range(source, source_index, count, scope, kernel)
            case CallRoutine(_, arguments):
                for span in arguments:
                    if isinstance(span, Span):
                        _check_range(span.buffer, span.index, Const(span.count), scope, kernel)


def _last(start: Expr, stop: Expr, step: int) -> Expr:
    """The greatest value of a loop's counter, or something greater."""
    if isinstance(start, Const) and isinstance(stop, Const):
        return Const(start.value + (stop.value - 1 - start.value) // step * step)
    return stop - 1


def _values(statement: Stmt) -> Iterator[Expr]:
    match statement:
        case Declare(_, value) | Assign(_, value):
            yield value
        case DeclareWindow(window):
            yield window.offset
        case Store(_, index, value, _):
            yield index
            yield value
        case Loop(_, start, stop, _, _):
            yield start
            yield stop
        case If(condition, _, _):
            yield condition
        case Copy(_, target_index, _, source_index, count):
            yield from (target_index, source_index, count)
        case CallRoutine(_, arguments):
            yield from (a.index if isinstance(a, Span) else a for a in arguments)


def _check_loads(value: Expr, scope: Scope, kernel: str) -> None:
    match value:
        case Binary("&&", left, right):
            _check_loads(left, scope, kernel)
            guarded = scope.inner()
            guarded.assume(left)
            _check_loads(right, guarded, kernel)
        case Binary(_, left, right):
            _check_loads(left, scope, kernel)
            _check_loads(right, scope, kernel)
        case Cast(_, inner):
            _check_loads(inner, scope, kernel)
        case Call(_, arguments):
            for argument in arguments:
                _check_loads(argument, scope, kernel)
        case Load(buffer, index, type):
            _check_loads(index, scope, kernel)
            _check_access(buffer, index, SIZES[type], scope, kernel)


def _resolve(buffer: AnyBuffer, index: Expr) -> tuple[Buffer, Expr]:
    while isinstance(buffer, Window):
        index = buffer.offset + index
        buffer = buffer.base
    return buffer, index


def _check_access(buffer: AnyBuffer, index: Expr, width: int, scope: Scope, kernel: str) -> None:
    root, position = _resolve(buffer, index)
    low, high = scope.interval(position)
    element = SIZES[root.type]
    if low < 0 or high * element + width > root.size * element:
        raise OutOfBounds(f"{kernel}: {root.name}[{_shown(low)} to {_shown(high)}] of {root.size} ({width} bytes each)")


def _check_range(buffer: AnyBuffer, index: Expr, count: Expr, scope: Scope, kernel: str) -> None:
    root, position = _resolve(buffer, index)
    low = scope.interval(position)[0]
    high = scope.interval(position + count)[1]
    if low < 0 or high > root.size:
        raise OutOfBounds(f"{kernel}: {root.name}[{_shown(low)} to {_shown(high)}) of {root.size}")


def _shown(bound: int) -> str:
    return "unknown" if abs(bound) >= INFINITE else str(bound)
