"""Simulated boards: they run the very image that a real board is flashed with, count, and catch what goes wrong."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from smelt.devices.faults import Fault, Kind
from smelt.devices.run import RESET, STACK_PATTERN, Run, check_firmware, exit_detail, stack_of, too_small
from smelt.devices.semihosting import BadPointer, Host
from smelt.devices.simulators.alignment import Alignment
from smelt.devices.simulators.attach import attach_counter
from smelt.devices.simulators.attach_clock import BoardRegisters
from smelt.devices.simulators.attach_dma import attach_dma
from smelt.devices.simulators.clock import Clock
from smelt.devices.simulators.counter import IDLING, LIMIT_REACHED, MISALIGNED, Check, Counter
from smelt.devices.simulators.doubles import is_double
from smelt.devices.simulators.garbage import collecting
from smelt.devices.simulators.machine import RISCV_BREAKPOINT, Machine
from smelt.devices.simulators.memory_map import DHCSR, PAGE, Mapped, find, memory_map, read, write
from smelt.devices.simulators.peripherals import SIZE, START, Peripherals
from smelt.devices.simulators.serial_port import Line, SerialPort
from smelt.devices.simulators.timers import PAGES, Timers
from smelt.errors import OptionError
from smelt.firmware.elf import read_elf
from smelt.firmware.image import Image, memory_at
from smelt.targets.types import Board

# Instructions that one input may take: the largest networks of microcontrollers need a few thousand millions.
INSTRUCTIONS_PER_INPUT = 10_000_000_000
MOST_PUSHED = 128  # bytes, by one instruction
ARM_BREAKPOINT, ARM_STACK_LIMIT = 7, 19
XPSR_THUMB = 1 << 24
ARM_EXCEPTIONS = {2: "supervisor call", 17: "no floating-point unit", 18: "jump to an address that is not Thumb code"}
RISCV_EXCEPTIONS = {4: "misaligned load", 6: "misaligned store", 8: "environment call", 11: "environment call"}
PRIVATE_BUS = (0xE0000000, 0xE00FFFFF)
BKPT_AB = b"\xab\xbe"
SLLI_MARK, SRAI_MARK = bytes.fromhex("1310f001"), bytes.fromhex("13507040")


class Simulator:
    """A simulated board. Each `run` is a new board, switched on.

    `timing` keeps the time; without it, simulation is several times as fast.
    """

    def __init__(self, board: Board, timing: bool = True) -> None:
        self.board, self.timing = board, timing

    def run(
        self, image: Image, inputs: bytes = b"", timeout_instructions: int = INSTRUCTIONS_PER_INPUT, lines: int = 0
    ) -> Run:
        """Run the firmware on each of the concatenated `inputs`. With `lines`, no debugger is there to answer it, and the board is
        switched off as soon as so many lines have come out of its serial port. Raises `Fault` (a `DeviceError`) if it does anything
        wrong or needs more than `timeout_instructions` for one input."""
        check_firmware(image, self.board, "the simulator")
        return self._run(image, inputs, timeout_instructions, lambda s: s.leave_alone(lines) if lines else None)

    def talk(
        self,
        image: Image,
        line: Line,
        watch: Callable[[bool, int], None] = lambda level, cycles: None,
        timeout_instructions: int = INSTRUCTIONS_PER_INPUT,
    ) -> Run:
        """Run a firmware that is asked through its serial port, whose other end is `line`, until nobody is there any more; no
        debugger is. `watch(level, cycles)` is told when the board's pin rises or falls.

        Raises `Fault` (a `DeviceError`) if it does anything wrong or needs more than `timeout_instructions` for one answer,
        `OptionError` where the board's port is not known to receive.
        """
        check_firmware(image, self.board, "the simulator")
        if self.board.uart is None or self.board.uart.received is None:
            raise OptionError(f"{self.board.name}: smelt knows no serial port of it that receives")
        return self._run(image, b"", timeout_instructions, lambda session: session.connect(line, watch))

    def run_elf(
        self,
        elf: bytes,
        inputs: bytes = b"",
        function: str = "",
        parts: tuple[str, ...] = (),
        timeout_instructions: int = INSTRUCTIONS_PER_INPUT,
    ) -> Run:
        """Run any program for the board, from its reset vector until it asks to exit (semihosting) or jumps to itself.

        `inputs` is what it reads from the semihosting file "input". Peripherals are stand-ins (`peripherals.py`), interrupts never
        happen. With `function`, the run's `cycles` and `instructions` are those of the last completed call of that function; the
        calls that it makes of the functions in `parts` are its steps, in the order in which they happen.

        Raises `Fault` as `run` does, `BuildError` for what is no 32-bit ELF file, `OptionError` if a function does not exist.
        """
        parsed = read_elf(elf)
        for name in (function, *parts):
            if name and name not in parsed.symbols:
                raise OptionError(f"the program has no function {name!r}")
        image = Image(elf, self.board.name, "unknown", parsed, (), function, parts)
        return self._run(image, inputs, timeout_instructions, foreign=True)

    def _run(
        self,
        image: Image,
        inputs: bytes,
        allowance: int,
        begin: Callable[[_Session], None] = lambda _: None,
        foreign: bool = False,
    ) -> Run:
        """What a run finds, once its board is gone. An emulator and its hooks refer to each other (in unicorn's own binding), with
        all memories of the board."""

        def run() -> Run:
            session = _Session(self.board, image, inputs, allowance, self.timing, foreign)
            begin(session)
            return session.run()

        with collecting():
            return run()


class _Session:
    """One run, from the reset vector to the exit."""

    def __init__(
        self, board: Board, image: Image, inputs: bytes, allowance: int, timing: bool = True, foreign: bool = False
    ) -> None:
        self.board, self.image, self.allowance, self.foreign = board, image, allowance, foreign
        self.maps = _load(board, image, foreign)
        self.machine = Machine(board, self.maps)
        self.fault: Fault | None = None
        self.answered = True  # a debugger does what programs ask for
        self.clock = (
            Clock(
                board,
                lambda address, size: read(self.maps, address, size),
                self.machine.escapes.carried,
                self._functions(),
            )
            if timing and board.core.timing
            else None
        )
        self.counter = self._counter()
        self.peripherals = Peripherals()
        self.dma = attach_dma(self.machine, board.chip, self.maps, self.counter, self._word, self._misused)
        self.registers = BoardRegisters(
            board, lambda detail, at: self._misused("wrong use of registers", detail, at), self._memory_word
        )
        self._connect_peripherals()
        self._connect_clock()
        self.host = Host(
            read=lambda address, size: read(self.maps, address, size),
            write=self._host_write,
            files={"input": io.BytesIO(inputs), "output": io.BytesIO()},
            on_input=lambda: self.counter.allow(self.allowance),
        )
        self.machine.on_interrupt(self._interrupt)

    def _counter(self) -> Counter:
        image = self.image
        run = image.symbols.get(image.entry)
        return attach_counter(
            self.machine,
            self.maps,
            self.clock,
            run=run.address if run else 0,
            kernels=[image.symbols[k].address for k in image.kernels if k in image.symbols],
            hard=self._hard_checks,
            stop_when_idle=self.foreign,
        )

    def _connect_peripherals(self) -> None:
        machine, peripherals = self.machine, self.peripherals
        if self.foreign:
            machine.provide((PRIVATE_BUS,))
            peripherals.others = (*((d.dma.registers, d) for d in self.dma), *self.registers.pages.items())
            machine.map_registers(START, peripherals.read, peripherals.write, SIZE)
            return
        for registers in self.dma:
            machine.map_registers(registers.dma.registers, registers.read, registers.write)
        for page, others in self.registers.pages.items():
            machine.map_registers(page, others.read, others.write)

    def _word(self, address: int) -> int:
        """What a register of the chip holds."""
        return self.registers.word(address)

    def _memory_word(self, address: int) -> int:
        """What one holds that is mere memory here."""
        if self.foreign:
            return self.peripherals.words.get(address, 0)
        return int.from_bytes(read(self.maps, address, 4), "little")

    def _misused(self, kind: Kind, detail: str, address: int | None) -> None:
        self._give_up(self._fault(kind, detail, address=address))

    def _connect_clock(self) -> None:
        machine, clock, csr = self.machine, self.clock, self.board.core.cycle_csr
        if csr is not None:
            machine.count_cycles(csr, lambda: clock.cycles_at(machine.pc) if clock else 0)
        if clock is None:
            return
        machine.add_data_hook(self.counter.data_hook, self.counter.user_data, clock.watches_writes)
        if machine.is_thumb:
            timers = Timers(self.maps, lambda: clock.cycles_at(machine.pc))
            for page in PAGES:
                machine.map_registers(page, timers.read, timers.write)

    def leave_alone(self, lines: int) -> None:
        """No debugger answers. The run ends with so many lines from the serial port."""
        serial = self._without_debugger()
        serial.on_line = lambda: self.machine.stop() if serial.lines >= lines else self.counter.allow(self.allowance)

    def connect(self, line: Line, watch: Callable[[bool, int], None]) -> None:
        """No debugger answers. The run ends when nobody is at the other end of the serial port."""
        serial = self._without_debugger()
        serial.on_line = lambda: self.counter.allow(self.allowance)
        serial.connect(line, self.machine.stop)
        clock = self.clock
        if self.registers.pin is not None:
            self.registers.pin.on_edge = lambda high: watch(high, clock.cycles_at(self.machine.pc) if clock else 0)

    def _without_debugger(self) -> SerialPort:
        serial = self.registers.serial
        assert serial is not None, "the board has a serial port"
        self.answered = False
        if self.machine.is_thumb:
            mapped, offset = find(self.maps, DHCSR, 4)
            mapped.data[offset : offset + 4] = 0
        return serial

    def _hard_checks(self, alignment: Alignment) -> list[Check]:
        return [
            check
            for address, size in self._functions()
            for check in alignment.one_by_one(read(self.maps, address, size), address)
        ]

    def _functions(self) -> list[tuple[int, int]]:
        """The address and the size of each."""
        return [(f.address, f.size) for f in {f.address: f for f in self.image.parsed.functions}.values() if f.size]

    def run(self) -> Run:
        self.counter.allow(self.allowance)
        reason = self.machine.run(self._reset())
        if self.counter.raw.stopped == IDLING:
            return self._result()
        self.fault = self.fault or self._touched_in_flight()
        if self.fault is None and self.counter.raw.stopped:
            self.fault = self._stopped()
        if self.fault is None and reason is not None:
            self.fault = self._refused(reason)
        if self.fault is not None:
            raise self.fault
        if self.host.exit_code and not self.foreign:
            raise self._fault("exit code", exit_detail(self.host.exit_code, self._text))
        return self._result()

    def _reset(self) -> int:
        if not self.machine.is_thumb:
            start = self.image.symbols.get(RESET)
            return start.address if start else self.image.parsed.entry
        vectors = self._vectors()
        stack, entry = (int.from_bytes(read(self.maps, vectors + 4 * i, 4), "little") for i in (0, 1))
        if (
            not entry & 1
        ):  # no vector table: a program for a debugger, which sets the stack pointer itself or not at all
            stack, entry = self.board.chip.rams[0].end, self.image.parsed.entry
        self.machine.set("sp", stack & ~3)
        return entry & ~1

    def _vectors(self) -> int:
        """Where the vector table is: at the start of flash, or in a section of one of the usual names."""
        names = (".vectors", ".isr_vector", ".isr_vectors", ".vector_table", ".intvecs")
        sections = [s.address for s in self.image.parsed.sections if s.name in names and s.allocated]
        return sections[0] if self.foreign and sections else self.board.chip.image_start

    def _result(self) -> Run:
        counter = self.counter
        return Run(
            outputs=self.host.files["output"].getvalue(),
            text=self._text,
            runs=int(counter.raw.runs),
            step_instructions=counter.steps,
            overhead_instructions=counter.overhead,
            startup_instructions=counter.outside,
            total_instructions=counter.total,
            stack_bytes=0 if self.foreign else self._stack_bytes(),
            step_cycles=counter.step_cycles if self.clock else (),
            overhead_cycles=counter.overhead_cycles,
            total_cycles=self.clock.cycles if self.clock else 0,
            stalls=self.clock.stalls if self.clock else None,
            end="exit" if self.host.exit_code is not None else "idle",
            exit_code=self.host.exit_code or 0,
        )

    @property
    def _text(self) -> str:
        """What the program has said, in whatever way."""
        return "".join(self.host.text) + (self.registers.serial.text if self.registers.serial else "")

    def _stack_bytes(self) -> int:
        stack = stack_of(self.image)
        words = np.frombuffer(read(self.maps, stack.start, len(stack)), "<u4")
        used = np.flatnonzero(words != STACK_PATTERN)
        return 4 * (len(words) - int(used[0])) if len(used) else 0

    # --- exceptions of the core -------------------------------------------------------------------------------------

    def _interrupt(self, number: int) -> None:
        try:
            if not self._semihosting(number):
                self._give_up(self._exception(number))
        except BadPointer as error:
            self._give_up(self._fault("read outside memory", f"a semihosting request names {error}"))

    def _give_up(self, fault: Fault) -> None:
        self.fault = self.fault or fault
        self.machine.stop()

    def _semihosting(self, number: int) -> bool:
        """Answer a request, if this is one."""
        machine, pc = self.machine, self.machine.pc
        if machine.is_thumb:
            if number != ARM_BREAKPOINT or read(self.maps, pc, 2) != BKPT_AB:
                return False
            names, resume = ("r0", "r1"), (pc + 2) | 1
        else:
            if number != RISCV_BREAKPOINT or not self._between_marks(pc):
                return False
            names, resume = ("x10", "x11"), pc + 4
        if not self.answered:
            machine.set(names[0], 0xFFFFFFFF)  # as the start-up code's trap handler does
            machine.set("pc", resume)
            return not (
                machine.is_thumb and self.board.chip.debug_registers
            )  # firmware that asks first gets no further
        machine.set(names[0], self.host.request(machine.get(names[0]), machine.get(names[1])))
        machine.set("pc", resume)
        if self.host.exit_code is not None:
            machine.stop()
        return True

    def _between_marks(self, pc: int) -> bool:
        return read(self.maps, pc - 4, 4) == SLLI_MARK and read(self.maps, pc + 4, 4) == SRAI_MARK

    def _host_write(self, address: int, data: bytes) -> None:
        write(self.maps, address, data)

    # --- faults -----------------------------------------------------------------------------------------------------

    def _fault(self, kind: Kind, detail: str = "", pc: int | None = None, address: int | None = None) -> Fault:
        pc = self.machine.pc if pc is None else pc
        return Fault(kind, self.board.name, self.image.function_at(pc), pc, address, detail)

    def _exception(self, number: int) -> Fault:
        if number == ARM_BREAKPOINT if self.machine.is_thumb else number == RISCV_BREAKPOINT:
            return self._fault("unexpected breakpoint")
        if self.machine.is_thumb and number == ARM_STACK_LIMIT:
            return self._fault("stack overflow", "the stack pointer passed its limit")
        if number == (1 if self.machine.is_thumb else 2):
            return self._fault("undefined instruction")
        names = ARM_EXCEPTIONS if self.machine.is_thumb else RISCV_EXCEPTIONS
        return self._fault("unexpected exception", names.get(number, f"number {number}"))

    def _stopped(self) -> Fault:
        pc = int(self.counter.raw.stopped_at)
        if self.counter.raw.stopped == MISALIGNED:
            strict = self.machine.aligned_only
            need = "this core needs a multiple of the size" if strict else "this instruction needs a multiple of four"
            return self._fault("misaligned access", need, pc=pc)
        assert self.counter.raw.stopped == LIMIT_REACHED
        return self._fault("run-away", f"more than {self.allowance} instructions for one input", pc=pc)

    def _touched_in_flight(self) -> Fault | None:
        """What the program did to bytes that a DMA is moving."""
        for registers in self.dma:
            if touch := registers.flights.touched:
                what = "write of what it reads" if touch.span.source else "write" if touch.wrote else "read"
                detail = (
                    f"{what} while the {registers.dma.name} moves {touch.span.text}{self._object_at(touch.address)}"
                )
                return self._fault("access in flight", detail, pc=touch.pc, address=touch.address)
        return None

    def _object_at(self, address: int) -> str:
        """The variable of the program that lies at an address, in words."""
        found = (
            s for s in self.image.symbols.values() if not s.is_function and s.address <= address < s.address + s.size
        )
        return next((f" ({s.name} + {address - s.address})" for s in found), "")

    def _refused(self, reason: str) -> Fault:
        access = self.machine.access
        if access is None and self.machine.is_thumb and not self.machine.get("xpsr") & XPSR_THUMB:
            caller = max((self.machine.get("lr") & ~1) - 2, 0)
            return self._fault("unexpected exception", ARM_EXCEPTIONS[18], pc=caller, address=self.machine.pc)
        if access is None:
            return self._fault("undefined instruction", self._undefined() if "INSN_INVALID" in reason else reason)
        if access.kind == "fetch":
            return self._bad_fetch(access.address, access.mapped)
        if not self.foreign and self._below_stack(access.address):
            return self._fault("stack overflow", too_small(self.image), address=access.address)
        if access.mapped and access.kind == "write":
            return self._fault("write to flash", address=access.address)
        kind: Kind = "write outside memory" if access.kind == "write" else "read outside memory"
        return self._fault(kind, address=access.address)

    def _undefined(self) -> str:
        """What is known of the undefined instruction at the program counter."""
        try:
            code = read(self.maps, self.machine.pc, 4)
        except BadPointer:
            return ""
        if not self.machine.is_thumb or not is_double(code):
            return ""
        if self.board.chip.double_precision:
            return "arithmetic in double precision, simulated only as after a reset: rounding to nearest, no flushing to zero"
        return f"arithmetic in double precision, which the {self.board.chip.name} does not have"

    def _bad_fetch(self, address: int, mapped: bool) -> Fault:
        caller = self.machine.get("lr" if self.machine.is_thumb else "x1") & ~1
        kind: Kind = "execution of data" if mapped else "fetch outside memory"
        return self._fault(kind, pc=max(caller - 2, 0), address=address)

    def _below_stack(self, address: int) -> bool:
        """Whether an access lies below the stack while the stack pointer has left it, too, or is about to: a push moves it last."""
        limit = stack_of(self.image).start
        pointer = self.machine.get("sp" if self.machine.is_thumb else "x2")
        return address < limit and (pointer < limit or address >= pointer - MOST_PUSHED)


def _extents(board: Board, image: Image) -> dict[str, int]:
    """How far into each memory the image reaches, in whole pages."""
    sections = [(s.address, s.size) for s in image.parsed.sections if s.allocated and s.size]
    found: dict[str, int] = {}
    for start, size in (*sections, *((s.load, len(s.data)) for s in image.parsed.segments)):
        memory = memory_at(board, start)
        end = (start + size - memory.start + PAGE - 1) // PAGE * PAGE
        found[memory.name] = max(end, found.get(memory.name, 0))
    return found


def _load(board: Board, image: Image, foreign: bool) -> tuple[Mapped, ...]:
    """Flash the image: what a programmer would write, at the addresses where it would."""
    used = frozenset(memory_at(board, s.load).name for s in image.parsed.segments) | {u.memory for u in image.uses}
    maps = memory_map(board, used, None if foreign else _extents(board, image))
    for segment in image.parsed.segments:
        write(maps, segment.load, segment.data, even_flash=True)
    return maps
