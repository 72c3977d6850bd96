"""A kernel reduced to what it does with two of its buffers, x that is read and y that is written: loops, branches, accesses.

Everything else is left out, but for the variables that indices are made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from smelt.loops.bounds import affine
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
    Var,
    Window,
)
from smelt.loops.routine import CallRoutine, Span


@dataclass(frozen=True)
class Touch:
    """`size` bytes and `count` elements of `element` bytes more, from element `index` on; of y if `writes`, else of x.

    With a `step` it is `width` bytes from there on and from every `step` bytes behind it. It happens where `guard` holds, if there
    is one.
    """

    writes: bool
    index: Expr
    element: int
    size: int
    count: Expr | None = None
    guard: Expr | None = None
    step: int = 0
    width: int = 0


@dataclass(frozen=True)
class Let:
    """A variable that keeps its value."""

    var: Var
    value: Expr


@dataclass(frozen=True)
class Branch:
    """One of two."""

    condition: Expr
    then: Passage
    otherwise: Passage


@dataclass(frozen=True)
class Rounds:
    """A loop. `every`: each round must be looked at, as what is touched does not move by the same distance from round to round."""

    var: Var
    start: Expr
    stop: Expr
    step: int
    body: Passage
    every: bool


@dataclass(frozen=True)
class Passage:
    """What is done one after the other, and whether x is read and y is written in it."""

    parts: tuple[Part, ...] = ()
    reads: bool = False
    writes: bool = False


Part = Touch | Let | Branch | Rounds


@dataclass(frozen=True)
class _Grown:
    """The counters of loops with which a value grows by the same step in every round, and those with which it changes otherwise."""

    evenly: frozenset[str] = frozenset()
    otherwise: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        return self.evenly | self.otherwise

    def joined(self, other: _Grown) -> _Grown:
        return _Grown(self.evenly | other.evenly, self.otherwise | other.otherwise)


@dataclass
class Reducer:
    """Makes the passage of statements. `uneven` gathers the counters of loops of which every round must be looked at."""

    x: Buffer
    y: Buffer
    uneven: set[str] = field(default_factory=set)
    _grown: dict[str, _Grown] = field(default_factory=dict)
    _known: dict[int, tuple[Expr, _Grown]] = field(default_factory=dict)

    def passage(self, body: Iterable[Stmt]) -> Passage:
        parts = tuple(part for statement in body for part in self._parts(statement))
        return Passage(parts, any(map(_reads, parts)), any(map(_writes, parts)))

    def _parts(self, statement: Stmt) -> Iterator[Part]:
        match statement:
            case Declare(var, value):
                yield from self._loads(value)
                if not var.mutable:
                    self._grown[var.name] = self._growth(value)
                    yield Let(var, value)
            case Assign(_, value):
                yield from self._loads(value)
            case DeclareWindow(window):
                yield from self._loads(window.offset)
            case Store(buffer, index, value, type):
                yield from self._loads(index)
                yield from self._loads(value)
                yield from self._touch(True, buffer, index, SIZES[type])
            case Loop():
                yield from self._loop(statement)
            case If(condition, then, otherwise):
                yield from self._loads(condition)
                ways = Branch(condition, self.passage(then), self.passage(otherwise))
                if _reads(ways) or _writes(ways):
                    self.uneven |= self._growth(condition).all
                    yield ways
            case Copy(target, target_index, source, source_index, count):
                for value in (target_index, source_index, count):
                    yield from self._loads(value)
                yield from self._touch(True, target, target_index, 0, count)
                if not isinstance(source, Const | Load):
                    yield from self._touch(False, source, source_index, 0, count)
            case CallRoutine():
                yield from self._call(statement)

    def _loop(self, loop: Loop) -> Iterator[Touch | Rounds]:
        yield from self._loads(loop.start)
        yield from self._loads(loop.stop)
        start = self._growth(loop.start)
        self._grown[loop.var.name] = _Grown(start.evenly | {loop.var.name}, start.otherwise)
        body = self.passage(loop.body)
        if not body.reads and not body.writes:
            return
        if affine(loop.stop).plus(affine(loop.start), -1).terms:  # the number of rounds differs
            self.uneven |= start.all | self._growth(loop.stop).all
        self.uneven |= start.otherwise
        yield Rounds(loop.var, loop.start, loop.stop, loop.step, body, False)

    def _call(self, call: CallRoutine) -> Iterator[Touch | Rounds]:
        """All that a routine writes before all that it reads, where nothing is said of the order inside."""
        spans = [a for a in call.arguments if isinstance(a, Span)]
        for value in call.arguments:
            yield from self._loads(value.index if isinstance(value, Span) else value)
        if call.routine.turn and len({span.count for span in spans if span.buffer.root in (self.x, self.y)}) == 1:
            yield self._turns(call.routine.turn, spans)
            return
        for writes, other in ((True, "read"), (False, "write")):
            for span in (s for s in spans if s.access != other):
                size = span.count * SIZES[span.buffer.type]
                for touch in self._touch(writes, span.buffer, span.index, size):
                    yield replace(touch, step=span.step, width=span.width)

    def _turns(self, length: int, spans: list[Span]) -> Rounds:
        """The elements of a turn in the worst order, one turn after the other; of the same place x is read first."""
        (count,) = {span.count for span in spans if span.buffer.root in (self.x, self.y)}
        turn, place = Var("turn of a routine"), Var("place in a turn")
        for var in (turn, place):
            self._grown[var.name] = _Grown(frozenset({var.name}))
        at = turn + (length - 1 - place)
        touches = (
            self._touch(writes, span.buffer, span.index + at, SIZES[span.buffer.type])
            for writes, other in ((False, "write"), (True, "read"))
            for span in spans
            if span.access != other
        )
        body = tuple(touch for found in touches for touch in found)
        reads, writes = any(map(_reads, body)), any(map(_writes, body))
        places = Rounds(place, Const(0), Const(length), 1, Passage(body, reads, writes), False)
        return Rounds(turn, Const(0), Const(count), length, Passage((places,), reads, writes), False)

    def _loads(self, value: Expr, guard: Expr | None = None) -> Iterator[Touch]:
        """Those of x in an expression; of two conditions that must both hold the first one guards the second."""
        waiting: list[tuple[Expr, Expr | None]] = [(value, guard)]
        while waiting:
            value, guard = waiting.pop()
            if isinstance(value, Binary):
                waiting.append((value.left, guard))
                waiting.append((value.right, value.left if value.operator == "&&" else guard))
            elif isinstance(value, Cast):
                waiting.append((value.value, guard))
            elif isinstance(value, Call):
                waiting.extend((argument, guard) for argument in value.arguments)
            elif isinstance(value, Load):
                waiting.append((value.index, guard))
                if value.buffer.root == self.x:
                    yield from self._touch(False, value.buffer, value.index, SIZES[value.type], guard=guard)

    def _touch(
        self, writes: bool, buffer: AnyBuffer, index: Expr, size: int, count: Expr | None = None,
        guard: Expr | None = None,
    ) -> Iterator[Touch]:  # fmt: skip
        while isinstance(buffer, Window):
            index = buffer.offset + index
            buffer = buffer.base
        if buffer != (self.y if writes else self.x):
            return
        for value in (index, count):
            self.uneven |= frozenset() if value is None else self._growth(value).otherwise
        self.uneven |= frozenset() if guard is None else self._growth(guard).all
        yield Touch(writes, index, SIZES[buffer.type], size, count, guard)

    def _growth(self, value: Expr) -> _Grown:
        if id(value) not in self._known:
            self._known[id(value)] = value, self._found(value)
        return self._known[id(value)][1]

    def _found(self, value: Expr) -> _Grown:
        """Data are the same in every round, as far as anybody knows: between two ends."""
        match value:
            case Var(name):
                return self._grown.get(name, _Grown())
            case Binary(operator, left, right):
                a, b = self._growth(left), self._growth(right)
                both = a.joined(b)
                if operator in ("+", "-") or (operator == "*" and not a.all & b.all):
                    return both
                return _Grown(otherwise=both.all)
            case Cast(type, inner):
                found = self._growth(inner)
                return found if SIZES[type] >= 4 else _Grown(otherwise=found.all)
        return _Grown()


def passage(body: tuple[Stmt, ...], x: Buffer, y: Buffer) -> Passage:
    """What `body` does with x and y."""
    reducer = Reducer(x, y)
    return _marked(reducer.passage(body), frozenset(reducer.uneven))


def _marked(whole: Passage, uneven: frozenset[str]) -> Passage:
    return replace(whole, parts=tuple(_marked_part(part, uneven) for part in whole.parts))


def _marked_part(part: Part, uneven: frozenset[str]) -> Part:
    match part:
        case Branch():
            return replace(part, then=_marked(part.then, uneven), otherwise=_marked(part.otherwise, uneven))
        case Rounds():
            return replace(part, body=_marked(part.body, uneven), every=part.var.name in uneven)
    return part


def _reads(part: Part) -> bool:
    match part:
        case Touch(writes):
            return not writes
        case Branch(_, then, otherwise):
            return then.reads or otherwise.reads
        case Rounds():
            return part.body.reads
    return False


def _writes(part: Part) -> bool:
    match part:
        case Touch(writes):
            return writes
        case Branch(_, then, otherwise):
            return then.writes or otherwise.writes
        case Rounds():
            return part.body.writes
    return False
