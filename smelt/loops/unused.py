"""What a kernel declares and does not use: compilers warn of it, so it is left out.

Operands come to have no effect where scales differ so much that a factor is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any

from smelt.loops.ir import Buffer, Const, Declare, If, Loop, Stmt, Var, Window
from smelt.loops.routine import CallRoutine


def names_used(value: object) -> set[str]:
    """The names of the variables and buffers that statements or expressions use; declaring one is not using it."""
    used, seen, waiting = set[str](), set[int](), [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting.extend(part)
            continue
        kind: Any = type(part)
        inside = _inside(kind)
        if inside is None or id(part) in seen:  # unrolled code has the same expressions again and again
            continue
        seen.add(id(part))
        if isinstance(part, Var | Buffer | Window):
            used.add(part.name)
        waiting.extend(inside(part))
    return used


@cache
def _inside(kind: type) -> Callable[[Any], tuple[object, ...]] | None:
    """What gives the parts of such a node in which names may be; None where there are none, as in numbers and text."""
    if kind is Declare:
        return lambda part: (part.value,)
    if kind is CallRoutine:  # the names in the parameters of a routine are its own
        return lambda part: part.arguments
    if kind is Const or not is_dataclass(kind):
        return None
    names = [f.name for f in fields(kind)]
    return attrgetter(*names, names[0])  # of two names or more it gives a tuple


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
