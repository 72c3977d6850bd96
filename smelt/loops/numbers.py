"""Numbers taken out of code: kernels that differ in numbers only, as one kernel that reads them from tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smelt.loops.bounds import OutOfBounds, check_bounds
from smelt.loops.ir import (
    Assign,
    Binary,
    Buffer,
    Call,
    Cast,
    Const,
    Copy,
    Declare,
    Expr,
    If,
    Load,
    Loop,
    Store,
    Type,
)
from smelt.loops.kernel import Kernel
from smelt.loops.routine import CallRoutine

INSIDE: dict[type, tuple[str, ...]] = {
    Binary: ("left", "right"),
    Cast: ("value",),
    Call: ("arguments",),
    Declare: ("value",),
    Assign: ("value",),
    Store: ("value",),
    Loop: ("body",),
    If: ("condition", "then", "otherwise"),
    Copy: ("source",),
    CallRoutine: ("arguments",),
}
"""Where numbers may differ: in what is computed, never in where something lies or how often a loop turns."""

STEM = "numbers"
NUMPY = {"int32_t": np.int32, "uint32_t": np.uint32, "int64_t": np.int64, "uint64_t": np.uint64, "float": np.float32}


class Differs(Exception):
    """Kernels differ in more than numbers."""


@dataclass(frozen=True, eq=False)
class Numbered:
    """A kernel whose last parameters are tables of numbers, and these tables."""

    kernel: Kernel
    tables: tuple[NDArray[Any], ...]


def numbered(kernels: Sequence[Kernel]) -> Numbered | None:
    """The first of `kernels` with all numbers in tables in which it and any of the others differ; None where they differ in more
    than that. The bounds of what it touches are proved anew: no number of a table says where something lies."""
    first = kernels[0]
    if any(k.buffers != first.buffers or k.in_place != first.in_place for k in kernels):
        return None
    numbers = _Numbers()
    try:
        body = numbers.merged([k.body for k in kernels])
    except Differs:
        return None
    if not numbers.columns:
        return Numbered(first, ())
    tables = {type: np.array([values[0] for values in rows], NUMPY[type]) for type, rows in numbers.columns.items()}
    buffers = {type: numbers.buffer(type, len(table)) for type, table in tables.items()}
    body = _bound(body, buffers)
    draft = Kernel(first.name.rpartition("_")[0], (*first.buffers, *buffers.values()), body, first.in_place)
    try:
        check_bounds(draft)
    except OutOfBounds:
        return None
    named = draft.named(f"{draft.name}_{hashlib.sha256(draft.c().encode()).hexdigest()[:8]}")
    return Numbered(named, tuple(tables.values()))


class _Numbers:
    """What differs, by type: for each number its values in all kernels."""

    def __init__(self) -> None:
        self.columns: dict[Type, list[tuple[Any, ...]]] = {}

    def buffer(self, type: Type, size: int) -> Buffer:
        """The parameter for numbers of a type."""
        name = STEM if type == "int32_t" else f"{STEM}_{type.removesuffix('_t')}"
        return Buffer(name, type, size, "constant")

    def merged(self, nodes: Sequence[Any]) -> Any:
        first = nodes[0]
        if all(node == first for node in nodes[1:]):
            return first
        if any(type(node) is not type(first) for node in nodes):
            raise Differs
        if isinstance(first, Const):
            return self._number(nodes)
        if isinstance(first, tuple):
            if any(len(node) != len(first) for node in nodes):
                raise Differs
            return tuple(self.merged(some) for some in zip(*nodes, strict=True))
        inside = INSIDE.get(type(first), ())
        if any(
            getattr(n, f.name) != getattr(first, f.name) for f in fields(first) if f.name not in inside for n in nodes
        ):
            raise Differs
        new = {name: self.merged([getattr(node, name) for node in nodes]) for name in inside}
        return _signed_alike(first, new) if isinstance(first, Binary) else replace(first, **new)

    def _number(self, nodes: Sequence[Const]) -> Load:
        kind = nodes[0].type
        if any(node.type != kind for node in nodes):
            raise Differs
        rows, values = self.columns.setdefault(kind, []), tuple(node.value for node in nodes)
        if values not in rows:
            rows.append(values)
        return Load(self.buffer(kind, 0), Const(rows.index(values)), kind)


def _signed_alike(first: Binary, new: dict[str, Expr]) -> Binary:
    """Where one side has no sign, a number of the other side is cast: a constant needed none."""
    for name, other in (("left", "right"), ("right", "left")):
        mine, there = new[name], new[other].type
        if isinstance(mine, Load) and isinstance(getattr(first, name), Const) and there.startswith("uint"):
            if mine.type != there and there in ("uint32_t", "uint64_t"):
                new[name] = Cast(there, mine)
    return Binary(first.operator, new["left"], new["right"])


def _bound(node: Any, buffers: dict[Type, Buffer]) -> Any:
    """With buffers of the sizes that they have come to."""
    if isinstance(node, Load) and isinstance(node.buffer, Buffer) and node.buffer.size == 0:
        return replace(node, buffer=buffers[node.type])
    if isinstance(node, tuple):
        return tuple(_bound(part, buffers) for part in node)
    inside = INSIDE.get(type(node), ())
    return replace(node, **{name: _bound(getattr(node, name), buffers) for name in inside}) if inside else node
