"""`verify`: the firmware's numbers against an oracle's, bit for bit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smelt.compile import Compilation
from smelt.devices.choose import Device
from smelt.errors import OptionError
from smelt.importers import is_tflite, load, model_bytes
from smelt.model.dtypes import HALF
from smelt.model.graph import Array
from smelt.nouns import Noun
from smelt.report.execute import Execution, execute
from smelt.report.rounding import allowance, largest_difference, wrong
from smelt.report.unwritten import filled_in

Runs = Sequence[tuple[Array, ...]]


@dataclass(frozen=True)
class Difference(Noun):
    """The first value that differs."""

    input: int
    output: str
    element: tuple[int, ...]
    device: float
    oracle: float


@dataclass(frozen=True)
class Verification(Noun):
    """How many output values were compared, and how many differ."""

    model: str
    board: str
    oracle: str
    inputs: int
    values: int
    mismatches: int
    first: Difference | None
    device: Device = "simulator"
    largest: float | None = None  # difference, where results are compared as reals

    def in_brief(self) -> str:
        return f"{self.model} on {self.board} ({self.device}): {self.verdict}"

    @property
    def verdict(self) -> str:
        if self.first is None:
            how = "equal" if self.largest is None else "are within the rounding of sums of"
            found = f"all {self.values:,} values of {self.inputs} input(s) {how} {self.oracle}"
            return found if self.largest is None else f"{found} (the largest difference is {self.largest:.3g})"
        d = self.first
        return (
            f"{self.mismatches:,} of {self.values:,} values differ from {self.oracle}; the first: input {d.input}, "
            f"output '{d.output}' at {list(d.element)}: device {d.device:g}, oracle {d.oracle:g}"
        )


def verify(
    compilation: Compilation,
    inputs: Runs,
    oracle: str,
    model: Path | str,
    device: Device | None = None,
    sequence: bool = False,
) -> Verification:
    """Run `inputs` on the device and through `oracle` ("reference"; "tflm" and "onnxruntime" on the file `model` itself).

    In a `sequence`, what the model remembers is carried from each input to the next.
    """
    expected = ORACLES[oracle](compilation, inputs, model, sequence)
    execution = execute(compilation, inputs, timing=False, device=device, sequence=sequence)
    return compared(execution, expected, oracle)


def compared(execution: Execution, expected: Runs, oracle: str) -> Verification:
    """What a device gave, beside what the oracle of that name says."""
    compilation = execution.compilation
    names, allowed = [t.name for t in compilation.graph.outputs], allowance(compilation.model)
    differences = [
        (i, name, wrong(mine, theirs, allowed), mine, theirs)
        for i, (got, wanted) in enumerate(zip(execution.outputs, expected, strict=True))
        for name, mine, theirs in zip(names, got, wanted, strict=True)
    ]
    return Verification(
        model=compilation.graph.name,
        board=compilation.plan.board.name,
        oracle=oracle,
        inputs=len(execution.outputs),
        values=sum(mine.size for _, _, _, mine, _ in differences),
        mismatches=sum(len(places) for _, _, places, _, _ in differences),
        first=next((_difference(*d) for d in differences if len(d[2])), None),
        device=execution.device,
        largest=max((largest_difference(m, t) for _, _, _, m, t in differences), default=0.0) if allowed else None,
    )


def _difference(number: int, name: str, places: Array, mine: Array, theirs: Array) -> Difference:
    place = tuple(int(i) for i in places[0])
    return Difference(number, name, place, float(mine[place]), float(theirs[place]))


def by_reference(compilation: Compilation, inputs: Runs, model: Path | str, sequence: bool) -> list[tuple[Array, ...]]:
    """The graph as the file has it (before any pass), computed by `model/reference.py`."""
    from smelt.model.reference import run, run_sequence

    if sequence:
        return run_sequence(compilation.model, inputs)
    return [run(compilation.model, arrays) for arrays in inputs]


def by_onnxruntime(
    compilation: Compilation, inputs: Runs, model: Path | str, sequence: bool
) -> list[tuple[Array, ...]]:
    """The file, computed by onnxruntime with quantised operators fused (docs/onnx.md says what that means).

    Raises OptionError where its package is missing, the file is of another format, or the edges are not of the file's types.
    """
    from smelt.report.onnx_oracle import computed

    _demand_own_types(compilation, model, "onnxruntime")
    return computed(model_bytes(model), compilation, inputs)


def by_tflm(compilation: Compilation, inputs: Runs, model: Path | str, sequence: bool) -> list[tuple[Array, ...]]:
    """The file, computed by TensorFlow Lite Micro in a process of its own, since it aborts on what it does not like. Outputs that
    it leaves unwritten are the reference's.

    Raises OptionError where its package is missing, it gives up, or the edges are not of the file's types.
    """
    _demand_own_types(compilation, model, "tflm")
    if not is_tflite(model_bytes(model)):
        raise OptionError("the oracle tflm computes .tflite files: use --oracle reference or --oracle onnxruntime")
    with tempfile.TemporaryDirectory(prefix="smelt-") as folder:
        given, made, file = (Path(folder, name) for name in ("inputs.npz", "outputs.npz", "model.tflite"))
        file.write_bytes(model_bytes(model))
        stacked: dict[str, Any] = {f"x{i}": np.stack(column) for i, column in enumerate(zip(*inputs, strict=True))}
        np.savez(given, **stacked)
        each = "anew" if compilation.model.states and not sequence else "carried"
        command = [sys.executable, "-m", "smelt.report.tflm", str(file), str(given), str(made), each]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        if done.returncode:
            reason = (done.stderr or done.stdout).strip() or "it gave no reason"
            raise OptionError(f"the oracle tflm failed: {reason}\n  use --oracle reference, smelt's own arithmetic")
        with np.load(made) as outputs:
            stacks = [outputs[f"y{i}"] for i in range(len(compilation.model.outputs))]
    shaped = [s.reshape(-1, *t.shape) for s, t in zip(stacks, compilation.model.outputs, strict=True)]
    return filled_in(compilation.model, inputs, list(zip(*shaped, strict=True)), sequence)


def _demand_own_types(compilation: Compilation, model: Path | str, oracle: str) -> None:
    if compilation.prepares:
        raise OptionError(f"the firmware prepares its input, and the oracle {oracle} does not: use --oracle reference")
    file, asked = load(model, compilation.layout), compilation.model
    if any(t.dtype == HALF.name for t in asked.tensors):
        raise OptionError(
            f"weights are stored as float16, and the oracle {oracle} computes with those of the file: use --oracle reference"
        )
    for own, other in zip((*file.inputs, *file.outputs), (*asked.inputs, *asked.outputs), strict=True):
        if own.dtype != other.dtype:
            raise OptionError(
                f"'{own.name}' is {own.dtype} in the file that the oracle {oracle} computes, and {other.dtype} was asked for: "
                "use --oracle reference"
            )


ORACLES = {"reference": by_reference, "tflm": by_tflm, "onnxruntime": by_onnxruntime}
