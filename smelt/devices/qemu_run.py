"""Real QEMU as a second opinion: it runs the very image that the simulated boards run, from reset to exit."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from smelt.devices.call_sites import return_addresses
from smelt.devices.faults import Fault, Kind
from smelt.devices.gdb import GdbClient
from smelt.devices.link import LinkLost
from smelt.devices.process import Process, connect, find_program, free_port
from smelt.devices.qemu import INSTALL, PC, START_ATTEMPTS, START_SECONDS, machine_of
from smelt.devices.run import RESET, STACK_PATTERN, Run, check_firmware, exit_detail, stack_of, too_small
from smelt.devices.simulators.native_library import Native, native
from smelt.errors import DeviceError
from smelt.firmware.image import Image
from smelt.targets.types import Board

SECONDS = 600.0
FAULT_TEXT = re.compile(r"fault (0x[0-9a-f]{8}) at (0x[0-9a-f]{8})\s*$")
EXCEPTION = re.compile(r"Taking exception \d+ \[([^\]]+)\]")
FAULT_ADDRESS = re.compile(r"(?:BFAR|MMFAR) (0x[0-9a-f]+)")
COUNTS = re.compile(r"^smelt (.*)$", re.MULTILINE)
NEWER = re.compile(r"minimum version of (\d+)")
SEMIHOSTING = "Semihosting call"
EXITS = ("...handling as semihosting call 0x18", "...handling as semihosting call 0x20")
KINDS: tuple[tuple[str, Kind], ...] = (
    ("Undefined Instruction", "undefined instruction"),
    ("v7M NOCP UsageFault", "undefined instruction"),
    ("v7M INVSTATE UsageFault", "fetch outside memory"),
    ("v8M STKOF UsageFault", "stack overflow"),
    ("v7M UNALIGNED UsageFault", "misaligned access"),
    ("v8M LSERR UsageFault", "unexpected exception"),
    ("Prefetch Abort", "fetch outside memory"),
    ("Data Abort", "access outside memory"),
    ("Breakpoint", "unexpected breakpoint"),
)


@dataclass(frozen=True)
class _Counts:
    """What the plugin has said. Everything is 0 without it."""

    runs: int = 0
    total: int = 0
    outside: int = 0
    overhead: int = 0
    stack: int = 0
    faulted: int = 0
    overflowed: int = 0
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class _End:
    """A QEMU that has ended, and what it leaves behind."""

    code: int
    outputs: bytes
    text: str
    log: str
    last_words: str


class Qemu:
    """QEMU's emulation of a board. Each `run` is a new board, switched on, and a process that ends with the call."""

    def __init__(self, board: Board, counting: bool = True, program: str = "qemu-system-arm") -> None:
        """With `counting`, a plugin counts instructions and measures the stack; without, these are 0 in the `Run`. Cycles are
        always 0, unknown: QEMU has no notion of them."""
        self.board, self.counting, self.program = board, counting, program

    def run(self, image: Image, inputs: bytes = b"", timeout: float = SECONDS) -> Run:
        """Run the firmware on each of the concatenated `inputs`, within `timeout` seconds in all.

        Raises `Fault` if the firmware does anything wrong, `DeviceError` if QEMU is missing, has no such board or ends early.
        """
        check_firmware(image, self.board, "this QEMU", also=(image.entry,))
        with tempfile.TemporaryDirectory(prefix="smelt-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "firmware.elf").write_bytes(image.elf)
            (folder / "input").write_bytes(inputs)
            end = self._start(folder, image, timeout)
        counts = _counts(end.log)
        self._check(image, end, counts)
        if self.counting and not counts.total:
            raise DeviceError(f"{self.program} has not counted instructions: {end.last_words}")
        return Run(
            outputs=end.outputs,
            text=end.text,
            runs=counts.runs,
            step_instructions=counts.steps,
            overhead_instructions=counts.overhead,
            startup_instructions=counts.outside,
            total_instructions=counts.total,
            stack_bytes=counts.stack,
        )

    # --- the process ------------------------------------------------------------------------------------------------

    def _start(self, folder: Path, image: Image, timeout: float) -> _End:
        """Try again if somebody else has taken the port, or if this QEMU wants plugins for a later interface."""
        interface = 1
        for _ in range(START_ATTEMPTS):
            port = free_port()
            with Process(self._command(folder, image, port, interface), folder) as process:
                code = process.wait(timeout)
                if code is None:
                    raise self._hangs(image, process, port, timeout)
                if newer := NEWER.search(process.output()):
                    interface = int(newer[1])
                elif not (code and "in use" in process.output()):
                    return _End(
                        code,
                        _bytes(folder / "output"),
                        _text(folder / "text"),
                        _text(folder / "log"),
                        process.last_words(),
                    )
        raise DeviceError(f"{self.program} could not be started {START_ATTEMPTS} times: {process.name}")

    def _command(self, folder: Path, image: Image, port: int, interface: int) -> tuple[str, ...]:
        machine = machine_of(self.board)
        return (
            find_program(self.program, INSTALL), "-machine", machine, "-kernel", "firmware.elf",
            "-gdb", f"tcp:127.0.0.1:{port}", "-display", "none", "-monitor", "none", "-serial", "none",
            "-chardev", "file,id=text,path=text",
            "-semihosting-config", "enable=on,target=native,chardev=text",
            "-D", "log", "-d", "int,plugin" if self.counting else "int",
            *(("-plugin", _plugin(image, interface)) if self.counting else ()),
        )  # fmt: skip

    def _hangs(self, image: Image, process: Process, port: int, timeout: float) -> Fault:
        """Ask the GDB stub where the processor is."""
        client = GdbClient(connect(port, process, START_SECONDS), process)
        try:
            pc = client.read_register(PC) & ~1
        finally:
            client.close()
        return Fault(
            "run-away", self.board.name, image.function_at(pc), pc, None, f"not done after {timeout:g} s in QEMU"
        )

    # --- what went wrong --------------------------------------------------------------------------------------------

    def _check(self, image: Image, end: _End, counts: _Counts) -> None:
        """Raise what the exit code, the firmware's fault handler and QEMU's log say."""
        if counts.overflowed:
            raise self._overflow(image, counts.overflowed)
        said = FAULT_TEXT.search(end.text)
        if said:
            raise self._fault(image, end, counts, int(said[2], 16))
        if not any(line in end.log for line in EXITS):
            raise LinkLost(f"{self.board.name}: QEMU ended before the firmware did (code {end.code}): {end.last_words}")
        if not end.code:
            return
        pc = image.symbols["smelt_exit"].address
        raise Fault("exit code", self.board.name, image.function_at(pc), pc, None, exit_detail(end.code, end.text))

    def _fault(self, image: Image, end: _End, counts: _Counts, pc: int) -> Fault:
        """`pc` is 0 or a part of the unused stack if the processor could not save it: the stack is what was wrong."""
        names = [name for name in EXCEPTION.findall(end.log) if name != SEMIHOSTING]
        name = names[0] if names else "an exception"
        if pc in (0, STACK_PATTERN):
            return self._overflow(image, counts.faulted)
        address = FAULT_ADDRESS.search(end.log)
        place = int(address[1], 16) if address else None
        return Fault(_kind(name), self.board.name, image.function_at(pc), pc, place, f"QEMU: {name}")

    def _overflow(self, image: Image, pc: int) -> Fault:
        """`pc` is 0 where no plugin has looked on."""
        function = image.function_at(pc) if pc else "an unknown function"
        return Fault("stack overflow", self.board.name, function, pc, None, too_small(image))


def _kind(exception: str) -> Kind:
    """In the simulators' words."""
    return dict(KINDS).get(exception, "unexpected exception")


def plugin(interface: int) -> Native:
    """The plugin for QEMUs that want this version of the interface. It finds QEMU's functions in the program that loads it, which
    Windows has no way to do."""
    return Native("smelt.devices", "instructions.c", defines=(f"-DINTERFACE={interface}",), is_open=True)


def _plugin(image: Image, interface: int) -> str:
    """The plugin with its arguments. Commas in its path are doubled, as QEMU wants them."""
    library = native(plugin(interface), str)
    symbols = image.symbols
    run, reset, stack = symbols[image.entry], symbols[RESET], stack_of(image)
    returns = return_addresses(image, image.entry)
    if not returns:
        raise DeviceError(f"instructions cannot be counted by run: no call of {image.entry} was found in the image")
    places = (
        ("run_start", run.address), ("run_end", run.address + run.size),
        ("reset_start", reset.address), ("reset_end", reset.address + reset.size),
        ("stack_limit", stack.start), ("stack_top", stack.stop),
        *(("handler", s.address) for s in (symbols.get("smelt_exception"),) if s),
        *(("kernel", symbols[k].address) for k in sorted(set(image.kernels)) if k in symbols),
        *(("return", address) for address in returns),
    )  # fmt: skip
    return ",".join((f"file={library.replace(',', ',,')}", *(f"{name}={value}" for name, value in places)))


def _counts(log: str) -> _Counts:
    found = COUNTS.findall(log)
    if not found:
        return _Counts()
    pairs = [word.split("=") for word in found[-1].split()]
    single = {name: int(value) for name, value in pairs if name != "step"}
    return _Counts(**single, steps=tuple(int(value) for name, value in pairs if name == "step"))


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _text(file: Path) -> str:
    return _bytes(file).decode("utf-8", "replace")
