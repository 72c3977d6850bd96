"""Which instruction must stay in front of which, in a row and from one turn of a loop to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smelt.loops.assembly.ir import Instruction, Place, Register
from smelt.loops.assembly.timing import Timing


@dataclass(frozen=True)
class Footprint:
    """The registers that an instruction reads and writes, and where in memory it goes."""

    reads: frozenset[Register]
    writes: frozenset[Register]
    stores: bool
    place: Place | None

    @classmethod
    def of(cls, one: Instruction) -> Footprint:
        return cls(one.reading, one.writing, one.kind == "store", one.place)

    def conflicts(self, later: Footprint) -> bool:
        """Whether the two must keep their order."""
        if not (self.writes.isdisjoint(later.writes) and self.writes.isdisjoint(later.reads)):
            return True
        return not later.writes.isdisjoint(self.reads) or self._same_memory(later)

    def _same_memory(self, other: Footprint) -> bool:
        """Whether one of them may write what the other reads or writes. Different parameters are different memory."""
        p, q = self.place, other.place
        if p is None or q is None or not (self.stores or other.stores):
            return False
        if p.slot is not None and q.slot is not None:
            return p.slot == q.slot
        if (p.slot is None) != (q.slot is None):
            return False
        return p.region == q.region or "" in (p.region, q.region)


def conflict(first: Instruction, second: Instruction) -> bool:
    """Whether the two must keep their order."""
    return Footprint.of(first).conflicts(Footprint.of(second))


def in_a_row(body: Sequence[Instruction]) -> list[set[int]]:
    """For each instruction those before it that must stay before it."""
    prints = [Footprint.of(one) for one in body]
    return [{i for i in range(j) if prints[i].conflicts(prints[j])} for j in range(len(body))]


def in_a_loop(row: Sequence[set[int]], ahead: frozenset[int]) -> list[set[int]] | None:
    """The same for one turn of a loop in which those of `ahead` are done for the turn after; None: they cannot be. `row` is what
    `in_a_row` says of a turn."""
    before: list[set[int]] = [set() for _ in row]
    for v, earlier in enumerate(row):
        for u in earlier:
            if (u in ahead) == (v in ahead):
                before[v].add(u)
            elif v in ahead:
                return None
            else:
                before[u].add(v)  # what the later one needs of this turn is used before the earlier one changes it
    return before


def heights(body: Sequence[Instruction], before: Sequence[set[int]], timing: Timing) -> list[int]:
    """For each instruction the cycles from its start to the end of what must follow it."""
    found = [1] * len(body)
    for j in topological(before)[::-1]:
        for i in before[j]:
            found[i] = max(found[i], found[j] + _latency(body[i], body[j], timing))
    return found


def _latency(first: Instruction, second: Instruction, timing: Timing) -> int:
    latency = timing.latency(first)
    waits = [latency.of(role) for r, role in second.reads if r in first.writes]
    waits += [timing.stepped.of(role) for r, role in second.reads if r == first.base]
    return max(waits, default=0)


def topological(before: Sequence[set[int]], later: frozenset[int] = frozenset()) -> list[int]:
    """An order that keeps to `before`, the lowest numbers first, those of `later` behind others. Raises ValueError where there is
    none."""
    done: list[int] = []
    left = set(range(len(before)))
    while left:
        ready = [i for i in left if not before[i] & left]
        if not ready:
            raise ValueError("instructions wait for each other")
        done.append(min(ready, key=lambda i: (i in later, i)))
        left.remove(done[-1])
    return done
