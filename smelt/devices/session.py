"""Sessions: a bare-metal device driven from Python through nothing but a debug link.

    with Session(board) as s:
        module = s.load(kernel_call)
        module.conv2d_0a1b2c3d(x, weights, table, y)

The device's memory: the stack at the start of the first RAM, so that it overflows out of it or into a canary; at the start of the
largest RAM the queue, the arguments of its tasks and the runtime; the heap is everything else. Where code and data of a chip share
a memory, all of it is the session's. Calls are tasks: they are gathered here, written to the device together, and run in order
by the runtime, when a result is needed or the queue is full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from smelt.devices.choose import open_link
from smelt.devices.cortex_m import CPUID, DEMCR, DWT_CTRL, DWT_CYCCNT, TRCENA
from smelt.devices.heap import Block, Heap
from smelt.devices.link import DebugLink, LinkLost, Stop, TargetFault, TimedOut, UnexpectedReset, WrongChip
from smelt.devices.remote import Array, Call, RemoteModule, RemoteTensor
from smelt.devices.session_errors import (
    DeviceHeapFull,
    DeviceReset,
    FunctionFault,
    FunctionTimeout,
    SessionEnded,
    SessionError,
    WrongBoard,
)
from smelt.devices.session_layout import STACK_BYTES, make_layout
from smelt.errors import DeviceError, OptionError
from smelt.firmware.build import Compiler
from smelt.firmware.module import (
    ARGUMENT_BYTES,
    HEADER,
    MAGIC,
    TASK,
    TASKS,
    Loadable,
    build_module,
    code_address,
    helpers_of,
    module_source,
)
from smelt.targets.boards import named
from smelt.targets.border import as_data
from smelt.targets.registers import carry_out
from smelt.targets.start_up import changes
from smelt.targets.types import Board

if TYPE_CHECKING:
    from smelt.devices.probes import Probe
    from smelt.devices.qemu import QemuLink
    from smelt.devices.simulators.cluster_link import ClusterLink
    from smelt.devices.simulators.link import SimulatorLink

LEAST_WORDS = 8  # the runtime always loads as many arguments as travel in registers
CANARY = MAGIC.to_bytes(4, "little")
CYCCNTENA, NOCYCCNT = 1, 1 << 25
FIRST_CALL_SECONDS = 10.0
LOCKUP = (0xFFFFFFFE, 0xEFFFFFFE)  # where the processor stays after a fault inside a fault: Armv7-M, Armv8-M


class Session:
    """A session on the device behind a debug link, or on the simulated copy of a board, which may be given by its name.

    With `strict` every call runs at once; otherwise calls wait until a result is needed. `timeout` is how many seconds one run of
    the queue may take. `compiler` makes what is loaded: "zig" or "gcc". Leaving the `with` block frees everything; the link stays
    open if it was passed in.
    """

    def __init__(
        self,
        device: DebugLink | Board | str,
        *,
        strict: bool = False,
        timeout: float = 10.0,
        stack_bytes: int = STACK_BYTES,
        compiler: Compiler = "zig",
    ) -> None:
        if isinstance(device, str):
            device = named(device)
        self.board = as_data(device if isinstance(device, Board) else device.board)
        self.strict, self.timeout, self.compiler = strict, timeout, compiler
        self.epoch = 0  # how often the device had to be set up again
        self._open = False
        self._ended = "it has not begun"
        self._pending: list[Call] = []
        self._modules: dict[int, RemoteModule] = {}
        self._tensors: dict[int, RemoteTensor] = {}
        self._counter = 0
        self._device = device
        self._own: SimulatorLink | ClusterLink | QemuLink | Probe | None = None
        self.layout = make_layout(self.board, stack_bytes, compiler)
        self.heap = Heap(self.board, self.layout.heap)

    # --- beginning and end ------------------------------------------------------------------------------------------

    def __enter__(self) -> Session:
        """Raises DeviceError where the device is another one, or does not run what is put into it."""
        if isinstance(self._device, Board):
            self._own = open_link(self._device)
        try:
            self._check_core()
            self._set_up()
        except BaseException:
            self.close()
            raise
        self._open = True
        return self

    @property
    def link(self) -> DebugLink:
        """The way to the device."""
        if not isinstance(self._device, Board):
            return self._device
        if self._own is None:
            raise SessionEnded(f"{self.board.name}: the session cannot be used: {self._ended}")
        return self._own

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._open:
                self.run()
        finally:
            self.close()

    def close(self) -> None:
        """End the session without running what is still queued: everything is freed, nothing can be used any more."""
        self._end("it was closed")
        if self._own is not None:
            self._own.close()
            self._own = None

    def _end(self, why: str) -> None:
        if self._open:
            self._open, self._ended = False, why
        self._drop_pending()
        things: tuple[RemoteModule | RemoteTensor, ...] = (*self._modules.values(), *self._tensors.values())
        for thing in things:
            thing.release()

    def _check_core(self) -> None:
        """Raise WrongChip if the core says that it is another one."""
        expected = self.board.core.part
        if expected is not None and (found := self._word(CPUID) >> 4 & 0xFFF) != expected:
            raise WrongChip(self.board, "core's part number", expected, found)

    def _set_up(self) -> None:
        """Reset the device and put the runtime and all modules into it."""
        self.link.reset()
        if self.board.clock and (stuck := carry_out(self.board.clock.steps, self._word, self._set_word)):
            raise DeviceError(f"{self.board.name} does not come to its clock: {stuck.why}")
        for change in changes(self.board.chip):
            self._set_word(change.address, (self._word(change.address) & ~change.clear) | change.value)
        layout = self.layout
        self.link.write(layout.stack.address, CANARY)
        self.link.write(layout.queue.address, HEADER.pack(MAGIC, 0, 0, 0))
        self.link.write(layout.runtime.address, layout.runtime.data)
        self._counter = self._switched_on_counter()
        if not self._first_call().cycles:
            self._counter = 0
        for module in self._modules.values():
            self.link.write(module.block.address, module.module.data)

    def _switched_on_counter(self) -> int:
        """The address of the core's cycle counter, running; 0 where there is none."""
        if not self.board.core.isa.cycle_counter:
            return 0
        try:
            self._set_word(DEMCR, self._word(DEMCR) | TRCENA)
            self._set_word(DWT_CTRL, self._word(DWT_CTRL) | CYCCNTENA)
            control = self._word(DWT_CTRL)
        except LinkLost:
            raise
        except DeviceError:
            return 0
        return DWT_CYCCNT if control & CYCCNTENA and not control & NOCYCCNT else 0

    def _first_call(self) -> Call:
        """Call a function that does nothing: shows whether the runtime runs, and whether cycles are counted."""
        call = Call("the runtime", self.layout.runtime.functions["memset"], (0, 0, 0), lambda: None)
        self._write_tasks([call])
        stop = self.link.call(self.layout.entry, self.layout.stack.end, FIRST_CALL_SECONDS)
        self._finish([call], replace(stop, cycles=None))
        return call

    # --- what users make --------------------------------------------------------------------------------------------

    def load(self, what: Loadable) -> RemoteModule:
        """Compile kernels, kernel calls, C source text, or the kernels of a compilation, and put them into the device.

        Raises BuildError, OptionError, DeviceHeapFull, WrongBoard (for a compilation made for another board), DeviceError.
        """
        source = module_source(what)
        if source.board not in (None, self.board.name):
            raise WrongBoard(f"the module was made for {source.board}, this is a {self.board.name}")
        self._check_open()
        place = self.heap.largest_of(self.layout.code)
        built = build_module(source, self.board, place.address, helpers_of(self.layout.runtime), self.compiler)
        block = self.heap.claim(place, len(built.data))
        module = self._modules[block.address] = RemoteModule(self, source, built, block)
        try:
            self.write(block.address, built.data)
        except DeviceError:
            module.release()
            raise
        return module

    def tensor(self, array: Array) -> RemoteTensor:
        """A tensor on the device with the content of `array`."""
        array = np.asarray(array)
        tensor = self.empty(array.shape, array.dtype)
        try:
            self.write(tensor.address, np.ascontiguousarray(array).tobytes())
        except DeviceError:
            tensor.release()
            raise
        return tensor

    def empty(self, shape: int | Sequence[int], dtype: Any = "int8", memory: str | None = None) -> RemoteTensor:
        """A tensor on the device, in the board's `memory` of that name if there is room; its content is whatever lay there."""
        kind = np.dtype(dtype)
        if kind.hasobject or kind.byteorder == ">":
            raise OptionError(f"a device cannot hold {kind} elements")
        sizes = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
        block = self._allocate(int(np.prod(sizes, dtype=np.int64)) * kind.itemsize, memory)
        tensor = RemoteTensor(self, block, sizes, kind)
        self._tensors[block.address] = tensor
        return tensor

    def _allocate(self, size: int, memory: str | None) -> Block:
        """A block of the heap; calls that hold temporary memory are run if there is not enough. Raises DeviceHeapFull."""
        self._check_open()
        preferred = next((m.start for m in self.board.chip.rams if m.name == memory), None)
        try:
            return self.heap.allocate(size, preferred)
        except DeviceHeapFull:
            if not self._pending:
                raise
        self.run()
        return self.heap.allocate(size, preferred)

    def forget(self, thing: RemoteTensor | RemoteModule) -> None:
        """Called by tensors and modules when they are freed."""
        known = self._modules if isinstance(thing, RemoteModule) else self._tensors
        if known.pop(thing.block.address, None) is not None:
            self.heap.release(thing.block)

    # --- memory -----------------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the device's memory. Raises DeviceReset if it may not be what was written there."""
        self._check_open()
        with self._guarded():
            data = self.link.read(address, size) if size else b""
            lost = self._word(self.layout.queue.address) != MAGIC
        if lost:
            self._recover()
            raise DeviceReset(self.board.name, "a read of memory", "the device was reset since the last call")
        return data

    def write(self, address: int, data: bytes) -> None:
        """Change the device's memory."""
        self._check_open()
        if data:
            with self._guarded():
                self.link.write(address, data)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """If the link is lost in here, the session ends."""
        try:
            yield
        except LinkLost:
            self._end("the link to the device was lost")
            raise

    def _word(self, address: int) -> int:
        return int.from_bytes(self.link.read(address, 4), "little")

    def _set_word(self, address: int, value: int) -> None:
        self.link.write(address, (value & 0xFFFFFFFF).to_bytes(4, "little"))

    # --- calls ------------------------------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """How many calls wait in the queue."""
        return len(self._pending)

    def submit(self, call: Call) -> None:
        """Queue a call; run the queue first if it is full, and afterwards if the session is strict."""
        self._check_open()
        if _argument_words([call]) * 4 > ARGUMENT_BYTES:
            raise OptionError(f"{call.name}: {len(call.words)} arguments are too many for a session")
        if len(self._pending) == TASKS or _argument_words([*self._pending, call]) * 4 > ARGUMENT_BYTES:
            self.run()
        self._pending.append(call)
        if self.strict:
            self.run()

    def run(self) -> None:
        """Run what is queued. Raises DeviceError with the name of the function that failed; the queue is empty then, and the
        session goes on unless the link is lost."""
        self._check_open()
        if not self._pending:
            return
        calls = list(self._pending)
        try:
            self._run(calls)
        finally:
            self._drop_pending()

    def _drop_pending(self) -> None:
        calls, self._pending = self._pending, []
        for call in calls:
            for tensor in call.temporaries:
                tensor.release()

    def _run(self, calls: Sequence[Call]) -> None:
        try:
            self._check_magic(calls[0])
            self._write_tasks(calls)
            stop = self.link.call(self.layout.entry, self.layout.stack.end, self.timeout)
            self._finish(calls, stop)
        except LinkLost as error:
            self._end("the link to the device was lost")
            raise LinkLost(f"{self._names(calls)}: {error}") from error
        except DeviceError as error:
            failure = self._explained(calls, error)
            self._recover()
            raise failure from error

    def _check_magic(self, call: Call) -> None:
        if self._word(self.layout.queue.address) != MAGIC:
            raise DeviceReset(self.board.name, call.name, "not called: the device was reset since the last call")

    def _write_tasks(self, calls: Sequence[Call]) -> None:
        tasks, arguments = bytearray(), bytearray()
        for call in calls:
            tasks += TASK.pack(call.pointer, self.layout.arguments.address + len(arguments), len(call.words), 0, 0)
            words = [*call.words, *[0] * (LEAST_WORDS - len(call.words))]
            arguments += b"".join(w.to_bytes(4, "little") for w in words)
        queue = self.layout.queue.address
        # not the magic word: a reset must not go unnoticed
        self.link.write(queue + 4, HEADER.pack(MAGIC, self._counter, len(calls), 0)[4:] + tasks)
        self.link.write(self.layout.arguments.address, bytes(arguments))

    def _finish(self, calls: Sequence[Call], stop: Stop) -> None:
        """Take the results from the device. Raises DeviceError unless the runtime did its work."""
        queue = self.link.read(self.layout.queue.address, HEADER.size + len(calls) * TASK.size)
        magic, _, _, done = HEADER.unpack_from(queue)
        if magic != MAGIC:
            raise DeviceReset(self.board.name, self._names(calls), "the device was reset during the call")
        if done < len(calls):
            raise FunctionFault(self.board.name, calls[done].name, f"stopped at {stop.pc:#010x}{self._inside(stop.pc)}")
        if self.link.read(self.layout.stack.address, 4) != CANARY:
            reason = f"the stack of {self.layout.stack.size} bytes overflowed"
            raise FunctionFault(self.board.name, self._names(calls), reason)
        for call, (_, _, _, result, cycles) in zip(calls, TASK.iter_unpack(queue[HEADER.size :]), strict=True):
            signed = result - (1 << 32) if result >> 31 else result
            # the link's own count belongs to the whole queue
            whole = stop.cycles if len(calls) == 1 else None
            call.outcome = (signed, cycles if self._counter else whole)

    # --- failures ---------------------------------------------------------------------------------------------------

    def _explained(self, calls: Sequence[Call], error: DeviceError) -> DeviceError:
        """The error that users see: what the link reported, with the function's name."""
        name = self.board.name
        match error:
            case TimedOut() if error.pc in LOCKUP:
                return FunctionFault(
                    name, self._running(calls, None), "the processor locked up: its stack may have overflowed"
                )
            case TimedOut():
                where = self._inside(error.pc)
                reason = f"did not return within {self.timeout:g} s{f', it was{where}' if where else ''}"
                return FunctionTimeout(name, self._running(calls, error.pc), reason)
            case TargetFault():
                return FunctionFault(name, self._running(calls, error.pc), f"{error}{self._inside(error.pc)}")
            case UnexpectedReset():
                return DeviceReset(name, self._names(calls), "the device was reset during the call")
            case SessionError():
                return error
        return FunctionFault(name, self._running(calls, None), str(error))

    def _running(self, calls: Sequence[Call], pc: int | None) -> str:
        """The call that was running when the device stopped, from its own records."""
        try:
            magic, _, count, done = HEADER.unpack(self.link.read(self.layout.queue.address, HEADER.size))
        except DeviceError:
            magic = count = done = 0
        if magic == MAGIC and count == len(calls) and done < count:
            return calls[int(done)].name
        return self._function_at(pc) or self._names(calls)

    def _inside(self, pc: int | None) -> str:
        function = self._function_at(pc)
        return f" in {function}" if function else ""

    def _function_at(self, pc: int | None) -> str | None:
        """The function of a loaded module that contains an address."""
        for module in self._modules.values():
            start = code_address(self.board, module.block.address)
            if pc is not None and start <= pc < start + module.block.size:
                return module.module.elf.function_at(pc)
        return None

    def _names(self, calls: Sequence[Call]) -> str:
        return " or ".join(dict.fromkeys(c.name for c in calls))

    def _recover(self) -> None:
        """Set the device up again: runtime and modules as they were, tensors without their content."""
        self.epoch += 1
        try:
            self._set_up()
        except DeviceError as error:
            self._end(f"the device could not be set up again: {error}")

    def _check_open(self) -> None:
        if not self._open:
            raise SessionEnded(f"{self.board.name}: the session cannot be used: {self._ended}")


def _argument_words(calls: Sequence[Call]) -> int:
    return sum(max(len(c.words), LEAST_WORDS) for c in calls)
