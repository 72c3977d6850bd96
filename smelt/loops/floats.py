"""Which kernels compute in floating point: those that move floats only do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from smelt.loops.ir import Binary, Call, Cast, Expr
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine


def computes_in_floats(kernel: Kernel) -> bool:
    """Whether `kernel` needs floating-point arithmetic, comparisons and conversions included."""
    return any(_is_arithmetic(value) for value in _parts(kernel.body))


def _is_arithmetic(value: Any) -> bool:
    match value:
        case CallRoutine(routine):
            return routine.floats
        case Binary(_, left, right):
            return "float" in (left.type, right.type)
        case Cast(type, inner):
            return "float" in (type, inner.type)
        case Call(intrinsic, arguments):
            return "float" in (intrinsic.result, *(a.type for a in arguments))
    return False


def _parts(value: Any) -> Iterator[Any]:
    """Every statement and expression in `value`, itself included."""
    if isinstance(value, tuple):
        for part in value:
            yield from _parts(part)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            part = getattr(value, field.name)
            if isinstance(part, Expr | tuple) or is_dataclass(part):
                yield from _parts(part)
