"""What every step of a compiled model writes on a device: in a session, kernel by kernel; or in the firmware itself, behind whose
steps the simulator of a cluster stops: there cores, moves and memories outside of the chip do what they do in every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smelt.compile import Compilation
from smelt.devices.choose import Device, chosen, open_link
from smelt.devices.graph_runner import GraphRunner, StepRun
from smelt.devices.link import DebugLink
from smelt.devices.session import Session
from smelt.errors import OptionError
from smelt.firmware.build import compiler_of
from smelt.firmware.image import Image
from smelt.model.graph import Array
from smelt.report.execute import stream
from smelt.targets.boards import named
from smelt.targets.types import Board

STEP_SECONDS = 60.0  # that a single step may take in a session
Inputs = Sequence[tuple[Array, ...]]


def step_runs(
    compilation: Compilation,
    inputs: Inputs,
    link: DebugLink | Board | str | None = None,
    device: Device | None = None,
    timeout: float = STEP_SECONDS,
    sequence: bool = False,
) -> Iterator[tuple[int, StepRun]]:
    """Each result of each step, with the number of the input, in order. The device is the one behind `link`, or the board's own.

    What a network remembers is carried from each input to the next in a `sequence`. Raises DeviceError where the device fails,
    DeviceHeapFull where a session has no room for all kernels and the plan's regions, OptionError for a network that is fed.
    """
    if compilation.plan.fed is not None:
        raise OptionError("an input that is fed (--feed) is never whole, and steps cannot be run one by one")
    board = compilation.plan.board
    if link is None and board.chip.cluster and chosen(board, device) == "simulator":
        yield from _by_firmware(compilation, inputs, sequence)
    elif link is None:
        with open_link(board, device) as own:
            yield from _in_session(compilation, inputs, own, timeout, sequence)
    else:
        yield from _in_session(compilation, inputs, named(link) if isinstance(link, str) else link, timeout, sequence)


def _in_session(
    compilation: Compilation, inputs: Inputs, device: DebugLink | Board, timeout: float, sequence: bool
) -> Iterator[tuple[int, StepRun]]:
    """With the compiler of the firmware."""
    with (
        Session(device, timeout=timeout, compiler=compiler_of(compilation.image)) as session,
        GraphRunner(session, compilation) as runner,
    ):
        for number, arrays in enumerate(inputs):
            if not sequence:
                runner.reset()
            for run in runner.steps(arrays):
                yield number, run


def _by_firmware(compilation: Compilation, inputs: Inputs, sequence: bool) -> Iterator[tuple[int, StepRun]]:
    if compilation.image is None:
        raise OptionError("running needs firmware: compile with the compiler zig or gcc, not none")
    parts = [inputs]
    if compilation.graph.states and not sequence:  # each input is the first one after a reset
        parts = [[arrays] for arrays in inputs]
    number = 0
    for part in parts:
        for n, run in _watched(compilation, compilation.image, part):
            yield number + n, run
        number += len(part)


def _watched(compilation: Compilation, image: Image, inputs: Inputs) -> Iterator[tuple[int, StepRun]]:
    from smelt.devices.simulators.cluster_simulator import ClusterSimulator

    program = compilation.program
    plan = program.plan
    steps = {program.step(step): step for step in plan.steps}
    starts = {r.memory: image.symbols[f"smelt_{r.role}"].address for r in program.regions}
    for count, (name, read) in enumerate(ClusterSimulator(plan.board).steps(image, stream(inputs))):
        step = steps[name]
        for y in step.ys:
            place = plan.placement(y)
            data = read(starts[place.memory] + place.offset, y.bytes)
            value = y.element.unpack(data, y.elements, 0).reshape(y.shape)
            yield count // len(steps), StepRun(step.name, y.name, value, None)
