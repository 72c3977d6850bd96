"""A model file -> `Graph`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar, get_args

from smelt.errors import ModelError, Unsupported, check_word, printable
from smelt.files import read
from smelt.importers.c_array import ENDINGS as C_ENDINGS
from smelt.importers.c_array import MAGIC, from_c, is_text
from smelt.importers.foreign import Foreign, foreign, of_folder
from smelt.importers.onnx_edges import Layout
from smelt.importers.onnx_file import is_onnx
from smelt.importers.onnx_load import describe_onnx, load_onnx
from smelt.importers.onnx_metadata import metadata as onnx_metadata
from smelt.importers.summary import ModelSummary, OperatorSummary, TensorSummary
from smelt.importers.tflite import describe_tflite, load_tflite
from smelt.importers.tflite_metadata import metadata as tflite_metadata
from smelt.model.graph import Graph

__all__ = [
    "Layout",
    "ModelSummary",
    "OperatorSummary",
    "TensorSummary",
    "describe",
    "is_tflite",
    "load",
    "metadata",
    "model_bytes",
]

MOST_BYTES = 256 << 20
MOST_ENTRIES = 1000  # of a folder
Result = TypeVar("Result")


def load(path: Path | str, layout: Layout = "channels_last") -> Graph:
    """The graph in a model file, named after the file. `layout` says how edges of ONNX models that are images lie in memory:
    with the channels last, as the network computes them, or as the file has them ("keep").

    Raises ModelError where the file is unreadable, damaged or no model, Unsupported (with every reason) where it is a
    model that smelt cannot compile, OptionError for another layout.
    """
    check_word(layout, "layout", get_args(Layout))
    return _dispatch(path, load_tflite, lambda file, name, folder: load_onnx(file, name, folder, layout))


def describe(path: Path | str) -> ModelSummary:
    """What a model file contains, even if it cannot be compiled; `problems` then says why.

    Raises ModelError where the file cannot be read at all, Unsupported for formats smelt does not read.
    """
    return _dispatch(path, describe_tflite, describe_onnx)


def metadata(path: Path | str) -> dict[str, str]:
    """What a model file says beside its graph: pairs of texts; of .tflite files how their input is normalised. Raises what `load`
    raises."""
    return _dispatch(path, lambda file, name: tflite_metadata(file), lambda file, name, folder: onnx_metadata(file))


def model_bytes(path: Path | str) -> bytes:
    """The bytes of the .tflite or .onnx file that `path` is, or of the .tflite file that it holds as a C array.

    Raises ModelError where it holds none, Unsupported where it is a model of another format.
    """
    path = Path(path)
    name, file = printable(path), _bytes(path)
    if is_tflite(file) or is_onnx(file):
        return file
    what = foreign(path, file)
    if what is None and path.suffix.lower() == ".onnx":
        return file  # a damaged one: reading it says how
    if what:
        _refuse(name, what)
    try:
        found = from_c(file) if is_text(file) else None
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    if found is None:
        kind = "C without a model in it" if path.suffix.lower() in C_ENDINGS else "not a model file"
        known = "a .tflite file has TFL3 at byte 4, as a file or as a C array; an .onnx file is a message with a graph"
        raise ModelError(f"{name} is {kind} ({known})")
    return found


def is_tflite(file: bytes) -> bool:
    """Whether a file says that it is a .tflite file."""
    return file[4:8] == MAGIC


def _dispatch(
    path: Path | str,
    decode_tflite: Callable[[bytes, str], Result],
    decode_onnx: Callable[[bytes, str, Path], Result],
) -> Result:
    """Read the file in the format that its content says."""
    name, file = printable(path), model_bytes(path)
    called = printable(Path(path).stem)
    try:
        if is_tflite(file):
            return decode_tflite(file, called)
        return decode_onnx(file, called, Path(path).parent)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except Unsupported as refusal:
        raise Unsupported(name, refusal.reasons) from refusal


def _bytes(path: Path) -> bytes:
    with suppress(OSError, ValueError), os.scandir(path) as entries:  # else it is no folder
        _refuse(printable(path), of_folder(entry.name for entry in islice(entries, MOST_ENTRIES)))
    file = read(path, MOST_BYTES, ModelError)
    if not file:
        raise ModelError(f"{printable(path)} is empty")
    return file


def _refuse(name: str, what: Foreign) -> NoReturn:
    if what.model:
        raise Unsupported(name, (f"this is {what}",))
    raise ModelError(f"{name} is {what}")
