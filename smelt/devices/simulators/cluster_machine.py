"""The Python side of `native/cluster.c`: memories as arrays, the figures of a chip, and what can be seen of a machine between
runs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.semihosting import BadPointer
from smelt.devices.simulators.native_library import CLUSTER, native
from smelt.targets.cluster import Bursts, Cluster
from smelt.targets.types import Chip, Memory

WORKERS, CONTROLLER = 8, 8
POWER_ON, ERASED = 0xA5, 0xFF
TEXT_BYTES, VISITS = 1 << 20, 1 << 18
FLASH = 0x01000000  # where the flash outside begins on the bus that it shares with RAM

# Why a run ended, as the C numbers it.
RUNNING, EXITED, BREAKPOINT, LIMIT, DEADLOCK, UNDEFINED, BAD_READ, BAD_WRITE, BAD_FETCH = range(9)
READ_UNWRITTEN, IN_FLIGHT, WRONG_DMA, STACK_OVERFLOW, WRONG_LOOP, PAUSED = range(9, 15)

# What can be asked of a core besides its registers.
PC, STACK_LOW, STACK_HIGH, DEEPEST, ASLEEP, WAITS_AT, STARTED, COUNTERS = 32, 33, 34, 35, 36, 37, 38, 64
COUNTER_NAMES = (
    *(
        "cycles",
        "instructions",
        "load_use",
        "jump_register",
        "fetch",
        "loads",
        "stores",
        "jumps",
        "branches",
        "taken",
        "compressed",
    ),
    *("far_loads", "far_stores", "far_load_cycles", "far_store_cycles", "contention", "sleep", "misses"),
)
STATE_NAMES = (
    *(
        "now",
        "stop_core",
        "stop_pc",
        "stop_address",
        "stop_detail",
        "exit_code",
        "text_used",
        "visits_used",
        "executed",
        "dma_busy",
    ),
    *("dma_bytes", "dma_denied", "outside_busy", "outside_bytes", "outside_bursts"),
)
VISIT = np.dtype(
    [
        *((name, "u8") for name in ("cycle", "executed", "banks", "fetches")),
        *((name, "u4") for name in ("core", "function", "is_return", "_")),
    ]
)


@dataclass(frozen=True)
class Visit:
    """A call of a watched function or the return from it: when, after how many instructions of all cores, by which core, and for
    how many cycles that core has waited for banks and for instructions until then."""

    cycle: int
    executed: int
    banks: int
    fetches: int
    core: int
    function: int
    is_return: bool


@dataclass(frozen=True)
class Held:
    """The bytes of one memory, and of each what is known (1: written)."""

    start: int
    data: np.ndarray[Any, np.dtype[np.uint8]]
    flags: np.ndarray[Any, np.dtype[np.uint8]]
    outside: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.data)


def cluster_of(chip: Chip) -> Cluster:
    """Raises `KeyError` for a chip that has none."""
    if chip.cluster is None:
        raise KeyError(chip.name)
    return chip.cluster


class ClusterMachine:
    """All cores of a chip with a cluster, and its memories. Addresses of memories that are not mapped are those of their own
    bus."""

    def __init__(self, chip: Chip, entry: int, strict: bool = True) -> None:
        """Only the controller starts, at `entry`. Without `strict`, nobody minds memory that was never written, or is being
        moved."""
        self.library = _library()
        self._state = np.zeros(self.library.smelt_cluster_bytes(), np.uint8)
        self._at = self._state.ctypes.data
        self.held = tuple(_hold(part, outside=i > 2) for i, part in enumerate(_parts(chip)))
        op_bytes = self.library.smelt_cluster_op_bytes()
        self._ops = [
            np.zeros(len(h.data) // 2 * op_bytes, np.uint8) if i in (1, 2) else None for i, h in enumerate(self.held)
        ]
        for which, (h, ops) in enumerate(zip(self.held, self._ops, strict=True)):
            at = None if ops is None else ops.ctypes.data
            self.library.smelt_cluster_memory(
                self._at, which, h.start, len(h.data), h.data.ctypes.data, h.flags.ctypes.data, at
            )
        figures = np.array(parameters(chip, strict), np.uint32)
        self.library.smelt_cluster_reset(self._at, figures.ctypes.data, entry, cluster_of(chip).hart)
        self._text = np.zeros(TEXT_BYTES, np.uint8)
        self._visits = np.zeros(VISITS, VISIT)
        self.watch(())

    def watch(self, addresses: Sequence[int]) -> None:
        """Log every call of the functions at these addresses from now on."""
        self._watched = np.array(sorted(addresses), np.uint32)
        self.library.smelt_cluster_log(
            *(self._at, self._text.ctypes.data, TEXT_BYTES, self._visits.ctypes.data, VISITS),
            *(self._watched.ctypes.data, len(self._watched)),
        )

    def pause(self, addresses: Sequence[int]) -> None:
        """Stop from now on whenever one of the functions at these addresses, which are watched, has returned."""
        self._paused = np.array(sorted(addresses), np.uint32)
        self.library.smelt_cluster_pause(self._at, self._paused.ctypes.data, len(self._paused))

    def run(self, limit: int) -> int:
        """Go on until something stops it, or the machine has executed `limit` instructions in all; returns why it stopped."""
        return int(self.library.smelt_cluster_run(self._at, limit))

    def state(self, name: str) -> int:
        """Of `STATE_NAMES`."""
        return int(self.library.smelt_cluster_state(self._at, STATE_NAMES.index(name)))

    def get(self, core: int, what: int) -> int:
        """A register of a core (0 to 31), or what the constants above say."""
        return int(self.library.smelt_cluster_core(self._at, core, what))

    def set(self, core: int, what: int, value: int) -> None:
        self.library.smelt_cluster_set_core(self._at, core, what, value & 0xFFFFFFFF)

    def counters(self, core: int) -> dict[str, int]:
        """What a core has counted, by name."""
        return {name: self.get(core, COUNTERS + i) for i, name in enumerate(COUNTER_NAMES)}

    @property
    def text(self) -> str:
        """What the program has printed, byte by byte."""
        return self._text[: self.state("text_used")].tobytes().decode("utf-8", "replace")

    def take_visits(self) -> list[Visit]:
        """Calls of watched functions and returns from them, in order, since they were taken last."""
        found = self._visits[: self.state("visits_used")].tolist()
        self.library.smelt_cluster_forget_visits(self._at)
        return [
            Visit(cycle, executed, banks, fetches, core, function, bool(back))
            for cycle, executed, banks, fetches, core, function, back, _ in found
        ]

    def read(self, address: int, size: int) -> bytes:
        """Bytes of a mapped memory; raises `BadPointer`."""
        h = self._find(address, size)
        return h.data[address - h.start : address - h.start + size].tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Change a mapped memory; raises `BadPointer`."""
        if not data:
            return
        h = self._find(address, len(data))
        h.data[address - h.start : address - h.start + len(data)] = np.frombuffer(data, np.uint8)
        self.library.smelt_cluster_written(self._at, address, len(data))

    def fill_outside(self, address: int, data: bytes) -> None:
        """Change a memory outside of the chip, RAM from 0 or flash from `FLASH`; raises `BadPointer`."""
        for h in self.held:
            if h.outside and h.start <= address and address + len(data) <= h.end:
                h.data[address - h.start : address - h.start + len(data)] = np.frombuffer(data, np.uint8)
                return
        raise BadPointer(f"{address:#010x}, {len(data)} bytes outside of the chip")

    def _find(self, address: int, size: int) -> Held:
        for h in self.held:
            if not h.outside and h.start <= address and address + size <= h.end:
                return h
        raise BadPointer(f"{address:#010x}, {size} bytes")


def _parts(chip: Chip) -> tuple[tuple[int, int, int], ...]:
    """(start, size, what it holds after power-on) of L1, what both share, the controller's own, RAM and flash outside.
    Neighbours that chips tell apart are one memory here."""
    cluster = cluster_of(chip)
    named = {m.name: m for m in chip.memories}
    own = named[cluster.controller_memory]
    near = named[cluster.memory]
    shared = [m for m in chip.memories if m.mapped and m not in (own, near)]
    outside = [m for m in chip.memories if not m.mapped]
    ram = next((m for m in outside if m.start < FLASH), None)
    flash = next((m for m in outside if m.start >= FLASH), None)
    return (
        *(_span(group) for group in ([near], shared, [own])),
        _outside(ram, 0, POWER_ON),
        _outside(flash, FLASH, ERASED),
    )


def _span(memories: Sequence[Memory]) -> tuple[int, int, int]:
    start = min(m.start for m in memories)
    return start, max(m.end for m in memories) - start, POWER_ON


def _outside(memory: Memory | None, start: int, content: int) -> tuple[int, int, int]:
    return (start, 4, content) if memory is None else (memory.start, memory.size, content)


def _hold(part: tuple[int, int, int], outside: bool) -> Held:
    """Of a memory outside nothing is known, and its bytes are the operating system's zeros until somebody writes there: it is
    large."""
    start, size, content = part
    if outside:
        return Held(start, np.zeros(size, np.uint8), np.zeros(1, np.uint8), True)
    return Held(start, np.full(size, content, np.uint8), np.zeros(size, np.uint8))


def parameters(chip: Chip, strict: bool) -> tuple[int, ...]:
    """The figures of a chip in the order of the C."""
    cluster, outside = cluster_of(chip), chip.outside or Bursts(1, 1000, 1)
    t, dma, core = cluster.timing, cluster.dma, chip.core.timed
    return (
        *(
            cluster.count,
            cluster.banks,
            1 + core.taken,
            t.jump,
            1 + core.indirect,
            core.multiply,
            core.multiply_long,
            t.divide,
        ),
        *(core.misaligned_target, t.far, t.demux, t.peripheral, t.controller_l2, t.controller_far, t.request, t.wake),
        *(t.refill, t.controller_refill, *cluster.instructions, *cluster.controller_instructions),
        *(
            dma.begin,
            dma.burst,
            dma.gap_in,
            dma.gap_out,
            dma.words,
            outside.first,
            outside.thousandths,
            outside.burst,
            int(strict),
        ),
    )


def instruction_names(words: Sequence[int]) -> list[str | None]:
    """The names of the instructions with these bits (compressed ones have sixteen); None where there is none."""
    library = _library()
    found = (library.smelt_cluster_name(word) for word in words)
    return [None if name is None else bytes(name).decode() for name in found]


def _library() -> ctypes.CDLL:
    library = native(CLUSTER, lambda file: ctypes.CDLL(str(file)))
    pointer, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    for name, result, arguments in (
        ("bytes", u64, ()),
        ("op_bytes", u32, ()),
        ("memory", None, (pointer, u32, u32, u32, pointer, pointer, pointer)),
        ("reset", None, (pointer, pointer, u32, u32)),
        ("run", u32, (pointer, u64)),
        ("core", u64, (pointer, u32, u32)),
        ("set_core", None, (pointer, u32, u32, u32)),
        ("state", u64, (pointer, u32)),
        ("written", None, (pointer, u32, u32)),
        ("log", None, (pointer, pointer, u32, pointer, u32, pointer, u32)),
        ("forget_visits", None, (pointer,)),
        ("pause", None, (pointer, pointer, u32)),
        ("name", ctypes.c_char_p, (u32,)),
    ):
        function = getattr(library, f"smelt_cluster_{name}")
        function.restype, function.argtypes = result, arguments
    return library
