"""`verify --layers`: every step of a compiled model on a device, against the reference; the first difference, by its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smelt.compile import Compilation
from smelt.devices.choose import Device
from smelt.devices.graph_runner import StepRun
from smelt.devices.link import DebugLink
from smelt.model.graph import Array
from smelt.model.reference import initial_states, trace
from smelt.nouns import Noun
from smelt.report.rounding import allowance, wrong
from smelt.report.step_runs import STEP_SECONDS, step_runs
from smelt.targets.types import Board


@dataclass(frozen=True)
class LayerDifference(Noun):
    """The first element of the first tensor that differs."""

    input: int
    number: int  # of the step, from 0
    step: str
    operator: str
    kernel: str
    tensor: str
    element: tuple[int, ...]
    device: float
    reference: float
    mismatches: int  # of the tensor's values
    values: int


@dataclass(frozen=True)
class LayerVerification(Noun):
    """How many steps were compared, and the first that is wrong."""

    model: str
    board: str
    inputs: int
    steps: int
    values: int
    first: LayerDifference | None

    def in_brief(self) -> str:
        return f"{self.model} on {self.board}: {self.verdict}"

    @property
    def verdict(self) -> str:
        if self.first is None:
            return f"all {self.values:,} values of {self.steps} step(s) on {self.inputs} input(s) equal the reference"
        d = self.first
        return (
            f"step {d.number} ({d.step}: {d.operator} by {d.kernel}) is the first that differs from the reference: input {d.input},"
            f" tensor '{d.tensor}' at {list(d.element)}: device {d.device:g}, reference {d.reference:g}"
            f" ({d.mismatches:,} of its {d.values:,} values differ)"
        )


def verify_layers(
    compilation: Compilation,
    inputs: Sequence[tuple[Array, ...]],
    link: DebugLink | Board | str | None = None,
    timeout: float = STEP_SECONDS,
    sequence: bool = False,
    device: Device | None = None,
) -> LayerVerification:
    """Run `inputs` step by step on the device behind `link`, by default the board in `device` as `execute` has it, and compare
    what every step writes with the prepared graph's reference. Stops at the first step that differs.

    What the network remembers is carried from each input to the next in a `sequence`. The compiler is that of the firmware.
    `timeout` is how many seconds a single step may take. Raises DeviceError where the device fails, OptionError for a network that
    is fed.
    """
    board = compilation.plan.board
    steps, values = len(compilation.plan.steps), 0
    allowed = allowance(compilation.graph)
    expected = _references(compilation, inputs, sequence)
    current, wanted = -1, dict[str, Array]()
    for number, run in step_runs(compilation, inputs, link, device, timeout, sequence):
        if number != current:
            current, wanted = number, next(expected)
        values += run.value.size
        places = wrong(run.value, wanted[run.tensor], allowed, winners=False)
        if len(places):
            difference = _difference(compilation, number, run, places, wanted[run.tensor])
            seen = number * steps + difference.number + 1
            return LayerVerification(compilation.graph.name, board.name, number + 1, seen, values, difference)
    return LayerVerification(compilation.graph.name, board.name, len(inputs), len(inputs) * steps, values, None)


def _references(
    compilation: Compilation, inputs: Sequence[tuple[Array, ...]], sequence: bool
) -> Iterator[dict[str, Array]]:
    """The values of all tensors for one input after the other."""
    states = initial_states(compilation.graph)
    for arrays in inputs:
        if not sequence:
            states = initial_states(compilation.graph)
        expected = trace(compilation.graph, arrays, states)
        states = {s.read: expected[s.write.name] for s in compilation.graph.states}
        yield expected


def _difference(
    compilation: Compilation, number: int, run: StepRun, places: Array, reference: Array
) -> LayerDifference:
    names = [step.name for step in compilation.plan.steps]
    position, device = names.index(run.step), run.value
    step, place = compilation.plan.steps[position], tuple(int(i) for i in places[0])
    return LayerDifference(
        input=number,
        number=position,
        step=step.name,
        operator=step.operators,
        kernel=step.pieces[-1].way.kernel,
        tensor=run.tensor,
        element=place,
        device=float(device[place]),
        reference=float(reference[place]),
        mismatches=len(places),
        values=device.size,
    )
