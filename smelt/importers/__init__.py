"""A model file -> `Graph`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smelt.errors import ModelError, Unsupported, printable
from smelt.files import read
from smelt.importers.summary import ModelSummary, OperatorSummary, TensorSummary
from smelt.importers.tflite import ARMS, describe_tflite, load_tflite
from smelt.model.graph import Graph

__all__ = [
    "SUPPORTED",
    "ModelSummary",
    "OperatorSummary",
    "Supported",
    "TensorSummary",
    "describe",
    "load",
]

MOST_BYTES = 256 << 20
Result = TypeVar("Result")


@dataclass(frozen=True)
class Supported:
    """One operator that can be imported. `note` says what is special, often nothing."""

    format: str
    name: str
    note: str


SUPPORTED: tuple[Supported, ...] = tuple(
    Supported("tflite", arm.code, arm.note) for arm in sorted(ARMS, key=lambda arm: arm.code)
)


def load(path: Path | str) -> Graph:
    """The graph in a model file, named after the file.

    Raises ModelError where the file is unreadable, damaged or no model, Unsupported (with every reason) where it is a
    model that smelt cannot compile.
    """
    return _dispatch(path, load_tflite)


def describe(path: Path | str) -> ModelSummary:
    """What a model file contains, even if it cannot be compiled; `problems` then says why.

    Raises ModelError where the file cannot be read at all, Unsupported for formats smelt does not read.
    """
    return _dispatch(path, describe_tflite)


def _dispatch(path: Path | str, decode: Callable[[bytes, str], Result]) -> Result:
    """Read the file in the format that its content says."""
    path = Path(path)
    name, file = printable(path), _bytes(path)
    if file[4:8] == b"TFL3":
        try:
            return decode(file, printable(path.stem))
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error
        except Unsupported as refusal:
            raise Unsupported(name, refusal.reasons) from refusal
    foreign = _foreign(path, file)
    if foreign:
        raise Unsupported(name, (f"{foreign}; convert it to an int8 .tflite file",))
    raise ModelError(f"{name} is not a model file (a .tflite file has TFL3 at byte 4)")


def _bytes(path: Path) -> bytes:
    file = read(path, MOST_BYTES, ModelError)
    if not file:
        raise ModelError(f"{printable(path)} is empty")
    return file


FOREIGN_ENDINGS: tuple[tuple[str, str], ...] = (
    (".onnx", "ONNX models cannot be read yet"),
    (".h5", "this is a Keras model"),
    (".hdf5", "this is a Keras model"),
    (".keras", "this is a Keras model"),
    (".pb", "this is a TensorFlow graph"),
    (".pt", "this is a PyTorch model"),
    (".pth", "this is a PyTorch model"),
)


def _foreign(path: Path, file: bytes) -> str:
    """What a file of another format is; empty where that is unknown."""
    if file[:8] == b"\x89HDF\r\n\x1a\n":
        return "this is a Keras model (HDF5)"
    return next((text for ending, text in FOREIGN_ENDINGS if path.suffix.lower() == ending), "")
