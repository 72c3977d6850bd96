"""Tables: the constants of kernel calls. Equal ones exist once, in flash; those of resident steps in RAM as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Array
from smelt.planner.flow import aligned
from smelt.planner.step import Step

TableKey = tuple[str, bytes]
"""What makes tables equal: type and content."""


def table_key(table: Array) -> TableKey:
    return table.dtype.name, table.tobytes()


def tables_of(call: KernelCall) -> dict[TableKey, int]:
    """The tables of a call, with what each takes up in bytes."""
    return {table_key(a): aligned(int(a.nbytes)) for a in call.arguments if isinstance(a, np.ndarray)}


def all_tables(calls: Iterable[KernelCall]) -> dict[TableKey, int]:
    """The tables of several calls, each once."""
    return {key: size for call in calls for key, size in tables_of(call).items()}


def resident_tables(steps: Iterable[Step]) -> dict[TableKey, int]:
    """The tables that are copied to RAM, each once: those read most per byte first. What one resident step copies, others that
    have the same table read there as well."""
    heat: dict[TableKey, float] = {}
    sizes: dict[TableKey, int] = {}
    for step in steps:
        tables = tables_of(step.call) if step.resident else {}
        for key, size in tables.items():
            sizes[key] = size
            heat[key] = heat.get(key, 0.0) + step.op.macs / sum(tables.values())
    return {key: sizes[key] for key in sorted(sizes, key=lambda key: -heat[key])}


def distributed(tables: Mapping[TableKey, int], room: Mapping[str, int]) -> dict[TableKey, str] | None:
    """A memory of `room` (name -> bytes, fastest first) for each table, the first with room; None where one finds none."""
    left, places = dict(room), dict[TableKey, str]()
    for key, size in tables.items():
        memory = next(_with_room(left, size), None)
        if memory is None:
            return None
        left[memory] -= size
        places[key] = memory
    return places


def _with_room(left: Mapping[str, int], size: int) -> Iterator[str]:
    return (memory for memory, free in left.items() if size <= free)
