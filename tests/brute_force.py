"""The least memory of small plans, by trying everything: every order of steps, and for every two things that are there at one time
every way in which they may lie to each other. It knows the rules that plans keep and none of the planner's means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

from smelt.planner.flow import Flow, aligned

Edge = tuple[int, int, int]
"""Thing b begins at least so many bytes behind thing a: (a, b, bytes)."""


@dataclass(frozen=True)
class Things:
    """What has an address, in an order of steps: sizes in bytes, and for each two that meet the ways in which they may lie."""

    sizes: tuple[int, ...]
    pairs: tuple[tuple[int, int, tuple[Edge, ...]], ...]


def orders(flow: Flow) -> Iterator[tuple[int, ...]]:
    """Every order of the steps in which each comes after those that it needs."""
    for order in permutations(range(len(flow.uses))):
        done: set[int] = set()
        for step in order:
            if not flow.needs[step] <= done:
                break
            done.add(step)
        else:
            yield order


def things_of(flow: Flow, order: Sequence[int]) -> Things:
    """Storages, then the scratch of each step, when they are there, and which may be written over which."""
    at = {step: time for time, step in enumerate(order)}
    sizes, spans = list(flow.sizes), list[tuple[int, int]]()
    for s, readers in enumerate(flow.readers):
        first = -1 if s in flow.inputs else at[flow.writers[s]] if s in flow.writers else -1
        last = len(order) if s in flow.outputs else max((at[r] for r in readers), default=first)
        spans.append((first, last))
    over: dict[tuple[int, int], int] = {}
    for step in order:
        for x, by in flow.slides(step).items():
            if spans[x][1] == at[step]:
                over[flow.uses[step].writes[0], x] = by
        for scratch in flow.uses[step].scratch:
            sizes.append(aligned(scratch))
            spans.append((at[step], at[step]))
    pairs: list[tuple[int, int, tuple[Edge, ...]]] = []
    for b, a in combinations(range(len(sizes)), 2):
        if spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]:
            ways = [(a, b, sizes[a]), (b, a, sizes[b])]
            ways += [(y, x, over[y, x]) for y, x in ((a, b), (b, a)) if (y, x) in over]
            pairs.append((a, b, tuple(ways)))
    pairs.sort(key=lambda pair: -sizes[pair[0]] - sizes[pair[1]])
    return Things(tuple(sizes), tuple(pairs))


def least_bytes(flow: Flow, most: int = 1 << 40) -> int:
    """What the storages and the scratch of a flow need in one memory, in the best order; `most` where that is not less."""
    best = min(most, sum(flow.sizes) + sum(flow.scratch) + 1)
    for order in orders(flow):
        there = things_of(flow, order)
        best = _least(there, [pair[2] for pair in there.pairs], (), [0] * len(there.sizes), best)
    return best


def fits(flow: Flow, budgets: Sequence[int]) -> bool:
    """Whether storages and scratch find room in memories of so many bytes, in some order; each thing lies in one of them."""
    return any(_fits(things_of(flow, order), budgets) for order in orders(flow))


def _fits(there: Things, budgets: Sequence[int]) -> bool:
    for memories in product(range(len(budgets)), repeat=len(there.sizes)):
        if any(size > budgets[m] for size, m in zip(there.sizes, memories, strict=True)):
            continue
        found = []
        for m, budget in enumerate(budgets):
            ways = [w for a, b, w in there.pairs if memories[a] == memories[b] == m]
            inside = [size if memories[i] == m else 0 for i, size in enumerate(there.sizes)]
            found.append(_least(Things(tuple(inside), ()), ways, (), [0] * len(inside), budget + 1) <= budget)
            if not found[-1]:
                break
        if all(found):
            return True
    return False


def _least(
    there: Things, left: Sequence[Sequence[Edge]], edges: tuple[Edge, ...], offsets: Sequence[int], best: int
) -> int:
    """The least height below `best` where the pairs that are `left` lie in one of their ways each, and `edges` hold, or `best`."""
    if not left:
        return max((offset + size for offset, size in zip(offsets, there.sizes, strict=True)), default=0)
    for edge in left[0]:
        more = (*edges, edge)
        lifted = _lifted(offsets, more, there.sizes, best)
        if lifted is not None:
            best = _least(there, left[1:], more, lifted, best)
    return best


def _lifted(offsets: Sequence[int], edges: Sequence[Edge], sizes: Sequence[int], best: int) -> list[int] | None:
    """The least offsets, none below those given, at which all edges hold; None where something reaches `best`."""
    found, changed = list(offsets), True
    while changed:
        changed = False
        for a, b, by in edges:
            if found[b] < found[a] + by:
                found[b], changed = found[a] + by, True
                if found[b] + sizes[b] >= best:
                    return None
    return found if all(offset + size < best for offset, size in zip(found, sizes, strict=True)) else None
