"""`profile` on a real board: the cycles that its core has counted, step by step, beside those of the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from smelt.compile import Compilation
from smelt.devices.choose import Device
from smelt.devices.run import Run
from smelt.devices.simulators.version import model_of_time
from smelt.errors import DeviceError
from smelt.files import write
from smelt.firmware.build import compiler_of
from smelt.firmware.sources import smelt_version
from smelt.firmware.toolchain import toolchain
from smelt.inputs import random_inputs
from smelt.model.graph import Tensor
from smelt.nouns import Noun
from smelt.report.execute import by_step, execute
from smelt.report.terminal import line, table

FORMAT = "smelt board profile 1"
WARM = 2
"""Inferences of one input: the last one, whose steps are counted, finds caches as the one before left them."""


@dataclass(frozen=True)
class BoardStep:
    """A step of one inference. `kernels` are the names of its kernels, which hold digests of what they do; `operands` the types and
    shapes of what it reads and computes."""

    name: str
    op: str
    kernels: tuple[str, ...]
    operands: tuple[str, ...]
    macs: int
    cycles: int
    simulated: int | None
    ratio: float | None


@dataclass(frozen=True)
class BoardProfile(Noun):
    """The second of two inferences of one input. `between` passes between the steps. Stops cost some cycles in all of it."""

    model: str
    board: str
    device: str
    compiler: str
    simulator: str
    cycles: int
    simulated: int | None
    steps: tuple[BoardStep, ...]
    between: int
    simulated_between: int | None

    def to_share(self) -> dict[str, Any]:
        """What helps models of time, and nobody minds: no weights, no name of the model, of its layers or of a device."""
        kept = ("op", "kernels", "operands", "macs", "cycles", "simulated")
        return {
            "format": FORMAT,
            "smelt": smelt_version(),
            "board": self.board,
            "counter": "DWT_CYCCNT",
            "probe": _probe_version(self.device),
            "compiler": self.compiler,
            "simulator": self.simulator,
            "cycles": self.cycles,
            "between": self.between,
            "simulated_between": self.simulated_between,
            "steps": [{name: asdict(s)[name] for name in kept} for s in self.steps],
        }


def profile_on_board(compilation: Compilation, device: Device) -> BoardProfile:
    """Run the firmware on a real board and, where there is one, on its simulated copy.

    Raises DeviceError where the board is missing, faults, or has no counter of cycles.
    """
    plan, image = compilation.plan, compilation.image
    assert image is not None, "a profile needs firmware"
    inputs = random_inputs(compilation.model, 1) * WARM
    run = execute(compilation, inputs, device=device, sequence=True).run
    if not run.step_cycles:
        raise DeviceError(f"{plan.board.name}: the {plan.board.core.name} has no counter of cycles (DWT)")
    beside = execute(compilation, inputs, device="simulator", sequence=True).run if plan.board.core.timing else None
    return BoardProfile(
        compilation.graph.name,
        plan.board.name,
        device,
        toolchain(plan.board, compiler_of(image)),
        model_of_time(plan.board),
        run.cycles,
        beside.cycles if beside else None,
        tuple(_steps(compilation, run, beside)),
        run.overhead_cycles,
        beside.overhead_cycles if beside else None,
    )


def _steps(compilation: Compilation, run: Run, beside: Run | None) -> Iterator[BoardStep]:
    plan = compilation.plan
    names = compilation.image.kernels if compilation.image else ()
    simulated = beside.step_cycles if beside else ()
    figures = (names, run.step_cycles, simulated)
    for step, kernels, cycles, others in zip(plan.steps, *(by_step(plan, f) for f in figures), strict=True):
        yield BoardStep(
            step.name,
            step.operators,
            tuple(dict.fromkeys(map(str, kernels))),
            tuple(dict.fromkeys(_told(t) for op in step.ops for t in (*op.inputs, *op.ys))),
            step.macs,
            sum(cycles),
            sum(others) if others else None,
            sum(cycles) / sum(others) if others else None,
        )


def _told(tensor: Tensor) -> str:
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape)) or 'scalar'}"


def _probe_version(device: Device) -> str:
    name, _, adapter = device.partition(":")
    told = f"pyocd {version('pyocd')}" if name == "pyocd" else name
    return f"{told}, simulated chip" if adapter == "virtual" else told


def save_shared(profile: BoardProfile, file: Path) -> None:
    """Write what users may send in; raises OptionError where it cannot be written."""
    write(file, (json.dumps(profile.to_share(), indent=1) + "\n").encode())


def show_board_profile(profile: BoardProfile) -> None:
    """Print the steps, and the inference."""
    rows = [(s.name, s.op, s.macs, s.cycles, _known(s.simulated), _ratio(s.ratio)) for s in profile.steps]
    total = profile.cycles / profile.simulated if profile.simulated else None
    rows.append(("between", "", 0, profile.between, _known(profile.simulated_between), ""))
    rows.append(
        ("inference", "", sum(s.macs for s in profile.steps), profile.cycles, _known(profile.simulated), _ratio(total))
    )
    columns = ("step", "operator", "MACs", "cycles", "simulated", "ratio")
    title = f"{profile.model} on {profile.board} (counted there, {profile.device.partition(':')[0]}, the second of two inferences)"
    table(title, columns, rows, right=(2, 3, 4, 5))
    line()


def _known(cycles: int | None) -> str:
    return "-" if cycles is None else f"{cycles:,}"


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}"
