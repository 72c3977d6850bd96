"""What a kernel declares and does not use: compilers warn of it, so it is left out.

Operands come to have no effect where scales differ so much that a factor is zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from smelt.loops.ir import Buffer, Declare, If, Loop, Stmt, Var, Window
from smelt.loops.routine import CallRoutine


def names_used(value: Any) -> Iterator[str]:
    """The names of the variables and buffers that statements or expressions use; declaring one is not using it."""
    if isinstance(value, tuple):
        for part in value:
            yield from names_used(part)
    elif isinstance(value, Declare):
        yield from names_used(value.value)
    elif isinstance(value, CallRoutine):  # the names in the parameters of a routine are its own
        yield from names_used(value.arguments)
    elif is_dataclass(value):
        if isinstance(value, Var | Buffer | Window):
            yield value.name
        for field in fields(value):
            yield from names_used(getattr(value, field.name))


def without_unused(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The statements without declarations of variables that nothing uses, and without what only those used."""
    used = set(names_used(body))
    smaller = _declaring(body, used)
    return body if smaller == body else without_unused(smaller)


def _declaring(body: tuple[Stmt, ...], used: set[str]) -> tuple[Stmt, ...]:
    kept: list[Stmt] = []
    for statement in body:
        match statement:
            case Declare(var, _) if var.name not in used:
                continue
            case Loop():
                statement = replace(statement, body=_declaring(statement.body, used))
            case If():
                then, otherwise = (_declaring(part, used) for part in (statement.then, statement.otherwise))
                statement = replace(statement, then=then, otherwise=otherwise)
        kept.append(statement)
    return tuple(kept)
