"""Instructions in a row by numbers, for trying out many orders: what each costs and how many registers are in use.

In every order that keeps to the dependences a read finds the same write, so that waits and live values are looked up once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from smelt.loops.assembly.ir import FLAGS, SPECIAL, Instruction, Register
from smelt.loops.assembly.liveness import Live
from smelt.loops.assembly.timing import Clock, Timing

NEVER = -1_000_000


class Row:
    """`body`, of which `live` is needed behind it; with `turns` it is followed by itself.

    Of each instruction `feeds` has what makes its operands, with latencies; producers of the turn before have numbers below 0. A
    value of `values` is where it is made (-1: before the row), who uses it, and whether it is needed behind the row.
    """

    def __init__(self, body: Sequence[Instruction], timing: Timing, live: Live, turns: bool) -> None:
        self.body, self.timing, self.turns = tuple(body), timing, turns
        self.count = len(self.body)
        self.feeds: list[list[tuple[int, int]]] = []
        self.values: list[tuple[int, tuple[int, ...], bool]] = []
        self._look(live)
        self._clock = Clock(timing)
        self._pairs: list[list[bool] | None] = [None] * self.count
        self._costs: list[list[tuple[int, float]] | None] = [None] * (self.count + 1)

    @cached_property
    def bound(self) -> int:
        """No order of two turns, or of the row alone, takes less."""
        turns, issue = 2 if self.turns else 1, self.timing.issue
        kinds = [one.kind for one in self.body]
        alone = [kind for kind in set(kinds) if (kind, kind) in self.timing.apart]
        most = max(kinds.count(kind) for kind in alone) if alone else 0
        waits = turns * self._loads if issue == 1 and self.count > 1 else 0
        return max(-(-turns * self.count // issue) + waits, turns * most)

    @property
    def _loads(self) -> int:
        """Cycles of a turn beyond one for each instruction, at least: loads in a row share them, a store makes up for them."""
        kinds = [one.kind for one in self.body]
        count = kinds.count("load")
        if self.timing.chained:
            count = min(count, 0 if "store" in kinds else 1)
        return count * (self.timing.load - 1)

    def _look(self, live: Live) -> None:
        made: dict[Register, int] = {}
        uses: dict[tuple[Register, int], list[int]] = {}
        last = {r: i for i, one in enumerate(self.body) for r in one.all_writes}
        for number, one in enumerate(self.body):
            waits: dict[int, int] = {}
            for register, role in one.reads:
                uses.setdefault((register, made.get(register, -1)), []).append(number)
                if register == FLAGS and one.kind == "branch":
                    continue
                producer = (
                    made[register] if register in made else last[register] - self.count if register in last else None
                )
                if producer is not None and (producer >= 0 or self.turns):
                    waits[producer] = max(waits.get(producer, NEVER), self._latency(producer, register, role))
            self.feeds.append(list(waits.items()))
            for register in one.all_writes:
                made[register] = number
                uses.setdefault((register, number), [])
        for register in live:
            uses.setdefault((register, made.get(register, -1)), [])
        self.values = [
            (at, tuple(dict.fromkeys(found)), register in live and made.get(register, -1) == at)
            for (register, at), found in uses.items()
            if register not in SPECIAL and register.bank == "core"
        ]

    def _latency(self, producer: int, register: Register, role: object) -> int:
        of = self.body[producer]
        latency = self.timing.stepped if register == of.base else self.timing.latency(of)
        return latency.of(role)  # type: ignore[arg-type]

    def pairs(self, older: int) -> list[bool]:
        """Which of them may start in the cycle of an older one."""
        found = self._pairs[older]
        if found is None:
            found = [self._clock.may_pair(self.body[older], one) for one in self.body]
            self._pairs[older] = found
        return found

    def costs(self, last: int) -> list[tuple[int, float]]:
        """(stall, cycles) of each instruction right behind another one; -1: behind none."""
        found = self._costs[last]
        if found is None:
            self._clock.last = self.body[last] if last >= 0 else None
            found = [self._clock.stall_and_cost(one) for one in self.body]
            self._costs[last] = found
        return found

    def times(self, order: Sequence[int], turns: int) -> list[float]:
        """When each turn of the row in an order ends."""
        count, feeds, dual = self.count, self.feeds, self.timing.issue > 1
        starts: list[float] = [NEVER] * (2 * count)  # those of the turn before are counted from the end
        time: float = 0
        last, older, ends = -1, -1, []
        for _ in range(turns):
            for one in order:
                need: float = 0
                for producer, wait in feeds[one]:
                    ready = starts[producer] + wait
                    if ready > need:
                        need = ready
                if older >= 0 and need < time and (self._pairs[older] or self.pairs(older))[one]:
                    starts[one], older = time - 1, -1
                else:
                    stall, cost = (self._costs[last] or self.costs(last))[one]
                    start = (time if time > need else need) + stall
                    starts[one], time = start, start + cost
                    older = one if dual else -1
                last = one
            ends.append(time)
            starts = [NEVER] * count + starts[:count]
        return ends

    def cycles(self, order: Sequence[int]) -> float:
        """Of the row in an order; with turns of two, one after the other."""
        return self.times(order, 2 if self.turns else 1)[-1]

    def steady(self, order: Sequence[int]) -> float:
        """Of two turns in an order, when many came before."""
        ends = self.times(order, 4)
        return ends[3] - ends[1]

    def most(self, order: Sequence[int]) -> int:
        """The most registers in use at once."""
        place = [0] * self.count
        for at, one in enumerate(order):
            place[one] = at
        change = [0] * (self.count + 2)
        for made, uses, behind in self.values:
            first = place[made] + 1 if made >= 0 else 0
            end = self.count if behind else first
            for use in () if behind else uses:
                if place[use] > end:
                    end = place[use]
            change[first] += 1
            change[end + 1] -= 1
        return max(accumulate(change))


class State:
    """A core in the middle of a row."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.time: float = 0
        self.last, self.older = -1, -1
        self.starts: list[float] = [NEVER] * (2 * row.count)

    def turn(self) -> None:
        """The row begins again."""
        self.starts = [NEVER] * self.row.count + self.starts[: self.row.count]

    def after(self, one: int) -> tuple[float, float]:
        """(start, time after it) if an instruction came next."""
        need: float = 0
        starts = self.starts
        for producer, wait in self.row.feeds[one]:
            if starts[producer] + wait > need:
                need = starts[producer] + wait
        if self.older >= 0 and need < self.time and self.row.pairs(self.older)[one]:
            return self.time - 1, self.time
        stall, cost = self.row.costs(self.last)[one]
        start = max(self.time, need) + stall
        return start, start + cost

    def issue(self, one: int) -> None:
        start, time = self.after(one)
        paired = self.older >= 0 and start == self.time - 1 and time == self.time
        self.older = -1 if paired or self.row.timing.issue < 2 else one
        self.time, self.last = time, one
        self.starts[one] = start
