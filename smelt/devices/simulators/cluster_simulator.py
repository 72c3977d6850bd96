"""The simulated boards of chips with a cluster: they run the very image that a real board is loaded with, in its memory map,
count, and catch what goes wrong. The work is done by `native/cluster.c`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from smelt.devices.faults import Fault
from smelt.devices.run import RESET, STACK_LIMIT, STACK_TOP, Run, check_firmware, exit_detail
from smelt.devices.semihosting import BadPointer, Host
from smelt.devices.simulators import cluster_machine as cm
from smelt.devices.simulators.cluster_calls import Call, completed
from smelt.devices.simulators.cluster_faults import core_name, fault_of
from smelt.devices.simulators.cluster_machine import CONTROLLER, WORKERS, ClusterMachine, Visit
from smelt.devices.simulators.cluster_waits import step_waits, worth_watching
from smelt.errors import BuildError, OptionError
from smelt.firmware.elf import read_elf
from smelt.firmware.image import Image
from smelt.targets.types import Board

INSTRUCTIONS_PER_INPUT = 10_000_000_000
SLLI_MARK, SRAI_MARK = bytes.fromhex("1310f001"), bytes.fromhex("13507040")
A0, A1 = 10, 11
Reader = Callable[[int, int], bytes]
WORKER_STACKS, WORKER_STACK_BYTES = "__smelt_worker_stacks", "__smelt_worker_stack_bytes"


@dataclass(frozen=True)
class ClusterRun(Run):
    """What a firmware did on a chip with a cluster. `cores` are the counters of workers 0 to 7 and, last, of the controller;
    `calls` those of the watched functions that returned, of shares and kernels those of the last input; `dma` and `outside` say
    what moved bytes: cycles under way, bytes, and what the DMA waited for banks or the number of bursts."""

    cores: tuple[Mapping[str, int], ...] = field(default=(), repr=False)
    calls: Mapping[str, tuple[Call, ...]] = field(default_factory=dict, repr=False)
    dma: tuple[int, int, int] = (0, 0, 0)
    outside: tuple[int, int, int] = (0, 0, 0)


class ClusterSimulator:
    """A simulated board. Each run is a new board, switched on. `outside` holds what its memories outside of the chip begin
    with, by the addresses of their bus. Without `strict`, memory that was never written may be read, and bytes in flight be
    touched: for programs of other people."""

    def __init__(self, board: Board, strict: bool = True, outside: Mapping[int, bytes] | None = None) -> None:
        self.board, self.strict, self.outside = board, strict, dict(outside or {})

    def run(self, image: Image, inputs: bytes = b"", timeout_instructions: int = INSTRUCTIONS_PER_INPUT) -> ClusterRun:
        """Run the firmware on each of the concatenated `inputs`. Raises `Fault` (a `DeviceError`) if it does anything wrong or
        needs more than `timeout_instructions`, of all cores, for one input."""
        check_firmware(image, self.board, "the simulator")
        return _Session(self, image, inputs, timeout_instructions, passing=worth_watching(image)).run()

    def steps(self, image: Image, inputs: bytes = b"") -> Iterator[tuple[str, Reader]]:
        """Run the firmware on each of the concatenated `inputs`, and stop behind each call of one of its kernels: the kernel's
        name, and what reads `size` bytes from an address while it stands still. Raises `Fault` as `run` does."""
        check_firmware(image, self.board, "the simulator")
        session = _Session(self, image, inputs, INSTRUCTIONS_PER_INPUT)
        yield from session.steps()

    def run_elf(
        self,
        elf: bytes,
        inputs: bytes = b"",
        function: str = "",
        parts: tuple[str, ...] = (),
        timeout_instructions: int = INSTRUCTIONS_PER_INPUT,
        watched: Sequence[str] = (),
    ) -> ClusterRun:
        """Run any program for the board, from its entry until it asks to exit: by semihosting, or by the exit register.

        With `function`, the run's `cycles` and `instructions` are those of its last completed call; the calls of the functions in
        `parts` meanwhile, by the same core or by worker 0, are its steps. The calls of all these and of `watched` are in `calls`.

        Raises `Fault` as `run` does, `BuildError` for what is no 32-bit ELF file, `OptionError` if a function does not exist.
        """
        parsed = read_elf(elf)
        for name in (function, *parts, *watched):
            if name and name not in parsed.symbols:
                raise OptionError(f"the program has no function {name!r}")
        image = Image(elf, self.board.name, "unknown", parsed, (), function, parts)
        return _Session(self, image, inputs, timeout_instructions, watched).run()


class _Session:
    """One run, from the entry to the exit. Calls of `passing` are of interest while an input is computed."""

    def __init__(
        self,
        simulator: ClusterSimulator,
        image: Image,
        inputs: bytes,
        allowance: int,
        others: Sequence[str] = (),
        passing: Sequence[str] = (),
    ) -> None:
        self.image, self.allowance, self.board = image, allowance, simulator.board.name
        self.machine = loaded(simulator.board, image, simulator.strict)
        self.cores = cm.cluster_of(simulator.board.chip).count
        for address, data in simulator.outside.items():
            self.machine.fill_outside(address, data)
        kept = dict.fromkeys((image.entry, *image.kernels, *others))
        names = dict.fromkeys((*kept, *passing))
        self.functions = {image.symbols[name].address: name for name in names if name in image.symbols}
        self.kept = {address for address, name in self.functions.items() if name in kept}
        self.visits: list[Visit] = []
        self.machine.watch(tuple(self.functions))
        self.host = Host(
            read=self.machine.read,
            write=self.machine.write,
            files={"input": io.BytesIO(inputs), "output": io.BytesIO()},
            on_input=self._allow,
        )
        self.limit = allowance

    def _allow(self) -> None:
        """Each input may take as many instructions again, and as many calls."""
        self.limit = self.machine.state("executed") + self.allowance
        self.visits = [v for v in self.visits if v.function in self.kept] + self.machine.take_visits()

    def run(self) -> ClusterRun:
        for _ in self._pauses():
            pass
        return self._result()

    def steps(self) -> Iterator[tuple[str, Reader]]:
        """The same, standing still behind each call of a kernel."""
        kernels = set(self.image.kernels)
        self.machine.pause([address for address, name in self.functions.items() if name in kernels])
        for name in self._pauses():
            yield name, self.machine.read
        self._check_exit()

    def _pauses(self) -> Iterator[str]:
        """Run to the end; the functions that have returned where the machine pauses behind them."""
        while self.host.exit_code is None and (reason := self.machine.run(self.limit)) != cm.EXITED:
            if reason == cm.PAUSED:
                yield self.functions[self.machine.state("stop_address")]
            elif reason != cm.BREAKPOINT or not self._semihosting():
                raise fault_of(self.machine, reason, self.board, self.image, self.allowance)

    def _semihosting(self) -> bool:
        """Answer a request, if this is one."""
        machine = self.machine
        core, pc = machine.state("stop_core"), machine.state("stop_pc")
        if not self._between_marks(pc):
            return False
        try:
            answer = self.host.request(machine.get(core, A0), machine.get(core, A1))
        except BadPointer as error:
            detail = f"on {core_name(core)}: a semihosting request names {error}"
            raise Fault("read outside memory", self.board, self.image.function_at(pc), pc, None, detail) from error
        machine.set(core, A0, answer)
        machine.set(core, cm.PC, pc + 4)
        return True

    def _between_marks(self, pc: int) -> bool:
        try:
            return self.machine.read(pc - 4, 4) == SLLI_MARK and self.machine.read(pc + 4, 4) == SRAI_MARK
        except BadPointer:
            return False

    @property
    def _text(self) -> str:
        return self.machine.text + "".join(self.host.text)

    def _check_exit(self) -> int:
        """The exit code. Raises `Fault` where firmware says that something is wrong."""
        asked = self.host.exit_code
        exit_code = self.machine.state("exit_code") if asked is None else asked
        if exit_code and self.image.entry:
            pc, detail = self.machine.get(CONTROLLER, cm.PC), exit_detail(exit_code, self._text)
            raise Fault("exit code", self.board, self.image.function_at(pc), pc, None, detail)
        return exit_code

    def _result(self) -> ClusterRun:
        machine, exit_code = self.machine, self._check_exit()
        calls = completed(self.visits + machine.take_visits(), self.functions)
        last, steps = _steps(calls, self.image.entry, self.image.kernels)
        total = machine.state("executed")
        return ClusterRun(
            outputs=self.host.files["output"].getvalue(),
            text=self._text,
            runs=len(calls.get(self.image.entry, ())),
            step_instructions=tuple(s.instructions for s in steps),
            overhead_instructions=last.instructions - sum(s.instructions for s in steps) if last else 0,
            startup_instructions=total - sum(c.instructions for c in calls.get(self.image.entry, ())),
            total_instructions=total,
            stack_bytes=self._stack(CONTROLLER),
            step_cycles=tuple(s.cycles for s in steps),
            step_waits=step_waits(steps, calls, self.cores),
            overhead_cycles=last.cycles - sum(s.cycles for s in steps) if last else 0,
            total_cycles=machine.state("now"),
            exit_code=exit_code,
            cores=tuple(machine.counters(core) for core in range(CONTROLLER + 1)),
            calls=calls,
            dma=(machine.state("dma_busy"), machine.state("dma_bytes"), machine.state("dma_denied")),
            outside=(machine.state("outside_busy"), machine.state("outside_bytes"), machine.state("outside_bursts")),
            worker_stacks=tuple(self._stack(core) for core in range(WORKERS)),
        )

    def _stack(self, core: int) -> int:
        """How deep a core's stack was."""
        high = stacks(self.image).get(core, (0, 0))[1]
        return high - self.machine.get(core, cm.DEEPEST) if high else 0


def loaded(board: Board, image: Image, strict: bool = True) -> ClusterMachine:
    """A new machine with an image in its memories, halted at its entry."""
    start = image.symbols.get(RESET)
    machine = ClusterMachine(board.chip, start.address if start else image.parsed.entry, strict)
    for segment in image.parsed.segments:
        try:
            if any(not m.mapped and m.start <= segment.load < m.end for m in board.chip.memories):
                machine.fill_outside(segment.load, segment.data)
            else:
                machine.write(segment.load, segment.data)
        except BadPointer as error:
            raise BuildError(f"the program has bytes where {board.name} has no memory: {error}") from error
    for core, (low, high) in stacks(image).items():
        machine.set(core, cm.STACK_LOW, low)
        machine.set(core, cm.STACK_HIGH, high)
    return machine


def stacks(image: Image) -> dict[int, tuple[int, int]]:
    """The stacks that a program declares by symbols, by core: first address and end."""
    symbols = image.symbols
    found = {}
    if STACK_LIMIT in symbols and STACK_TOP in symbols:
        found[CONTROLLER] = (symbols[STACK_LIMIT].address, symbols[STACK_TOP].address)
    if WORKER_STACKS in symbols and WORKER_STACK_BYTES in symbols:
        start, size = symbols[WORKER_STACKS].address, symbols[WORKER_STACK_BYTES].address
        found |= {core: (start + size * core, start + size * (core + 1)) for core in range(WORKERS)}
    return found


def _steps(
    calls: Mapping[str, tuple[Call, ...]], entry: str, kernels: Sequence[str]
) -> tuple[Call | None, tuple[Call, ...]]:
    """The last call of `entry`, and the calls of the kernels during it, those of one core: its own, or worker 0."""
    runs = calls.get(entry, ())
    if not runs:
        return None, ()
    last = runs[-1]
    core = 0 if last.core == CONTROLLER else last.core
    return last, tuple(sorted(_during(calls, last, core, dict.fromkeys(kernels)), key=lambda c: c.start))


def _during(calls: Mapping[str, tuple[Call, ...]], run: Call, core: int, kernels: Mapping[str, None]) -> Iterator[Call]:
    for name in kernels:
        for c in calls.get(name, ()):
            if c.core in (core, run.core) and run.start <= c.start < run.start + run.cycles:
                yield c
