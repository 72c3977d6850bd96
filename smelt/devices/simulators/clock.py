"""The Python side of `native/clock.h`: what blocks cost, worked out once for each pair of blocks that follow each other."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from smelt.devices.simulators.decode import BRANCHES, Decoder, Op
from smelt.devices.simulators.pipeline import TICKS, Timed
from smelt.devices.simulators.pipelines import model_of
from smelt.targets.types import Board, Cache, Memory, Path

CONDITIONAL, TAKEN, INDIRECT, BACKWARD, SKIPPABLE = 1, 2, 4, 8, 16
EDGES, PREDICTIONS = 1 << 15, 1 << 12
EDGE = np.dtype(
    [("from", "u4"), ("to", "u4"), ("size", "u4"), ("known", "u4"), ("cost", "u4"), ("penalty", "u4"), ("flags", "u4"),
     ("spare", "u4"), ("generation", "u8"), ("reads", "u4"), ("halfwords", "u4"), ("chained", "u8")]
)  # fmt: skip
PRICE = ctypes.CFUNCTYPE(None, *(ctypes.c_uint32,) * 4, ctypes.c_void_p)


class _Cache(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("sets", "ways", "shift", "random")),
        ("generation", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("lines", "used", "dirty")),
    )


class _Area(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("code", ctypes.c_int32),
        ("data", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("first", "line", "busy", "prefetch", "bus", "block")),
    )


_NUMBERS = (
    "origin", "origin_size", "flags", "block_cost", "dynamic", "unaligned", "noise", "bus", "spare", "by_block",
    "load_block", "read", "reads", "halfwords", "aside", "aside_at",
)  # fmt: skip


class RawClock(ctypes.Structure):
    _fields_ = (
        ("now", ctypes.c_uint64),
        ("uses", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in _NUMBERS),
        ("chained", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("ahead_at", "ahead_ready", "way_free")),
        *((name, ctypes.c_uint64) for name in ("code_stall", "data_stall", "branch_stall")),
        *((name, ctypes.c_uint64) for name in ("code_misses", "data_misses", "mispredicted")),
        *((name, ctypes.c_void_p) for name in ("edges", "counters", "targets")),
        ("caches", ctypes.POINTER(_Cache)),
        ("areas", ctypes.POINTER(_Area)),
        ("area_count", ctypes.c_uint64),
        ("price", PRICE),
    )


@dataclass(frozen=True)
class Stalls:
    """Where cycles went that the core spent waiting, since reset."""

    code: int
    data: int
    branches: int
    code_misses: int
    data_misses: int
    mispredicted: int


class Clock:
    """Counts the cycles of one board. `read(address, size)` gives its code. Keep it alive as long as the emulator may call it."""

    def __init__(
        self,
        board: Board,
        read: Callable[[int, int], bytes],
        carried: Callable[[Callable[..., None]], Callable[..., None]],
        functions: Iterable[tuple[int, int]] = (),
    ) -> None:
        """`carried` is that of the emulator's `Escapes`; `functions` are addresses and sizes of the code that is known beforehand:
        see `conditional`."""
        caches, self._core = board.chip.caches, board.core.timed
        self.blocks = BlockCosts(board, read)
        self._edges = np.zeros(EDGES, EDGE)
        self._counters, self._targets = np.zeros(PREDICTIONS, np.uint8), np.zeros(PREDICTIONS, np.uint32)
        self._arrays = [_cache_arrays(c) for c in caches]
        self._caches = (_Cache * max(len(caches), 1))(
            *(_raw_cache(c, arrays) for c, arrays in zip(caches, self._arrays, strict=True))
        )
        by_block = not self._core.chains_across_memories
        counted = [(i, m) for i, m in enumerate(board.chip.memories, 1) if by_block or m.path != Path()]
        areas = [a for number, memory in counted for a in _areas(memory, number, caches)]
        self._chained: dict[bytes, Any] = {}  # bits that edges point to
        self.conditional = self.blocks.conditional_loads(functions) if by_block else {}
        """Addresses of loads in IT blocks, with their numbers of reads: `native/counter.c` must hear of them when they happen."""
        self._areas = (_Area * max(len(areas), 1))(*areas)
        self.raw = RawClock(
            dynamic=int(self._core.mispredicted > 0), unaligned=TICKS * self._core.unaligned_load, noise=1,
            by_block=int(by_block),
            edges=self._edges.ctypes.data, counters=self._counters.ctypes.data, targets=self._targets.ctypes.data,
            caches=self._caches, areas=self._areas, area_count=len(areas), price=PRICE(carried(self._price)),
        )  # fmt: skip

    @property
    def user_data(self) -> int:
        return ctypes.addressof(self.raw)

    @property
    def cycles(self) -> int:
        """Since reset, to the end of the block that is being executed."""
        return int(self.raw.now) // TICKS

    def cycles_at(self, pc: int) -> int:
        """The same, to the start of the instruction at `pc` of the current block."""
        raw = self.raw
        offset = self.blocks.offset(int(raw.origin), int(raw.origin_size), pc)
        return (int(raw.now) - int(raw.block_cost) + min(offset, int(raw.block_cost))) // TICKS

    @property
    def stalls(self) -> Stalls:
        raw = self.raw
        code, data, branches = (int(t) // TICKS for t in (raw.code_stall, raw.data_stall, raw.branch_stall))
        return Stalls(code, data, branches, int(raw.code_misses), int(raw.data_misses), int(raw.mispredicted))

    @property
    def watches_writes(self) -> bool:
        """Whether stores matter: some memory is behind a data cache that they change."""
        return self._core.mispredicted > 0

    def forget(self) -> None:
        """Code has been overwritten."""
        self._edges[:] = 0
        self.blocks.forget()

    def _price(self, origin: int, origin_size: int, to: int, size: int, edge: int) -> None:
        found = self.blocks.edge(origin, origin_size, to, size)
        entry = np.frombuffer(memoryview((ctypes.c_char * EDGE.itemsize).from_address(edge)), EDGE)
        entry["cost"], entry["penalty"], entry["flags"], entry["spare"] = found[:4]
        if self.raw.by_block:
            entry["reads"], entry["halfwords"], entry["chained"] = self._reads(
                self.blocks.ops(to, size), found.chained, to
            )

    def _reads(self, ops: Sequence[Op], chained: Collection[int], start: int) -> tuple[int, int, int]:
        """What an edge says of the reads of its block: two numbers of bits, and their address."""
        always: list[int] = []
        skippable = np.zeros(
            sum(op.size for op in ops) // 2 if any(op.at in self.conditional for op in ops) else 0, np.uint8
        )
        for op in ops:
            first = int(op.at in chained)
            if op.conditional and op.memory_reads:
                if op.at not in self.conditional:
                    break  # whether it happens is not seen, and so not which the later ones are
                skippable[(op.at - start) // 2] = first
            elif op.memory_reads:
                always += (first, *(1,) * (op.memory_reads - 1))
        bits = np.concatenate([np.packbits(np.array(b, np.uint8), bitorder="little") for b in (always, skippable)])
        return len(always), len(skippable), int(self._chained.setdefault(bits.tobytes(), bits).ctypes.data)


class Edge(NamedTuple):
    """What a block costs right after another one."""

    cost: int  # ticks
    penalty: int  # ticks that a wrong prediction of the branch between them adds
    flags: int
    spare: int  # cycles without need of instructions
    chained: tuple[int, ...] = ()  # see `Timed`


class BlockCosts:
    """Decoded blocks and what they cost, after each other."""

    def __init__(self, board: Board, read: Callable[[int, int], bytes]) -> None:
        timing = board.core.timed
        model = model_of(timing)
        self._read, self._decode, self.pipeline = read, model.decoder(), model.create(timing)
        self._ops: dict[tuple[int, int], tuple[Op, ...]] = {}
        self._alone: dict[tuple[int, int], Timed[Any]] = {}
        self._cut: dict[
            tuple[int, int], tuple[int, int]
        ] = {}  # what only goes on where a block was cut off, and that one
        self._prices: dict[tuple[int, int, int, int], Edge] = {}

    def forget(self) -> None:
        self._ops.clear()
        self._alone.clear()
        self._cut.clear()
        self._prices.clear()

    def ops(self, address: int, size: int) -> tuple[Op, ...]:
        key = (address, size)
        if key not in self._ops:
            self._ops[key] = self._decode(self._read(address, size), address)
        return self._ops[key]

    def conditional_loads(self, functions: Iterable[tuple[int, int]]) -> dict[int, int]:
        """The loads in IT blocks of Thumb code, and how often each reads."""
        decoder = Decoder()
        found = (
            op for address, size in functions for op in decoder.conditional_loads(self._read(address, size), address)
        )
        return {op.at: op.memory_reads for op in found}

    def alone(self, address: int, size: int) -> Timed[Any]:
        """A block by itself, with nothing under way before it; one that only goes on behind what it goes on with."""
        key = (address, size)
        if key not in self._alone:
            state = self.alone(*self._cut[key]).state if key in self._cut else self.pipeline.idle()
            self._alone[key] = self.pipeline.block(self.ops(address, size), state)
        return self._alone[key]

    def _goes_on(self, origin: int, origin_size: int, to: int, size: int) -> None:
        """Emulators cut blocks off where pages end: what follows is no beginning, and knows what was before."""
        ops = self.ops(origin, origin_size)
        if to == origin + origin_size and ops and not ops[-1].is_branch and (to, size) not in self._cut:
            self._cut[to, size] = (origin, origin_size)
            self._alone.pop((to, size), None)

    def offset(self, address: int, size: int, pc: int) -> int:
        """Ticks from a block's start to its instruction at `pc`."""
        ops = self.ops(address, size)
        return next((t for op, t in zip(ops, self.alone(address, size).starts, strict=True) if op.at >= pc), 0)

    def edge(self, origin: int, origin_size: int, to: int, size: int) -> Edge:
        """What the block at `to` costs right after that at `origin`."""
        key = (origin, origin_size, to, size)
        if key not in self._prices:
            self._prices[key] = self._edge(*key)
        return self._prices[key]

    def _edge(self, origin: int, origin_size: int, to: int, size: int) -> Edge:
        ops = self.ops(to, size)
        skippable = SKIPPABLE if any(op.conditional and op.kind not in BRANCHES for op in ops) else 0
        if origin_size == 0:
            return Edge(self.alone(to, size).cost, 0, skippable, 0, self.alone(to, size).chained)
        self._goes_on(origin, origin_size, to, size)
        before = self.ops(origin, origin_size)
        left = self.alone(origin, origin_size)
        last = before[-1] if before else None
        taken = to != origin + origin_size
        timed = self.pipeline.block(ops, left.state)
        cost = timed.cost + self.pipeline.leave(before, taken, ops[0] if ops else None)
        if to == origin:
            cost = max(cost, TICKS * _fetches(to, size, self.pipeline.fetch_bytes))
        flags = skippable | (TAKEN if taken else 0) | (BACKWARD if to <= origin + origin_size else 0)
        if last is not None and (last.loads_pc or last.kind in ("indirect", "table")):
            flags |= INDIRECT
        elif last is not None and last.kind in BRANCHES and last.conditional:
            flags |= CONDITIONAL
        penalty = self.pipeline.mispredicted(left)
        return Edge(max(cost, 0), penalty, flags, max(cost // TICKS - (size + 3) // 4, 0), timed.chained)


def _fetches(address: int, size: int, width: int) -> int:
    """Cycles in which a loop of one block is fetched: an aligned piece of `width` bytes each."""
    return (address + size - 1) // width - address // width + 1


def _cache_arrays(cache: Cache) -> tuple[Any, Any, Any]:
    lines = cache.size // cache.line
    return np.zeros(lines, np.uint32), np.zeros(lines, np.uint64), np.zeros(lines, np.uint8)


def _raw_cache(cache: Cache, arrays: tuple[Any, Any, Any]) -> _Cache:
    sets = cache.size // cache.line // cache.ways
    pointers = (a.ctypes.data for a in arrays)
    return _Cache(sets, cache.ways, cache.line.bit_length() - 1, int(cache.replacement == "random"), 1, *pointers)


def _areas(memory: Memory, number: int, caches: Sequence[Cache]) -> list[_Area]:
    """The addresses of a memory, and how long they take."""
    path = memory.path
    code, data = (-1 if cache is None else caches.index(cache) for cache in (path.instructions, path.data))
    return [
        _Area(
            start, start + memory.size, code, data,
            TICKS * path.first, TICKS * path.line, TICKS * path.busy, int(path.prefetch), path.bus, number,
        )
        for start in (memory.start, *memory.aliases)
    ]  # fmt: skip
