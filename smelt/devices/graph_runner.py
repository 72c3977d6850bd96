"""A compiled model, run step by step from the host: the program's own kernels, tables and addresses, in a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from types import TracebackType

import numpy as np

from smelt.devices.remote import Array, Call, RemoteModule, RemoteTensor
from smelt.devices.session import Session
from smelt.errors import OptionError
from smelt.firmware.forks import Act, Asking, Filled, Fork, Haul, Taken
from smelt.firmware.invocations import Constant, Invocation
from smelt.firmware.module import HasProgram
from smelt.firmware.program import Port, Program
from smelt.firmware.streams import Stream
from smelt.firmware.transports import Deeds, Place, Transport


@dataclass(frozen=True, eq=False)
class StepRun:
    """A result of a step, as the device computed it: the name of the tensor, its value, and the cycles that the step took."""

    step: str
    tensor: str
    value: Array
    cycles: int | None


class GraphRunner:
    """Runs `program` in `session`. Every region of the plan becomes a block of the device's heap, so that tensors share bytes
    exactly as they do in the firmware; tables are on the device only while their step runs."""

    def __init__(self, session: Session, compilation: Program | HasProgram) -> None:
        self.session = session
        self.program = compilation if isinstance(compilation, Program) else compilation.program
        self._module: RemoteModule | None = None
        self._regions: dict[str, RemoteTensor] = {}

    def __enter__(self) -> GraphRunner:
        """Loads the kernels. Raises DeviceHeapFull where kernels and regions do not fit into the RAM together."""
        self._module = self.session.load(self.program) if self.program.invocations else None
        self._regions = {r.memory: self.session.empty(r.bytes, "uint8", r.memory) for r in self.program.regions}
        self.reset()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thing in (*self._regions.values(), *((self._module,) if self._module else ())):
            thing.release()
        self._regions, self._module = {}, None

    def reset(self) -> None:
        """Set what the network remembers from one run to the next to its initial values."""
        for cell in self.program.cells:
            initial = cell.initial.data.tobytes() if isinstance(cell.initial, Constant) else bytes([cell.initial])
            self.session.write(self._address(cell.place), initial * (cell.tensor.bytes // len(initial)))

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The outputs for one input, computed step by step. Raises DeviceError, OptionError for arrays that do not fit."""
        for _ in self.steps(inputs):
            pass
        return tuple(self._value(port) for port in self.program.outputs)

    def trace(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """What every step wrote, by the name of the tensor."""
        return {run.tensor: run.value for run in self.steps(inputs)}

    def steps(self, inputs: Sequence[Array]) -> Iterator[StepRun]:
        """Run one step after the other and read back what each one wrote: a `StepRun` for every result."""
        self._write_inputs(inputs)
        for number, (step, invocations) in enumerate(groupby(self.program.invocations, key=lambda i: i.step)):
            for move in self.program.moves:
                if move.last == number:  # here the host does what a DMA does in firmware
                    self.session.write(self._address(move.place), move.table.data.tobytes())
            if self.program.stream is not None and number in self.program.stream.between:
                self._ask(self.program.stream, self.program.stream.between[number])
            if step in self.program.acts:
                cycles = [call.cycles for call in self._acts(self.program.acts[step])]
            else:
                deeds = self.program.deeds.get(step, ())
                cycles = [self._run_in_turn(deeds, n, i).cycles for n, i in enumerate(invocations)]
                self._carry(deeds, len(cycles))
            for y in step.ys:
                placement = self.program.plan.placement(y)
                value = self._read(Place(placement.memory, placement.offset), y.shape, y.dtype)
                yield StepRun(step.name, y.name, value, None if None in cycles else sum(c for c in cycles if c))

    def _run_in_turn(self, deeds: Deeds, number: int, invocation: Invocation) -> Call:
        """A call of a step, after what is moved before it."""
        self._carry(deeds, number)
        return self._run(invocation)

    def _acts(self, acts: Sequence[Act]) -> Iterator[Call]:
        """What cores of a cluster compute at the same time in firmware, one call after the other."""
        for act in acts:
            if isinstance(act, Haul):
                self._haul(act)
            elif isinstance(act, Filled):
                for n in range(act.count):
                    self.session.write(self._address(act.near) + n * act.pitch, bytes([act.value & 0xFF]) * act.size)
            elif isinstance(act, Taken | Asking):
                self._stream(act)
            elif isinstance(act, Fork):
                yield from (self._run(invocation) for _, invocation in act.calls)

    def _haul(self, haul: Haul) -> None:
        """Move what a cluster's DMA moves in firmware."""
        near = self._address(haul.near)
        if isinstance(haul.far, Constant):
            self.session.write(near, haul.far.data.tobytes())
            return
        far = self._address(haul.far)
        for time, n in product(range(haul.times), range(haul.count)):
            here = near + time * haul.steps[0] + n * (haul.near_pitch or haul.size)
            there = far + time * haul.steps[1] + n * (haul.size if haul.near_pitch else haul.pitch)
            to, source = (here, there) if haul.inward else (there, here)
            self.session.write(to, self.session.read(source, haul.size))

    def _stream(self, act: Taken | Asking) -> None:
        """Move what comes from outside of the chip in firmware."""
        stream = self.program.stream
        assert stream is not None
        if isinstance(act, Asking):
            self._ask(stream, act.range)
            return
        portion = stream.portions[act.portion]
        source = self._address(Place(stream.memory, portion.at))
        self.session.write(self._address(act.near), self.session.read(source, portion.bytes))

    def _ask(self, stream: Stream, number: int) -> None:
        for request in stream.requests[slice(*stream.ranges[number])]:
            self.session.write(self._address(Place(stream.memory, request.to)), request.table.data.tobytes())

    def _carry(self, deeds: Deeds, number: int) -> None:
        """Move the tiles that a DMA or the core moves in firmware."""
        for t in (deed for at, deed in deeds if at == number and isinstance(deed, Transport)):
            to, source = self._address(t.to), self._address(t.source)
            for n in range(t.count):
                self.session.write(to + n * t.to_pitch, self.session.read(source + n * t.source_pitch, t.size))

    def _write_inputs(self, inputs: Sequence[Array]) -> None:
        ports = self.program.inputs
        if len(inputs) != len(ports):
            raise OptionError(f"the model has {len(ports)} inputs, {len(inputs)} were given")
        for port, array in zip(ports, inputs, strict=True):
            t = port.tensor
            if array.shape != t.shape or array.dtype != t.element.numpy:
                raise OptionError(f"input '{t.name}' is {t.dtype} {t.shape}, but {array.dtype} {array.shape} was given")
            self.session.write(self._address(port.place), np.ascontiguousarray(array).tobytes())

    def _run(self, invocation: Invocation) -> Call:
        assert self._module is not None, "a graph runner is used in a with statement"
        tables = {a: self.session.tensor(a.data) for a in invocation.arguments if isinstance(a, Constant)}
        try:
            words = [tables[a].address if isinstance(a, Constant) else self._address(a) for a in invocation.arguments]
            pointer = self._module.module.functions[invocation.kernel.name]
            call = Call(f"{invocation.step.name} ({invocation.kernel.name})", pointer, words, self.session.run)
            self.session.submit(call)
            return call.wait()
        finally:
            for table in tables.values():
                table.release()

    def _address(self, place: Place) -> int:
        return self._regions[place.memory].address + place.offset

    def _value(self, port: Port) -> Array:
        return self._read(port.place, port.tensor.shape, port.tensor.dtype)

    def _read(self, place: Place, shape: tuple[int, ...], dtype: str) -> Array:
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        return np.frombuffer(self.session.read(self._address(place), size), kind).reshape(shape).copy()
