"""Files that smelt leaves behind: written whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from smelt.compile import Compilation
from smelt.errors import BuildError, OptionError
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
    save({file.name: buffer.getvalue()}, file.parent)


def save(files: Mapping[str, bytes], folder: Path) -> None:
    """Write all of `files` into `folder`, or none: first under temporary names, then renamed.

    Raises OptionError where the folder cannot be used, BuildError where the disk is full.
    """
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    staged: list[tuple[Path, Path]] = []
    try:
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.append((_stage(data, target), target))
        for temporary, target in staged:
            os.replace(temporary, target)
    except OSError as error:
        _discard([temporary for temporary, _ in staged], made)
        reason = error.strerror or str(error)
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError):
            raise OptionError(f"cannot write into '{folder}': {reason}") from None
        raise BuildError(f"cannot write into '{folder}': {reason}; nothing was left behind") from None


def _stage(data: bytes, target: Path) -> Path:
    """`data` in a temporary file beside `target`, which is not touched."""
    if target.is_dir():
        raise IsADirectoryError(f"'{target.name}' is a folder")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _discard(files: list[Path], folders: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    for folder in folders:
        for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            _remove_empty(inner)
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or never made
        folder.rmdir()
