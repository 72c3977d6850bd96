"""`export`: a compilation as a package for the project that people have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from smelt.compile import Compilation
from smelt.errors import Mismatch, OptionError
from smelt.files import read
from smelt.firmware.build import OPTIMIZE, compiler_of
from smelt.firmware.exports import (
    Figure,
    Format,
    Golden,
    Label,
    Origin,
    Package,
    check_format,
    format_named,
    lay_out,
    package,
)
from smelt.firmware.harness import check_labels
from smelt.firmware.image import Sources
from smelt.firmware.mlperf import CODE, Mode, modes
from smelt.firmware.sources import with_stack
from smelt.firmware.toolchain import toolchain
from smelt.importers import MOST_BYTES
from smelt.inputs import random_inputs
from smelt.model.graph import Array
from smelt.model.reference import run
from smelt.nouns import Noun
from smelt.report.execute import execute
from smelt.report.export_folder import check_folder, save_package
from smelt.report.profile import estimated_use, profile

FLASH = ("code", "constants")


@dataclass(frozen=True)
class ExportSummary:
    """A package that was written into `folder`: of which model, under which licence, what is known of it, and its files with their
    bytes."""

    format: str
    name: str
    version: str
    license: str
    model: str
    model_sha256: str
    options: Mapping[str, str]
    figures: tuple[Figure, ...]
    folder: str
    files: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Exported(Noun):
    """A package that was written: its files are those of `folder`."""

    format: Format
    package: Package
    folder: Path
    files: Mapping[str, bytes] = field(repr=False)

    def summary(self) -> ExportSummary:
        """What programs are told of it."""
        label, origin = self.package.label, self.package.origin
        return ExportSummary(
            format=self.format.name,
            name=self.package.name,
            version=label.version,
            license=label.license,
            model=origin.model,
            model_sha256=origin.digest,
            options=origin.options,
            figures=self.package.figures,
            folder=str(self.folder),
            files={name: len(data) for name, data in self.files.items()},
        )


def check_export(format: str, name: str, label: Label, folder: Path) -> Format:
    """Raise OptionError, before the work, for what cannot be exported or written."""
    found = format_named(format)
    check_format(found, name, label)
    check_folder(folder, format, name)
    return found


def export(
    compilation: Compilation,
    format: str,
    model: Path | str,
    folder: Path | str,
    *,
    label: Label | None = None,
    inputs: Sequence[Array] | None = None,
    labels: tuple[str, ...] = (),
    options: Mapping[str, str] | None = None,
    simulate: bool = True,
) -> Exported:
    """Write a compilation of the file `model` into `folder` as a package of that format.

    `inputs` are those of the self-test, by default random ones, always the same. With `simulate` firmware, where there is any,
    runs once on the simulated board: its outputs are compared with the reference, and what that cost are the package's figures.
    `labels` are what the example prints for classes. Raises OptionError for what the format or the folder does not take,
    DeviceError, Mismatch, BuildError.
    """
    label, folder = label or Label(), Path(folder)
    found = check_export(format, compilation.program.name, label, folder)
    check_labels(compilation.program, labels)
    firmware = _modes(compilation) if found.firmware else ()
    given = tuple(inputs) if inputs is not None else random_inputs(compilation.model, 1)[0]
    golden = Golden(given, run(compilation.model, given))
    simulated = simulate and compilation.image is not None
    figures = tuple(_measured(compilation, golden) if simulated else _estimated(compilation))
    origin = Origin(Path(model).name, _digest(Path(model)), options or {})
    made = package(
        compilation.program,
        _with_stack(compilation, figures),
        golden,
        label,
        origin,
        figures,
        labels,
        firmware,
    )
    files = lay_out(found, made)
    save_package(files, folder, format, made.name)
    return Exported(found, made, folder, files)


def _with_stack(compilation: Compilation, figures: Sequence[Figure]) -> Sources:
    """The library, whose header says what stack was measured, and with which compiler, where any was."""
    found = next((f for f in figures if f.what == "stack"), None)
    if found is None or compilation.image is None:
        return compilation.sources
    board = compilation.plan.board
    made_by = toolchain(board, compiler_of(compilation.image))
    told = (
        f"The whole stack of an inference, main and assembly included, was {found.value} bytes with {made_by} at {OPTIMIZE} "
        f"({board.name}, {found.how}); it is another one with other compilers and levels of optimisation."
    )
    return with_stack(compilation.sources, compilation.program, told)


def _modes(compilation: Compilation) -> tuple[Mode, ...]:
    """The firmware that answers the benchmark's runner."""
    image, firmware = compilation.image, compilation.firmware
    if image is None or firmware is None or CODE not in firmware.files:
        raise OptionError("this format has firmware: compile with mlperf=Mlperf(...), and with a compiler")
    return modes(firmware, compilation.plan.board, compilation.model, image)


def _digest(model: Path) -> str:
    return hashlib.sha256(read(model, MOST_BYTES)).hexdigest()


def _measured(compilation: Compilation, golden: Golden) -> Iterator[Figure]:
    """The figures of one inference on the simulated board. Raises Mismatch where its outputs are not the reference's."""
    result = execute(compilation, [tuple(golden.inputs)])
    for tensor, found, expected in zip(compilation.graph.outputs, result.outputs[0], golden.outputs, strict=True):
        if np.ascontiguousarray(found).tobytes() != np.ascontiguousarray(expected).tobytes():
            raise Mismatch(f"{tensor.name}: the firmware's values differ from the reference's")
    figures = profile(compilation, result.run)
    yield Figure("MACs", figures.macs, "", "of the model")
    how = "simulated" if result.device == "simulator" else "in QEMU"
    if figures.cycles is not None:
        yield Figure(
            "cycles", figures.cycles, "", how if figures.validated else f"{how} by a model that nothing validates"
        )
    if figures.milliseconds is not None:
        clock = compilation.plan.board.clock_hz / 1e6
        yield Figure("time", figures.milliseconds, "ms", f"at {clock:g} MHz")
    yield Figure("instructions", figures.instructions, "", how)
    yield Figure("RAM", figures.ram_bytes, "bytes", "all of the firmware's, stack included")
    yield Figure("stack", figures.stack_bytes, "bytes", how)
    yield Figure("flash", figures.flash_bytes, "bytes", "all of the firmware's")


def _estimated(compilation: Compilation) -> Iterator[Figure]:
    """What is known without running anything."""
    yield Figure("MACs", compilation.model.macs, "", "of the model")
    uses = estimated_use(compilation.plan)
    flash = sum(use.bytes for use in uses if use.purpose in FLASH)
    yield Figure("RAM", sum(use.bytes for use in uses) - flash, "bytes", "estimated")
    yield Figure("flash", flash, "bytes", "estimated")
