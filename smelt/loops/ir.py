"""The loop IR: how a kernel computes, as data. Small and typed; Python is its macro language (see `builder`).

Two nodes go beyond the design's list, for these reasons: `Cast` because C needs widening before a 64-bit product and explicit
narrowing to be clean under -Wconversion; `Window` because a pointer to a part of a buffer is how C says "this row".
Shifts to the left are written as products, since C leaves shifting negative numbers undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np

from smelt.loops.fold import Operator as Operator
from smelt.loops.fold import fold as fold

Type = Literal["int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t", "float"]
SIZES: dict[Type, int] = {
    "int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4, "int64_t": 8, "uint64_t": 8,
    "float": 4,
}  # fmt: skip
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=", "&&", "||")


@dataclass(frozen=True)
class Intrinsic:
    """An operation that is one instruction on some core: `kernels/support/smelt_kernels.h` gives its C, portable body included.

    `cycles` is its cost where it is one instruction, `portable` where the C body stands in for it.
    """

    name: str
    result: Type
    cycles: int = 1
    portable: int = 4


class Expr:
    """A value. Arithmetic on expressions and ints builds expressions, folding constants on the way.

    `/`, `%` and `>>` round as C does: towards zero, except `>>`, which rounds down.
    """

    type: Type

    def __add__(self, other: Value) -> Expr:
        return binary("+", self, other)

    def __radd__(self, other: Value) -> Expr:
        return binary("+", other, self)

    def __sub__(self, other: Value) -> Expr:
        return binary("-", self, other)

    def __rsub__(self, other: Value) -> Expr:
        return binary("-", other, self)

    def __mul__(self, other: Value) -> Expr:
        return binary("*", self, other)

    def __rmul__(self, other: Value) -> Expr:
        return binary("*", other, self)

    def __floordiv__(self, other: Value) -> Expr:
        return binary("/", self, other)

    def __mod__(self, other: Value) -> Expr:
        return binary("%", self, other)

    def __rshift__(self, other: Value) -> Expr:
        return binary(">>", self, other)

    def __lshift__(self, other: int) -> Expr:
        return binary("*", self, 1 << other)

    def __and__(self, other: Value) -> Expr:
        return binary("&", self, other)

    def __or__(self, other: Value) -> Expr:
        return binary("|", self, other)

    def __xor__(self, other: Value) -> Expr:
        return binary("^", self, other)

    def __neg__(self) -> Expr:
        return binary("-", 0, self)

    def __lt__(self, other: Value) -> Expr:
        return binary("<", self, other)

    def __le__(self, other: Value) -> Expr:
        return binary("<=", self, other)

    def __gt__(self, other: Value) -> Expr:
        return binary(">", self, other)

    def __ge__(self, other: Value) -> Expr:
        return binary(">=", self, other)

    def both(self, other: Value) -> Expr:
        """Logical and."""
        return binary("&&", self, other)


Value = Expr | int


@dataclass(frozen=True)
class Const(Expr):
    """A number: an int, but for the type float."""

    value: Any
    type: Type = "int32_t"


@dataclass(frozen=True)
class Var(Expr):
    """A local variable or a loop counter. `mutable` ones may be assigned after their declaration."""

    name: str
    type: Type = "int32_t"
    mutable: bool = False


@dataclass(frozen=True)
class Binary(Expr):
    operator: Operator
    left: Expr
    right: Expr

    @property
    def type(self) -> Type:  # type: ignore[override]
        return _joined(self.operator, self.left.type, self.right.type)


@dataclass(frozen=True)
class Cast(Expr):
    type: Type
    value: Expr


@dataclass(frozen=True)
class Group(Expr):
    """The same in parentheses, where these are for readers only. Kernels are built without."""

    value: Expr

    @property
    def type(self) -> Type:  # type: ignore[override]
        return self.value.type


@dataclass(frozen=True)
class Element(Expr):
    """An element of a buffer whose address is meant, or of what begins at an element, in the place of an index: `&(&x[i])[j]` is
    `x + i + j` for readers. Kernels are built without."""

    buffer: AnyBuffer | Element
    value: Expr

    @property
    def type(self) -> Type:  # type: ignore[override]
        return self.value.type


@dataclass(frozen=True)
class Load(Expr):
    """`type` bytes from element `index` on; wider than an element it reads neighbours together, aligned or not."""

    buffer: AnyBuffer
    index: Expr
    type: Type


@dataclass(frozen=True)
class Call(Expr):
    """An intrinsic. As a statement its result is dropped."""

    intrinsic: Intrinsic
    arguments: tuple[Expr, ...]

    @property
    def type(self) -> Type:  # type: ignore[override]
        return self.intrinsic.result


def _joined(operator: Operator, left: Type, right: Type) -> Type:
    """C's usual arithmetic conversions, for the types that occur here."""
    if operator in COMPARISONS:
        return "int32_t"
    for wide in ("float", "uint64_t", "int64_t", "uint32_t"):
        if wide in (left, right):
            return wide
    return "int32_t"


def expression(value: Value) -> Expr:
    """An int as a constant; an expression as itself."""
    if isinstance(value, Expr):
        return value
    wide: Type = "int64_t" if value < 2**63 else "uint64_t"
    return Const(int(value), "int32_t" if -(2**31) <= value < 2**31 else wide)


def real(value: float) -> Const:
    """A float32 as a constant. Raises ValueError for what is no finite number."""
    if not isfinite(value):
        raise ValueError(f"{value} is no constant of C")
    return Const(float(np.float32(value)), "float")


def binary(operator: Operator, left: Value, right: Value) -> Expr:
    """`left operator right`, folded where constants allow (x + 0, x * 1, x * 0, constants gathered at the right of sums)."""
    a, b = expression(left), expression(right)
    if isinstance(a, Const) and isinstance(b, Const) and a.type == b.type != "float":
        return expression(fold(operator, a.value, b.value))
    if isinstance(b, Const) and b.type == "int32_t":
        return _with_constant(operator, a, b)
    if isinstance(a, Const) and a.type == "int32_t":
        if operator in ("+", "*"):
            return binary(operator, b, a)
        if operator == "&&":
            return b if a.value else Const(0)
        if operator == "||":
            return Const(1) if a.value else b
    return Binary(operator, a, b)


def _with_constant(operator: Operator, a: Expr, b: Const) -> Expr:
    neutral = {"+": 0, "-": 0, "*": 1, "/": 1, ">>": 0, "|": 0, "^": 0, "&&": 1, "||": 0}
    if operator != "&&" and operator != "||" and neutral.get(operator) == b.value:
        return a
    if operator == "*" and b.value == 0:
        return Const(0)
    if operator == "&&":
        return a if b.value else Const(0)
    if operator == "||":
        return Const(1) if b.value else a
    if operator == "-":
        return _with_constant("+", a, Const(-b.value))
    if operator in ("+", "*") and _ends_with_integer(a, operator):
        assert isinstance(a, Binary) and isinstance(a.right, Const)
        return binary(operator, a.left, fold(operator, a.right.value, b.value))
    return Binary(operator, a, b)


def _ends_with_integer(a: Expr, operator: Operator) -> bool:
    return isinstance(a, Binary) and a.operator == operator and isinstance(a.right, Const) and a.right.type != "float"


def minimum(a: Value, b: Value) -> Expr:
    return a if isinstance(a, Expr) and a == b else binary("min", a, b)


def maximum(a: Value, b: Value) -> Expr:
    return a if isinstance(a, Expr) and a == b else binary("max", a, b)


def cast(type: Type, value: Value) -> Expr:
    value = expression(value)
    return value if value.type == type else Cast(type, value)


Role = Literal["input", "output", "constant", "scratch"]


@dataclass(frozen=True)
class Buffer:
    """A parameter of a kernel: `size` elements of `type` that the caller provides."""

    name: str
    type: Type
    size: int
    role: Role

    @property
    def root(self) -> Buffer:
        return self

    def __getitem__(self, index: Value) -> Expr:
        return Load(self, expression(index), self.type)

    def load(self, type: Type, index: Value) -> Expr:
        """`type` read from element `index` on (for example two int8 as one int16, or four as one int32)."""
        return Load(self, expression(index), type)


@dataclass(frozen=True)
class Window:
    """A pointer into a buffer (or window): element i of it is element `offset + i` of `base`."""

    name: str
    base: AnyBuffer
    offset: Expr

    @property
    def type(self) -> Type:
        return self.base.type

    @property
    def role(self) -> Role:
        return self.base.role

    @property
    def root(self) -> Buffer:
        return self.base.root

    def __getitem__(self, index: Value) -> Expr:
        return Load(self, expression(index), self.type)

    def load(self, type: Type, index: Value) -> Expr:
        return Load(self, expression(index), type)


AnyBuffer = Buffer | Window


class Stmt:
    """A statement."""


@dataclass(frozen=True)
class Declare(Stmt):
    var: Var
    value: Expr


@dataclass(frozen=True)
class DeclareWindow(Stmt):
    window: Window


@dataclass(frozen=True)
class Assign(Stmt):
    var: Var
    value: Expr


@dataclass(frozen=True)
class Store(Stmt):
    """`value`, converted to `type`, written from element `index` on."""

    buffer: AnyBuffer
    index: Expr
    value: Expr
    type: Type


@dataclass(frozen=True)
class Loop(Stmt):
    """`for (var = start; var < stop; var += step)`; step is positive. `keep` asks compilers not to unroll it."""

    var: Var
    start: Expr
    stop: Expr
    step: int
    body: tuple[Stmt, ...]
    keep: bool = False


@dataclass(frozen=True)
class If(Stmt):
    """`rarely` says, to those who estimate what it costs, that the condition is seldom true."""

    condition: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...] = ()
    rarely: bool = False


@dataclass(frozen=True)
class Copy(Stmt):
    """`count` elements moved between buffers that do not overlap; or set to one value, where the source is a number."""

    target: AnyBuffer
    target_index: Expr
    source: AnyBuffer | Const | Load
    source_index: Expr
    count: Expr


@dataclass(frozen=True)
class Comment(Stmt):
    text: str


@dataclass(frozen=True, eq=False)
class Scratch:
    """Memory that a call needs while it runs, and only then."""

    bytes: int


Table = np.ndarray[Any, np.dtype[Any]]
"""Constant data that is bound to a `constant` buffer; it lives in flash."""
