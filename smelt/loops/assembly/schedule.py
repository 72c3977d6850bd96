"""The order of instructions: a list scheduler for what stands in a row, and software pipelining for loops.

A loop's turn may do the loads of the next one between its own arithmetic. Which of them is tried out: for each set that may run
ahead the list scheduler makes an order, whose cost in the long run decides; then single instructions are moved while that
helps. All of it is deterministic and small: inner loops have some dozen instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

from smelt.loops.assembly.allocate import NoRegister
from smelt.loops.assembly.dependences import conflict, heights, in_a_loop, in_a_row, topological
from smelt.loops.assembly.ir import FLAGS, Instruction, Register
from smelt.loops.assembly.liveness import Live, most, through
from smelt.loops.assembly.row import Row, State
from smelt.loops.assembly.timing import Timing, cycles

REGISTERS = 14  # r0 to r12, lr
MOST_SETS = 128  # of loads that run ahead
WINDOWS = (None, 20, 12, 8, 5)  # of instructions that are looked at, in the order in which they were written
NEAR = 10  # places by which an instruction is moved
LONG = 30  # instructions for which all windows are tried
TRIALS = 400  # orders that are tried one after the other
TOO_MUCH = 1 << 30
POLISHED = 3  # orders of a loop in which single instructions are moved
SWEEPS = 4

Order = tuple[Instruction, ...]


def scheduled(
    body: Order, timing: Timing, live: Live, exit: Instruction | None, budget: int, turns: bool = False
) -> Order:
    """Instructions in a row in an order that takes no longer, with at most `budget` registers in use where that can be. `live` is
    what is needed behind them, `exit` the branch there; with `turns` it goes back to their beginning, and more is tried."""
    whole = body if exit is None else (*body, exit)
    graph = in_a_row(whole)
    if exit is not None:
        graph[-1] = set(range(len(body)))
    row, written = Row(whole, timing, live, turns), list(range(len(whole)))
    allowed = max(budget, row.most(written))

    def cost(order: list[int], limit: float = TOO_MUCH) -> float:
        found = row.cycles(order)
        return found if found < limit and row.most(order) <= allowed else TOO_MUCH

    best, least = written, cost(written)
    rising, flat = heights(whole, graph, timing), [0] * len(whole)
    for window, height in product(WINDOWS if turns or len(whole) > LONG else WINDOWS[:2], (rising, flat)):
        if least <= row.bound:
            break
        order = _list(row, graph, State(row), height, _Pressure(row, budget), window)
        if (found := cost(order, least)) < least:
            best, least = order, found
    if turns:
        best = _settled(best, graph, cost, row.bound)
    return _of(whole, best)[: len(body)]


def _settled(
    order: list[int], graph: list[set[int]], cost: Callable[[list[int], float], float], bound: int
) -> list[int]:
    """The order with one instruction after the other moved to where it makes the whole shorter, if that can be."""
    least, trials = cost(order, TOO_MUCH), 0
    for _ in range(SWEEPS):
        before = least
        if least <= bound:
            break
        for one in tuple(order):
            for other in _moved(order, one, graph, NEAR):
                trials += 1
                if trials > TRIALS:
                    return order
                if (found := cost(other, least)) < least:
                    order, least = other, found
                    break
        if least == before:
            break
    return order


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


def pipelined(body: Order, timing: Timing, live: Live, held: Sequence[str], budget: int = REGISTERS) -> Loop:
    """The turn of a loop in a good order. `live`: what is needed behind the loop and by what stands between its rounds; of the
    regions `held` nothing is loaded ahead.

    Raises NoRegister where no order has enough of `budget` registers.
    """
    found: list[tuple[float, int, int, frozenset[int], _Turn]] = []
    row, perfect = in_a_row(body), 0
    for chosen in _ahead_sets(body, live, held):
        graph = in_a_loop(row, chosen)
        if graph is None:
            continue
        tried = _Turn(_of(body, topological(graph, chosen)), timing, live, budget)
        cost = tried.cost(tried.order)
        found.append((cost, len(chosen), len(found), chosen, tried))
        perfect += cost <= tried.row.bound
        if perfect == POLISHED:
            break  # none is better, and the next ones do more ahead
    polished: list[tuple[float, int, int, frozenset[int], Order]] = []
    for _, size, number, chosen, tried in sorted(found, key=lambda f: f[:3])[:POLISHED]:
        order = _settled(tried.order, tried.graph, tried.cost, tried.row.bound)
        polished.append((tried.cost(order), size, number, chosen, _of(tried.row.body, order)))
    cost, _, _, chosen, best = min(polished, key=lambda f: f[:3])
    if cost >= TOO_MUCH:
        raise NoRegister("no order of the loop has enough registers")
    return Loop(tuple(body[i] for i in sorted(chosen)), best, live)


class _Turn:
    """A turn of a loop whose loads run ahead as they do in `body`, and the best order that the list scheduler found."""

    def __init__(self, body: Order, timing: Timing, live: Live, budget: int) -> None:
        self.budget = budget
        self.row = Row(body, timing, live | through(body, live), turns=True)
        self.graph = in_a_row(body)
        orders = [list(range(len(body)))]
        height = heights(body, self.graph, timing)
        for window in (None, WINDOWS[-1]):
            if self.cost(orders[-1]) <= self.row.bound:
                break
            state = State(self.row)
            for _ in range(2):  # it begins as the turn before ends
                order = _list(self.row, self.graph, state, height, _Pressure(self.row, budget), window)
                state.turn()
            orders.append(order)
        self.order = min(orders, key=self.cost)

    def cost(self, order: list[int], limit: float = TOO_MUCH) -> float:
        """Cycles in the long run, `TOO_MUCH` where these are not below `limit` or where there are not enough registers."""
        found = self.row.steady(order)
        return found if found < limit and self.row.most(order) <= self.budget else TOO_MUCH


def _of(body: Order, order: Sequence[int]) -> Order:
    return tuple(body[i] for i in order)


def _ahead_sets(body: Order, live: Live, held: Sequence[str]) -> Iterator[frozenset[int]]:
    """Sets of instructions that may run ahead, the smallest first: loads, and all up to one. What they need in front of them is
    looked at later. What they make must not be needed behind the loop, as they are done once too often; pointers are set right."""
    able = [not (one.kind in ("store", "branch") or FLAGS in one.writes or live & set(one.writes)) for one in body]
    able = [
        can and not (one.place is not None and one.place.region in held) for can, one in zip(able, body, strict=True)
    ]
    loads = [i for i, one in enumerate(body) if one.kind == "load" and able[i]]
    sets = (frozenset(c) for size in range(len(loads) + 1) for c in combinations(loads, size))
    count = able.index(False) if False in able else len(body)
    starts = [frozenset(range(n)) for n in range(1, min(count, len(body) - 1) + 1)]
    yield from dict.fromkeys((*islice(sets, MOST_SETS), frozenset(loads), *starts))


def _list(
    row: Row, graph: list[set[int]], state: State, height: list[int], pressure: _Pressure | None, window: int | None
) -> list[int]:
    """One after the other the instruction that begins first, of several the one that most has to wait for. It is one of the first
    `window` that are left: the order in which they were written needs few registers."""
    left, order = list(range(row.count)), list[int]()
    waiting = set(left)
    loads = [one.kind == "load" for one in row.body]
    while left:
        ready = [i for i in left[:window] if not graph[i] & waiting]
        if pressure is not None:
            ready = pressure.bearable(ready)
        chained = state.last >= 0 and loads[state.last]
        best = min(ready, key=lambda i: (state.after(i)[1], chained and not loads[i], -height[i], i))
        state.issue(best)
        if pressure is not None:
            pressure.take(best)
        left.remove(best)
        waiting.remove(best)
        order.append(best)
    return order


class _Pressure:
    """The registers in use while a row of instructions is put in order."""

    def __init__(self, row: Row, budget: int) -> None:
        self.budget = budget
        self.used = sum(made < 0 for made, _, _ in row.values)
        self.waiting = [set(uses) for _, uses, _ in row.values]
        self.makes: list[int] = [0] * row.count
        self.ends: list[list[int]] = [[] for _ in row.body]  # values that nobody needs behind the row, by who uses them
        for number, (made, uses, behind) in enumerate(row.values):
            if made >= 0 and (uses or behind):
                self.makes[made] += 1
            for one in uses if not behind else ():
                self.ends[one].append(number)

    def _after(self, one: int) -> int:
        """How many are in use behind an instruction."""
        return self.used + self.makes[one] - sum(self.waiting[v] == {one} for v in self.ends[one])

    def bearable(self, ready: list[int]) -> list[int]:
        """Those that leave no more registers in use than the budget; where there are none, those that leave fewest."""
        counts = {i: self._after(i) for i in ready}
        limit = max(self.budget, min(counts.values()))
        return [i for i in ready if counts[i] <= limit]

    def take(self, one: int) -> None:
        self.used = self._after(one)
        for value in self.ends[one]:
            self.waiting[value].discard(one)


def _moved(order: list[int], one: int, graph: list[set[int]], most: int) -> Iterator[list[int]]:
    """The orders in which one instruction stands up to `most` places before or behind where it does."""
    at = order.index(one)
    rest = order[:at] + order[at + 1 :]
    places = {i: place for place, i in enumerate(rest)}
    low = max((places[i] + 1 for i in graph[one]), default=0)
    high = min((k for k, i in enumerate(rest) if one in graph[i]), default=len(rest))
    for place in range(max(low, at - most), min(high, at + most) + 1):
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
