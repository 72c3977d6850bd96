"""What the cores of a cluster did in each step of a network, from the calls that a simulator saw."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from smelt.devices.simulators.cluster_calls import Call
from smelt.devices.waits import Waits
from smelt.firmware.image import Image

FORK, OUTSIDE = "smelt_fork", "smelt_outside_wait"
SHARE, KERNEL = "_task", "_k_"


def worth_watching(image: Image) -> tuple[str, ...]:
    """The functions of a firmware whose calls say where time goes: those that fork, the shares that are forked, kernels that the
    first core computes alone, and waits for memories outside of the chip."""
    return tuple(name for name in image.symbols if name in (FORK, OUTSIDE) or _is_share(name) or _is_kernel(name))


def step_waits(steps: Sequence[Call], calls: Mapping[str, Sequence[Call]], count: int) -> tuple[Waits, ...]:
    """What `count` cores did in each of `steps`, which are calls by the first core."""
    forks = _ordered(calls.get(FORK, ()))
    outside = _ordered(calls.get(OUTSIDE, ()))
    shares = _ordered([c for name, found in calls.items() if _is_share(name) for c in found])
    alone = _ordered([c for name, found in calls.items() if _is_kernel(name) for c in found if c.core == 0])
    return tuple(
        _waits(step, _within(forks, step), shares, _within(alone, step), _within(outside, step), count)
        for step in steps
    )


def _waits(
    step: Call,
    forks: Sequence[Call],
    shares: Sequence[Call],
    alone: Sequence[Call],
    outside: Sequence[Call],
    count: int,
) -> Waits:
    """Of one step. Kernels that a share calls are part of it."""
    forked = [(fork, _within(shares, fork)) for fork in forks]
    single = [c for c in alone if not any(f.start <= c.start < f.end for f in forks)]
    busy = [c for _, found in forked for c in found] + single
    spans = [(fork, max(c.end for c in found) - min(c.start for c in found)) for fork, found in forked if found]
    computing = sum(span for _, span in spans) + sum(c.cycles for c in single)
    banks, fetches = (sum(getattr(c, name) for c in busy) / count for name in ("banks", "fetches"))
    working = sum(c.cycles for c in busy) / count
    barriers = sum(fork.cycles - span for fork, span in spans)
    waiting = sum(c.cycles for c in outside)
    return Waits(
        compute=working - banks - fetches,
        banks=banks,
        fetches=fetches,
        imbalance=computing - working,
        barriers=barriers,
        dma=step.cycles - computing - barriers - waiting,
        outside=waiting,
    )


def _is_share(name: str) -> bool:
    return name.endswith(SHARE)


def _is_kernel(name: str) -> bool:
    return KERNEL in name


def _ordered(calls: Sequence[Call]) -> list[Call]:
    return sorted(calls, key=lambda c: c.start)


def _within(calls: Sequence[Call], outer: Call) -> Sequence[Call]:
    """Those that begin during another."""
    first, last = (bisect_left(calls, at, key=lambda c: c.start) for at in (outer.start, outer.end))
    return calls[first:last]
