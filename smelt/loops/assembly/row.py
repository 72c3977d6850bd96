"""Instructions in a row by numbers, for trying out many orders: what each costs and how many registers are in use.

In every order that keeps to the dependences a read finds the same write, so that waits and live values are looked up once.
"""

from __future__ import annotations

from collections.abc import Sequence

from smelt.loops.assembly.ir import FLAGS, SPECIAL, Instruction, Register
from smelt.loops.assembly.liveness import Live
from smelt.loops.assembly.timing import Clock, Timing

NEVER = -1_000_000


class Row:
    """`body`, of which `live` is needed behind it; with `turns` it is followed by itself."""

    def __init__(self, body: Sequence[Instruction], timing: Timing, live: Live, turns: bool) -> None:
        self.body, self.timing, self.turns = tuple(body), timing, turns
        self.count = len(self.body)
        self.feeds: list[
            list[tuple[int, int]]
        ] = []  # producers and latencies; those of the turn before have numbers below 0
        self.values: list[
            tuple[int, tuple[int, ...], bool]
        ] = []  # where it is made (-1: before), its uses, needed behind
        self._look(live)
        self._pair: dict[tuple[int, int], bool] = {}
        self._cost: dict[tuple[int, int], tuple[int, int]] = {}

    @property
    def bound(self) -> int:
        """No order of two turns, or of the row alone, takes less."""
        kinds = [one.kind for one in self.body]
        alone = [kind for kind in set(kinds) if (kind, kind) in self.timing.apart]
        most = max(kinds.count(kind) for kind in alone) if alone else 0
        return (2 if self.turns else 1) * max(-(-self.count // self.timing.issue), most)

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
            if register not in SPECIAL
        ]

    def _latency(self, producer: int, register: Register, role: object) -> int:
        of = self.body[producer]
        latency = self.timing.stepped if register == of.base else self.timing.latency(of)
        return latency.of(role)  # type: ignore[arg-type]

    def pairs(self, older: int, younger: int) -> bool:
        """Whether two of them may start in a cycle."""
        key = older, younger
        if key not in self._pair:
            self._pair[key] = Clock(self.timing).may_pair(self.body[older], self.body[younger])
        return self._pair[key]

    def cost(self, last: int, one: int) -> tuple[int, int]:
        """(stall, cycles) of an instruction right behind another one; -1: behind none."""
        key = last, one
        if key not in self._cost:
            clock = Clock(self.timing)
            clock.last = self.body[last] if last >= 0 else None
            self._cost[key] = clock.stall_and_cost(self.body[one])
        return self._cost[key]

    def cycles(self, order: Sequence[int]) -> int:
        """Of the row in an order; with turns of two, one after the other."""
        state = State(self)
        for _ in range(2 if self.turns else 1):
            for one in order:
                state.issue(one)
            state.turn()
        return state.time

    def steady(self, order: Sequence[int]) -> int:
        """Of two turns in an order, when many came before."""
        state, times = State(self), []
        for _ in range(4):
            times.append(state.time)
            for one in order:
                state.issue(one)
            state.turn()
        return state.time - times[2]

    def most(self, order: Sequence[int]) -> int:
        """The most registers in use at once."""
        place = {one: at for at, one in enumerate(order)}
        change = [0] * (self.count + 2)
        for made, uses, behind in self.values:
            first = place[made] + 1 if made >= 0 else 0
            end = self.count if behind else max((place[u] for u in uses), default=first)
            change[first] += 1
            change[max(end, first) + 1] -= 1
        most = now = 0
        for step in change:
            now += step
            most = max(most, now)
        return most


class State:
    """A core in the middle of a row."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.time, self.last, self.older = 0, -1, -1
        self.starts: dict[int, int] = {}

    def turn(self) -> None:
        """The row begins again."""
        count = self.row.count
        self.starts = {one - count: start for one, start in self.starts.items() if one >= 0}

    def after(self, one: int) -> tuple[int, int]:
        """(start, time after it) if an instruction came next."""
        need, starts = 0, self.starts
        for producer, wait in self.row.feeds[one]:
            if producer in starts and starts[producer] + wait > need:
                need = starts[producer] + wait
        if self.older >= 0 and need < self.time and self.row.pairs(self.older, one):
            return self.time - 1, self.time
        stall, cost = self.row.cost(self.last, one)
        start = max(self.time, need) + stall
        return start, start + cost

    def issue(self, one: int) -> None:
        start, time = self.after(one)
        paired = self.older >= 0 and start == self.time - 1 and time == self.time
        self.older = -1 if paired or self.row.timing.issue < 2 else one
        self.time, self.last = time, one
        self.starts[one] = start
