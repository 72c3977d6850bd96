"""Kernels are built by plain Python functions: a Python `for` repeats code, `with k.loop(...)` emits a C loop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from smelt.loops.bounds import check_bounds
from smelt.loops.ir import (
    SIZES,
    AnyBuffer,
    Assign,
    Buffer,
    Call,
    Comment,
    Const,
    Copy,
    Declare,
    DeclareWindow,
    Expr,
    If,
    Intrinsic,
    Loop,
    Role,
    Stmt,
    Store,
    Type,
    Value,
    Var,
    Window,
    expression,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import At, CallRoutine, Number, Passes, Routine, checked_arguments
from smelt.loops.unused import without_unused


class KernelBuilder:
    """Collects the parameters and statements of one kernel; `finish()` names it after its content."""

    def __init__(self, stem: str, in_place: bool = False) -> None:
        self._stem = stem
        self._in_place = in_place
        self._buffers: list[Buffer] = []
        self._bodies: list[list[Stmt]] = [[]]
        self._names: dict[str, int] = {}

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, -1) + 1
        return name if count == 0 else self._unique(f"{name}_{count}")

    def _emit(self, statement: Stmt) -> None:
        self._bodies[-1].append(statement)

    def buffer(self, name: str, type: Type, size: int, role: Role) -> Buffer:
        buffer = Buffer(self._unique(name), type, size, role)
        self._buffers.append(buffer)
        return buffer

    def input(self, name: str, type: Type, size: int) -> Buffer:
        return self.buffer(name, type, size, "input")

    def output(self, name: str, type: Type, size: int) -> Buffer:
        return self.buffer(name, type, size, "output")

    def constant(self, name: str, type: Type, size: int) -> Buffer:
        return self.buffer(name, type, size, "constant")

    def scratch(self, name: str, type: Type, size: int) -> Buffer:
        return self.buffer(name, type, size, "scratch")

    def let(self, name: str, value: Value, type: Type | None = None) -> Var:
        """A variable that keeps its value. Its type is the value's unless given."""
        return self._declare(name, value, type, mutable=False)

    def var(self, name: str, value: Value, type: Type | None = None) -> Var:
        """A variable that `assign` may change."""
        return self._declare(name, value, type, mutable=True)

    def _declare(self, name: str, value: Value, type: Type | None, mutable: bool) -> Var:
        value = expression(value)
        promoted: Type = "int32_t" if value.type in ("int8_t", "uint8_t", "int16_t", "uint16_t") else value.type
        variable = Var(self._unique(name), type or promoted, mutable)
        self._emit(Declare(variable, value))
        return variable

    def assign(self, variable: Var, value: Value) -> None:
        if not variable.mutable:
            raise ValueError(f"'{variable.name}' was declared with let")
        self._emit(Assign(variable, expression(value)))

    def window(self, name: str, base: AnyBuffer, offset: Value) -> Window:
        """A pointer to element `offset` of `base`, which then counts from 0."""
        window = Window(self._unique(name), base, expression(offset))
        self._emit(DeclareWindow(window))
        return window

    def store(self, buffer: AnyBuffer, index: Value, value: Value, type: Type | None = None) -> None:
        """`buffer[index] = value`; a wider `type` writes several elements at once."""
        if buffer.role in ("input", "constant"):
            raise ValueError(f"'{buffer.name}' is read-only")
        self._emit(Store(buffer, expression(index), expression(value), type or buffer.type))

    def copy(self, target: AnyBuffer, index: Value, source: AnyBuffer, source_index: Value, count: Value) -> None:
        self._emit(Copy(target, expression(index), source, expression(source_index), expression(count)))

    def routine(
        self,
        routine: Routine,
        arguments: tuple[At | Value, ...],
        work: tuple[tuple[Intrinsic, int], ...],
        others: int,
        turns: int = 0,
        passes: Mapping[str, Passes] | None = None,
    ) -> None:
        """Call a routine with pointers and numbers, one for each parameter: see `CallRoutine`; `passes` by the names of parameters.
        Raises `WrongCall`."""
        places = {
            p.name: n for n, p in enumerate(p for p in routine.parameters if not isinstance(p, Number) or p.passed)
        }
        found = tuple((places[name], how) for name, how in (passes or {}).items())
        self._emit(CallRoutine(routine, checked_arguments(routine, arguments), work, others, turns, found))

    def fill(self, target: AnyBuffer, index: Value, value: int, count: Value) -> None:
        """`count` elements of a buffer set to `value`, all of whose bytes are alike: any byte, or 0 for wider elements."""
        if value and SIZES[target.type] != 1:
            raise ValueError("fill writes bytes")
        self._emit(Copy(target, expression(index), Const(value), Const(0), expression(count)))

    def call(self, intrinsic: Intrinsic, *arguments: Value) -> Expr:
        return Call(intrinsic, tuple(expression(a) for a in arguments))

    def comment(self, text: str) -> None:
        self._emit(Comment(text))

    @contextmanager
    def loop(self, name: str, start: Value, stop: Value, step: int = 1, keep: bool = False) -> Iterator[Expr]:
        """`for (name = start; name < stop; name += step)`. A loop of one round is not emitted: its counter is a constant.

        With `keep` compilers are asked not to unroll it.
        """
        first, end = expression(start), expression(stop)
        if isinstance(first, Const) and isinstance(end, Const) and first.value < end.value <= first.value + step:
            yield first
            return
        variable = Var(self._unique(name))
        self._bodies.append([])
        yield variable
        body = tuple(self._bodies.pop())
        self._emit(Loop(variable, first, end, step, body, keep))

    @contextmanager
    def when(self, condition: Value, rarely: bool = False) -> Iterator[None]:
        """`if (condition)`, which is true or `rarely` so; known conditions are decided now."""
        condition = expression(condition)
        self._bodies.append([])
        yield
        body = self._bodies.pop()
        if isinstance(condition, Const):
            self._bodies[-1].extend(body if condition.value else ())
        else:
            self._emit(If(condition, tuple(body), rarely=rarely))

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """`else` of the `when` just before it (which must not have a known condition)."""
        last = self._bodies[-1][-1] if self._bodies[-1] else None
        if not isinstance(last, If) or last.otherwise:
            raise ValueError("otherwise without a when")
        self._bodies.append([])
        yield
        body = tuple(self._bodies.pop())
        self._bodies[-1][-1] = replace(last, otherwise=body)

    def finish(self) -> Kernel:
        """The kernel, checked: every access inside its buffer. Raises `bounds.OutOfBounds`."""
        (body,) = self._bodies
        draft = Kernel(self._stem, tuple(self._buffers), without_unused(tuple(body)), self._in_place)
        check_bounds(draft)
        return draft.named(f"{self._stem}_{hashlib.sha256(draft.c().encode()).hexdigest()[:8]}")
