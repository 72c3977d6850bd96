"""The traffic reader: which lines of memory a kernel touches, in which loops, and how often it comes back to them.

A kernel is read as a tree of loops. Of each loop it says how many lines of each buffer one turn touches, and how many all its turns
do: what a turn shares with the one before it is found in a cache, if what lies between is no more than the cache holds. Where the
bytes lie is not asked here.

Indices are sums over counters (`loops/affine.py`); what data index may be anywhere in its buffer. A routine touches the stretches
that it declares, once; of what it writes to a result each call has its share, as every element is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, exp, gcd

from smelt.loops.affine import Affine, affine
from smelt.loops.cost import Values, executed, middle
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
    Window,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine, Span

Key = tuple[int, bool]
"""A buffer, by its place among the kernel's, and whether it is written."""


@dataclass(frozen=True)
class Lines:
    """What is touched of the buffers: lines, by the buffer and by whether they are written. `turns`: of the node in one turn of
    the node around it. `once` are the lines of one turn, `all` those of all turns, `parts` the nodes in one turn; what it touches
    besides is the rest of `once`. Where the lines of one turn are `apart`, only each so many-th of the sets of a cache has them."""

    turns: float
    once: Mapping[Key, float]
    all: Mapping[Key, float]
    apart: Mapping[Key, int]
    parts: tuple[Lines, ...]


@dataclass(frozen=True)
class Traffic:
    """The whole kernel as `tree`; by buffer its loads or stores, and what is executed in the loops that have them."""

    tree: Lines
    accesses: Mapping[Key, float]
    work: Mapping[Key, float]


def traffic(kernel: Kernel, line: int) -> Traffic:
    """What one call of `kernel` touches, in lines of so many bytes."""
    reader = _Reader(kernel)
    root = reader.block(kernel.body, _Scope({}, {}), 1.0, 1.0)
    return Traffic(_summed(root, kernel.buffers, line), reader.accesses, reader.work)


@dataclass(frozen=True)
class _Stretch:
    """Bytes of a buffer: `size` from `start` on, further by `steps` for each turn of the loops around them; `steps` None: anywhere.
    `most` is what is touched of them at most."""

    key: Key
    start: float
    size: float
    steps: Mapping[str, float] | None
    most: float = 0.0


@dataclass
class _Node:
    turns: float
    counter: str
    work: float = 0.0  # of one turn, but for the loops in it
    stretches: list[_Stretch] = field(default_factory=list)
    parts: list[_Node] = field(default_factory=list)


@dataclass(frozen=True)
class _Scope:
    """What is known of variables: as sums over counters, and where all counters stand at their middle."""

    sums: dict[str, Affine | None]
    values: Values

    def inner(self) -> _Scope:
        return _Scope(dict(self.sums), dict(self.values))


class _Reader:
    """Reads a kernel into nodes."""

    def __init__(self, kernel: Kernel) -> None:
        self._numbers = {b: n for n, b in enumerate(kernel.buffers)}
        self.accesses: dict[Key, float] = {}
        self.work: dict[Key, float] = {}

    def block(self, body: Sequence[Stmt], scope: _Scope, turns: float, times: float, counter: str = "") -> _Node:
        """The node of `turns` turns of a body, which is executed `times` times altogether."""
        node, scope = _Node(turns, counter), scope.inner()
        for statement in body:
            self._statement(statement, node, scope, times)
        for key in {stretch.key for stretch in node.stretches}:
            self.work[key] = self.work.get(key, 0.0) + times * node.work
        return node

    def _statement(self, statement: Stmt, node: _Node, scope: _Scope, times: float) -> None:
        if not isinstance(statement, Loop | If):
            done = executed(statement, scope.values)
            node.work += done.instructions(done.weights)
        match statement:
            case Declare(var, value):
                self._loads(value, node, scope, times)
                scope.sums[var.name] = None if var.mutable else affine(value, scope.sums)
            case Assign(_, value):
                self._loads(value, node, scope, times)
            case Store(buffer, index, value, type):
                self._loads(value, node, scope, times)
                self._access(buffer, index, SIZES[type], True, node, scope, times)
            case DeclareWindow(Window(_, _, offset)):
                self._loads(offset, node, scope, times)
            case Loop():
                self._loop(statement, node, scope, times)
            case If(condition, then, otherwise):
                self._loads(condition, node, scope, times)
                self._branches(condition, (then, otherwise), node, scope, times)
            case Copy(target, target_index, source, source_index, count):
                size = middle(count, scope.values) or 0.0
                self._access(target, target_index, size * SIZES[target.type], True, node, scope, times)
                if not isinstance(source, Const | Load):
                    self._access(source, source_index, size * SIZES[source.type], False, node, scope, times)
            case CallRoutine():
                self._routine(statement, node, scope, times)

    def _routine(self, call: CallRoutine, node: _Node, scope: _Scope, times: float) -> None:
        """What is gone through several times is a loop of its own; beside its turns lies all else that the routine touches."""
        passes = dict(call.passes)
        inner = _Node(float(max((p.turns for p in passes.values()), default=1)), f"{id(call)}@{len(node.parts)}")
        for n, span in enumerate(call.arguments):
            if not isinstance(span, Span):
                continue
            if n not in passes:
                self._span(span, node, scope, times)
                continue
            size, how = span.count * SIZES[span.buffer.type], passes[n]
            for at in range(0, size, how.stride) if how.stride > 4 else (0,):
                self._access(
                    span.buffer, span.index, 4 if how.stride > 4 else size, span.access != "read", inner, scope,
                    times * inner.turns,
                    moved=at, step=4.0 if how.stride > 4 else 0.0,
                )  # fmt: skip
        if inner.stretches:
            for key in {s.key for s in inner.stretches}:
                self.work[key] = self.work.get(key, 0.0) + times * node.work
            node.parts.append(inner)

    def _branches(
        self, condition: Expr, ways: tuple[Sequence[Stmt], Sequence[Stmt]], node: _Node, scope: _Scope, times: float
    ) -> None:
        """Both ways are gone somewhere, unless one is never: the one that the middle goes counts in full."""
        taken = middle(condition, scope.values)
        shares = (0.5, 0.5) if taken is None else (float(bool(taken)), float(not taken))
        for share, body in zip(shares, ways, strict=True):
            inner = scope.inner()
            for statement in body if share else ():
                self._statement(statement, node, inner, times * share)

    def _loop(self, loop: Loop, node: _Node, scope: _Scope, times: float) -> None:
        start, stop = middle(loop.start, scope.values), middle(loop.stop, scope.values)
        turns = 4.0 if start is None or stop is None else max((stop - start) / loop.step, 0.0)
        if not turns:
            return
        inner = scope.inner()
        first = affine(loop.start, scope.sums)
        name = f"{loop.var.name}@{len(self.accesses)}.{id(loop)}"
        inner.sums[loop.var.name] = None if first is None else first.plus(Affine(0.0, {name: float(loop.step)}))
        inner.values[loop.var.name] = (start or 0) + (turns - 1) / 2 * loop.step
        node.parts.append(self.block(loop.body, inner, turns, times * turns, name))

    def _span(self, span: Span, node: _Node, scope: _Scope, times: float) -> None:
        size = span.count * SIZES[span.buffer.type]
        written = span.access != "read"
        shared = span.buffer.role == "output" and written
        root = span.buffer.root
        most = root.size * SIZES[root.type] / max(times, 1.0) if shared else 0.0
        self._access(span.buffer, span.index, size, written, node, scope, times, most)

    def _loads(self, value: Expr, node: _Node, scope: _Scope, times: float) -> None:
        match value:
            case Load(buffer, index, type):
                self._access(buffer, index, SIZES[type], False, node, scope, times)
                self._loads(index, node, scope, times)
            case Binary(_, left, right):
                self._loads(left, node, scope, times)
                self._loads(right, node, scope, times)
            case Cast(_, inner):
                self._loads(inner, node, scope, times)
            case Call(_, arguments):
                for argument in arguments:
                    self._loads(argument, node, scope, times)

    def _access(
        self, buffer: AnyBuffer, index: Expr, size: float, written: bool, node: _Node, scope: _Scope, times: float,
        most: float = 0.0, moved: float = 0.0, step: float = 0.0,
    ) -> None:  # fmt: skip
        if size <= 0:
            return
        place = affine(index, scope.sums)
        while isinstance(buffer, Window) and place is not None:
            offset = affine(buffer.offset, scope.sums)
            place = None if offset is None else place.plus(offset)
            buffer = buffer.base
        root, width = buffer.root, SIZES[buffer.root.type]
        key = self._numbers[root], written
        self.accesses[key] = self.accesses.get(key, 0.0) + times * max(most / width if most else size / 4, 1.0)
        steps = None if place is None else {n: c * width for n, c in place.terms.items() if c}
        if steps is not None and step:
            steps[node.counter] = step
        start = moved if place is None else place.constant * width + moved
        node.stretches.append(_Stretch(key, start, size, steps, most))


# --- lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """Stretches of a buffer whose addresses grow alike, as `runs` (a start and a size each)."""

    key: Key
    runs: tuple[tuple[float, float], ...]
    steps: Mapping[str, float] | None
    most: float


def _summed(node: _Node, buffers: Sequence[Buffer], line: int) -> Lines:
    parts = tuple(_summed(part, buffers, line) for part in node.parts)
    found = list(_groups_below(node, ()))
    once, apart = _lines([(g, loops[1:]) for g, loops in found], buffers, line)
    return Lines(node.turns, once, _lines(found, buffers, line)[0] if node.turns != 1 else once, apart, parts)


_Loops = tuple[tuple[str, float], ...]


def _groups_below(node: _Node, around: _Loops) -> Iterator[tuple[_Group, _Loops]]:
    """All that is touched in a node, each with the loops from the node on."""
    loops = (*around, (node.counter, node.turns))
    for group in _grouped(node.stretches):
        yield group, loops
    for part in node.parts:
        yield from _groups_below(part, loops)


def _grouped(stretches: Sequence[_Stretch]) -> Iterator[_Group]:
    alike: dict[tuple[Key, tuple[tuple[str, float], ...] | None], list[_Stretch]] = {}
    for s in stretches:
        alike.setdefault((s.key, None if s.steps is None else tuple(sorted(s.steps.items()))), []).append(s)
    for (key, steps), some in alike.items():
        runs = tuple(sorted((s.start, s.size) for s in some))
        yield _Group(key, runs, None if steps is None else dict(steps), sum(s.most for s in some))


def _lines(
    found: Sequence[tuple[_Group, _Loops]], buffers: Sequence[Buffer], line: int
) -> tuple[dict[Key, float], dict[Key, int]]:
    """Lines by buffer, and how far they are apart: of groups that may touch the same no more than there are between the first and
    the last of them."""
    total: dict[Key, float] = {}
    ends: dict[Key, tuple[float, float]] = {}
    apart: dict[Key, int] = {}
    for group, loops in found:
        size = buffers[group.key[0]].size * SIZES[buffers[group.key[0]].type]
        if group.steps is None:
            one = _Touched(_anywhere(group, loops, size, line), 0.0, float(size), 1)
        else:
            one = _counted(group, loops, line)
        total[group.key] = total.get(group.key, 0.0) + one.lines
        low, high = ends.get(group.key, (one.low, one.high))
        ends[group.key] = min(low, one.low), max(high, one.high)
        apart[group.key] = min(one.apart, apart.get(group.key, one.apart))
    for key, (low, high) in ends.items():
        size = buffers[key[0]].size * SIZES[buffers[key[0]].type]
        most = ceil(min(high - low, size) / line) + (0 if high - low >= size else 0.5)
        total[key] = max(min(total[key], most), 1.0)
    return total, apart


@dataclass(frozen=True)
class _Touched:
    """Lines, the first and the last byte of them (from any place of the outer counters), and how far they are apart."""

    lines: float
    low: float
    high: float
    apart: int


def _anywhere(group: _Group, loops: _Loops, size: int, line: int) -> float:
    """Lines that random accesses to a whole buffer meet."""
    accesses = float(len(group.runs))
    for _, turns in loops:
        accesses *= turns
    lines = ceil(size / line)
    return lines * (1 - exp(-accesses / lines))


def _counted(group: _Group, loops: _Loops, line: int) -> _Touched:
    """What a group touches in loops."""
    assert group.steps is not None
    runs = _joined(group.runs, line)
    low, high = min(a for a, _ in runs), max(a + n for a, n in runs)
    count, run = float(len(runs)), sum(n for _, n in runs) / len(runs)
    dimensions = [(abs(step), turns) for name, turns in loops if (step := group.steps.get(name, 0.0)) and turns > 1]
    if len(runs) > 1:
        dimensions.append(((high - low - run) / (len(runs) - 1), count))
        count = 1.0
    for name, turns in loops:
        reach = group.steps.get(name, 0.0) * (turns - 1)
        low, high = low + min(reach, 0.0), high + max(reach, 0.0)
    steps = 0
    for step, turns in sorted(dimensions):
        if step <= max(run, line):
            run += step * (turns - 1)
        else:
            count *= turns
            steps = gcd(steps, max(int(step), 1))
    aligned = gcd(steps, line)  # of where runs start, all places alike
    number = count * max((ceil(run / aligned) * aligned + line - aligned) / line, 1.0)
    apart = max(steps // (ceil(run / line) * line), 1) if steps % line == 0 else 1
    if group.most:
        times = 1.0
        for _, turns in loops:
            times *= turns
        if group.most * times < number:
            apart, number = max(int(number / (group.most * times)), 1), group.most * times
    return _Touched(number, low, high, apart)


def _joined(runs: Sequence[tuple[float, float]], line: int) -> list[tuple[float, float]]:
    """Runs, those together that are less than a line apart."""
    found: list[tuple[float, float]] = []
    for start, size in runs:
        if found and start <= found[-1][0] + found[-1][1] + line:
            first = found[-1][0]
            found[-1] = first, max(found[-1][1], start + size - first)
        else:
            found.append((start, size))
    return found
