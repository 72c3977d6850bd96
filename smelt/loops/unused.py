"""What a kernel declares and does not use: compilers warn of it, so it is left out.

Operands come to have no effect where scales differ so much that a factor is zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from smelt.loops.ir import Buffer, Const, Declare, If, Loop, Stmt, Var, Window
from smelt.loops.routine import CallRoutine


def names_used(value: object) -> set[str]:
    """The names of the variables and buffers that statements or expressions use; declaring one is not using it."""
    used, seen, waiting = set[str](), set[int](), [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, Declare):
            waiting.append(part.value)
        elif isinstance(part, CallRoutine):  # the names in the parameters of a routine are its own
            waiting.append(part.arguments)
        elif isinstance(part, Const):
            pass
        elif id(part) not in seen:  # unrolled code has the same expressions again and again
            seen.add(id(part))
            if isinstance(part, Var | Buffer | Window):
                used.add(part.name)
            waiting.extend(inside for inside in _fields(part) if not isinstance(inside, str | int))
    return used


def _fields(value: object) -> Iterator[object]:
    for name in getattr(value, "__dataclass_fields__", ()):  # what `fields` makes anew for each object
        yield getattr(value, name)


def without_unused(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The statements without declarations of variables that nothing uses, and without what only those used."""
    used = names_used(body)
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
