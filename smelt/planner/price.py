"""What a kernel waits for memory, by where its buffers lie: the price of a place, from the data in `targets/`.

Caches: a line that a loop touches again one turn later is still there, unless more lines came in between than the cache keeps.
Of caches that replace at random each line that came in had a chance to push it out; of the others it stays while all fit. Each
missing line that is read stalls the core for `Path.first`; one that is written only keeps the way busy, for which the next
missing line waits. Memories without a cache stall every read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, gcd

from smelt.loops.kernel import Kernel
from smelt.loops.traffic import Key, Lines, Traffic, traffic
from smelt.targets.types import Cache, Path

BURSTS = 0.8
"""Of the written lines that are missing where each store goes to another line: the next store follows at once."""


@dataclass(frozen=True)
class Missed:
    """Lines that are missing when they are read, and when they are written."""

    read: float = 0.0
    written: float = 0.0


class Pricer:
    """Prices of one kernel; what it touches is read once for each length of a line."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._traffic: dict[int, Traffic] = {}

    def stalls(self, paths: Sequence[Path], ratio: float = 1.0) -> float:
        """Cycles of waiting, for the way to each of the kernel's buffers. `ratio`: cycles of an instruction of the static cost."""
        caches = dict.fromkeys(p.data for p in paths if p.data is not None)
        waiting = sum(self._cached(cache, paths, ratio) for cache in caches)
        return waiting + self._uncached(paths)

    def misses(self, paths: Sequence[Path]) -> dict[Key, Missed]:
        """Lines that are missing, by buffer."""
        caches = dict.fromkeys(p.data for p in paths if p.data is not None)
        return {key: m for cache in caches for key, m in self._missed(cache, paths).items()}

    def _uncached(self, paths: Sequence[Path]) -> float:
        slow = {n: p.first for n, p in enumerate(paths) if p.data is None and p.first}
        if not slow:
            return 0.0
        accesses = self._read(4).accesses
        return sum(count * slow[n] for (n, written), count in accesses.items() if n in slow and not written)

    def _cached(self, cache: Cache, paths: Sequence[Path], ratio: float) -> float:
        return _waiting(self._missed(cache, paths), paths, self._read(cache.line), ratio)

    def _missed(self, cache: Cache, paths: Sequence[Path]) -> dict[Key, Missed]:
        keys = frozenset(n for n, p in enumerate(paths) if p.data == cache)
        return dict(_split(_misses(self._read(cache.line).tree, keys, cache)))

    def _read(self, line: int) -> Traffic:
        if line not in self._traffic:
            self._traffic[line] = traffic(self._kernel, line)
        return self._traffic[line]


def _split(missed: Mapping[int, tuple[float, float]]) -> Iterator[tuple[Key, Missed]]:
    for n, (read, written) in missed.items():
        yield (n, False), Missed(read, written)


# --- misses -----------------------------------------------------------------------------------------------------------


def _misses(node: Lines, buffers: frozenset[int], cache: Cache) -> dict[int, tuple[float, float]]:
    """(read, written) lines that are missing in all turns of a node, by buffer, where nothing is in the cache before."""
    keys = [key for key in node.all if key[0] in buffers]
    if not keys:
        return {}
    first = {n: _both(node.once, n) for n in {n for n, _ in keys}}
    sets = cache.size // (cache.line * cache.ways)
    lost = _lost(sum(lines * _crowded(node, n, sets) for n, lines in first.items()), cache)
    inside: dict[int, list[float]] = {n: [0.0, 0.0, 0.0] for n in first}  # missing in the parts, and what they touch
    for part in node.parts:
        for n, (read, written) in _misses(part, buffers, cache).items():
            one = inside[n]
            one[0], one[1], one[2] = one[0] + read, one[1] + written, one[2] + _both(part.all, n)
    found: dict[int, tuple[float, float]] = {}
    for n, once in first.items():
        reads, writes = node.once.get((n, False), 0.0), node.once.get((n, True), 0.0)
        write_share = writes / (reads + writes) if not reads or not writes else 0.5
        every = _both(node.all, n)
        missing, touched = inside[n][0] + inside[n][1], inside[n][2]
        again = max(missing - touched, 0.0) + lost * max(touched - once, 0.0)  # in one turn, beyond each line once
        total = every + lost * max(node.turns * once - every, 0.0) + node.turns * again
        if touched and missing:
            write_share = inside[n][1] / missing if touched >= 0.9 * once else write_share
        found[n] = total * (1 - write_share), total * write_share
    return found


def _crowded(node: Lines, n: int, sets: int) -> int:
    """How many times as many lines of a buffer share a set as if they were side by side."""
    return min(gcd(min(node.apart[key] for key in node.apart if key[0] == n), sets), sets)


def _both(lines: Mapping[Key, float], n: int) -> float:
    """Lines of a buffer that is read, written, or both: then most of them are the same."""
    return max(lines.get((n, False), 0.0), lines.get((n, True), 0.0))


def _lost(lines: float, cache: Cache) -> float:
    """The share of lines that are gone when they are needed again, with so many different ones in between."""
    ratio = lines * cache.line / cache.size
    if cache.replacement != "random":
        return min(max((ratio - 0.75) / 0.5, 0.0), 1.0)
    share = 1.0
    for _ in range(8):
        share = 1 - exp(-ratio * share)  # each line that comes in pushes out any of them
    return share if ratio > 0.5 else 0.0


# --- time -------------------------------------------------------------------------------------------------------------


def _waiting(missed: Mapping[Key, Missed], paths: Sequence[Path], found: Traffic, ratio: float) -> float:
    """Cycles that the core waits for missing lines: for those that are read, and for the way to them to be free again."""
    every = sum(m.read + m.written for m in missed.values())
    if not every:
        return 0.0
    dirty = sum(m.written for m in missed.values()) / every  # of the lines that have to leave

    def late(key: Key, missing: float, busy: float) -> float:
        """How long the next missing line waits for a way that is busy: where each access misses they come in bursts."""
        if not busy or not missing:
            return 0.0
        bursts = BURSTS * min(missing / found.accesses[key], 1.0) if key[1] else 0.0
        return busy * (bursts + (1 - bursts) * exp(-ratio * found.work[key] / (missing * busy)))

    total = 0.0
    for (n, _), m in missed.items():
        path = paths[n]
        busy = path.busy + dirty * (path.line - path.first + 1)
        total += m.read * (path.first + late((n, False), m.read, busy))
        total += m.written * late((n, True), m.written, path.first + busy)
    return total
