"""What is known of a way to compute an op without running it: the features by which the learned model tells kernels apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from smelt.planner.ways import Way
from smelt.targets.types import Core

SCHEDULE = "schedule."
"""How the names of features begin that are fields of the schedule."""

Feature = tuple[str, int]


def features(way: Way, core: Core) -> tuple[Feature, ...]:
    """The counts of the cost reader, the sizes of everything that the kernel touches, and the choices of its schedule."""
    c, op = way.counted, way.op
    parts: dict[str, float] = {"cost": way.instructions(core), "macs": op.macs, "tables": way.table_bytes}
    parts |= {"scratch": way.call.scratch_bytes, "x": sum(t.bytes for t in op.activations), "y": op.y.bytes}
    parts |= {"loads": c.loads, "stores": c.stores, "arithmetic": c.arithmetic, "branches": c.branches}
    parts |= {"spills": c.spills, "copied": c.copied}
    parts |= dict(sorted(c.intrinsics.items()))
    counts = ((name, round(value)) for name, value in parts.items() if round(value))
    return (*counts, *chosen(way.schedule, SCHEDULE))


def chosen(schedule: Any, prefix: str) -> Iterator[Feature]:
    """The fields of a schedule: numbers as such, everything else as a choice that is made; whatever a schedule prints of itself."""
    if is_dataclass(schedule):
        for field in fields(schedule):
            yield from chosen(
                getattr(schedule, field.name), f"{prefix}{'' if prefix.endswith('.') else '.'}{field.name}"
            )
    elif isinstance(schedule, tuple):
        for number, value in enumerate(schedule):
            yield from chosen(value, f"{prefix}.{number}")
    elif isinstance(schedule, int) and schedule >= 0:
        yield prefix, int(schedule)
    else:
        yield f"{prefix}={schedule}", 1
