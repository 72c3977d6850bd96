"""What a .tflite file says beside its graph: how its input is normalised, in the metadata that TensorFlow Lite's Task Library reads
(metadata_schema.fbs of tflite-support)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import isfinite

from smelt.errors import ModelError
from smelt.importers.flatbuffer import Reader, Table
from smelt.importers.tflite_file import buffer_of

NAME = "TFLITE_METADATA"
NORMALIZATION = 1  # of the union ProcessUnitOptions
FLOAT32 = 0  # of TensorType
MOST_CHANNELS = 16


def metadata(file: bytes) -> dict[str, str]:
    """Mean and standard deviation of the first input that has them, under smelt's own keys. Of integers, 0 and 1 are nothing:
    files say so whose inputs are pixels as they are. Raises ModelError where the file is damaged."""
    root = Reader(file).root()
    for entry in islice(root.tables(6), 100):
        if entry.text(0) == NAME:
            for mean, std in _normalizations(_within(file, root, entry.integer(1, "I"))):
                if _of_reals(root) or (set(mean), set(std)) != ({0.0}, {1.0}):
                    return {"smelt.mean": _text(mean), "smelt.std": _text(std)}
    return {}


def _within(file: bytes, root: Table, number: int) -> Table:
    """The table in a buffer of the file."""
    buffer = next(islice(root.tables(4), number, None), None)
    place = None if buffer is None else buffer_of(buffer, number, len(file))
    if place is None:
        raise ModelError(f"the file is damaged: its metadata is in buffer {number}, which it does not have")
    start, size = place
    return Reader(file[start : start + size]).root()


def _normalizations(metadata: Table) -> Iterator[tuple[list[float], list[float]]]:
    for subgraph in islice(metadata.tables(3), 1):
        for tensor in subgraph.tables(2):
            for unit in tensor.tables(4):
                options = unit.table(1) if unit.integer(0, "B") == NORMALIZATION else None
                mean, std = (options.numbers(field, "float32").tolist() if options else [] for field in (0, 1))
                sound = all(map(isfinite, (*mean, *std))) and 0.0 not in std
                if sound and 0 < len(mean) <= MOST_CHANNELS and 0 < len(std) <= MOST_CHANNELS:
                    yield mean, std


def _of_reals(root: Table) -> bool:
    """Whether the first input is float32."""
    subgraph = next(root.tables(2), None)
    if subgraph is None:
        return False
    index = next(iter(subgraph.integers(1)), 0)
    tensor = next(islice(subgraph.tables(0), max(index, 0), None), None)
    return tensor is not None and tensor.integer(1, "b") == FLOAT32


def _text(numbers: list[float]) -> str:
    return ",".join(repr(number) for number in numbers)
