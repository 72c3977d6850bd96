"""Calls of functions that a simulator of a cluster watches, from when they were visited and left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smelt.devices.simulators.cluster_machine import Visit


@dataclass(frozen=True)
class Call:
    """A call of a function on one core: from its first instruction until the one to which it returns. `instructions` are those
    of all cores meanwhile; `banks` and `fetches` are cycles for which this one waited for them."""

    core: int
    start: int
    cycles: int
    instructions: int
    banks: int = 0
    fetches: int = 0

    @property
    def end(self) -> int:
        return self.start + self.cycles


def completed(visits: Sequence[Visit], names: Mapping[int, str]) -> dict[str, tuple[Call, ...]]:
    """The calls that have returned, by name, in the order in which they began."""
    begun: dict[tuple[int, int], list[Visit]] = {}
    found: dict[str, list[Call]] = {name: [] for name in names.values()}
    for v in visits:
        stack = begun.setdefault((v.core, v.function), [])
        if not v.is_return:
            stack.append(v)
        elif stack:
            start = stack.pop()
            found[names[v.function]].append(
                Call(
                    *(v.core, start.cycle, v.cycle - start.cycle, v.executed - start.executed),
                    *(v.banks - start.banks, v.fetches - start.fetches),
                )
            )
    return {name: tuple(sorted(calls, key=lambda c: c.start)) for name, calls in found.items()}
