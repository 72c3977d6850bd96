"""The Python side of `native/counter.c`: its structures, and the arrays that it counts in."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smelt.devices.simulators.clock import Clock
from smelt.devices.simulators.native_library import load_native
from smelt.devices.simulators.pipeline import TICKS

OUTSIDE, OVERHEAD, FIRST_STEP = 0, 1, 2
RUNNING, LIMIT_REACHED, MISALIGNED, IDLING = 0, 1, 2, 3
NOWHERE = 1

BLOCK = np.dtype(
    [("size", "u2"), ("instructions", "u2"), ("flags", "u2"), ("checks", "u2"), ("first", "u4"), ("_", "u4")]
)
CHECK = np.dtype([("address", "u4"), ("at", "u4"), ("offset", "u4"), ("registers", "i4", 2), ("factors", "u4", 2)])
ANALYSE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)


CALL = np.dtype([(name, "u4") for name in ("part", "return_address", "stack", "step")])
GROW = ctypes.CFUNCTYPE(None)
STEPS = 64  # for which there is room at first


class _Region(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("bytes", ctypes.c_void_p),
        ("blocks", ctypes.c_void_p),
    )


class _Counter(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("total", "limit", "run_start", "return_address", "run_stack", "runs")),
        *((name, ctypes.c_uint64) for name in ("stopped", "stopped_at", "current", "steps", "max_steps")),
        ("counts", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("last_steps", ctypes.c_uint64),
        ("kernels", ctypes.c_void_p),
        ("kernel_count", ctypes.c_uint64),
        ("regions", ctypes.POINTER(_Region)),
        ("region_count", ctypes.c_uint64),
        ("checks", ctypes.c_void_p),
        ("hard", ctypes.c_void_p),
        ("hard_count", ctypes.c_uint64),
        ("link_register", ctypes.c_int32),
        ("is_thumb", ctypes.c_int32),
        ("read_register", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("analyse", ANALYSE),
        ("clock", ctypes.c_void_p),
        ("ticks", ctypes.c_void_p),
        ("last_ticks", ctypes.c_void_p),
        ("write_register", ctypes.c_void_p),
        ("status_register", ctypes.c_int32),
        ("stack_register", ctypes.c_int32),
        ("stop_when_idle", ctypes.c_uint64),
        ("conditional", ctypes.c_void_p),
        ("conditional_count", ctypes.c_uint64),
        ("calls", ctypes.c_void_p),
        ("depth", ctypes.c_uint64),
        ("part_return", ctypes.c_uint64),
        ("grow", GROW),
        ("program_counter", ctypes.c_int32),
    )


@dataclass(frozen=True)
class Check:
    """The sum of one or two registers, each times a factor, and `offset` must be a multiple of four when `address` is
    reached; `at` is the instruction that needs it. Registers are the emulator's numbers."""

    address: int
    at: int
    offset: int
    registers: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CodeRegion:
    """Addresses that may hold code, and the bytes there."""

    start: int
    data: np.ndarray[Any, np.dtype[np.uint8]]


class Counter:
    """Counts instructions, in all and by step. Keep it alive for as long as the emulator may call it."""

    def __init__(
        self,
        regions: Sequence[CodeRegion],
        run: int,
        kernels: Sequence[int],
        hard: Sequence[Check],
        analyse: Callable[[int, int], Sequence[Check]],
        carried: Callable[[Callable[..., None]], Callable[..., None]],
        read_register: int,
        stop: int,
        link_register: int,
        stack_register: int,
        is_thumb: bool,
        clock: Clock | None = None,
        write_register: int = 0,
        status_register: int = 0,
        stop_when_idle: bool = False,
        program_counter: int = 0,
    ) -> None:
        """`run` is the address of the function that runs the network, `kernels` are entry addresses,
        `read_register` and `stop` the emulator's own functions; `analyse(address, size)` gives the alignment checks of
        a block, and `carried` is that of its `Escapes`."""
        self._library = load_native()
        self._analyse, self._checks = analyse, np.zeros(1024, CHECK)
        self._used = 0
        self._counts, self._last, self._ticks, self._last_ticks = np.zeros((4, FIRST_STEP + STEPS), np.uint64)
        self._calls = np.zeros(STEPS, CALL)
        self.clock = clock
        self._kernels = np.array(sorted(set(kernels)), np.uint32)
        self._hard = _check_array(sorted(hard, key=lambda c: c.address))
        self._conditional = np.array(sorted(clock.conditional.items()) if clock else [], np.uint32)
        self._data = [r.data for r in regions]
        self._blocks = [np.zeros(len(r.data) // 2 + 1, BLOCK) for r in regions]
        self._regions = (_Region * len(regions))(
            *(
                _Region(r.start, r.start + len(r.data), r.data.ctypes.data, b.ctypes.data)
                for r, b in zip(regions, self._blocks, strict=True)
            )
        )
        self.raw = _Counter(
            limit=2**63, run_start=run, return_address=NOWHERE, part_return=NOWHERE,
            kernels=self._kernels.ctypes.data, kernel_count=len(self._kernels),
            regions=self._regions, region_count=len(regions),
            checks=self._checks.ctypes.data, hard=self._hard.ctypes.data, hard_count=len(self._hard),
            link_register=link_register, is_thumb=int(is_thumb),
            read_register=read_register, stop=stop, analyse=ANALYSE(carried(self._analyse_block)),
            clock=clock.user_data if clock else None, stop_when_idle=int(stop_when_idle),
            write_register=write_register, status_register=status_register,
            stack_register=stack_register, program_counter=program_counter, grow=GROW(carried(self._grow)),
            conditional=self._conditional.ctypes.data, conditional_count=len(self._conditional),
        )  # fmt: skip

        self._connect()

    def _connect(self) -> None:
        raw = self.raw
        raw.counts, raw.last = self._counts.ctypes.data, self._last.ctypes.data
        raw.ticks, raw.last_ticks = self._ticks.ctypes.data, self._last_ticks.ctypes.data
        raw.calls, raw.max_steps = self._calls.ctypes.data, len(self._calls)

    def _grow(self) -> None:
        more = len(self._calls)
        self._counts, self._last, self._ticks, self._last_ticks = (
            np.concatenate([a, np.zeros(more, np.uint64)])
            for a in (self._counts, self._last, self._ticks, self._last_ticks)
        )
        self._calls = np.concatenate([self._calls, np.zeros(more, CALL)])
        self._connect()

    @property
    def block_hook(self) -> int:
        """The address of the function to call at every block, with `user_data`."""
        return ctypes.cast(self._library.smelt_block, ctypes.c_void_p).value or 0

    @property
    def instruction_hook(self) -> int:
        """The address of the function to call before every instruction that is checked by itself."""
        return ctypes.cast(self._library.smelt_instruction, ctypes.c_void_p).value or 0

    @property
    def conditional_hook(self) -> int:
        """The address of the function to call before the loads that the clock calls conditional, if they are not skipped."""
        return ctypes.cast(self._library.smelt_conditional, ctypes.c_void_p).value or 0

    @property
    def aligned_hook(self) -> int:
        """The address of the function to call at every access, where each must lie at a multiple of its size."""
        return ctypes.cast(self._library.smelt_aligned, ctypes.c_void_p).value or 0

    @property
    def data_hook(self) -> int:
        """The address of the function to call at every access to data, if there is a clock."""
        return ctypes.cast(self._library.smelt_data, ctypes.c_void_p).value or 0

    @property
    def user_data(self) -> int:
        return ctypes.addressof(self.raw)

    @property
    def total(self) -> int:
        return int(self.raw.total)

    @property
    def outside(self) -> int:
        return int(self._counts[OUTSIDE])

    @property
    def overhead(self) -> int:
        """Of the last completed run: instructions in the function that runs the network, and in what it calls besides
        kernels."""
        return int(self._last[OVERHEAD])

    @property
    def steps(self) -> tuple[int, ...]:
        """Instructions of each step in the last completed run."""
        return tuple(int(n) for n in self._last[FIRST_STEP : FIRST_STEP + int(self.raw.last_steps)])

    @property
    def overhead_cycles(self) -> int:
        """Like `overhead`; 0 without a clock."""
        return int(self._last_ticks[OVERHEAD]) // TICKS

    @property
    def step_cycles(self) -> tuple[int, ...]:
        """Cycles of each step in the last completed run; zeros without a clock."""
        return tuple(int(n) // TICKS for n in self._last_ticks[FIRST_STEP : FIRST_STEP + int(self.raw.last_steps)])

    def allow(self, instructions: int) -> None:
        """Stop the emulator once this many more have been executed."""
        self.raw.limit = self.total + instructions

    def stall(self, cycles: int) -> None:
        """The core waits for something that the clock does not know."""
        if self.clock:
            self.clock.raw.now += TICKS * cycles
            self.clock.raw.data_stall += TICKS * cycles
            self._ticks[self.raw.current] += np.uint64(TICKS * cycles)

    def forget(self, start: int, end: int) -> None:
        """Code between these addresses has been overwritten."""
        if self.clock:
            self.clock.forget()
        for region, blocks in zip(self._regions, self._blocks, strict=True):
            first, last = max(start, region.start), min(end, region.end)
            if first < last:
                blocks[max(first - region.start - 4096, 0) // 2 : (last - region.start) // 2 + 1]["size"] = 0

    def _analyse_block(self, address: int, size: int, block: int) -> None:
        found = self._analyse(address, size)
        if self._used + len(found) > len(self._checks):
            self._checks = np.concatenate([self._checks, np.zeros(len(self._checks) + len(found), CHECK)])
            self.raw.checks = self._checks.ctypes.data
        self._checks[self._used : self._used + len(found)] = _check_array(found)
        entry = np.frombuffer(memoryview((ctypes.c_char * BLOCK.itemsize).from_address(block)), BLOCK)
        entry["checks"], entry["first"] = len(found), self._used
        self._used += len(found)


def _check_array(checks: Sequence[Check]) -> np.ndarray[Any, Any]:
    return np.array([_check_row(c) for c in checks], CHECK)


def _check_row(check: Check) -> tuple[int, int, int, tuple[int, ...], tuple[int, ...]]:
    numbers, factors = zip(*(*check.registers, (0, 0), (0, 0))[:2], strict=True)
    return check.address, check.at, check.offset, numbers, factors
