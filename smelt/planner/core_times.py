"""What rounds of shares take on the cores of a cluster: kernels, moves of the DMA beside them, what begins and ends."""

from __future__ import annotations

from collections.abc import Sequence

from smelt.planner.borders import Fill
from smelt.planner.in_tiles import Start, Transfer
from smelt.planner.on_cores import OnCores
from smelt.planner.ways import Bring, Fetch, Way
from smelt.targets.cluster import Cluster
from smelt.targets.types import Core

CALL = 60
"""Cycles of a kernel call that do not depend on its size."""

FILLED = 12
"""Cycles of filling a line, besides its words."""

FORK = 110
"""Cycles from before a round until the cores begin, and from the last one's end until the first goes on: two barriers, a call by
address, finding the own share."""


def call_cycles(way: Way, core: Core) -> float:
    """Of a kernel call."""
    return way.instructions(core) * core.cycles_per_instruction + CALL


def timed(way: OnCores, busy: Sequence[float], cluster: Cluster) -> int:
    """Cycles of all of it, where the busiest core of each round takes so many: the DMA moves one thing after another while cores
    compute."""
    now = free = 0.0
    done: dict[object, float] = {}
    dma = cluster.dma
    for events, cycles in (
        *((r.events, c + FORK) for r, c in zip(way.rounds, busy, strict=True)),
        (way.after, 0.0),
    ):
        for event in events:
            if isinstance(event, Fill):
                now += FILLED * event.rectangle.count + event.rectangle.bytes // 4
                continue
            moved = event.transfer
            assert not isinstance(moved, Bring), "what comes from outside is looked for later"
            if isinstance(event, Start):
                now += dma.call * (moved.rectangle.count if isinstance(moved, Transfer) and moved.pitch else 1)
                free = max(free, now) + _moved(moved, cluster)
                done[moved] = free
            else:
                now = max(now, done[moved]) + dma.call // 2
        now += cycles
    return round(now)


def _moved(moved: Transfer | Fetch, cluster: Cluster) -> int:
    """Cycles of the DMA."""
    if isinstance(moved, Fetch):
        return cluster.dma.cycles(moved.data.nbytes, True) - cluster.dma.call
    r = moved.rectangle
    return cluster.dma.cycles(r.bytes, moved.inward, r.count) - cluster.dma.call
