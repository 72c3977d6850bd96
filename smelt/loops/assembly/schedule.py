"""The order of instructions: a list scheduler for what stands in a row, and software pipelining for loops.

A loop's turn may do the loads of the next one between its own arithmetic. Which of them is tried out: for each set that may run
ahead the list scheduler makes an order, whose cost in the long run decides; then single instructions are moved while that
helps. All of it is deterministic and small: inner loops have some dozen instructions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from smelt.loops.assembly.dependences import conflict, heights, in_a_loop, in_a_row
from smelt.loops.assembly.ir import SPECIAL, Instruction, Register
from smelt.loops.assembly.liveness import Live, most, through
from smelt.loops.assembly.timing import Clock, Timing, cycles, steady

REGISTERS = 14  # r0 to r12, lr
MOST_SETS = 128  # of loads that run ahead
POLISHED = 3  # orders of a loop in which single instructions are moved
SWEEPS = 4

Order = tuple[Instruction, ...]


def scheduled(body: Order, timing: Timing, live: Live, exit: Instruction | None, budget: int) -> Order:
    """Instructions in a row in an order that takes no longer, with at most `budget` registers in use where that can be.
    `live` is what is needed behind them, `exit` the branch there."""
    whole = body if exit is None else (*body, exit)
    graph = in_a_row(whole)
    if exit is not None:
        graph[-1] = set(range(len(body)))
    orders = [whole]
    for by_height in (True, False):
        pressure = _Pressure(whole, live, budget)
        orders.append(_of(whole, _list(whole, graph, Clock(timing), by_height, pressure)))
    allowed = max(budget, most(whole, live))
    fitting = [o for o in orders if most(o, live) <= allowed]
    return min(fitting, key=lambda o: cycles(o, timing))[: len(body)]


@dataclass(frozen=True)
class Loop:
    """A turn of a loop: `ahead` are done once before it, then `body` with those of `ahead` for the turn after. `live` is needed
    behind the loop and between its rounds."""

    ahead: Order
    body: Order
    live: Live

    def lead(self, pointer: Register) -> int:
        """Bytes by which `pointer` runs ahead."""
        return sum(i.place.step for i in self.ahead if i.place is not None and i.base == pointer)


def pipelined(body: Order, timing: Timing, live: Live, ahead: bool) -> Loop:
    """The turn of a loop in a good order. `live`: what is needed behind the loop and by what stands between its rounds."""
    found: list[tuple[int, int, int, frozenset[int], list[set[int]], list[int]]] = []
    for chosen in _ahead_sets(body) if ahead else [frozenset()]:
        graph = in_a_loop(body, chosen)
        if graph is None:
            continue
        for by_height in (True, False):
            order = _turn(body, graph, timing, by_height)
            if _pressure(_of(body, order), live) <= REGISTERS:
                found.append((steady(_of(body, order), timing), len(chosen), len(found), chosen, graph, order))
    if not found:
        raise ValueError("no order of the loop has enough registers")
    found.sort(key=lambda f: f[:3])
    polished = []
    for cost, _, number, chosen, graph, order in found[:POLISHED]:
        better = _polished(body, order, graph, timing, cost)
        if _pressure(_of(body, better), live) > REGISTERS:
            better = order
        polished.append((steady(_of(body, better), timing), len(chosen), number, chosen, better))
    *_, chosen, order = min(polished, key=lambda f: f[:3])
    return Loop(tuple(body[i] for i in sorted(chosen)), _of(body, order), live)


def _of(body: Order, order: Sequence[int]) -> Order:
    return tuple(body[i] for i in order)


def _ahead_sets(body: Order) -> Iterator[frozenset[int]]:
    """Sets of loads, the smallest first; with what they need in front of them it is checked later that they can be."""
    loads = [i for i, one in enumerate(body) if one.kind == "load"]
    count = 0
    for size in range(len(loads) + 1):
        for chosen in combinations(loads, size):
            if count == MOST_SETS:
                yield frozenset(loads)
                return
            count += 1
            yield frozenset(chosen)


def _turn(body: Order, graph: list[set[int]], timing: Timing, by_height: bool) -> list[int]:
    """A loop's order by the list scheduler, which begins as the turn before ends."""
    clock, order = Clock(timing), list(range(len(body)))
    for _ in range(2):
        order = _list(body, graph, clock, by_height, None)
    return order


def _list(body: Order, graph: list[set[int]], clock: Clock, by_height: bool, pressure: _Pressure | None) -> list[int]:
    """One after the other the instruction that begins first, of several the one that most has to wait for."""
    height = heights(body, graph, clock.timing) if by_height else [0] * len(body)
    left, order = set(range(len(body))), list[int]()
    while left:
        ready = [i for i in left if not graph[i] & left]
        if pressure is not None:
            ready = pressure.bearable(ready, left)
        chained = clock.last is not None and clock.last.kind == "load"
        best = min(
            ready, key=lambda i: (clock.end(body[i]) - clock.time, chained and body[i].kind != "load", -height[i], i)
        )
        clock.issue(body[best])
        if pressure is not None:
            pressure.take(best, left)
        left.remove(best)
        order.append(best)
    return order


class _Pressure:
    """The registers in use while a row of instructions is put in order."""

    def __init__(self, body: Order, live: Live, budget: int) -> None:
        self.body, self.live, self.budget = body, live, budget
        self.used = set(through(body, live))

    def after(self, number: int, left: set[int]) -> set[Register]:
        """The registers in use behind an instruction."""
        one, others = self.body[number], left - {number}
        needed = {r for i in others for r in self.body[i].read_registers} | self.live
        found = self.used | {r for r in one.all_writes if r not in SPECIAL}
        return {r for r in found if r in needed}

    def bearable(self, ready: list[int], left: set[int]) -> list[int]:
        """Those that leave no more registers in use than the budget; where there are none, those that leave fewest."""
        counts = {i: len(self.after(i, left)) for i in ready}
        least = min(counts.values())
        return [i for i in ready if counts[i] <= max(self.budget, least)]

    def take(self, number: int, left: set[int]) -> None:
        self.used = self.after(number, left)


def _pressure(order: Order, live: Live) -> int:
    """The most registers that are in use at once while a loop goes round."""
    return most(order, live | through(order, live))


def _polished(body: Order, order: list[int], graph: list[set[int]], timing: Timing, cost: int) -> list[int]:
    """The order with single instructions moved, as long as that makes a turn shorter."""
    for _ in range(SWEEPS):
        better = min(_neighbours(order, graph), key=lambda o: steady(_of(body, o), timing), default=order)
        found = steady(_of(body, better), timing)
        if found >= cost:
            break
        order, cost = better, found
    return order


def _neighbours(order: list[int], graph: list[set[int]]) -> Iterator[list[int]]:
    """All orders with one instruction elsewhere."""
    for at, one in enumerate(order):
        rest = order[:at] + order[at + 1 :]
        low = max((rest.index(i) + 1 for i in graph[one]), default=0)
        high = min((k for k, i in enumerate(rest) if one in graph[i]), default=len(rest))
        for place in range(low, high + 1):
            if place != at:
                yield [*rest[:place], one, *rest[place:]]


def with_ends(loop: Loop, ends: Order, timing: Timing, unroll: int) -> Order:
    """The round of a loop: its turn as often as it is written out, with `ends` in the last one where they cost least."""
    turn = list(loop.body)
    live = loop.live | through((*turn, *ends), loop.live)
    for number, one in enumerate(ends):
        low = 0 if number == 0 else next(i for i, other in enumerate(turn) if other is ends[number - 1]) + 1
        places = [p for p in range(low, len(turn) + 1) if _may_stand(turn, p, one)]
        options = [[*turn[:p], one, *turn[p:]] for p in places]
        allowed = [o for o in options if most(o, live) <= REGISTERS] or options[-1:]
        rest = ends[number + 1 :]
        turn = min(reversed(allowed), key=lambda o: cycles((*loop.body, *o, *rest), timing))
    return (*loop.body * (unroll - 1), *turn)


def _may_stand(turn: list[Instruction], place: int, one: Instruction) -> bool:
    """Whether an instruction that belongs to the end may come before those from `place` on."""
    return not any(conflict(other, one) for other in turn[place:])
