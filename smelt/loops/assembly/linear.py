"""What registers hold while a routine is followed: numbers and addresses, as sums over the counters of loops.

A value is a constant plus multiples of counters. An address is such a sum behind a parameter; a place in the code one behind a
label. `None` stands for what nobody knows before the routine runs: data, and what is computed from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

BITS = 32


class Linear(NamedTuple):
    """`constant` plus coefficients times counters. `region` is the parameter that an address lies behind, `@` and a label for code,
    "" for a number. Without a constant it is an address behind `region`, nobody knows how far."""

    region: str
    constant: int | None
    terms: tuple[tuple[int, int], ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is a constant number."""
        return not self.region and not self.terms

    @property
    def is_known(self) -> bool:
        return self.constant is not None

    def coefficient(self, counter: int) -> int:
        for one, step in self.terms:
            if one == counter:
                return step
        return 0

    def at(self, counter: int, count: int) -> Linear:
        """With a number for a counter."""
        step = self.coefficient(counter)
        if self.constant is None or not step:
            return self
        return Linear(self.region, self.constant + count * step, tuple(t for t in self.terms if t[0] != counter))

    def moved(self, base: Linear) -> Linear:
        """This far behind another address of the region. It does not grow itself."""
        assert self.constant is not None and base.constant is not None and not self.terms
        return Linear(self.region, signed(self.constant + base.constant), base.terms)

    def later(self, counter: int) -> Linear:
        """The value that it has when a counter is one more."""
        step = self.coefficient(counter)
        return self if self.constant is None or not step else self._replace(constant=self.constant + step)


Value: TypeAlias = Linear | None


def number(value: int) -> Linear:
    """A constant, as 32 bits with a sign."""
    return Linear("", signed(value))


def signed(value: int) -> int:
    half = 1 << (BITS - 1)
    return (value + half) % (1 << BITS) - half


def plus(a: Value, b: Value) -> Value:
    if a is None or b is None:
        address = a or b
        return Linear(address.region, None) if address is not None and address.region else None
    if a.region and b.region:
        return None
    return _sum(a.region or b.region, a, b, 1)


def minus(a: Value, b: Value) -> Value:
    """Two addresses behind the same parameter have a distance."""
    if a is None or b is None or (b.region and a.region != b.region):
        return None
    return _sum("" if b.region else a.region, a, b, -1)


def _sum(region: str, a: Linear, b: Linear, sign: int) -> Value:
    if a.constant is None or b.constant is None:
        return Linear(region, None) if region else None
    constant = signed(a.constant + sign * b.constant)
    if not b.terms and (sign > 0 or not a.terms):
        return Linear(region, constant, a.terms)
    terms = dict(a.terms)
    for counter, step in b.terms:
        terms[counter] = terms.get(counter, 0) + sign * step
    return Linear(region, constant, tuple(sorted((c, s) for c, s in terms.items() if s)))


def times(a: Value, b: Value) -> Value:
    if a is None or b is None or a.region or b.region:
        return None
    if a.terms and b.terms:
        return None
    one, factor = (a, b.constant) if a.terms else (b, a.constant)
    if one.constant is None or factor is None:
        return None
    terms = tuple((c, s * factor) for c, s in one.terms) if factor else ()
    return Linear("", signed(one.constant * factor), terms)


def shifted(value: Value, how: str, count: Value) -> Value:
    """`lsl`, `lsr`, `asr` or `ror` of a value."""
    if value is None or count is None or value.region or not count.is_number:
        return None
    assert value.constant is not None and count.constant is not None
    by = count.constant & 0xFF
    if how == "lsl":
        return times(value, number(1 << by)) if by < BITS else number(0)
    if value.terms:
        even = all(not step % (1 << by) for _, step in value.terms)
        rises = value.constant >= 0 and all(step >= 0 for _, step in value.terms)
        if not even or not (rises or how == "asr"):
            return None
        return Linear("", value.constant >> by, tuple((c, step >> by) for c, step in value.terms))
    if how == "asr":
        return number(value.constant >> by)
    bits = value.constant % (1 << BITS)
    if how == "lsr":
        return number(bits >> by)
    by %= BITS
    return number(bits >> by | bits << (BITS - by))


def of_constants(function: Callable[[int, int], int], a: Value, b: Value) -> Value:
    """What is no sum is computed of constants only."""
    if a is None or b is None or not a.is_number or not b.is_number:
        return None
    assert a.constant is not None and b.constant is not None
    return number(function(a.constant, b.constant))


def either(a: Value, b: Value) -> Value:
    """What is known of a value that is one of two."""
    if a == b:
        return a
    if a is not None and b is not None and a.region == b.region != "":
        return Linear(a.region, None)
    return None


def first_change(constant: int, step: int, relation: str) -> int | None:
    """The first count above 0 at which `constant + count * step` compares to 0 in another way than at 0; None: never."""
    if relation in ("eq", "ne"):
        if constant == 0:
            return 1
        return -constant // step if -constant % step == 0 and -constant // step > 0 else None
    if relation in ("gt", "le"):
        constant -= 1
    if constant < 0:
        return -(constant // step) if step > 0 else None
    return constant // -step + 1 if step < 0 else None


HOLDS: dict[str, Callable[[int], bool]] = {
    "eq": lambda d: d == 0,
    "ne": lambda d: d != 0,
    "lt": lambda d: d < 0,
    "ge": lambda d: d >= 0,
    "gt": lambda d: d > 0,
    "le": lambda d: d <= 0,
}
"""How a difference compares to 0."""
UNSIGNED = {"lo": "lt", "hs": "ge", "hi": "gt", "ls": "le"}
SIGNS = {"mi": "lt", "pl": "ge"}
"""Conditions under another name: of differences without a sign, and of results."""
