"""A simulated chip as a debugger sees it: halted, with empty flash, ready to be loaded and run in slices."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from smelt.devices.cortex_m import AIRCR, SYSRESETREQ, UNLOCK
from smelt.devices.debug_port.target import BusError, Event
from smelt.devices.semihosting import BadPointer
from smelt.devices.simulators.alignment import Alignment
from smelt.devices.simulators.counter import BLOCK, LIMIT_REACHED, Counter
from smelt.devices.simulators.machine import RISCV_BREAKPOINT, Access, Machine, code_regions
from smelt.devices.simulators.memory_map import Mapped, memory_map, read, write
from smelt.targets.types import Board

SLICE_SECONDS = 0.004
SLICE_LIMITS = (10_000, 2_000_000)  # instructions
ARM_UNDEFINED, ARM_SUPERVISOR, ARM_BREAKPOINT, ARM_NO_COPROCESSOR, ARM_INVALID_STATE = 1, 2, 7, 17, 18
ARM_STACK_LIMIT = 19
EXCEPTIONS = {
    ARM_UNDEFINED: "undefined instruction",
    ARM_NO_COPROCESSOR: "instruction of a coprocessor that is off",
    ARM_INVALID_STATE: "branch to an address that is not Thumb code",
    ARM_STACK_LIMIT: "stack overflow",
}
VECTORS, SLEEP_FOREVER = 16, b"\x30\xbf\xfd\xe7"
RISCV_NAMES = {"sp": "x2", "lr": "x1"}


class SimulatedTarget:
    """Implements `smelt.devices.debug_port.target.Target` with the emulator and the native counter of the simulator."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.maps = memory_map(board, frozenset(m.name for m in board.chip.memories))
        self.machine = _Machine(board, self.maps)
        self._counter = self._make_counter()
        self._twice = 0  # instructions counted when a slice ended before them, and counted again by the next one
        self._slice = 100_000
        self._event: Event | None = None
        self._exception = 0
        self.machine.on_interrupt(self._interrupt)
        if self.machine.is_thumb:
            write(self.maps, board.chip.flash.start, _delivered(board), even_flash=True)
        self.reset()

    def _make_counter(self) -> Counter:
        machine = self.machine
        alignment = Alignment(machine.register) if machine.is_thumb else None
        counter = Counter(
            regions=code_regions(self.maps),
            run=(0, 0),
            kernels=(),
            max_steps=1,
            hard=(),
            analyse=lambda a, n: alignment.of_block(read(self.maps, a, n), a) if alignment else (),
            read_register=machine.native_function("uc_reg_read"),
            stop=machine.native_function("uc_emu_stop"),
            link_register=machine.register("lr" if machine.is_thumb else "x1"),
            is_thumb=machine.is_thumb,
        )
        machine.add_native_hook(counter.block_hook, counter.user_data)
        return counter

    @property
    def cycles(self) -> int:
        """Executed instructions: one cycle each, until the timing model says better."""
        return self._counter.total - self._twice

    # --- memory -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        try:
            return read(self.maps, address, size)
        except BadPointer as error:
            raise BusError(self.board, address, size, "read") from error

    def write(self, address: int, data: bytes) -> None:
        try:
            write(self.maps, address, data)
        except BadPointer as error:
            raise BusError(self.board, address, len(data), "written") from error
        self._counter.forget(address, address + len(data))
        self.machine.stale = True

    # --- registers --------------------------------------------------------------------------------------------------

    def read_register(self, name: str) -> int:
        if name == "xpsr":
            return (self.machine.get("apsr") & 0xF80F0000) | (1 << 24) | self._exception
        if name in ("msp", "psp"):
            return self.machine.get("sp")
        return self.machine.pc if name == "pc" else self.machine.get(self._name(name))

    def write_register(self, name: str, value: int) -> None:
        if name == "xpsr":
            self._exception = value & 0x1FF
            self.machine.set("apsr", value & 0xF80F0000)
        elif name == "msp":
            self.machine.set("sp", value & ~3)
        elif name != "psp":
            self.machine.set(self._name(name), value & ~1 if name == "pc" else value)

    def _name(self, name: str) -> str:
        return name if self.machine.is_thumb else RISCV_NAMES.get(name, name)

    # --- run control ------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        self._exception, self._event = 0, None
        if not self.machine.is_thumb:
            self.machine.set("pc", self.board.chip.flash.start)
            return
        for number in range(13):
            self.machine.set(f"r{number}", 0)
        stack, entry = (int.from_bytes(self.read(self.board.chip.flash.start + at, 4), "little") for at in (0, 4))
        self.machine.set("sp", stack & ~3)
        self.machine.set("lr", 0xFFFFFFFF)
        self.machine.set("apsr", 0)
        self.machine.set("pc", entry & ~1)

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        self.machine.stop_before(frozenset(a & ~1 for a in addresses))

    def run(self) -> Event | None:
        start = time.perf_counter()
        event = self._execute(self._slice)
        elapsed = max(time.perf_counter() - start, 1e-6)
        if event is None:
            low, high = SLICE_LIMITS
            self._slice = min(max(int(self._slice * min(SLICE_SECONDS / elapsed, 2.0)), low), high)
        return event

    def step(self) -> Event | None:
        return self._execute(None)

    def _execute(self, allowance: int | None) -> Event | None:
        machine, raw = self.machine, self._counter.raw
        self._event, raw.stopped = None, 0
        machine.access = machine.halted_at = None
        self._counter.allow(allowance or 1000)
        pc = machine.pc
        reason = machine.run_one(pc) if allowance is None else machine.run(pc)
        if raw.stopped == LIMIT_REACHED:
            self._twice += self._instructions_at(int(raw.stopped_at))
        if self._reset_requested():
            return Event("reset", machine.pc)
        if self._event is not None:
            return self._event
        if machine.halted_at is not None:
            return Event("breakpoint", machine.halted_at)
        if raw.stopped == LIMIT_REACHED:
            return None
        if raw.stopped:
            return Event("fault", int(raw.stopped_at), "misaligned access")
        return None if reason is None else self._refused(reason)

    def _reset_requested(self) -> bool:
        """Whether the code has written to AIRCR, which is mere memory here, what resets the chip."""
        if not self.machine.is_thumb:
            return False
        value = int.from_bytes(self.read(AIRCR, 4), "little")
        if value & 0xFFFF0000 != UNLOCK or not value & SYSRESETREQ:
            return False
        self.write(AIRCR, bytes(4))
        return True

    def _instructions_at(self, address: int) -> int:
        """How many instructions the block at this address has, as the counter knows it."""
        raw = self._counter.raw
        for region in raw.regions[: raw.region_count]:
            if region.start <= address < region.end:
                place = region.blocks + ((address - region.start) >> 1) * BLOCK.itemsize
                entry = np.frombuffer((ctypes.c_char * BLOCK.itemsize).from_address(place), BLOCK)
                return int(entry["instructions"][0])
        return 0

    def _interrupt(self, number: int) -> None:
        machine = self.machine
        if number == (ARM_BREAKPOINT if machine.is_thumb else RISCV_BREAKPOINT):
            self._event = Event("breakpoint", machine.pc)
        elif machine.is_thumb:
            # a supervisor call without a handler in the flash ends as a hard fault
            self._event = Event("fault", machine.pc, EXCEPTIONS.get(number, "hard fault"))
        else:
            self._event = Event("fault", machine.pc, "undefined instruction")
        machine.stop()

    def _refused(self, reason: str) -> Event:
        access: Access | None = self.machine.access
        pc = self.machine.pc
        if access is None:
            return Event("fault", pc, "undefined instruction")
        if access.kind == "fetch":
            return Event("fault", access.address & ~1, "instruction fetch outside memory", access.address & ~1)
        return Event("fault", pc, "data access outside memory", access.address)


def _delivered(board: Board) -> bytes:
    """What a new chip has in its flash: a program that does nothing. Without any, the processor would lock up after a reset."""
    idle = board.chip.flash.start + 4 * VECTORS
    vectors = (board.chip.rams[0].end, *([idle | 1] * (VECTORS - 1)))
    return b"".join(v.to_bytes(4, "little") for v in vectors) + SLEEP_FOREVER


class _Machine(Machine):
    """The simulator's machine, and what a debugger wants besides: breakpoints, single steps, changed code."""

    def __init__(self, board: Board, maps: tuple[Mapped, ...]) -> None:
        super().__init__(board, maps)
        self.halted_at: int | None = None
        self.stale = False
        self._breakpoints: dict[int, Any] = {}

    def run(self, address: int) -> str | None:
        self._prepare()
        return super().run(address)

    def run_one(self, address: int) -> str | None:
        """Execute one instruction."""
        self._prepare()
        try:
            self._engine.emu_start(address | int(self.is_thumb), 0xFFFFFFFF, count=1)
        except self._unicorn.UcError as error:
            return str(error)
        return None

    def _prepare(self) -> None:
        if self.stale:
            self._engine.ctl_flush_tb()
            self.stale = False

    def stop_before(self, addresses: frozenset[int]) -> None:
        for address in set(self._breakpoints) - addresses:
            self._engine.hook_del(self._breakpoints.pop(address))
        for address in addresses - set(self._breakpoints):
            self._breakpoints[address] = self._engine.hook_add(
                self._unicorn.UC_HOOK_CODE, self._hit, begin=address, end=address
            )
        self.stale = True

    def _hit(self, _: Any, address: int, __: int, ___: Any) -> None:
        self.halted_at = address
        self.stop()
