"""What a scheduler must know of a core, and what instructions in a row cost by it while memory answers at once.

The type is filled in by `targets/`. It is a simplification on the safe side of the simulators' pipelines, which know more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from smelt.loops.assembly.ir import FLAGS, SP, Instruction, Kind, Register, Role


@dataclass(frozen=True)
class Latency:
    """Cycles from an instruction's start until its result can be used, by what reads it."""

    use: int = 1
    multiply: int = 1
    accumulate: int = 1
    early: int = 1
    address: int = 1
    store: int = 1

    def of(self, role: Role) -> int:
        return int(getattr(self, role))


@dataclass(frozen=True)
class Timing:
    """An in-order core. `results` has the kinds whose results take longer than a cycle."""

    issue: int = 1  # instructions that may start in one cycle
    results: tuple[tuple[Kind, Latency], ...] = ()
    costs: tuple[tuple[Kind, int], ...] = ()  # cycles of kinds other than loads that take more than one
    narrow: Latency | None = None  # loads of less than a word, where those take longer
    stepped: Latency = Latency()  # a base register that was stepped on
    apart: frozenset[tuple[Kind, Kind]] = frozenset()  # (older, younger) that never start in the same cycle
    banks: bool = False  # two loads start together only if they read words of different parity
    load: int = 1  # cycles of a load
    chained: int = 0  # how many fewer a load or store takes right behind a load
    chained_apart: float = 0  # the same where one loads from a table and the other does not
    indexed_store: int = 1  # cycles of a store whose address is a sum of registers
    load_after_store: int = 0  # what a load waits right behind a store
    neighbour_address: int = 0  # what an access waits whose address was made by the instruction before
    short: bool = False  # instructions of 16 bits leave room for reads of constants, wherever they stand
    round_bytes: int = 720  # of code in a loop that is written out; less where the cache for instructions is small

    def latency(self, of: Instruction) -> Latency:
        if of.kind == "load" and self.narrow is not None and of.size < 4:
            return self.narrow
        return self._by_kind.get(of.kind, self._usual)

    def cost(self, of: Instruction) -> int:
        """Cycles of an instruction that reaches no memory."""
        return self._costs.get(of.kind, 1)

    @property
    def shifts_at_once(self) -> bool:
        """Whether what was shifted on the way can be multiplied in the next cycle, and shifting takes no other one's slot."""
        return self.issue == 1 and self._by_kind.get("shifted", self._usual).multiply == 1

    @cached_property
    def _by_kind(self) -> Mapping[Kind, Latency]:
        return dict(self.results)

    @cached_property
    def _costs(self) -> Mapping[Kind, int]:
        return dict(self.costs)

    @cached_property
    def _usual(self) -> Latency:
        return Latency()


class Clock:
    """When instructions start, one after the other. Where two start in a cycle, `time` is that of the next one."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.time: float = 0
        self.last: Instruction | None = None
        self._older: Instruction | None = None
        self._ready: dict[Register, tuple[float, Latency]] = {}

    def copy(self) -> Clock:
        other = Clock(self.timing)
        other.time, other.last, other._older = self.time, self.last, self._older
        other._ready = dict(self._ready)
        return other

    def start(self, of: Instruction) -> float:
        """The cycle in which it would start."""
        need = self._need(of)
        return self.time - 1 if self._pairs(of, need) else max(self.time, need) + self._stall(of)

    def end(self, of: Instruction) -> float:
        """`time` after it."""
        need = self._need(of)
        return self.time if self._pairs(of, need) else max(self.time, need) + self._stall(of) + self._cost(of)

    def issue(self, of: Instruction) -> None:
        need = self._need(of)
        if self._pairs(of, need):
            start, self._older = self.time - 1, None
        else:
            start = max(self.time, need) + self._stall(of)
            self.time, self._older = start + self._cost(of), of
        found = self.timing.latency(of)
        for register in of.writes:
            self._ready[register] = start, found
        if of.base is not None:
            self._ready[of.base] = start, self.timing.stepped
        self.last = of

    def _need(self, of: Instruction) -> float:
        need: float = 0
        for register, role in of.reads:
            if register in self._ready and not (register == FLAGS and of.kind == "branch"):
                start, latency = self._ready[register]
                need = max(need, start + latency.of(role))
        return need

    def _pairs(self, of: Instruction, need: float) -> bool:
        if self.timing.issue < 2 or self._older is None or need > self.time - 1:
            return False
        return self.may_pair(self._older, of)

    def may_pair(self, older: Instruction, of: Instruction) -> bool:
        """Whether two instructions may start in the same cycle, by their kinds."""
        if (older.kind, of.kind) in self.timing.apart or older.kind == "branch":
            return False
        if older.base is not None and older.base in (of.base, *(r for r, role in of.reads if role == "address")):
            return False
        return not (self.timing.banks and older.kind == of.kind == "load" and not _other_bank(older, of))

    def stall_and_cost(self, of: Instruction) -> tuple[int, float]:
        """Cycles that it waits for the one before, and that it takes."""
        return self._stall(of), self._cost(of)

    def _stall(self, of: Instruction) -> int:
        last, table = self.last, self.timing
        if last is None or of.place is None:
            return 0
        stall = table.load_after_store if last.kind == "store" and of.kind == "load" else 0
        if last.kind != "load" and self._address_from(last, of):
            stall += table.neighbour_address
        return stall

    def _cost(self, of: Instruction) -> float:
        table = self.timing
        if of.place is None:
            return table.cost(of)
        cost = (
            table.load + len(of.writes) - 1
            if of.kind == "load"
            else 1
            if of.place.index is None
            else table.indexed_store
        )
        if self.last is None or self.last.kind != "load" or self._address_from(self.last, of):
            return cost
        apart = self.last.place is not None and of.kind == "load" and self.last.place.table != of.place.table
        return cost - (table.chained_apart if apart else table.chained)

    def _address_from(self, last: Instruction, of: Instruction) -> bool:
        return any(role == "address" and r in last.all_writes and r != SP for r, role in of.reads)


def _other_bank(a: Instruction, b: Instruction) -> bool:
    """Whether two loads certainly read words of different parity."""
    p, q = a.place, b.place
    if p is None or q is None or p.base != q.base or p.index is not None or q.index is not None:
        return False
    first, second = (x.offset + (4 * x.slot.number if x.slot else 0) for x in (p, q))
    return bool((first >> 2 ^ second >> 2) & 1) and (p.slot is None) == (q.slot is None)


def cycles(order: Iterable[Instruction], timing: Timing) -> float:
    """Of instructions in a row, from an idle core on."""
    clock = Clock(timing)
    for one in order:
        clock.issue(one)
    return clock.time


def steady(order: tuple[Instruction, ...], timing: Timing) -> float:
    """Cycles of one turn of a loop that goes on for long, times two: pairs of turns may share what single ones waste."""
    clock = Clock(timing)
    for one in order * 2:
        clock.issue(one)
    before = clock.time
    for one in order * 2:
        clock.issue(one)
    return clock.time - before
