"""Routines: hand-written functions that kernels call, as values whose parameters say what they read and write.

How far a routine reaches behind a pointer is an expression over its numbers. The spans of a call follow from that, and the bounds
proof checks them like any other access; who calls a routine cannot declare less than it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from smelt.loops.ir import (
    SIZES,
    AnyBuffer,
    Binary,
    Const,
    Expr,
    Intrinsic,
    Stmt,
    Type,
    Value,
    Var,
    expression,
    fold,
)

Access = Literal["read", "write", "update"]


class WrongCall(Exception):
    """A call that does not fit the parameters of what it calls: a defect of the kernel's builder."""


@dataclass(frozen=True)
class At:
    """A pointer: element `index` of a buffer."""

    buffer: AnyBuffer
    index: Value = 0


@dataclass(frozen=True)
class Number:
    """An int32 that is passed. Where it is a constant it is at least `least`, and a multiple of `multiple`.

    One that is not `passed` is only told here, because a reach depends on it.
    """

    name: str
    least: int | None = None
    multiple: int = 1
    passed: bool = True

    @property
    def value(self) -> Var:
        """For the expressions of reaches."""
        return Var(self.name)


@dataclass(frozen=True)
class Reads:
    """A pointer behind which `count` elements of `type` are read at most. Buffers may be declared with one of the types `also`.

    `count` is an expression over the numbers, none of which may then be unknown when the C is written.
    """

    name: str
    type: Type
    count: Expr
    also: tuple[Type, ...] = ()
    access: ClassVar[Access] = "read"


@dataclass(frozen=True)
class Writes(Reads):
    """The same for elements that are written, not all of them perhaps, and not read before."""

    access: ClassVar[Access] = "write"


@dataclass(frozen=True)
class Updates(Reads):
    """The same for elements that are read and written."""

    access: ClassVar[Access] = "update"


Parameter = Reads | Writes | Updates | Number


@dataclass(frozen=True)
class Routine:
    """A function whose heart is in assembly: it is in the header `source`, which has a portable body beside it.

    `stack`: bytes of stack that the assembly uses at most, of which compilers do not know. `floats`: it computes in floating
    point.
    """

    name: str
    source: str
    parameters: tuple[Parameter, ...]
    stack: int = 0
    floats: bool = False


@dataclass(frozen=True)
class Span:
    """`count` elements of a buffer from `index` on: what a routine may touch behind a pointer, and how."""

    buffer: AnyBuffer
    index: Expr
    count: int
    access: Access = "read"


@dataclass(frozen=True)
class CallRoutine(Stmt):
    """A call of a routine. For the cost: `work` are intrinsics with their numbers, `others` the number of other instructions,
    `turns` how often its loads go from constants to other data."""

    routine: Routine
    arguments: tuple[Span | Expr, ...]
    work: tuple[tuple[Intrinsic, int], ...]
    others: int
    turns: int = 0


def checked_arguments(routine: Routine, arguments: Sequence[At | Value]) -> tuple[Span | Expr, ...]:
    """What is passed, pointers as the spans that the parameters make of them.

    Raises WrongCall where number, kind or type of the arguments differ from the parameters, where a number is none that the
    routine takes, and where it would write to what is read-only.
    """
    if len(arguments) != len(routine.parameters):
        raise WrongCall(f"{routine.name}: {len(arguments)} arguments for {len(routine.parameters)} parameters")
    pairs = list(zip(routine.parameters, arguments, strict=True))
    numbers = {p.name: _number(routine, p, a) for p, a in pairs if isinstance(p, Number)}
    known = {name: value.value for name, value in numbers.items() if isinstance(value, Const)}
    passed: list[Span | Expr] = []
    for parameter, argument in pairs:
        if not isinstance(parameter, Number):
            passed.append(_span(routine, parameter, argument, known))
        elif parameter.passed:
            passed.append(numbers[parameter.name])
    return tuple(passed)


def _number(routine: Routine, parameter: Number, argument: At | Value) -> Expr:
    if isinstance(argument, At):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is a number, not a pointer to '{argument.buffer.name}'")
    value = expression(argument)
    if SIZES[value.type] > 4 or value.type == "float":
        raise WrongCall(f"{routine.name}: '{parameter.name}' is an int32, not of {value.type}")
    if isinstance(value, Const):
        least, multiple = parameter.least, parameter.multiple
        if (least is not None and value.value < least) or value.value % multiple:
            wanted = f"{'' if least is None else f'at least {least}, '}a multiple of {multiple}"
            raise WrongCall(f"{routine.name}: '{parameter.name}' is {wanted}, not {value.value}")
    return value


def _span(routine: Routine, parameter: Reads, argument: At | Value, known: Mapping[str, int]) -> Span:
    if not isinstance(argument, At):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is a pointer")
    buffer = argument.buffer
    if buffer.type not in (parameter.type, *parameter.also):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is of {parameter.type}, '{buffer.name}' of {buffer.type}")
    if parameter.access != "read" and buffer.role in ("input", "constant"):
        raise WrongCall(f"{routine.name}: '{buffer.name}' is read-only")
    size = evaluated(parameter.count, known) * SIZES[parameter.type]
    return Span(buffer, expression(argument.index), -(-size // SIZES[buffer.type]), parameter.access)


def evaluated(value: Expr, numbers: Mapping[str, int]) -> int:
    """`value` where its variables are these numbers. Raises WrongCall for a variable that is none of them."""
    match value:
        case Const(int(constant)):
            return constant
        case Var(name) if name in numbers:
            return numbers[name]
        case Binary(operator, left, right):
            return int(fold(operator, evaluated(left, numbers), evaluated(right, numbers)))
    raise WrongCall(f"{value} is not known when the C is written")
