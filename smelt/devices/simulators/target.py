"""A simulated chip as a debugger sees it: halted, with empty flash, ready to be loaded and run in slices."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from smelt.devices.cortex_m import AIRCR, SYSRESETREQ, UNLOCK
from smelt.devices.debug_port.target import BusError, Event, NotLike
from smelt.devices.semihosting import BadPointer
from smelt.devices.simulators.attach import attach_counter
from smelt.devices.simulators.attach_clock import BoardRegisters, Registers
from smelt.devices.simulators.clock import Clock
from smelt.devices.simulators.counter import BLOCK, LIMIT_REACHED, Counter
from smelt.devices.simulators.flash_controller import FlashController
from smelt.devices.simulators.machine import RISCV_BREAKPOINT, Access, Machine
from smelt.devices.simulators.memory_map import Mapped, memory_map, read, write
from smelt.devices.simulators.timers import RANGES, Timers
from smelt.targets.programming import PROGRAMMING
from smelt.targets.types import Board

SLICE_SECONDS = 0.004
UNLIMITED = 1 << 62  # instructions
LONGEST_BLOCK = 1024  # bytes
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

    def __init__(self, board: Board, timing: bool = True) -> None:
        """Without `timing`, every instruction takes one cycle."""
        self.board = board
        self.maps = memory_map(board, frozenset(m.name for m in board.chip.memories))
        self.machine = _Machine(board, self.maps)
        carried = self.machine.escapes.carried
        self._clock = Clock(board, lambda address, size: read(self.maps, address, size), carried) if timing else None
        self._counter = attach_counter(self.machine, self.maps, self._clock)
        self._code = _Code(self._counter)
        self._refusal = ""
        self.registers = BoardRegisters(
            board, self._refuse, lambda address: int.from_bytes(read(self.maps, address, 4), "little")
        )
        self._timers = Timers(self.maps, lambda: self.cycles)
        programming = PROGRAMMING.get(board.chip.debug.openocd) if board.chip.debug else None
        self.flash = FlashController(programming, self.maps) if programming else None
        self._kept: list[tuple[int, bytes]] = []
        self._connect_clock()
        self._twice = 0  # instructions counted when a slice ended before them, and counted again by the next one
        self._unspent = False  # the same for the clock, which gets its time back when the next slice begins
        self._written: list[tuple[int, int]] = []
        self._slice = 100_000
        self._event: Event | None = None
        self._exception = 0
        self.machine.on_interrupt(self._interrupt)
        if self.machine.is_thumb:
            write(self.maps, board.chip.image_start, _delivered(board), even_flash=True)
        self.reset()

    def _connect_clock(self) -> None:
        machine, clock = self.machine, self._clock
        if clock is not None:
            machine.add_data_hook(self._counter.data_hook, self._counter.user_data, clock.watches_writes)
        if self.flash is not None:
            self.registers.add_flash(self.flash)
        for page, registers in self.registers.pages.items():
            machine.map_registers(page, registers.read, registers.write)
        if self.flash is not None:
            flash = self.board.chip.flash
            machine.allow_writes(flash.start, flash.size)
            machine.watch_writes(flash.start, flash.end - 1, self._programmed)
        if machine.is_thumb:
            for first, last in RANGES:
                machine.watch(first, last, self._timers.before_read, self._timers.before_write)
            machine.watch(AIRCR, AIRCR + 3, lambda _: None, self._written_to_aircr)

    @property
    def cycles(self) -> int:
        if self._clock is not None:
            return self._clock.cycles_at(self.machine.pc)
        return self._counter.total - self._twice

    @property
    def instructions(self) -> int:
        """Executed since power-on."""
        return self._counter.total - self._twice

    # --- memory -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        if self.machine.is_thumb and _is_timer(address):
            self._timers.before_read(address)
        if registers := self.registers.at(address):
            unit = 1 if (address | size) % 4 else 4
            words = (registers.read(at, unit) for at in range(address, address + size, unit))
            return b"".join(word.to_bytes(unit, "little") for word in words)
        try:
            return read(self.maps, address, size)
        except BadPointer as error:
            raise BusError(self.board, address, size, "read") from error

    def write(self, address: int, data: bytes) -> None:
        if self.machine.is_thumb and _is_timer(address):
            self._timers.before_write(address, int.from_bytes(data[:4], "little"))
        if registers := self.registers.at(address):
            self._write_registers(registers, address, data)
            return
        if self.flash is not None and self.flash.program(address, data):
            return
        try:
            write(self.maps, address, data)
        except BadPointer as error:
            raise BusError(self.board, address, len(data), "written") from error
        # debuggers write word by word: what that means for the code is looked at only when it runs again
        if self._written and self._written[-1][1] == address:
            self._written[-1] = (self._written[-1][0], address + len(data))
        else:
            self._written.append((address, address + len(data)))

    def _programmed(self, address: int, size: int, value: int) -> None:
        """The program is about to write to the flash. What the controller has made of that is put there afterwards."""
        assert self.flash is not None
        before = read(self.maps, address, size)
        if not self.flash.program(address, (value % (1 << 8 * size)).to_bytes(size, "little")):
            self._event = self._event or Event("fault", self.machine.pc, "data access outside memory", address)
            self.machine.stop()
            self._kept.append((address, before))
            return
        self._kept.append((address, read(self.maps, address, size)))

    def _write_registers(self, registers: Registers, address: int, data: bytes) -> None:
        self._refusal = ""
        unit = 1 if (address | len(data)) % 4 else 4
        for at in range(0, len(data), unit):
            registers.write(address + at, unit, int.from_bytes(data[at : at + unit], "little"))
        if self._refusal:
            raise NotLike(self.board, address, self._refusal)

    def _refuse(self, sentence: str, address: int) -> None:
        """Stop the program; a debugger that has written this is told in another way."""
        self._refusal = sentence
        self._event = Event("fault", self.machine.pc, f"wrong use of registers, {sentence}", address)
        self.machine.stop()

    def _forget_overwritten_code(self) -> None:
        for first, last in self._written:
            for start in self._names_of(first):
                if self._code.overlaps(start, start + last - first):
                    self._counter.forget(start, start + last - first)
                    self.machine.stale = True
        self._written.clear()

    def _names_of(self, address: int) -> list[int]:
        """All addresses of one byte: code may be written at one and executed at another."""
        home = next((m for m in self.maps if m.start <= address < m.end), None)
        return [] if home is None else [m.start + address - home.start for m in self.maps if m.data is home.data]

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
        self.registers.reset()
        if not self.machine.is_thumb:
            self.machine.set("pc", self.board.chip.image_start)
            return
        for number in range(13):
            self.machine.set(f"r{number}", 0)
        stack, entry = (int.from_bytes(self.read(self.board.chip.image_start + at, 4), "little") for at in (0, 4))
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

    def run_for(self, seconds: float) -> Event | None:
        """Execute in one go, so that the cycles are exact; None if nothing has stopped the processor in time."""
        return self._execute(UNLIMITED, microseconds=max(round(seconds * 1e6), 1))

    def step(self) -> Event | None:
        return self._execute(UNLIMITED, single=True)

    def _execute(self, allowance: int, microseconds: int = 0, single: bool = False) -> Event | None:
        machine, raw = self.machine, self._counter.raw
        if self._unspent and self._clock is not None:
            self._clock.raw.now -= self._clock.raw.block_cost
        self._event, raw.stopped, self._unspent = None, 0, False
        self._counter.allow(allowance)
        self._forget_overwritten_code()
        reason = machine.execute(machine.pc, microseconds, single)
        for address, data in self._kept:
            write(self.maps, address, data, even_flash=True)
        self._kept.clear()
        if raw.stopped == LIMIT_REACHED:
            self._twice += self._code.instructions_at(int(raw.stopped_at))
            self._unspent = True
        return self._happened(reason)

    def _happened(self, reason: str | None) -> Event | None:
        machine, raw = self.machine, self._counter.raw
        if self._event is not None:
            return self._event
        if machine.halted_at is not None:
            return Event("breakpoint", machine.halted_at)
        if raw.stopped == LIMIT_REACHED:
            return None
        if raw.stopped:
            return Event("fault", int(raw.stopped_at), "misaligned access")
        return None if reason is None else self._refused()

    def _written_to_aircr(self, _: int, value: int) -> None:
        if value & 0xFFFF0000 == UNLOCK and value & SYSRESETREQ:
            self._event = Event("reset", self.machine.pc)
            self.machine.stop()

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

    def _refused(self) -> Event:
        access: Access | None = self.machine.access
        pc = self.machine.pc
        if access is None:
            return Event("fault", pc, "undefined instruction")
        if access.kind == "fetch":
            return Event("fault", access.address & ~1, "instruction fetch outside memory", access.address & ~1)
        return Event("fault", pc, "data access outside memory", access.address)


def _delivered(board: Board) -> bytes:
    """What a new chip has in its flash: a program that does nothing. Without any, the processor would lock up after a reset."""
    idle = board.chip.image_start + 4 * VECTORS
    vectors = (board.chip.rams[0].end, *([idle | 1] * (VECTORS - 1)))
    return b"".join(v.to_bytes(4, "little") for v in vectors) + SLEEP_FOREVER


class _Code:
    """What the native counter knows about the code that has been executed: its records of blocks, as arrays."""

    def __init__(self, counter: Counter) -> None:
        raw = counter.raw
        self._regions = [
            (r.start, r.end, _records(r.blocks, (r.end - r.start) // 2 + 1)) for r in raw.regions[: raw.region_count]
        ]

    def instructions_at(self, address: int) -> int:
        """How many instructions the block at this address has."""
        return next((int(b["instructions"][(address - s) // 2]) for s, e, b in self._regions if s <= address < e), 0)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a block that has been executed has bytes in a range."""
        for first, last, blocks in self._regions:
            if start < last and end > first:
                low = max(start - LONGEST_BLOCK - first, 0) // 2
                sizes = blocks["size"][low : (min(end, last) - first + 1) // 2]
                found = np.flatnonzero(sizes)
                if np.any(first + 2 * (low + found) + sizes[found] > start):
                    return True
        return False


def _records(address: int, count: int) -> Any:
    return np.frombuffer((ctypes.c_char * (count * BLOCK.itemsize)).from_address(address), dtype=BLOCK)  # type: ignore[call-overload]


def _is_timer(address: int) -> bool:
    return any(first <= address <= last for first, last in RANGES)


class _Machine(Machine):
    """The simulator's machine, and what a debugger wants besides: breakpoints, single steps, changed code, a time limit."""

    def __init__(self, board: Board, maps: tuple[Mapped, ...]) -> None:
        super().__init__(board, maps)
        self.halted_at: int | None = None
        self.stale = False  # translated code must be forgotten
        self._breakpoints: dict[int, Any] = {}

    def execute(self, address: int, microseconds: int, single: bool) -> str | None:
        """Like `run`, for a limited time (0: unlimited) or for a single instruction, for which nothing longer may be translated."""
        self.stale = self.stale or single
        if self.stale:
            self._engine.ctl_flush_tb()
        self.stale = single
        self.access, self.halted_at, self._stopped = None, None, False
        while True:
            try:
                with self.escapes.caught():
                    self._engine.emu_start(
                        address | int(self.is_thumb), 0xFFFFFFFF, timeout=microseconds, count=1 if single else 0
                    )
                return None
            except self._unicorn.UcError as error:
                if self._at_ebreak():
                    self._handle(RISCV_BREAKPOINT)
                    return None
                if not self._compute_double():
                    return str(error)
            if single:
                return None
            address = self.pc

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
