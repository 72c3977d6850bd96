"""The cost reader: what a kernel executes, counted without running it. A first rank for schedules, not a measurement.

Trip counts are exact where bounds are constants; elsewhere every counter stands at its middle, which is right on
average for clipped borders. Indices are free (compilers turn them into moving pointers and addressing modes); values
that do not fit the registers of an innermost loop are charged one store and one load each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from smelt.loops.ir import (
    AnyBuffer,
    Assign,
    Binary,
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
    fold,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine

REGISTERS = 13  # that a compiler can hand out in a loop, besides the loop's counter
RARELY = 1 / 64  # how often a condition is true that seldom is
LOOP = 2.0  # count and branch, per round
BRANCH = 2.0


@dataclass
class Counts:
    """Executions in one call. `intrinsics` counts by name; `spills` are pairs of a store and a load."""

    loads: float = 0
    turns: float = 0  # from loads of constants to loads of other data, about
    stores: float = 0
    arithmetic: float = 0
    branches: float = 0
    spills: float = 0
    copied: float = 0  # elements moved or filled
    intrinsics: dict[str, float] = field(default_factory=dict)
    weights: dict[str, tuple[int, int]] = field(default_factory=dict)  # (cycles, portable) of the intrinsics

    def add(self, other: Counts, times: float = 1) -> None:
        self.loads += times * other.loads
        self.turns += times * other.turns
        self.stores += times * other.stores
        self.arithmetic += times * other.arithmetic
        self.branches += times * other.branches
        self.spills += times * other.spills
        self.copied += times * other.copied
        self.weights.update(other.weights)
        for name, count in other.intrinsics.items():
            self.intrinsics[name] = self.intrinsics.get(name, 0) + times * count

    def instructions(self, available: Collection[str]) -> float:
        """An estimate for a core on which the intrinsics named in `available` are instructions."""
        calls = sum(n * self.weights[name][name not in available] for name, n in self.intrinsics.items())
        plain = self.loads + self.stores + self.arithmetic + BRANCH * self.branches
        return plain + 2 * self.spills + self.copied / 2 + calls


def count(kernel: Kernel) -> Counts:
    """What one call of `kernel` executes."""
    return _block(kernel.body, {})


Values = dict[str, float]


def _block(body: tuple[Stmt, ...], values: Values) -> Counts:
    total = Counts()
    known = dict(values)
    for statement in body:
        total.add(executed(statement, known))
    return total


def executed(statement: Stmt, values: Values) -> Counts:
    """What one statement executes where variables are `values`; a declaration adds to them."""
    total = Counts()
    match statement:
        case Declare(var, value):
            _expression(value, total)
            known = middle(value, values)
            if known is not None and not var.mutable:
                values[var.name] = known
        case Assign(_, value):
            _expression(value, total)
        case Store(_, index, value, _):
            total.stores += 1
            _expression(value, total)
            _indirect(index, total)
        case Loop():
            return _loop(statement, values)
        case If(condition, then, otherwise, rarely):
            _expression(condition, total)
            total.branches += 0.5
            taken = middle(condition, values)
            share = (RARELY if rarely else 0.5) if taken is None else float(bool(taken))
            total.add(_block(then, values), share)
            total.add(_block(otherwise, values), 1 - share)
        case Copy(_, _, _, _, count):
            total.copied += middle(count, values) or 0
            total.branches += 4
        case CallRoutine(_, _, work, others, turns):
            total.arithmetic += others
            total.turns += turns
            for intrinsic, times in work:
                total.intrinsics[intrinsic.name] = total.intrinsics.get(intrinsic.name, 0) + times
                total.weights[intrinsic.name] = (intrinsic.cycles, intrinsic.portable)
    return total


def _loop(loop: Loop, values: Values) -> Counts:
    start, stop = middle(loop.start, values), middle(loop.stop, values)
    rounds = 4.0 if start is None or stop is None else max((stop - start) / loop.step, 0.0)
    inner = {**values, loop.var.name: (start or 0) + (rounds - 1) / 2 * loop.step}
    once = _block(loop.body, inner)
    once.arithmetic += LOOP
    once.spills += _spilled(loop.body)
    total = Counts()
    total.add(once, rounds)
    return total


def _spilled(body: tuple[Stmt, ...]) -> float:
    """Values of an innermost loop that find no register: running sums, pointers, and the most temporaries alive at
    once."""
    if any(isinstance(s, Loop | If) for s in body):
        return 0
    sums = {s.var.name for s in body if isinstance(s, Assign)}
    pointers = {name for s in body for name in _pointers(s)}
    return max(len(sums) + len(pointers) + _temporaries(body) - REGISTERS, 0)


def _temporaries(body: tuple[Stmt, ...]) -> int:
    """The greatest number of variables declared in `body` that are alive at once."""
    last = {name: place for place, s in enumerate(body) for name in _names(s)}
    alive: set[str] = set()
    most = 0
    for place, statement in enumerate(body):
        if isinstance(statement, Declare) and statement.var.name in last:
            alive.add(statement.var.name)
        most = max(most, len(alive))
        alive -= {name for name in alive if last[name] <= place}
    return most


def _parts(statement: Stmt) -> Iterator[Expr]:
    match statement:
        case Declare(_, value) | Assign(_, value):
            yield value
        case Store(_, index, value, _):
            yield index
            yield value


def _walk(value: Expr) -> Iterator[Expr]:
    yield value
    match value:
        case Binary(_, left, right):
            yield from _walk(left)
            yield from _walk(right)
        case Cast(_, inner) | Load(_, inner, _):
            yield from _walk(inner)
        case Call(_, arguments):
            for argument in arguments:
                yield from _walk(argument)


def _names(statement: Stmt) -> Iterator[str]:
    return (e.name for part in _parts(statement) for e in _walk(part) if isinstance(e, Var))


def _pointers(statement: Stmt) -> Iterator[str]:
    buffers: list[AnyBuffer] = [e.buffer for part in _parts(statement) for e in _walk(part) if isinstance(e, Load)]
    if isinstance(statement, Store):
        buffers.append(statement.buffer)
    if isinstance(statement, DeclareWindow):
        return iter(())
    return (b.name for b in buffers)


def _expression(value: Expr, total: Counts) -> None:
    match value:
        case Load(buffer, index, _):
            total.loads += 1
            total.turns += buffer.role == "constant"
            _indirect(index, total)
        case Binary(_, left, right):
            total.arithmetic += 1
            _expression(left, total)
            _expression(right, total)
        case Cast(_, inner):
            _expression(inner, total)
        case Call(intrinsic, arguments):
            total.intrinsics[intrinsic.name] = total.intrinsics.get(intrinsic.name, 0) + 1
            total.weights[intrinsic.name] = (intrinsic.cycles, intrinsic.portable)
            for argument in arguments:
                _expression(argument, total)


def _indirect(index: Expr, total: Counts) -> None:
    """Indices are free, but what they load is not."""
    loads = [e for e in _walk(index) if isinstance(e, Load)]
    total.loads += len(loads)
    total.turns += sum(e.buffer.role == "constant" for e in loads)


def middle(value: Expr, values: Mapping[str, float]) -> float | None:
    """The value where every counter stands at its middle; None where it depends on data."""
    match value:
        case Const(constant):
            return float(constant) if value.type == "float" else int(constant)
        case Var(name):
            return values.get(name)
        case Cast(_, inner):
            return middle(inner, values)
        case Binary(operator, left, right):
            a, b = middle(left, values), middle(right, values)
            if a is None or b is None:
                return None
            if operator in ("+", "-", "*", "<", "<=", ">", ">=", "==", "!=", "min", "max"):
                return fold(operator, a, b)  # type: ignore[arg-type]
            return fold(operator, int(a), int(b)) if b or operator not in ("/", "%") else None
    return None
