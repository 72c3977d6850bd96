"""Routines: hand-written functions that kernels call, as values whose parameters say what they read and write.

How far a routine reaches behind a pointer is read from its instructions, for the numbers of each call. What is written in C is
declared: an expression over the numbers. The spans of a call follow from that, and the bounds proof checks them like any other
access; who calls a routine cannot declare less than it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from smelt.loops.assembly.machine import Unfollowed
from smelt.loops.assembly.reach import Reach, Reader
from smelt.loops.assembly.touched import Stretch
from smelt.loops.ir import (
    SIZES,
    AnyBuffer,
    Binary,
    Buffer,
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
    """An int32 that is passed. Where it is a constant it is at least `least` and at most `most`, and a multiple of `multiple`.

    One that is not `passed` is only told here, because a reach depends on it.
    """

    name: str
    least: int | None = None
    multiple: int = 1
    passed: bool = True
    most: int | None = None

    @property
    def value(self) -> Var:
        """For the expressions of reaches."""
        return Var(self.name)

    def takes(self, value: int) -> bool:
        """Whether the routine takes such a number."""
        low, high = (self.least is None or self.least <= value), (self.most is None or value <= self.most)
        return low and high and value % self.multiple == 0


@dataclass(frozen=True)
class Reads:
    """A pointer behind which `count` elements of `type` are read at most. Buffers may be declared with one of the types `also`.

    `count` is an expression over the numbers, none of which may then be unknown when the C is written. Where instructions tell how
    far they reach there need be none, and it may not be less than they do. `by_data`: they do not tell, because data decide.
    """

    name: str
    type: Type
    count: Expr | None = None
    also: tuple[Type, ...] = ()
    by_data: bool = False
    access: ClassVar[Access] = "read"

    def allows(self, reach: Reach) -> bool:
        """Whether it may be read or written as it is."""
        return (reach.reads is None or self.access != "write") and (reach.writes is None or self.access != "read")


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
    point. `turn`: it goes through what it writes and what it reads of that length in turns of so many elements, one turn after the
    other; in a turn no element is written before its neighbour at the same place was read. 0: nothing is said of the order.
    `reader`: reads the instructions, where they were built.
    """

    name: str
    source: str
    parameters: tuple[Parameter, ...]
    stack: int = 0
    floats: bool = False
    turn: int = 0
    reader: Reader | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        names = tuple(p.name for p in self.parameters if not isinstance(p, Number) or p.passed)
        if self.reader is not None and names != self.reader.parameters:
            raise ValueError(
                f"{self.name}: its instructions know its parameters as {', '.join(self.reader.parameters)}"
            )


@dataclass(frozen=True)
class Span:
    """`count` elements of a buffer from `index` on: what a routine may touch behind a pointer, and how.

    With a `step` it only touches `width` bytes from there on and from every `step` bytes behind it. `words`: what it is passed as,
    where it is a part of a buffer of bytes.
    """

    buffer: AnyBuffer
    index: Expr
    count: int
    access: Access = "read"
    step: int = 0
    width: int = 0
    words: Type | None = None


@dataclass(frozen=True)
class Passes:
    """How a routine goes through what is behind a pointer: in so many `turns`, each of which touches a word every `stride` bytes.
    Only caches notice: it is for the price, and nothing is proved with it."""

    turns: int
    stride: int = 4


@dataclass(frozen=True)
class CallRoutine(Stmt):
    """A call of a routine. For the cost: `work` are intrinsics with their numbers, `others` the number of other instructions,
    `turns` how often its loads go from constants to other data, `passes` how it goes through what is behind its pointers, by their
    place among the arguments; through what is not there it goes once."""

    routine: Routine
    arguments: tuple[Span | Expr, ...]
    work: tuple[tuple[Intrinsic, int], ...]
    others: int
    turns: int = 0
    passes: tuple[tuple[int, Passes], ...] = ()


def checked_arguments(routine: Routine, arguments: Sequence[At | Value]) -> tuple[Span | Expr, ...]:
    """What is passed, pointers as the spans that the parameters make of them.

    Raises WrongCall where number, kind or type of the arguments differ from the parameters, where a number is none that the
    routine takes, where it would write to what is read-only, and where instructions do what a parameter does not say.
    """
    if len(arguments) != len(routine.parameters):
        raise WrongCall(f"{routine.name}: {len(arguments)} arguments for {len(routine.parameters)} parameters")
    pairs = list(zip(routine.parameters, arguments, strict=True))
    numbers = {p.name: _number(routine, p, a) for p, a in pairs if isinstance(p, Number)}
    known = {name: value.value for name, value in numbers.items() if isinstance(value, Const)}
    reached = _reached(routine, known)
    passed: list[Span | Expr] = []
    for parameter, argument in pairs:
        if not isinstance(parameter, Number):
            size, stretch = _bytes(routine, parameter, known, reached), reached.get(parameter.name, Reach()).both
            passed.append(_span(routine, parameter, argument, size, stretch))
        elif parameter.passed:
            passed.append(numbers[parameter.name])
    return tuple(passed)


def _number(routine: Routine, parameter: Number, argument: At | Value) -> Expr:
    if isinstance(argument, At):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is a number, not a pointer to '{argument.buffer.name}'")
    value = expression(argument)
    if SIZES[value.type] > 4 or value.type == "float":
        raise WrongCall(f"{routine.name}: '{parameter.name}' is an int32, not of {value.type}")
    if isinstance(value, Const) and not parameter.takes(int(value.value)):
        limits = ((parameter.least, "at least"), (parameter.most, "at most"))
        wanted = "".join(f"{how} {limit}, " for limit, how in limits if limit is not None)
        raise WrongCall(
            f"{routine.name}: '{parameter.name}' is {wanted}a multiple of {parameter.multiple}, not {value.value}"
        )
    return value


def _reached(routine: Routine, known: Mapping[str, int]) -> Mapping[str, Reach]:
    """By parameter what instructions do; nothing of those that were not built."""
    if routine.reader is None:
        return {}
    passed = [p for p in routine.parameters if not isinstance(p, Number) or p.passed]
    numbers = {p.name: known.get(p.name) for p in passed if isinstance(p, Number)}
    try:
        return routine.reader.reach(numbers)
    except Unfollowed as reason:
        raise WrongCall(f"{routine.name}: {reason}, with {numbers}") from None


def _bytes(routine: Routine, parameter: Reads, known: Mapping[str, int], reached: Mapping[str, Reach]) -> int:
    """How far a routine reaches behind a pointer, at most."""
    declared = None if parameter.count is None else evaluated(parameter.count, known) * SIZES[parameter.type]
    if routine.reader is None:
        if declared is None:
            raise WrongCall(f"{routine.name}: nothing tells how far it reaches behind '{parameter.name}'")
        return declared
    reach = reached.get(parameter.name, Reach())
    if not parameter.allows(reach):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is not only {parameter.access}")
    stretch = reach.both
    if stretch is None:
        return declared or 0
    if stretch.low is None or stretch.high is None:
        if declared is None or not parameter.by_data:
            raise WrongCall(
                f"{routine.name}: how far it reaches behind '{parameter.name}' is not known when the C is written"
            )
        return declared
    if stretch.low < 0 or (declared is not None and declared < stretch.high):
        raise WrongCall(
            f"{routine.name}: it reaches bytes {stretch.low} to {stretch.high} behind '{parameter.name}', not {declared}"
        )
    return stretch.high


def _span(routine: Routine, parameter: Reads, argument: At | Value, size: int, stretch: Stretch | None) -> Span:
    if not isinstance(argument, At):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is a pointer")
    buffer = argument.buffer
    fits = buffer.type in (parameter.type, *parameter.also)
    if not fits and not _may_be_words(parameter.type, buffer, argument.index):
        raise WrongCall(f"{routine.name}: '{parameter.name}' is of {parameter.type}, '{buffer.name}' of {buffer.type}")
    if parameter.access != "read" and buffer.role in ("input", "constant"):
        raise WrongCall(f"{routine.name}: '{buffer.name}' is read-only")
    words = None if fits else parameter.type
    span = Span(buffer, expression(argument.index), -(-size // SIZES[buffer.type]), parameter.access, words=words)
    if stretch is None or stretch.low != 0 or stretch.step <= stretch.width:
        return span
    return replace(span, step=stretch.step, width=stretch.width)


def _may_be_words(type: Type, buffer: AnyBuffer, index: Value) -> bool:
    """Whether elements of `type` may lie in a buffer from there on: in scratch of bytes, which begins at a multiple of four."""
    aligned = SIZES[type] <= 4 and _is_multiple(expression(index), SIZES[type])
    return aligned and isinstance(buffer, Buffer) and buffer.role == "scratch" and buffer.type == "int8_t"


def _is_multiple(value: Expr, size: int) -> bool:
    """Whether it is a multiple of `size` whatever its variables are."""
    match value:
        case Const(int(constant)):
            return constant % size == 0
        case Binary("+" | "-", left, right):
            return _is_multiple(left, size) and _is_multiple(right, size)
        case Binary("*", left, right):
            return _is_multiple(left, size) or _is_multiple(right, size)
    return False


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
