"""Firmware on a real board: programmed through a debug probe, its files answered, its cycles counted by the core's own counter.

The firmware stops at each request of semihosting, which is carried out here, on files that exist only in memory. Cycles are DWT's,
read while the processor is halted, which stops the counter: at the start and the end of the network, and, where steps are wanted,
of each kernel of the last inference. A stop costs the core a pipeline and what it had fetched ahead: some tens of cycles.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from smelt.devices.cortex_m import DEMCR, DWT_CTRL, DWT_CYCCNT, NOWHERE, TRCENA, conclude
from smelt.devices.link import LinkLost, TimedOut, reset_where_wrong
from smelt.devices.probes import Probe, open_probe
from smelt.devices.run import RESET, STACK_PATTERN, STACK_TOP, Run, check_firmware, exit_detail, stack_of
from smelt.devices.semihosting import BadPointer, Host
from smelt.errors import DeviceError
from smelt.firmware.image import Image
from smelt.targets.in_ram import as_it_is
from smelt.targets.types import Board

SECONDS = 120.0  # from one request to the next
BKPT_AB = 0xBEAB
DWT_LAR, KEY = 0xE0001FB0, 0xC5ACCE55
CYCCNTENA, NOCYCCNT = 1, 1 << 25
CHUNK = 64  # bytes of text read at once


def run_on_board(board: Board, image: Image, inputs: bytes, device: str, steps: bool) -> Run:
    """Run a firmware on each of the concatenated `inputs` on the board that `device` names (`open_probe`). With `steps`, count the
    cycles of each step of the last inference.

    Raises DeviceError where there is no such board, or the firmware faults, hangs or reports an error.
    """
    check_firmware(image, board, device.partition(":")[0], also=(image.entry,))
    with open_probe(as_it_is(board), device) as probe:
        probe.program(image.elf)
        return _Running(probe, board, image, inputs, steps).run()


@dataclass
class Stopwatch:
    """The cycles of the network and of its kernels, from where the processor stops. `size` is that of one inference's inputs, in
    requests: the last inference is the one that is counted step by step."""

    probe: Probe
    image: Image
    steps: bool
    total: int = 0
    each: list[int] = field(default_factory=list)
    _waiting: Iterator[str] | None = None

    def __post_init__(self) -> None:
        self.entry = self.image.symbols[self.image.entry].address & ~1
        self.works = self._start()
        self.runs = 0
        self._ends: list[tuple[int, int, bool]] = []  # return address, cycles at the start, whether a kernel's
        self._next: int | None = None
        if self.works:
            self.probe.break_at(self.entry)

    def _start(self) -> bool:
        """Switch the counter on; False where the core has none."""
        if not self.probe.board.core.isa.cycle_counter:
            return False
        self._set(DEMCR, self._word(DEMCR) | TRCENA)
        self._set(DWT_LAR, KEY)
        self._set(DWT_CTRL, self._word(DWT_CTRL) | CYCCNTENA)
        return not self._word(DWT_CTRL) & NOCYCCNT

    def stopped_at(self, pc: int) -> bool:
        """Whether that is a place of its own, and then go on from there."""
        if pc == self.entry and not self._ends:
            self.probe.do_not_break_at(self.entry)
            self.each, self.runs = [], self.runs + 1
            self._waiting = iter(self.image.kernels) if self.steps else None
            self._begin(is_kernel=False)
            self._expect()
            return True
        if self._ends and pc == self._ends[-1][0]:
            self._end()
            return True
        if pc == self._next:
            self.probe.do_not_break_at(pc)
            self._next = None
            self._begin(is_kernel=True)
            return True
        return False

    def _begin(self, is_kernel: bool) -> None:
        back = self.probe.registers("lr")["lr"] & ~1
        if not self._returns_to(back):
            self.probe.break_at(back)
        self._ends.append((back, self._word(DWT_CYCCNT), is_kernel))

    def _returns_to(self, address: int) -> bool:
        """Whether somebody waits there: the network's last word may be a kernel, which then returns to where the network does."""
        return any(back == address for back, _, _ in self._ends)

    def _end(self) -> None:
        back, before, is_kernel = self._ends.pop()
        took = (self._word(DWT_CYCCNT) - before) & 0xFFFFFFFF
        if is_kernel:
            self.each.append(took)
        if self._returns_to(back):
            self._end()
            return
        self.probe.do_not_break_at(back)
        if is_kernel:
            self._expect()
            return
        self.total = took
        if self._next is not None:
            self.probe.do_not_break_at(self._next)
            self._next = None
        self.probe.break_at(self.entry)

    def _expect(self) -> None:
        """Stop at the next kernel."""
        name = next(self._waiting, None) if self._waiting is not None else None
        if name is not None and name in self.image.symbols:
            self._next = self.image.symbols[name].address & ~1
            self.probe.break_at(self._next)

    def _word(self, address: int) -> int:
        return int.from_bytes(self.probe.read(address, 4), "little")

    def _set(self, address: int, value: int) -> None:
        self.probe.write(address, value.to_bytes(4, "little"))


class _Running:
    """One run, from the reset to the exit."""

    def __init__(self, probe: Probe, board: Board, image: Image, inputs: bytes, steps: bool) -> None:
        self.probe, self.board, self.image = probe, board, image
        self.watch = Stopwatch(probe, image, steps)
        self.host = Host(
            read=self._read,
            write=self._write,
            files={"input": io.BytesIO(inputs), "output": io.BytesIO()},
        )
        self._chunk = (0, b"")

    def run(self) -> Run:
        probe = self.probe
        start = self.image.symbols[RESET].address & ~1
        probe.set_registers(sp=self.image.symbols[STACK_TOP].address, lr=NOWHERE, pc=start)
        while self.host.exit_code is None:
            self._go_on()
        if self.host.exit_code:
            detail = exit_detail(self.host.exit_code, "".join(self.host.text))
            raise DeviceError(f"{self.board.name}: the firmware ended with exit code {detail}")
        return self._result()

    def _go_on(self) -> None:
        """To the next stop, and do what it is for."""
        probe = self.probe
        probe.resume()
        if not probe.stopped(SECONDS):
            probe.halt()
            raise TimedOut(self.board, self.image.symbols[RESET].address, SECONDS, probe.registers("pc")["pc"])
        found = probe.registers("pc", "sp", "xpsr", "r0", "r1")
        pc = found["pc"]
        if not found["xpsr"] & 0x1FF:
            if self.watch.works and self.watch.stopped_at(pc):
                return
            if int.from_bytes(probe.read(pc, 2), "little") == BKPT_AB:
                self._answer(found)
                return
        with reset_where_wrong(probe):
            conclude(self.board, pc, self._word, pc, found["sp"], found["xpsr"], None)
            raise DeviceError(f"{self.board.name}: unexpected breakpoint in {self.image.function_at(pc)} at {pc:#010x}")

    def _answer(self, found: dict[str, int]) -> None:
        self._chunk = (0, b"")
        try:
            result = self.host.request(found["r0"], found["r1"])
        except BadPointer as error:
            raise DeviceError(f"{self.board.name}: a semihosting request names {error}") from None
        self.probe.set_registers(r0=result & 0xFFFFFFFF, pc=found["pc"] + 2)

    def _result(self) -> Run:
        each, total = tuple(self.watch.each), self.watch.total
        return Run(
            outputs=self.host.files["output"].getvalue(),
            text="".join(self.host.text),
            runs=self.watch.runs,
            step_instructions=(),
            overhead_instructions=0,
            startup_instructions=0,
            total_instructions=0,
            stack_bytes=self._stack_bytes(),
            step_cycles=each,
            overhead_cycles=total - sum(each),
            total_cycles=0,
        )

    def _stack_bytes(self) -> int:
        stack = stack_of(self.image)
        data = self.probe.read(stack.start, len(stack))
        words = (int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4))
        return len(stack) - 4 * next((n for n, word in enumerate(words) if word != STACK_PATTERN), len(stack) // 4)

    # --- memory, as semihosting wants it ----------------------------------------------------------------------------

    def _read(self, address: int, size: int) -> bytes:
        first, data = self._chunk
        if size == 1 and first <= address < first + len(data):
            return data[address - first : address - first + 1]
        try:
            if size > 1:
                return self.probe.read(address, size)
            first = address & -CHUNK  # texts are read byte by byte
            self._chunk = (first, self.probe.read(first, CHUNK))
        except LinkLost:
            raise
        except DeviceError:
            raise BadPointer(f"{address:#010x}, {size} bytes") from None
        return self._read(address, 1)

    def _write(self, address: int, data: bytes) -> None:
        try:
            self.probe.write(address, data)
        except LinkLost:
            raise
        except DeviceError:
            raise BadPointer(f"{address:#010x}, {len(data)} bytes") from None

    def _word(self, address: int) -> int:
        return int.from_bytes(self.probe.read(address & ~3, 4), "little")
