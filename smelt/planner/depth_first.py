"""A quick order of steps for graphs of any size: every operand is computed as a whole before the next one is begun.

The operand whose computation needs most, beside what it leaves, comes first (Liu's rule): for trees the least peak among all orders
that finish one operand before the next.
"""

from __future__ import annotations

from collections.abc import Iterable

from smelt.planner.flow import Flow


def depth_first(flow: Flow) -> tuple[int, ...]:
    """The steps of `flow` in such an order. Takes time in proportion to their number."""
    urgency = _urgencies(flow)

    def sorted_(steps: Iterable[int]) -> list[int]:
        return sorted(steps, key=lambda i: (-urgency[i], i))

    last = [i for i, followers in enumerate(flow.followers) if not followers]
    order, done, stack = list[int](), set[int](), sorted_(last)[::-1]
    while stack:
        step = stack[-1]
        waiting = [i for i in sorted_(flow.needs[step]) if i not in done]
        if waiting:
            stack.append(waiting[0])
            continue
        stack.pop()
        if step not in done:
            done.add(step)
            order.append(step)
    return tuple(order)


def _urgencies(flow: Flow) -> list[int]:
    """For each step the bytes alive at most while it and what it needs is computed, less those that its result takes up.

    What several steps need counts for each of them: exact for trees only.
    """
    peaks: list[int] = []
    urgency: list[int] = []
    for i in range(len(flow.uses)):
        held = most = 0
        for needed in sorted(flow.needs[i], key=lambda n: (-urgency[n], n)):
            most = max(most, held + peaks[needed])
            held += flow.written[needed]
        peaks.append(max(most, held + flow.least_written(i) + flow.scratch[i]))
        urgency.append(peaks[i] - flow.written[i])
    return urgency
