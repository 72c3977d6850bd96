"""C for people who review it: the same kernel with what coding rules ask for (docs/misra.md), and the same machine code.

Names of kernels are digests of the plain print (`c.py`), which therefore does not change. This one may: every operand that is an
operation of another kind stands in parentheses, results that nobody wants are dropped by a cast, places are elements of arrays,
and words among bytes are made by one function, which has no instructions.
Compilers see the very same expressions: a function for shifts, say, would be inlined to another order of instructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from smelt.loops.c import print_definition
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
    Element,
    Expr,
    Group,
    If,
    Load,
    Loop,
    Stmt,
    Store,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine, Span

DROPPED = r"\1(void)\2"
_WORDS = "(int32_t *)(void *)(", "smelt_words("
_DROPPED = re.compile(r"^( *)(mem(?:cpy|set)\()", re.MULTILINE)


def reviewed(kernel: Kernel, name: str) -> str:
    """The C function of a kernel under a name, with a trailing newline."""
    body = tuple(_statements(kernel.body))
    definition = print_definition(kernel.buffers, body, kernel.in_place)
    return f"void {name}{_DROPPED.sub(DROPPED, definition).replace(*_WORDS)}"


def _statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    for statement in body:
        yield _statement(statement)


def _statement(statement: Stmt) -> Stmt:
    match statement:
        case Declare(_, value) | Assign(_, value):
            return replace(statement, value=_plain(value))
        case DeclareWindow(window):
            return DeclareWindow(replace(window, offset=_behind(window.base, window.offset)))
        case Store(buffer, index, value, type):
            where = _plain(index) if type == buffer.type else _behind(buffer, index)
            return replace(statement, index=where, value=_plain(value))
        case Loop(_, start, stop, _, body):
            return replace(statement, start=_plain(start), stop=_grouped(stop), body=tuple(_statements(body)))
        case If(condition, then, otherwise):
            then, otherwise = tuple(_statements(then)), tuple(_statements(otherwise))
            return replace(statement, condition=_plain(condition), then=then, otherwise=otherwise)
        case Copy(target, index, source, source_index, count):
            to, behind = _behind(target, index), source_index
            if not isinstance(source, Expr):
                behind = _behind(source, source_index)
            return replace(statement, target_index=to, source_index=behind, count=_grouped(count))
        case CallRoutine(_, arguments):
            given = (
                replace(a, index=_behind(a.buffer, a.index)) if isinstance(a, Span) else _plain(a) for a in arguments
            )
            return replace(statement, arguments=tuple(given))
    return statement


def _grouped(value: Expr) -> Expr:
    """An operand: what is an operation itself stands in parentheses."""
    value = _plain(value)
    return Group(value) if isinstance(value, Binary) and value.operator not in ("min", "max") else value


def _behind(buffer: AnyBuffer, index: Expr) -> Expr:
    """What is added to a pointer, term by term as in the plain print: the index of an element, then one from there on. Compilers
    see other sums in sums of their own, and in pointers with names."""
    if index == Const(0):
        return index
    if not isinstance(index, Binary) or index.operator not in ("+", "-"):
        return Element(buffer, _plain(index))
    before = _behind(buffer, index.left)
    if index.operator == "+" and isinstance(before, Element):
        return Element(before, _plain(index.right))
    return Binary(index.operator, before, _grouped(index.right))


def _plain(value: Expr) -> Expr:
    match value:
        case Binary(("min" | "max") as operator, left, right):
            return Binary(operator, _plain(left), _plain(right))
        case Binary(operator, left, right):
            return Binary(operator, _operand(left, operator), _operand(right, operator))
        case Cast(type, inner):
            return Cast(type, _grouped(inner))
        case Load(buffer, index, type):
            return Load(buffer, _plain(index) if type == buffer.type else _behind(buffer, index), type)
        case Call(intrinsic, arguments):
            return Call(intrinsic, tuple(_plain(a) for a in arguments))
    return value


def _operand(value: Expr, operator: str) -> Expr:
    """Sums of sums need no parentheses, nor do products of products."""
    same = isinstance(value, Binary) and value.operator == operator and operator in ("+", "*")
    return _plain(value) if same else _grouped(value)
