"""Inputs into the simulated board, outputs back as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from smelt.compile import Compilation
from smelt.devices.choose import Device
from smelt.devices.probes import VIRTUAL, is_probe
from smelt.devices.run import Run
from smelt.errors import DeviceError, OptionError
from smelt.model.graph import Array, Tensor
from smelt.nouns import Noun, Table
from smelt.planner.plan import Plan
from smelt.report.energy import is_derived, microjoules
from smelt.targets.types import Board

FEW_VALUES = 20  # of an output that notebooks show

Figure = TypeVar("Figure")


@dataclass(frozen=True)
class ExecutionSummary(Noun):
    """Inferences on a device: what one of them costs, what the firmware printed, and for each of them the outputs by name, lists
    in lists as the shape says. Cycles, time and energy are None where no time was kept; energy that is `derived` is others'."""

    board: str
    inferences: int
    instructions: int
    cycles: int | None
    milliseconds: float | None
    microjoules: float | None
    derived: bool
    simulated: bool
    device: Device
    text: str
    outputs: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Execution(Noun):
    """Inferences on a device: one tuple of output arrays for each input."""

    compilation: Compilation
    run: Run
    outputs: tuple[tuple[Array, ...], ...]
    device: Device = "simulator"

    def in_brief(self) -> str:
        plan = self.compilation.plan
        return f"{len(self.outputs)} inference(s) of {plan.graph.name} on {plan.board.name} ({self.device})"

    def as_tables(self) -> Iterator[Table]:
        """What an inference took, what was printed, and what the last one gave."""
        values = zip(self.compilation.graph.outputs, self.outputs[-1] if self.outputs else (), strict=False)
        yield (
            self.in_brief(),
            (),
            [
                ("run", self.run),
                ("milliseconds", self.milliseconds),
                ("printed", self.run.text.rstrip()),
                *(
                    (t.name, str(y.ravel()[:FEW_VALUES].tolist())[1:-1] + ", ..." * (y.size > FEW_VALUES))
                    for t, y in values
                ),
            ],
        )

    @property
    def milliseconds(self) -> float | None:
        """Simulated time of one inference at the board's full clock; None where no time was kept."""
        return milliseconds(self.run.cycles, self.compilation.plan.board)

    @property
    def microjoules(self) -> float | None:
        """Energy of one inference; None where no time was kept or nothing is published about the board."""
        return inference_microjoules(self.compilation.plan, self.run)

    @property
    def derived(self) -> bool:
        """Whether energy is that of other programs' layers."""
        return is_derived(self.compilation.plan.board)

    def summary(self) -> ExecutionSummary:
        """For programs."""
        tensors = self.compilation.graph.outputs
        return ExecutionSummary(
            board=self.compilation.plan.board.name,
            inferences=len(self.outputs),
            instructions=self.run.instructions,
            cycles=self.run.cycles or None,
            milliseconds=self.milliseconds,
            microjoules=self.microjoules,
            derived=self.derived,
            simulated=not is_probe(self.device) or self.device.endswith(f":{VIRTUAL}"),
            device=self.device,
            text=self.run.text,
            outputs=tuple(
                {t.name: array.tolist() for t, array in zip(tensors, arrays, strict=True)} for arrays in self.outputs
            ),
        )


@dataclass(frozen=True)
class AloneSummary:
    """What a board with nobody to ask it has said through its serial port."""

    board: str
    text: str


def milliseconds(cycles: int, board: Board) -> float | None:
    """How long that many cycles take at the board's full clock; None for 0 cycles: unknown."""
    return cycles / board.clock_hz * 1e3 if cycles else None


def inference_microjoules(plan: Plan, run: Run) -> float | None:
    """The energy of the last inference of a run, step by step where kinds of layers differ; None where nothing is known."""
    parts = [(sum(c), s.ops) for s, c in zip(plan.steps, by_step(plan, run.step_cycles), strict=True)]
    found = [microjoules(cycles, plan.board, ops) for cycles, ops in (*parts, (run.overhead_cycles, ()))]
    known = [energy for energy in found if energy is not None]
    return sum(known) if known else None


def by_step(plan: Plan, figures: Sequence[Figure]) -> Iterator[Sequence[Figure]]:
    """Figures of all calls of a run, those of each step together; none where there are none."""
    calls = iter(figures)
    for step in plan.steps:
        yield tuple(islice(calls, 1 if plan.board.chip.cluster else len(step.pieces)))


def execute(
    compilation: Compilation,
    inputs: Sequence[tuple[Array, ...]],
    timing: bool = True,
    device: Device | None = None,
    sequence: bool = False,
) -> Execution:
    """Run the firmware once per input on a simulated board: in the simulator or in QEMU, by default in the one that suits it.
    Without `timing`, the simulator is faster and gives no cycles, and QEMU gives no instruction counts. What a network with states
    remembers is carried from each input to the next in a `sequence`; else every input is the first one after a reset.

    Raises DeviceError where it faults or hangs, or the device is missing, OptionError where there is no firmware.
    """
    from smelt.devices.choose import chosen, run_image

    image = compilation.image
    if image is None:
        raise OptionError("running needs firmware: compile with the compiler zig or gcc, not none")
    board, parts = compilation.plan.board, [inputs]
    if compilation.graph.states and not sequence:
        parts = [[arrays] for arrays in inputs]
    runs = [run_image(board, image, stream(part), device, timing, counting=timing) for part in parts]
    run = replace(runs[-1], outputs=b"".join(r.outputs for r in runs), text="".join(r.text for r in runs))
    outputs = _split(run.outputs, compilation.graph.outputs)
    if len(outputs) != len(inputs):
        raise DeviceError(f"the firmware gave {len(outputs)} output(s) for {len(inputs)} input(s)")
    return Execution(compilation, run, outputs, chosen(board, device))


def left_alone(compilation: Compilation, times: int) -> str:
    """What a simulated board says through its serial port in the first inferences of a firmware with a hello, where no debugger is.

    Raises DeviceError where it faults or hangs, or there is no simulator of the board.
    """
    from smelt.devices.choose import chosen
    from smelt.devices.simulators.simulator import Simulator
    from smelt.firmware.harness import tells_classes

    assert compilation.image is not None, "a hello is firmware"
    board = compilation.plan.board
    chosen(board, "simulator")
    lines_each = 1 + tells_classes(compilation.program)
    return Simulator(board).run(compilation.image, lines=1 + times * lines_each).text


def stream(inputs: Sequence[tuple[Array, ...]]) -> bytes:
    """The bytes that firmware reads."""
    return b"".join(np.ascontiguousarray(array).tobytes() for arrays in inputs for array in arrays)


def _split(data: bytes, tensors: tuple[Tensor, ...]) -> tuple[tuple[Array, ...], ...]:
    size = sum(t.bytes for t in tensors)
    return tuple(arrays_of(data[i : i + size], tensors) for i in range(0, len(data) - size + 1, size))


def arrays_of(data: bytes, tensors: tuple[Tensor, ...]) -> tuple[Array, ...]:
    """The tensors of one inference, from the bytes that firmware wrote."""
    arrays, offset = [], 0
    for tensor in tensors:
        arrays.append(tensor.element.unpack(data, tensor.elements, offset).reshape(tensor.shape))
        offset += tensor.bytes
    return tuple(arrays)
