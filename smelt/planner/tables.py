"""Tables: the constants of kernel calls. Equal ones exist once, in flash; those of resident steps in RAM as well (`step.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from smelt.kernels.implementation import KernelCall
from smelt.model.graph import Array
from smelt.planner.flow import aligned

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
