"""Files that smelt leaves behind: written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from smelt.compile import Compilation
from smelt.files import save, write
from smelt.report.execute import Execution


def save_compilation(compilation: Compilation, folder: Path) -> None:
    """The C library and, where it was built, `firmware.elf`. Raises OptionError or BuildError."""
    files: dict[str, bytes] = {name: text.encode() for name, text in compilation.sources.files.items()}
    if compilation.image is not None:
        files["firmware.elf"] = compilation.image.elf
    save(files, folder)


def save_nouns(compilation: Compilation, folder: Path) -> None:
    """Every noun on the way from model to firmware, as readable files."""
    files = {name: text.encode() for name, text in compilation.nouns().items()}
    files.update({f"5-sources/{name}": text.encode() for name, text in compilation.sources.files.items()})
    if compilation.image is not None:
        files["6-firmware.elf"] = compilation.image.elf
    save(files, folder)


def save_outputs(execution: Execution, file: Path) -> None:
    """The outputs of all inferences as .npy, stacked along a first axis; of the first output where there are several."""
    buffer = io.BytesIO()
    np.save(buffer, np.stack([arrays[0] for arrays in execution.outputs]))
    write(file, buffer.getvalue())
